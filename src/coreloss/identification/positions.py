"""Where the edges of given elements lie in a record, each fitted by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis
from coreloss.identification.physics import (
    Bins,
    Column,
    Fits,
    binned,
    columns_of,
    designs,
    problem_of,
    shapes_at,
    solutions,
)

__all__ = [
    "RESONANCE_EV",
    "FoundEdge",
    "distinct",
    "edge_kind",
    "found_edges",
    "group_name",
    "window_bins",
]

Floats = NDArray[np.float64]

#: Giant resonances with onsets within this of each other are taken for one another [eV].
RESONANCE_EV = 16.0
#: Distances from the expected onset at which an edge is looked for [eV].
OFFSETS_EV = np.arange(-12.0, 13.0)
_BEFORE_EV, _AFTER_EV = 40.0, 50.0
_LEAST_BEFORE_EV, _LEAST_AFTER_EV = 8.0, 8.0
# of the channels so close to an onset
_LEAST_RECORDED = 0.75
# share of the channels of a window that tell something new: edge shapes err over several
_INDEPENDENT = 0.25
_FEWEST_BINS = 16
_WINDOW_BINS = 200
# from an end of the offsets, where an edge may lie beyond it
_END_EV = 1.5
# what near-edge structure that no table tells adds to the error of a place, by kind of edge [eV];
# of simulated records, in which it makes errors over their statistics one
_STRUCTURE_EV = {"sharp": 2.5, "white_lines": 0.6, "resonance": 1.5, "delayed": 2.0}


@dataclass(frozen=True)
class FoundEdge:
    """One edge of an element in a record.

    Attributes
    ----------
    symbol : str
    group : str
        Shell group, 'L23'.
    onset_ev : float [eV]
        Where the table has it.
    log_likelihood : ndarray, (n_offsets,)
        Of the edge lying ``OFFSETS_EV`` away from there, 0 at best.
    found_ev, error_ev : float [eV]
        Where it is most likely, on the axis that was given, and the standard deviation.
    height : float
        Step above the background 10 eV above the onset, or at a maximum that comes later
        [counts].
    snr : float
        Root of the drop of χ² that the edge brings, each channel's model error included.
    jump_ratio : float
        Step over background.
    window : tuple of int
        First channel and number of channels of the part of the record that it was looked for in.
    chi2 : float
        Of that part with the edge where it is likeliest.
    """

    symbol: str
    group: str
    onset_ev: float
    log_likelihood: Floats
    found_ev: float
    error_ev: float
    height: float
    snr: float
    jump_ratio: float
    window: tuple[int, int] = (0, 0)
    chi2: float = float("nan")

    @property
    def farther(self) -> bool:
        """Whether it clearly lies at an end of the offsets, so that it may lie farther off."""
        return bool(abs(self.found_ev - self.onset_ev) > OFFSETS_EV[-1] - _END_EV)

    @property
    def label(self) -> str:
        """'Fe L2,3'."""
        return f"{self.symbol} {group_name(self.group)}"


def group_name(group: str) -> str:
    """'L2,3' of 'L23'."""
    return group if len(group) < 3 else f"{group[0]}{group[1]},{group[2]}"


def found_edges(
    counts: NDArray, axis: EnergyAxis, symbols: Sequence[str], *, minor: bool = False
) -> list[FoundEdge]:
    """Look for each edge of the elements near where the table has it.

    Of an element without a main edge in the record any edge is looked for. A window around each
    onset is fitted with a smooth background and the element's edge at every offset; edges of the
    other elements that lie in the window move along with it.

    Parameters
    ----------
    counts : ndarray, (n_energy,)
        NaN in gaps, in which no edge is looked for.
    axis : EnergyAxis
    symbols : sequence of str
    minor : bool
        Also those edges by which elements are not usually identified.
    """
    groups: dict[tuple[str, float], list[Column]] = {}
    for symbol in dict.fromkeys(symbols):
        columns = columns_of(symbol, axis.start)
        main = [column for column in columns if column.major]
        told = any(
            axis.start + _LEAST_BEFORE_EV <= column.onset_ev <= axis.end - _LEAST_AFTER_EV
            for column in main
        )
        for column in columns if minor or not told else main:
            atom = [c for c in columns if c.kind == "atom"]
            home = max((c.onset_ev for c in atom if c.onset_ev <= column.onset_ev), default=0)
            groups.setdefault((symbol, home), []).append(column)
    windows = [
        window
        for (symbol, onset), own in groups.items()
        if (window := _window(counts, axis, groups, symbol, onset, own)) is not None
    ]
    ones = np.ones_like(OFFSETS_EV)
    # an edge that lies higher than expected: the axis must come down to meet it
    problems = [
        problem_of(w.bins, designs(w.bins, [*w.own, *w.others], -OFFSETS_EV, ones)) for w in windows
    ]
    fits = solutions(problems)
    likelihood = [_log_likelihood(fit.chi2, w) for fit, w in zip(fits, windows, strict=True)]
    best = [int(np.argmax(values)) for values in likelihood]
    without = solutions(
        [
            problem.part(slice(len(w.own), None), slice(k, k + 1))
            for problem, w, k in zip(problems, windows, best, strict=True)
        ]
    )
    freed = iter(
        solutions(
            [
                problem_of(
                    w.bins,
                    designs(w.bins, [*w.own, *w.elsewhere, *w.others], -OFFSETS_EV[[k]], ones[:1]),
                )
                for w, k in zip(windows, best, strict=True)
                if w.elsewhere
            ]
        )
    )
    last = [
        next(freed) if w.elsewhere else Fits(fit.chi2[[k]], fit.amplitudes[:, [k]])
        for w, k, fit in zip(windows, best, fits, strict=True)
    ]
    return [_found(*one) for one in zip(windows, likelihood, best, last, without, strict=True)]


@dataclass(frozen=True)
class _Window:
    """The part of a record in which one edge of an element is looked for.

    ``kind`` is the edge's in the table, ``channels`` are the first and their number, ``own`` are
    its columns, ``others`` those of other elements that lie there. Giant resonances ``elsewhere``
    take part once it is found where the edge is likeliest: offsets stand for them before.
    """

    symbol: str
    onset_ev: float
    kind: str
    channels: tuple[int, int]
    bins: Bins
    own: list[Column]
    elsewhere: list[Column]
    others: list[Column]


def _window(
    counts: NDArray,
    axis: EnergyAxis,
    groups: dict[tuple[str, float], list[Column]],
    symbol: str,
    onset: float,
    own: list[Column],
) -> _Window | None:
    """The window about an onset; None where the record shows too little of it."""
    delay = _delay(own)
    low = max(onset - max(_BEFORE_EV, 0.5 * delay), axis.start)
    high = min(onset + max(_AFTER_EV, 0.08 * onset, 1.6 * delay), axis.end)
    if onset - low < _LEAST_BEFORE_EV or high - onset < _LEAST_AFTER_EV:
        return None
    energies = axis.energies
    inside = np.nonzero((energies >= low) & (energies <= high))[0]
    if inside.size < _FEWEST_BINS:
        return None
    channels = int(inside[0]), int(inside.size)
    recorded = np.isfinite(counts[inside])
    about = (energies[inside] > onset - _LEAST_BEFORE_EV) & (
        energies[inside] < onset + _LEAST_AFTER_EV
    )
    if recorded.sum() < _FEWEST_BINS or recorded[about].sum() < _LEAST_RECORDED * about.sum():
        return None
    if not np.ptp(counts[inside][recorded]) > 0:
        return None
    others = [
        column
        for key, columns in groups.items()
        for column in columns
        if key[0] != symbol and low < column.onset_ev < high and not column.elsewhere
    ]
    kind = edge_kind(symbol, own[0].groups[0], onset)
    bins = window_bins(counts, axis, channels)
    usual = [column for column in own if not column.elsewhere]
    elsewhere = [column for column in own if column.elsewhere]
    return _Window(symbol, onset, kind, channels, bins, usual, elsewhere, others)


def window_bins(counts: NDArray, axis: EnergyAxis, channels: tuple[int, int]) -> Bins:
    """A part of a record (n_energy,), from a channel on and so many of them, in bins."""
    first, size = channels
    part = EnergyAxis(float(axis.energies[first]), axis.dispersion, size)
    return binned(np.asarray(counts[first : first + size], dtype=float), part, _WINDOW_BINS)


def distinct(symbols: Sequence[str], axis: EnergyAxis) -> tuple[str, ...]:
    """Elements less those of which a record shows nothing but what an earlier one's edge may be.

    That is a giant resonance where a neighbour's lies: one maximum, which two elements would
    otherwise both claim for their own, each at another energy.
    """
    kept: dict[str, list[tuple[float, str]]] = {}
    for symbol in symbols:
        main = [
            (e.onset_ev, e.shape)
            for e in edges_of(symbol)
            if e.major and axis.start < e.onset_ev < axis.end
        ]
        taken = [onset for edges in kept.values() for onset, kind in edges if kind == "resonance"]
        if not main or not all(
            kind == "resonance" and any(abs(onset - other) <= RESONANCE_EV for other in taken)
            for onset, kind in main
        ):
            kept[symbol] = main
    return tuple(kept)


def edge_kind(symbol: str, group: str, onset_ev: float) -> str:
    """'sharp', 'white_lines', 'resonance' or 'delayed', as the edge table has it."""
    near = [e for e in edges_of(symbol) if e.subshell[0] == group[0]]
    return min(near, key=lambda e: abs(e.onset_ev - onset_ev)).shape


def _delay(own: list[Column]) -> float:
    """How far the maximum of the atom's edge lies above its onset [eV]."""
    atom = next(column for column in own if column.kind == "atom")
    return atom.delay_ev


