"""Spectra of Kong, Ji & Xin 2022: edges on a power-law background, axis errors, noise."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from coreloss.simulate.detector import Noise
from coreloss.simulate.gaussian.recipe import GaussianRecipe
from coreloss.simulate.gaussian.shapes import EdgeShape, read_shapes, shipped_shapes
from coreloss.simulate.gos import SimulatedBatch

__all__ = ["GaussianDraws", "ShapeTable", "assembled", "shape_table", "simulate_gaussian"]

_CHUNK = 256
_BEFORE_EV = 30.0  # of a shape's table below its onset
_LONGEST_EV = 85.0  # of a shape above its onset; the rest is extension
_SPAN_EV = 200.0  # of a shape's table
_MARGIN_EV = 3.0  # of a record around an onset it shows
_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ShapeTable:
    """The shapes of a library on a record's channels.

    Attributes
    ----------
    shapes : tuple of EdgeShape
    transform : ndarray, (n_shapes, width // 2 + 1) complex64
        Fourier transform of each shape on ``width`` channels.
    first : ndarray, (n_shapes,) int
        Channel of the record at which a shape's table begins.
    last : ndarray, (n_shapes,) int
        Channel of the table from which the shape is extended.
    onset_ev : ndarray, (n_shapes,) [eV]
    element : ndarray, (n_shapes,) int
        Index into the recipe's elements.
    width : int
    """

    shapes: tuple[EdgeShape, ...]
    transform: NDArray[np.complex64]
    first: Ints
    last: Ints
    onset_ev: Floats
    element: Ints
    width: int

    def of(self, element: int) -> Ints:
        """Rows with an element."""
        return np.nonzero(self.element == element)[0]


@lru_cache(maxsize=8)
def _table(
    libraries: tuple[str, ...], edges: tuple[str, ...], start_ev: float, dispersion_ev: float
) -> ShapeTable:
    known: list[EdgeShape] = []
    for name in libraries:
        known.extend(shipped_shapes() if name == "shipped" else read_shapes(name))
    shapes = tuple(shape for shape in known if shape.label in edges)
    missing = sorted(set(edges) - {shape.label for shape in shapes})
    if missing:
        raise ValueError(
            f"edge libraries {', '.join(libraries)} hold no shape of {', '.join(missing)}; "
            "add a library that does, or leave these out of 'edges'"
        )
    width = 2 ** int(np.ceil(np.log2(_SPAN_EV / dispersion_ev)))
    transform = np.empty((len(shapes), width // 2 + 1), dtype=np.complex64)
    first, last, onset = [], [], []
    for row, shape in enumerate(shapes):
        begin = round((shape.onset_ev - _BEFORE_EV - start_ev) / dispersion_ev)
        energies = start_ev + dispersion_ev * (begin + np.arange(width))
        end = min(shape.end_ev, shape.onset_ev + _LONGEST_EV)
        values = shape.intensity(np.minimum(energies, end))
        values *= np.where(energies > end, (energies / end) ** -2.8, 1.0)
        # down to nothing before the transform's period ends, or it would come round to the start
        position = (np.arange(width) / width - 0.70) / 0.15
        values *= 0.5 * (1.0 + np.cos(np.pi * np.clip(position, 0.0, 1.0)))
        transform[row] = np.fft.rfft(values / values.max())
        first.append(begin)
        last.append(round((end - energies[0]) / dispersion_ev))
        onset.append(shape.onset_ev)
    return ShapeTable(
        shapes,
        transform,
        np.array(first),
        np.array(last),
        np.array(onset),
        np.array([edges.index(shape.label) for shape in shapes]),
        width,
    )


def shape_table(recipe: GaussianRecipe) -> ShapeTable:
    """The shapes a recipe draws from; raises ValueError where it asks for edges without any."""
    return _table(recipe.libraries, recipe.edges, recipe.range_ev[0], recipe.dispersion_ev)


@dataclass
class GaussianDraws:
    """Parameters of n spectra; arrays are (n,) unless said otherwise.

    Attributes
    ----------
    shape : (n, n_slots) int
        Row of the `ShapeTable`, by ascending onset; -1 for none.
    jump_ratio, extension : (n, n_slots)
    fwhm_ev, hwhm_ev, exponent : point spread function, power of the background
    shift_ev, stretch : the axis reads E_recorded = (E_true - shift_ev) / stretch
    frame : int, of the noise filter [channels]; 1 leaves the noise white
    noise, white : standard deviation of the noise before the filter, and of white noise
    start_ev, end_ev : of the record, true energies
    """

    shape: Ints
    jump_ratio: Floats
    extension: Floats
    fwhm_ev: Floats
    hwhm_ev: Floats
    exponent: Floats
    shift_ev: Floats
    stretch: Floats
    frame: Ints
    noise: Floats
    white: Floats
    start_ev: Floats
    end_ev: Floats

    def take(self, rows: Any) -> GaussianDraws:
        """The parameters of some of the spectra."""
        return GaussianDraws(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def simulate_gaussian(
    recipe: GaussianRecipe, n: int, seed: int, *, xp: Any = None, device: Any = None
) -> SimulatedBatch:
    """Simulate n spectra; parameters as in `coreloss.simulate.simulate`.

    ``counts`` are in units of the background at the start of the record; ``snr`` is the peak
    signal-to-noise ratio of Kong et al.: peak of the edge over the standard deviation of the
    noise.
    """
    if n < 1:
        raise ValueError(f"asked for {n} spectra; at least one is needed")
    rng = np.random.default_rng(seed)
    return assembled(recipe, _draw(rng, n, recipe), rng, xp=xp, device=device)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float], n: int) -> Floats:
    return np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), n))


def _draw(rng: np.random.Generator, n: int, recipe: GaussianRecipe) -> GaussianDraws:
    table = shape_table(recipe)
    slots = len(recipe.edge_counts)
    chance = np.array(recipe.edge_counts) / sum(recipe.edge_counts)
    number = rng.choice(np.arange(1, slots + 1), size=n, p=chance)
    number[rng.uniform(size=n) < recipe.empty_fraction] = 0
    # the first columns of a random order: elements without repetition
    element = np.argsort(rng.uniform(size=(n, len(recipe.edges))), axis=1)[:, :slots]
    pick = rng.uniform(size=(n, slots))
    shape = np.full((n, slots), -1)
    jump = np.zeros((n, slots))
    for index, highest in enumerate(recipe.jump_ratio_max):
        rows = table.of(index)
        mine = element == index
        shape[mine] = rows[(pick[mine] * rows.size).astype(np.int64)]
        jump[mine] = rng.uniform(recipe.jump_ratio_min, highest, int(mine.sum()))
    shape[np.arange(slots)[None, :] >= number[:, None]] = -1
    onset = np.where(shape >= 0, table.onset_ev[shape], np.inf)
    order = np.argsort(onset, axis=1, kind="stable")

    exponent = rng.normal(*recipe.background_exponent, n)
    low = exponent <= recipe.background_exponent_min
    while low.any():  # what the limit cuts off is drawn anew
        exponent[low] = rng.normal(*recipe.background_exponent, int(low.sum()))
        low = exponent <= recipe.background_exponent_min
    start, end = (np.full(n, edge) for edge in recipe.range_ev)
    cut = rng.uniform(size=n) < recipe.window_fraction
    length = _log_uniform(rng, recipe.window_ev, n)
    length = np.minimum(length, end - start)
    begin = rng.uniform(start, end - length)
    white = _log_uniform(rng, recipe.white_noise, n)
    white *= (recipe.range_ev[1] / recipe.range_ev[0]) ** -exponent
    return GaussianDraws(
        shape=np.take_along_axis(shape, order, axis=1),
        jump_ratio=np.take_along_axis(jump, order, axis=1),
        extension=rng.uniform(*recipe.extension_power, (n, slots)),
        fwhm_ev=rng.uniform(*recipe.fwhm_ev, n),
        hwhm_ev=rng.uniform(*recipe.hwhm_ev, n),
        exponent=exponent,
        shift_ev=rng.uniform(-recipe.shift_ev, recipe.shift_ev, n),
        stretch=1.0 + rng.uniform(-recipe.stretch, recipe.stretch, n),
        frame=rng.choice(np.array(recipe.frames), size=n),
        noise=recipe.noise * rng.uniform(*recipe.noise_factor, n),
        white=np.where(rng.uniform(size=n) < recipe.white_noise_fraction, white, 0.0),
        start_ev=np.where(cut, begin, start),
        end_ev=np.where(cut, begin + length, end),
    )


def assembled(
    recipe: GaussianRecipe,
    draws: GaussianDraws,
    rng: np.random.Generator,
    *,
    xp: Any = None,
    device: Any = None,
) -> SimulatedBatch:
    """Records of spectra whose parameters have been drawn; see `simulate_gaussian`."""
    name = "numpy" if xp is None else xp.__name__.split(".")[-1]
    namespace = importlib.import_module(
        f"array_api_compat.{'torch' if name == 'torch' else 'numpy'}"
    )
    noise = Noise(namespace, int(rng.integers(2**62)), device)
    table = shape_table(recipe)
    channels = round((recipe.range_ev[1] - recipe.range_ev[0]) / recipe.dispersion_ev) + 1
    first = np.rint((draws.start_ev - recipe.range_ev[0]) / recipe.dispersion_ev).astype(np.int64)
    last = np.rint((draws.end_ev - recipe.range_ev[0]) / recipe.dispersion_ev).astype(np.int64)
    first = np.clip(first, 0, channels - 8)
    size = np.clip(last, first + 7, channels - 1) + 1 - first
    parts = []
    for begin in range(0, first.size, _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        parts.append(
            _Chunk(namespace, noise, recipe, table, draws.take(rows), channels).records(
                first[rows], int(size.max())
            )
        )
    counts = parts[0][0] if len(parts) == 1 else namespace.concat([c for c, _ in parts], axis=0)
    height = np.concatenate([h for _, h in parts])
    inside = namespace.asarray(np.arange(int(size.max()))[None, :] < size[:, None], device=device)
    return _labelled(recipe, table, draws, counts * inside, height, first, size)


class _Chunk:
    """A few hundred spectra, on all channels of the record."""

    def __init__(
        self,
        xp: Any,
        noise: Noise,
        recipe: GaussianRecipe,
        table: ShapeTable,
        draws: GaussianDraws,
        channels: int,
    ) -> None:
        self.xp, self.noise, self.recipe, self.table = xp, noise, recipe, table
        self.draws, self.channels, self.device = draws, channels, noise.device
        self.n = draws.exponent.size
        energies = recipe.range_ev[0] + recipe.dispersion_ev * np.arange(channels)
        self.log_e = self.put(np.log(energies / energies[0]))[None, :]

    def put(self, values: Any, dtype: Any = np.float32) -> Any:
        return self.xp.asarray(np.asarray(values, dtype=dtype), device=self.device)

    def records(self, first: Ints, width: int) -> tuple[Any, Floats]:
        """Counts (n, width) from channel ``first`` on, and the edges' heights (n, n_slots)."""
        xp = self.xp
        background = xp.exp(-self.put(self.draws.exponent[:, None]) * self.log_e)
        total, height = background, np.zeros(self.draws.shape.shape)
        for slot in range(self.draws.shape.shape[1]):
            rows = np.nonzero(self.draws.shape[:, slot] >= 0)[0]
            if rows.size == 0:
                continue
            index = self.put(rows, np.int64)
            below = background if self.recipe.jump_ratio_over == "background" else total
            edge, level = self._edge(rows, slot, below[index])
            height[rows, slot] = np.asarray(level.tolist())
            if rows.size == self.n:
                total = total + edge
            else:
                total = xp.asarray(total, copy=True)
                total[index] = total[index] + edge
        total = total + self._noise()
        if width == self.channels:
            return total, height
        index = np.minimum(first[:, None] + np.arange(width)[None, :], self.channels - 1)
        return xp.take_along_axis(total, self.put(index, np.int64), axis=1), height

    def _edge(self, rows: Ints, slot: int, below: Any) -> tuple[Any, Any]:
        """The edges of one slot, (n_rows, channels), and their heights above ``below``."""
        xp, table, draws = self.xp, self.table, self.draws
        shape = draws.shape[rows, slot]
        # Gaussian times Lorentzian in Fourier space: transforms are known in closed form
        frequency = np.fft.rfftfreq(table.width, self.recipe.dispersion_ev)[None, :]
        sigma, hwhm = draws.fwhm_ev[rows, None] / _FWHM, draws.hwhm_ev[rows, None]
        spread = np.exp(-2.0 * np.pi * frequency * (np.pi * sigma**2 * frequency + hwhm))
        local = xp.fft.irfft(
            self.put(table.transform[shape] * spread, np.complex64), n=table.width, axis=1
        )
        last = table.last[shape][:, None]
        place = np.arange(table.width)[None, :]
        local = local * self.put((place <= last) / 1.0)
        peak = xp.max(local, axis=1)
        start = np.rint(
            (table.onset_ev[shape] - self.recipe.range_ev[0]) / self.recipe.dispersion_ev
        )
        start = np.clip(start.astype(np.int64), 0, self.channels - 1)[:, None]
        level = xp.take_along_axis(below, self.put(start, np.int64), axis=1)[:, 0]
        level = level * self.put(draws.jump_ratio[rows, slot])
        local = local * (level / peak)[:, None]

        channel = np.arange(self.channels)[None, :] - table.first[shape][:, None]
        near = self.put(np.clip(channel, 0, table.width - 1), np.int64)
        inside = self.put(((channel >= 0) & (channel <= last)) / 1.0)
        end = xp.take_along_axis(local, self.put(last, np.int64), axis=1)
        end_channel = np.clip(last + table.first[shape][:, None], 0, self.channels - 1)
        origin = xp.take_along_axis(
            self.log_e + xp.zeros_like(below), self.put(end_channel, np.int64), axis=1
        )
        power = self.put(draws.extension[rows, slot][:, None])
        tail = end * xp.exp(power * (self.log_e - origin)) * self.put(channel > last)
        return xp.take_along_axis(local, near, axis=1) * inside + tail, level

    def _noise(self) -> Any:
        """Filtered and white noise, (n, channels).

        In the middle of its frame a Savitzky–Golay filter of first order is the frame's mean:
        the line fitted to points on either side passes through their mean there.
        """
        xp, draws = self.xp, self.draws
        longest = int(draws.frame.max())
        raw = self.noise.normal((self.n, self.channels + longest))
        total = xp.cumulative_sum(raw, axis=1, dtype=xp.float64, include_initial=True)
        ends = draws.frame[:, None] + np.arange(self.channels)[None, :]
        mean = xp.take_along_axis(total, self.put(ends, np.int64), axis=1)
        mean = mean - total[:, : self.channels]
        out = xp.astype(mean, xp.float32) * self.put((draws.noise / draws.frame)[:, None])
        if draws.white.any():
            out = out + self.noise.normal((self.n, self.channels)) * self.put(draws.white[:, None])
        return out


def _labelled(
    recipe: GaussianRecipe,
    table: ShapeTable,
    draws: GaussianDraws,
    counts: Any,
    height: Floats,
    first: Ints,
    size: Ints,
) -> SimulatedBatch:
    n = size.size
    start = recipe.range_ev[0] + recipe.dispersion_ev * first
    end = start + recipe.dispersion_ev * (size - 1)
    spectrum, slot = np.nonzero(draws.shape >= 0)
    shape = draws.shape[spectrum, slot]
    onset = table.onset_ev[shape]
    shown = (onset > start[spectrum] + _MARGIN_EV) & (onset < end[spectrum] - _MARGIN_EV)
    spectrum, slot, shape = spectrum[shown], slot[shown], shape[shown]
    onset = onset[shown]
    in_range = np.zeros((n, len(recipe.elements)), dtype=bool)
    in_range[spectrum, table.element[shape]] = True
    deviation = np.sqrt(draws.noise**2 / draws.frame + draws.white**2)[spectrum]
    level = height[spectrum, slot]
    snr = np.zeros(in_range.shape, dtype=np.float32)
    snr[spectrum, table.element[shape]] = level / np.maximum(deviation, 1e-30)
    return SimulatedBatch(
        counts=counts,
        offset=(start - draws.shift_ev) / draws.stretch,
        dispersion=recipe.dispersion_ev / draws.stretch,
        size=size,
        present=in_range.copy(),
        in_range=in_range,
        snr=snr,
        edges={
            "spectrum": spectrum,
            "element": table.element[shape],
            "group": shape,
            "onset_ev": (onset - draws.shift_ev[spectrum]) / draws.stretch[spectrum],
            "jump_ratio": draws.jump_ratio[spectrum, slot],
        },
        draws=cast(Any, draws),
        elements=recipe.elements,
    )
