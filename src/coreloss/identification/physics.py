"""A linear model of a record on a movable energy axis: smooth background plus edges.

It answers one question quickly and for many axes at once: how well do these elements, with
their edges at these energies, describe the record? `axis` and `evidence` build on it. For
amounts in atoms/nm² use `coreloss.fit`, whose non-negative solver this module shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.cross_section import angular_factor
from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis
from coreloss.fit import non_negative_solutions
from coreloss.identification.result import bridged
from coreloss.simulate.library import edge_library
from coreloss.simulate.near_edge import GIANT_RESONANCES, WHITE_LINES
from coreloss.simulate.resonances import extremes, resonance

__all__ = [
    "Bins",
    "Column",
    "Fits",
    "Problem",
    "binned",
    "columns_of",
    "designs",
    "discounted",
    "fit_hypotheses",
    "problem_of",
    "solutions",
]

Floats = NDArray[np.float64]

_STEP_EV = 0.5
_ENERGIES = np.arange(0.0, 3420.0, _STEP_EV)
# a typical microscope; only the slope of dσ/dE over an edge hangs on it
_MICROSCOPE = (200.0, 10.0, 20.0)
# shells whose onsets lie closer than this ratio keep the strengths that theory gives them
_LINKED = 1.35
_BROADENING_EV = 1.5
_FEWEST_EV_AFTER = 3.0
# the latest that maxima come: M4,5 of Au
_LATEST_EV = 250.0
# thickness over mean free path up to which an edge is scattered once more
_MOST_SCATTERED = 2.0
# π*, σ* and what scattering from neighbours adds behind them on a step of one: place above the
# onset [eV], FWHM [eV] and the greatest height that solids show, that wide
_SHARP_PEAKS = ((2.5, 4.0, 3.0), (9.0, 8.0, 2.0), (20.0, 14.0, 1.0))
# relative error of the smooth background; what edges are missed by is taken from the misfit
_MODEL_ERROR = 0.001
# about a channel, where the model's misfit is taken from: bins, or eV if they are more
_MISFIT_BINS, _MISFIT_EV = 4, 15.0
# noise of bins in which nothing was recorded, over the largest count
_NOTHING = 1e6
# of a column of the background, that the others do not hold
_LEAST_PART = 1e-8
# columns more than another problem's up to which problems are solved with it
_ALIKE = 4
# median of χ² with one degree of freedom
_MEDIAN_CHI2 = 0.455


@dataclass(frozen=True)
class Column:
    """One shape of the model, tabulated every 0.5 eV from 0.

    Attributes
    ----------
    symbol : str
    kind : str
        'atom' (with the weakest white lines known), 'plural' (the same, and the atom's edges
        scattered once more) or 'line' (the same with as much near-edge structure as solids
        show: white lines, or a peak on a sharp edge; or, in place of the usual giant resonance,
        one as early, late, narrow or wide as there are). Mixtures of them, none negative, are
        what an edge may look like: no peak without its step.
    groups : tuple of str
        Shell groups in it, 'L23'.
    onset_ev : float [eV]
        Lowest onset.
    major : bool
    shape : ndarray
        1 at the maximum of the atom's edge, broadened; what solids add stands above that.
    """

    symbol: str
    kind: str
    groups: tuple[str, ...]
    onset_ev: float
    major: bool
    shape: NDArray[np.float64]

    @property
    def elsewhere(self) -> bool:
        """Whether it stands for a giant resonance other than the table's."""
        return self.kind == "line" and (self.symbol, self.groups[0]) in GIANT_RESONANCES

    @property
    def delay_ev(self) -> float:
        """How far the maximum lies above the onset [eV]; at most ``_LATEST_EV``."""
        first = round(self.onset_ev / _STEP_EV)
        part = self.shape[first : first + round(_LATEST_EV / _STEP_EV)]
        return float(np.argmax(part)) * _STEP_EV

    def moved(self, by_ev: float) -> Column:
        """The same at an energy higher by ``by_ev`` [eV], to half an electronvolt."""
        steps = round(by_ev / _STEP_EV)
        if not steps:
            return self
        shape = np.roll(self.shape, steps)
        shape[_ENERGIES.size + steps if steps < 0 else 0 : steps if steps > 0 else None] = 0.0
        return replace(self, onset_ev=self.onset_ev + steps * _STEP_EV, shape=shape)


