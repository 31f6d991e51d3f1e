"""Spectra of Kong, Ji & Xin 2022: edges on a power-law background, axis errors, noise."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from coreloss.simulate.batch import SimulatedBatch
from coreloss.simulate.detector import Noise
from coreloss.simulate.gaussian.recipe import GaussianRecipe
from coreloss.simulate.gaussian.recorded import (
    WITHIN_EV,
    RecordDraws,
    axis_errors,
    detectability,
    draw_record,
    log_uniform,
    on_channels,
    windows,
)
from coreloss.simulate.gaussian.shapes import EdgeShape, read_shapes, shipped_shapes

__all__ = ["GaussianDraws", "ShapeTable", "assembled", "draw", "shape_table", "simulate_gaussian"]

_CHUNK = 256
_BEFORE_EV = 30.0  # of a shape's table below its onset
_LONGEST_EV = 85.0  # of a shape above its onset; the rest is extension
_SPAN_EV = 200.0  # of a shape's table; twice that where plural scattering moves it up
_MARGIN_EV = 3.0  # of a record around an onset it shows
_PUBLISHED_EXPONENT = 1.88  # mean power of the paper's backgrounds
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
    tail : ndarray, (n_shapes, width // 2 + 1) complex64
        That of its steps alone.
    power : ndarray, (n_shapes,) [eV]
        Integral of the squared shape over the first 20 eV, its peak being 1.
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
    tail: NDArray[np.complex64]
    power: Floats
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
    libraries: tuple[str, ...],
    edges: tuple[str, ...],
    start_ev: float,
    dispersion_ev: float,
    span_ev: float,
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
    width = 2 ** int(np.ceil(np.log2(span_ev / dispersion_ev)))
    transform = np.empty((2, len(shapes), width // 2 + 1), dtype=np.complex64)
    first, last, onset, power = [], [], [], []
    for row, shape in enumerate(shapes):
        begin = round((shape.onset_ev - _BEFORE_EV - start_ev) / dispersion_ev)
        energies = start_ev + dispersion_ev * (begin + np.arange(width))
        end = min(shape.end_ev, shape.onset_ev + _LONGEST_EV)
        values = np.zeros((2, width))
        values[0] = shape.intensity(np.minimum(energies, end))
        for step in shape.steps:
            values[1] += step.intensity(np.minimum(energies, end))
        values *= np.where(energies > end, (energies / end) ** -2.8, 1.0)
        # down to nothing before the transform's period ends, or it would come round to the start
        position = (np.arange(width) / width - 0.70) / 0.15
        values *= 0.5 * (1.0 + np.cos(np.pi * np.clip(position, 0.0, 1.0)))
        values /= values[0].max()
        transform[:, row] = np.fft.rfft(values)
        near = (energies >= shape.onset_ev) & (energies < shape.onset_ev + WITHIN_EV)
        power.append(float(np.sum(values[0, near] ** 2) * dispersion_ev))
        first.append(begin)
        last.append(round((end - energies[0]) / dispersion_ev))
        onset.append(shape.onset_ev)
    return ShapeTable(
        shapes,
        transform[0],
        transform[1],
        np.array(power),
        np.array(first),
        np.array(last),
        np.array(onset),
        np.array([edges.index(shape.label) for shape in shapes]),
        width,
    )


def shape_table(recipe: GaussianRecipe) -> ShapeTable:
    """The shapes a recipe draws from; raises ValueError where it asks for edges without any."""
    span = _SPAN_EV * (2.0 if recipe.thickness[1] > 0 else 1.0)
    return _table(recipe.libraries, recipe.edges, recipe.range_ev[0], recipe.dispersion_ev, span)


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
    record : RecordDraws or None
        What the paper does not have.
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
    record: RecordDraws | None = None

    def take(self, rows: Any) -> GaussianDraws:
        """The parameters of some of the spectra."""
        taken = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "record"}
        return GaussianDraws(**taken, record=self.record and self.record.take(rows))


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
    return assembled(recipe, draw(rng, n, recipe), rng, xp=xp, device=device)


def draw(
    rng: np.random.Generator, n: int, recipe: GaussianRecipe, *, first: int | None = None
) -> GaussianDraws:
    """Parameters of n spectra; ``first`` is an element that each holds unless it is empty."""
    table = shape_table(recipe)
    slots = len(recipe.edge_counts)
    chance = np.array(recipe.edge_counts) / sum(recipe.edge_counts)
    number = rng.choice(np.arange(1, slots + 1), size=n, p=chance)
    number[rng.uniform(size=n) < recipe.empty_fraction] = 0
    # the first columns of a random order: elements without repetition
    place = rng.uniform(size=(n, len(recipe.edges)))
    if first is not None:
        place[:, first] = -1.0
    element = np.argsort(place, axis=1)[:, :slots]
    pick = rng.uniform(size=(n, slots))
    shape = np.full((n, slots), -1)
    jump = np.zeros((n, slots))
    for index, highest in enumerate(recipe.jump_ratio_max):
        rows = table.of(index)
        mine = element == index
        shape[mine] = rows[(pick[mine] * rows.size).astype(np.int64)]
        if recipe.jump_ratio_draw == "uniform":
            jump[mine] = rng.uniform(recipe.jump_ratio_min, highest, int(mine.sum()))
        else:
            jump[mine] = log_uniform(rng, (recipe.jump_ratio_min, highest), int(mine.sum()))
    shape[np.arange(slots)[None, :] >= number[:, None]] = -1
    onset = np.where(shape >= 0, table.onset_ev[shape], np.inf)
    order = np.argsort(onset, axis=1, kind="stable")

    exponent = rng.normal(*recipe.background_exponent, n)
    low = exponent <= recipe.background_exponent_min
    while low.any():  # what the limit cuts off is drawn anew
        exponent[low] = rng.normal(*recipe.background_exponent, int(low.sum()))
        low = exponent <= recipe.background_exponent_min
    start, end = windows(rng, onset, recipe)
    shift, stretch = axis_errors(rng, start, end, recipe)
    lowest = (end / recipe.range_ev[0]) ** -exponent
    white = log_uniform(rng, recipe.white_noise, n) * lowest
    noise = recipe.noise * rng.uniform(*recipe.noise_factor, n)
    noise = np.where(rng.uniform(size=n) < recipe.filtered_noise_fraction, noise, 0.0)
    if recipe.noise_over == "end":
        noise *= lowest / (recipe.range_ev[1] / recipe.range_ev[0]) ** -_PUBLISHED_EXPONENT
    return GaussianDraws(
        shape=np.take_along_axis(shape, order, axis=1),
        jump_ratio=np.take_along_axis(jump, order, axis=1),
        extension=rng.uniform(*recipe.extension_power, (n, slots)),
        fwhm_ev=rng.uniform(*recipe.fwhm_ev, n),
        hwhm_ev=rng.uniform(*recipe.hwhm_ev, n),
        exponent=exponent,
        shift_ev=shift,
        stretch=stretch,
        frame=rng.choice(np.array(recipe.frames), size=n),
        noise=noise,
        white=np.where(rng.uniform(size=n) < recipe.white_noise_fraction, white, 0.0),
        start_ev=start,
        end_ev=end,
        record=draw_record(rng, n, slots, recipe),
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
    first_ev, size = _recorded(recipe, draws, channels)
    parts = []
    for begin in range(0, size.size, _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        chunk = _Chunk(namespace, noise, recipe, table, draws.take(rows), channels)
        parts.append(chunk.records(first_ev[rows], size[rows], int(size.max())))
    counts = parts[0][0] if len(parts) == 1 else namespace.concat([p[0] for p in parts], axis=0)
    height, below, mean = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
    inside = namespace.asarray(np.arange(int(size.max()))[None, :] < size[:, None], device=device)
    return _labelled(recipe, table, draws, counts * inside, (height, below, mean), first_ev, size)


def _recorded(recipe: GaussianRecipe, draws: GaussianDraws, channels: int) -> tuple[Floats, Ints]:
    """Centre of the first channel [eV, true] and number of channels of each record."""
    low, step = recipe.range_ev[0], recipe.dispersion_ev
    if draws.record is not None:
        width = draws.record.channel_ev
        size = ((draws.end_ev - draws.start_ev) / width).astype(np.int64)
        return draws.start_ev + 0.5 * width, np.maximum(size, 8)
    first = np.rint((draws.start_ev - low) / step).astype(np.int64)
    last = np.rint((draws.end_ev - low) / step).astype(np.int64)
    first = np.clip(first, 0, channels - 8)
    size = np.clip(last, first + 7, channels - 1) + 1 - first
    return np.asarray(low + step * first), size.astype(np.int64)


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

    def records(
        self, first_ev: Floats, size: Ints, width: int
    ) -> tuple[Any, Floats, Floats, Floats]:
        """Counts (n, width) from ``first_ev`` on; of each edge its height and what is below it
        at its onset, (n, n_slots); mean of each record, (n,)."""
        xp, draws, recipe = self.xp, self.draws, self.recipe
        background = xp.exp(-self.put(draws.exponent[:, None]) * self.log_e)
        total = background
        if draws.record is not None:
            lowest = (draws.end_ev / recipe.range_ev[0]) ** -draws.exponent
            total = background + self.put((draws.record.level * lowest)[:, None])
        height, under = np.zeros(draws.shape.shape), np.zeros(draws.shape.shape)
        for slot in range(draws.shape.shape[1]):
            rows = np.nonzero(draws.shape[:, slot] >= 0)[0]
            if rows.size == 0:
                continue
            index = self.put(rows, np.int64)
            below = background if recipe.jump_ratio_over == "background" else total
            edge, level = self._edge(rows, slot, below[index])
            height[rows, slot] = np.asarray(level.tolist())
            under[rows, slot] = height[rows, slot] / draws.jump_ratio[rows, slot]
            if rows.size == self.n:
                total = total + edge
            else:
                total = xp.asarray(total, copy=True)
                total[index] = total[index] + edge
        total = total + self._noise()
        if draws.record is not None:
            counts, mean = on_channels(
                xp, self.noise, total, first_ev, size, draws.record, draws.white, recipe
            )
            if counts.shape[1] < width:
                blank = xp.zeros((self.n, width - counts.shape[1]), device=self.device)
                counts = xp.concat([counts, blank], axis=1)
            return counts, height, under, mean
        first = np.rint((first_ev - recipe.range_ev[0]) / recipe.dispersion_ev).astype(np.int64)
        if width < self.channels or first.any():
            index = np.minimum(first[:, None] + np.arange(width)[None, :], self.channels - 1)
            total = xp.take_along_axis(total, self.put(index, np.int64), axis=1)
        return total, height, under, np.zeros(self.n)

    def _edge(self, rows: Ints, slot: int, below: Any) -> tuple[Any, Any]:
        """The edges of one slot, (n_rows, channels), and their heights above ``below``."""
        xp, table, draws = self.xp, self.table, self.draws
        shape = draws.shape[rows, slot]
        # Gaussian times Lorentzian in Fourier space: transforms are known in closed form
        frequency = np.fft.rfftfreq(table.width, self.recipe.dispersion_ev)[None, :]
        sigma, hwhm = draws.fwhm_ev[rows, None] / _FWHM, draws.hwhm_ev[rows, None]
        spread = np.exp(-2.0 * np.pi * frequency * (np.pi * sigma**2 * frequency + hwhm))
        transform = table.transform[shape]
        if draws.record is not None:
            record = draws.record
            peaks = record.peaks[rows, slot][:, None]
            transform = peaks * transform + (1.0 - peaks) * table.tail[shape]
            if record.thickness.any():
                # Poisson's series of plasmons (Egerton 2011, section 4.1), each a Gaussian
                lost, width = record.plasmon_ev[rows, None], record.plasmon_fwhm_ev[rows, None]
                plasmon = np.exp(-2.0 * np.pi * frequency * (
                    np.pi * (width / _FWHM) ** 2 * frequency + 1j * lost))  # fmt: skip
                spread = spread * np.exp(record.thickness[rows, None] * plasmon)
        local = xp.fft.irfft(self.put(transform * spread, np.complex64), n=table.width, axis=1)
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
        if draws.white.any() and draws.record is None:
            out = out + self.noise.normal((self.n, self.channels)) * self.put(draws.white[:, None])
        return out


def _labelled(
    recipe: GaussianRecipe,
    table: ShapeTable,
    draws: GaussianDraws,
    counts: Any,
    levels: tuple[Floats, Floats, Floats],
    first_ev: Floats,
    size: Ints,
) -> SimulatedBatch:
    n = size.size
    record, (height, below, mean) = draws.record, levels
    width = recipe.dispersion_ev if record is None else record.channel_ev
    start = first_ev
    end = start + width * (size - 1)
    spectrum, slot = np.nonzero(draws.shape >= 0)
    shape = draws.shape[spectrum, slot]
    onset = table.onset_ev[shape]
    shown = (onset > start[spectrum] + _MARGIN_EV) & (onset < end[spectrum] - _MARGIN_EV)
    spectrum, slot, shape = spectrum[shown], slot[shown], shape[shown]
    onset = onset[shown]
    in_range = np.zeros((n, len(recipe.elements)), dtype=bool)
    in_range[spectrum, table.element[shape]] = True
    level = height[spectrum, slot]
    if record is None:
        deviation = np.sqrt(draws.noise**2 / draws.frame + draws.white**2)[spectrum]
        ratio = level / np.maximum(deviation, 1e-30)
    else:
        ratio = detectability(
            onset,
            start[spectrum],
            end[spectrum],
            below[spectrum, slot],
            level,
            table.power[shape],
            mean[spectrum],
            draws.noise[spectrum],
            draws.white[spectrum],
            record.take(spectrum),
            recipe,
        )
    snr = np.zeros(in_range.shape, dtype=np.float32)
    snr[spectrum, table.element[shape]] = ratio
    return SimulatedBatch(
        counts=counts,
        offset=(start - draws.shift_ev) / draws.stretch,
        dispersion=width / draws.stretch,
        size=size,
        present=in_range & (snr >= recipe.snr_present),
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