def _log_likelihood(chi2: Floats, window: _Window) -> Floats:
    """Of the edge at each offset, (n_offsets,), 0 at best."""
    number = window.bins.counts.size
    likelihood = -0.5 * _INDEPENDENT * number * np.log(chi2 / number + 0.3)
    return np.asarray(likelihood - likelihood.max())


def _found(window: _Window, likelihood: Floats, best: int, last: Fits, without: Fits) -> FoundEdge:
    """What the fits of a window with and, where the edge is likeliest, without it say.

    In the ``last`` one giant resonances elsewhere take part.
    """
    bins, onset = window.bins, window.onset_ev
    own = [*window.own, *window.elsewhere]
    chi2, number = float(last.chi2[0]), bins.counts.size
    weight = np.exp(likelihood)
    weight /= weight.sum()
    place = float(weight @ OFFSETS_EV)
    error = float(np.sqrt(weight @ (OFFSETS_EV - place) ** 2))
    amplitude = last.amplitudes[: len(own), 0] * bins.scale
    # from 5 eV below the onset, for what begins before a record is background
    at = onset - 5.0 + np.arange(15.0 + max(10.0, _delay(own)))[None]
    height = float((amplitude @ shapes_at(own, at)[:, 0])[-15:].mean())
    gain = max(float(without.chi2[0]) - chi2, 0.0)
    snr = np.sqrt(gain / max(1.0, chi2 / number))
    near = np.abs(bins.energies - onset - OFFSETS_EV[best] + 6.0) < 4.0 + bins.width
    below = float(np.mean(bins.counts[near])) if near.any() else float("nan")
    return FoundEdge(
        window.symbol,
        own[0].groups[0],
        onset,
        likelihood,
        onset + place,
        float(np.hypot(error, _STRUCTURE_EV[window.kind])),
        height,
        float(snr),
        height / below if below > 0 else float("nan"),
        window.channels,
        chi2,
    )