def _broadened(shape: Floats, fwhm_ev: float) -> Floats:
    sigma = fwhm_ev / 2.3548 / _STEP_EV
    reach = int(4 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(shape, kernel / kernel.sum(), "same")


@lru_cache(maxsize=1)
def _plasmons() -> Floats:
    """A typical plasmon and its double, of unit area."""
    energy = np.arange(0.0, 90.0, _STEP_EV)
    response = np.exp(-0.5 * ((energy - 20.0) / 8.0) ** 2)
    response += 0.35 * np.exp(-0.5 * ((energy - 40.0) / 12.0) ** 2)
    return np.asarray(response / response.sum())


def columns_of(symbol: str, start_ev: float = 0.0) -> tuple[Column, ...]:
    """The columns of an element, lowest onset first, in records that begin at ``start_ev`` [eV].

    What begins before is background there; shells linked with it stand for themselves.
    """
    onset = edge_library().onset_ev
    inside = [
        tuple(group for group in cluster if onset[group] > start_ev)
        for cluster in _clusters(symbol)
    ]
    return tuple(column for cluster in inside if cluster for column in _columns(symbol, cluster))


@cache
def _clusters(symbol: str) -> tuple[tuple[int, ...], ...]:
    """Shell groups of an element whose relative strengths theory gives, lowest onset first."""
    library = edge_library()
    index = ELEMENTS.index(symbol)
    clusters: list[list[int]] = []
    for group in range(library.first[index], library.last[index]):
        if clusters and library.onset_ev[group] < _LINKED * library.onset_ev[clusters[-1][0]]:
            clusters[-1].append(group)
        else:
            clusters.append([group])
    return tuple(tuple(cluster) for cluster in clusters)


@cache
def _columns(symbol: str, cluster: tuple[int, ...]) -> tuple[Column, ...]:
    """The columns of some linked shell groups."""
    library = edge_library()
    shared = angular_factor(np.maximum(_ENERGIES, 20.0), *_MICROSCOPE)
    grid = np.arange(library.shape.shape[1], dtype=float)
    atom = np.zeros_like(_ENERGIES)
    for group in cluster:
        atom += np.interp(_ENERGIES, grid, library.shape[group]) * shared
    names = tuple(library.name[group] for group in cluster)
    onset = float(library.onset_ev[cluster[0]])
    major = bool(library.major[list(cluster)].any())
    near = (onset <= _ENERGIES) & (onset + 80.0 > _ENERGIES)
    top = max(float(atom[near].max()), 1e-30)
    plural = np.convolve(atom, _plasmons())[: atom.size]
    least, most = np.zeros_like(atom), []
    for group in cluster:
        own, name = float(library.onset_ev[group]), library.name[group]
        second = float(library.second_ev[group])
        height = float(library.height[group] * np.interp(own, _ENERGIES, shared))
        weakest, strongest = _lines(
            symbol, name, own, second, height, sharp=bool(library.major[group])
        )
        least += weakest
        if (symbol, name) in GIANT_RESONANCES:
            usual = resonance((symbol, name), grid, own)
            strongest = [
                np.interp(_ENERGIES, grid, other - usual) * shared
                for other in extremes((symbol, name), grid, own)
            ]
        most += [(name, own, bool(library.major[group]), line) for line in strongest]
    thick = atom + least + _MOST_SCATTERED * plural
    return (
        Column(symbol, "atom", names, onset, major, _smooth(atom + least, top)),
        Column(symbol, "plural", names, onset, major, _smooth(thick, top)),
        *(
            Column(symbol, "line", (name,), own, main, _smooth(atom + least + line, top))
            for name, own, main, line in most
        ),
    )


def _smooth(shape: Floats, top: float) -> Floats:
    return _broadened(shape / top, _BROADENING_EV)


def _lines(
    symbol: str, name: str, onset: float, second: float, height: float, *, sharp: bool
) -> tuple[Floats, list[Floats]]:
    """What solids add to a step of some height near its onset: the least, and the most over it.

    White lines, of either share of the first; or peaks on a sharp edge.
    """
    nothing = np.zeros_like(_ENERGIES)
    lines = WHITE_LINES.get((symbol, name))
    if lines is not None:
        width = float(np.mean(lines.fwhm_ev))
        unit = height / (1.0645 * width)  # a Gaussian of the step's height as its area
        first, last = (unit * _peak(place + 1.5, width) for place in (onset, second))
        pairs = [share * first + (1.0 - share) * last for share in lines.first_share]
        low, high = 0.5 * lines.area_ev[0], 1.3 * lines.area_ev[1]
        return low * 0.5 * (pairs[0] + pairs[1]), [(high - low) * pair for pair in pairs]
    if sharp and name in ("K", "L23") and (symbol, name) not in GIANT_RESONANCES:
        after = onset - 1.0 < _ENERGIES
        return nothing, [
            height * most * _peak(onset + place, width) * after
            for place, width, most in _SHARP_PEAKS[: 3 if name == "K" else 2]
        ]
    return nothing, []


def _peak(centre: float, fwhm: float) -> Floats:
    return np.asarray(np.exp(-2.7726 * ((_ENERGIES - centre) / fwhm) ** 2))


@dataclass(frozen=True)
class Bins:
    """A record in bins, weighted, with its smooth background projected out.

    Attributes
    ----------
    energies : ndarray, (n,) [eV]
        On the axis as recorded.
    counts : ndarray, (n,)
    variance : ndarray, (n,)
        Noise, estimated from the record itself, and the model's error.
    noise : ndarray, (n,)
        The noise alone.
    basis : ndarray, (n, k)
        Orthonormal weighted background.
    rest : ndarray, (n,)
        Weighted counts without what the background explains.
    """

    energies: Floats
    counts: Floats
    variance: Floats
    noise: Floats
    basis: Floats
    rest: Floats

    @property
    def scale(self) -> float:
        """Largest count; amplitudes are in units of it."""
        return float(np.abs(self.counts).max()) or 1.0

    @property
    def weight(self) -> Floats:
        """1/σ, (n,)."""
        return np.asarray(1.0 / np.sqrt(self.variance))

    @property
    def middle(self) -> float:
        """Middle of the record [eV]; shifts are stated there."""
        return float(0.5 * (self.energies[0] + self.energies[-1]))

    @property
    def width(self) -> float:
        """Width of a bin [eV]."""
        return float(self.energies[1] - self.energies[0])


def noise_level(counts: Floats) -> tuple[float, float]:
    """Gain and floor of var = gain · counts + floor, from second differences.

    A smooth spectrum has hardly any; edges are few, so the median does not see them.
    """
    second = np.diff(counts, 2) ** 2 / 6.0
    level = np.abs(counts[1:-1])
    good = level > 0
    gain = _median(second[good] / level[good]) / _MEDIAN_CHI2 if good.any() else 0.0
    if gain == 0.0 and good.any():  # so few counts that most channels are like their neighbours
        gain = float(second.mean() / level.mean())
    floor = _median(second) / _MEDIAN_CHI2
    return gain, 0.1 * floor


def _median(values: Floats) -> float:
    """Of finite numbers (n,); windows are so short that np.median's own checks take longest."""
    middle = values.size // 2
    low = middle - (values.size % 2 == 0)
    ordered = np.partition(values, (low, middle))
    return float(0.5 * (ordered[low] + ordered[middle]))


def binned(counts: NDArray, axis: EnergyAxis, most: int = 500) -> Bins:
    """A record for fits: bins of at least 1 eV, at most about ``most`` of them.

    Parameters
    ----------
    counts : ndarray, (n_energy,)
        NaN in gaps, the bins of which weigh nothing.
    axis : EnergyAxis
    most : int
    """
    values = np.asarray(counts, dtype=float)
    recorded = np.isfinite(values)
    values = bridged(values)
    span = axis.size * axis.dispersion
    factor = max(1, round(max(1.0, span / most) / axis.dispersion))
    factor = min(factor, max(1, axis.size // 8))
    number = axis.size // factor
    gain, floor = noise_level(values[recorded])
    y: Floats = values[: number * factor].reshape(number, factor).sum(axis=1) / factor
    first = axis.offset + 0.5 * (factor - 1) * axis.dispersion
    energies: Floats = np.asarray(first + axis.dispersion * factor * np.arange(number), dtype=float)
    noise = (gain * np.abs(y) + floor) / factor
    top = float(np.abs(y).max()) or 1.0
    whole = recorded[: number * factor].reshape(number, factor).all(axis=1)
    noise = np.where(whole, noise, (_NOTHING * top) ** 2)
    return _weighted(energies, y, noise, noise + (_MODEL_ERROR * y) ** 2 + (1e-6 * top) ** 2)


def discounted(bins: Bins, model: Floats) -> Bins:
    """The bins with less weight where a model (n,) misses them by more than their variance.

    White lines that no table tells would otherwise hide what a faint edge elsewhere brings.
    """
    misfit = (bins.counts - model) ** 2 / bins.variance
    reach = max(_MISFIT_BINS, round(_MISFIT_EV / bins.width))
    total = np.concatenate([[0.0], np.cumsum(misfit)])
    place = np.arange(misfit.size)
    first, last = np.maximum(place - reach, 0), np.minimum(place + reach + 1, misfit.size)
    near = (total[last] - total[first]) / (last - first)
    return _weighted(bins.energies, bins.counts, bins.noise, bins.variance * np.maximum(near, 1.0))


def _weighted(energies: Floats, y: Floats, noise: Floats, variance: Floats) -> Bins:
    """Bins with their background projected out."""
    weight: Floats = 1.0 / np.sqrt(variance)
    columns = _background(energies, y) * weight[:, None]
    basis, triangle = np.linalg.qr(columns)
    # where counts rise the power law is the constant, and what is left of it rounding
    size = np.sqrt(np.einsum("nk,nk->k", columns, columns))
    basis = basis[:, np.abs(np.diagonal(triangle)) > _LEAST_PART * size]
    rest = y * weight
    rest = rest - basis @ (basis.T @ rest)
    return Bins(energies, y, variance, noise, basis, rest)


def _background(energies: Floats, counts: Floats) -> Floats:
    """A power law times a polynomial in log energy, and a constant, (n, k)."""
    log_e = np.log(np.maximum(energies, 20.0))
    top = float(np.abs(counts).max()) or 1.0
    away = log_e - log_e.mean()
    # of the straight line through log counts over log energy
    slope = float(away @ np.log(np.maximum(counts, 1e-3 * top))) / max(float(away @ away), 1e-30)
    power = np.exp(min(max(slope, -6.0), 0.0) * away)
    ratio = np.exp(log_e[-1] - log_e[0])
    order = 3 if ratio < 1.5 else 4 if ratio < 3.0 else 5
    x = 2.0 * (log_e - log_e[0]) / (log_e[-1] - log_e[0] + 1e-12) - 1.0
    columns = [power * np.cos(k * np.arccos(np.clip(x, -1.0, 1.0))) for k in range(order)]
    return top * np.stack([*columns, np.ones_like(x)], axis=1)


@dataclass(frozen=True)
class Problem:
    """The normal equations of a record and some columns under several axes.

    Attributes
    ----------
    total : float
        χ² of the background alone.
    gram, right : ndarray
        (n_columns, n_columns, n_hypotheses) and (n_columns, n_hypotheses).
    used : ndarray, (n_columns, n_hypotheses) bool
        Columns with an onset inside the record.
    """

    total: float
    gram: Floats
    right: Floats
    used: NDArray[np.bool_]

    def part(self, columns: slice, hypotheses: slice) -> Problem:
        """That of some of the columns and hypotheses alone."""
        return Problem(
            self.total,
            self.gram[columns, columns, hypotheses],
            self.right[columns, hypotheses],
            self.used[columns, hypotheses],
        )

    def beside(self, along: Floats, height: float) -> Problem:
        """That with one more column of background, orthogonal to the others and of unit length.

        ``along`` (n_columns, n_hypotheses) are the products of the columns with it, ``height``
        that of the record.
        """
        return Problem(
            self.total - height**2,
            self.gram - along[:, None] * along[None],
            self.right - along * height,
            self.used,
        )

    def chi2(self, amplitudes: Floats) -> Floats:
        """Of amplitudes (n_columns, n_hypotheses), (n_hypotheses,)."""
        explained = 2.0 * np.einsum("ph,ph->h", amplitudes, self.right) - np.einsum(
            "ph,pqh,qh->h", amplitudes, self.gram, amplitudes
        )
        return np.asarray(np.maximum(self.total - explained, 0.0))


@dataclass(frozen=True)
class Fits:
    """Fits of one record under several axes.

    Attributes
    ----------
    chi2 : ndarray, (n_hypotheses,)
    amplitudes : ndarray, (n_columns, n_hypotheses)
        In units of the record's largest count.
    """

    chi2: Floats
    amplitudes: Floats


def shapes_at(columns: Sequence[Column], energies: Floats) -> Floats:
    """Columns at energies (…, n) [eV]: (n_columns, …, n); zero beyond the table.

    A column whose onset is not inside is zero: what begins before the record is background.
    """
    if not columns:
        return np.zeros((0, *energies.shape))
    position = np.clip(energies / _STEP_EV, 0.0, _ENERGIES.size - 1.001)
    whole = position.astype(np.int64)
    part = position - whole
    first, last = int(whole.min()), int(whole.max())
    table = np.stack([column.shape[first : last + 2] for column in columns])
    whole -= first
    left = np.take(table, whole, axis=1)
    out = left + part * (np.take(table, whole + 1, axis=1) - left)
    onset = np.array([column.onset_ev for column in columns])
    onset = onset.reshape((-1,) + (1,) * (energies.ndim - 1))
    inside = (onset > energies[..., 0]) & (onset < energies[..., -1] - _FEWEST_EV_AFTER)
    return np.asarray(out * inside[..., None])


def designs(bins: Bins, columns: Sequence[Column], shift_ev: Floats, stretch: Floats) -> Floats:
    """Weighted columns (n_hypotheses, n_columns, n); parameters as in `fit_hypotheses`."""
    middle = bins.middle
    energies = middle + shift_ev[:, None] + stretch[:, None] * (bins.energies - middle)[None]
    design = shapes_at(columns, energies) * (bins.weight * bins.scale)  # (p, h, n)
    return np.ascontiguousarray(design.transpose(1, 0, 2))


def problem_of(bins: Bins, design: Floats) -> Problem:
    """The normal equations of weighted columns (n_hypotheses, n_columns, n)."""
    total = float(bins.rest @ bins.rest)
    p = design.shape[1]
    if p == 0:
        n = design.shape[0]
        return Problem(total, np.zeros((0, 0, n)), np.zeros((0, n)), np.zeros((0, n), dtype=bool))
    along = design @ bins.basis
    gram = design @ np.swapaxes(design, 1, 2) - along @ np.swapaxes(along, 1, 2)
    right = design @ bins.rest
    diagonal = np.einsum("hpp->hp", gram)
    used = diagonal > 1e-9 * max(float(diagonal.max()), 1e-30)
    gram = gram.transpose(1, 2, 0).copy()
    gram[np.arange(p), np.arange(p)] += np.where(used.T, 1e-9 * diagonal.T, 1.0)
    return Problem(total, gram, right.T.copy(), used.T)


def solutions(problems: Sequence[Problem]) -> list[Fits]:
    """The fits of several problems; those of like size are solved at once."""
    size = [problem.right.shape[0] for problem in problems]
    out = {
        k: Fits(np.full(problem.right.shape[1], problem.total), problem.right)
        for k, problem in enumerate(problems)
        if not size[k]
    }
    left = sorted((k for k in range(len(problems)) if size[k]), key=lambda k: size[k])
    while left:
        # one array operation for many small problems; filling up may double the columns
        group = [k for k in left if size[k] <= 2 * size[left[0]] + _ALIKE]
        left = left[len(group) :]
        out |= dict(zip(group, _solved([problems[k] for k in group]), strict=True))
    return [out[k] for k in range(len(problems))]


def _solved(problems: list[Problem]) -> list[Fits]:
    if len(problems) == 1:
        (one,) = problems
        amplitude = non_negative_solutions(one.gram, one.right, allowed=one.used)
        return [Fits(one.chi2(amplitude), amplitude)]
    p = max(one.right.shape[0] for one in problems)
    ends = np.cumsum([0, *(one.right.shape[1] for one in problems)])
    gram, right = np.zeros((p, p, ends[-1])), np.zeros((p, ends[-1]))
    used = np.zeros((p, ends[-1]), dtype=bool)
    gram[np.arange(p), np.arange(p)] = 1.0
    for one, begin, end in zip(problems, ends, ends[1:], strict=False):
        q = one.right.shape[0]
        gram[:q, :q, begin:end], right[:q, begin:end] = one.gram, one.right
        used[:q, begin:end] = one.used
    amplitude = non_negative_solutions(gram, right, allowed=used)
    parts = [
        amplitude[: one.right.shape[0], begin:end]
        for one, begin, end in zip(problems, ends, ends[1:], strict=False)
    ]
    return [Fits(one.chi2(part), part) for one, part in zip(problems, parts, strict=True)]


def fit_hypotheses(
    bins: Bins, columns: Sequence[Column], shift_ev: Floats, stretch: Floats
) -> Fits:
    """Fit the record with the columns' edges under several axes.

    Parameters
    ----------
    bins : Bins
    columns : sequence of Column
    shift_ev : ndarray, (n_hypotheses,) [eV]
        True less recorded energy in the middle of the record.
    stretch : ndarray, (n_hypotheses,)
        True over recorded dispersion.
    """
    return solutions([problem_of(bins, designs(bins, columns, shift_ev, stretch))])[0]
