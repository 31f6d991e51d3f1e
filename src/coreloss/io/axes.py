"""Energy axes as files declare them: units, uneven steps, unsorted rows."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.io.errors import ReadError

__all__ = [
    "MOST_LOSS",
    "DeclaredAxis",
    "energy_factor",
    "is_blank_unit",
    "rounded_axis",
    "settle_rows",
    "uniform",
]

# Largest distance from a straight line, in channels, that is put down to rounded energies, where
# their digits do not tell; and, in units of the last digit, where they do. The line itself errs.
ROUNDING_CHANNELS = 0.3
# … and, between the least and the largest, in units of their last digit: one, and some arithmetic
ROUNDING_DIGITS = 1.1
EXACT_CHANNELS = 0.05
# A step this many times wider than its neighbour is a gap in the record, not a wide channel; and so
# is one this many times wider than both its neighbours, where such steps are seldom.
GAP_RATIO = 4.0
MISSING_RATIO = 1.8
SELDOM = 0.05
MAX_RESAMPLED = 1_000_000
# Ten times the beam energy of the highest-voltage microscopes [eV].
MAX_ENERGY = 3e7
# Above it [eV] no spectrometer records losses.
MOST_LOSS = 3e4

_EV = {"ev", "e.v.", "electronvolt", "electronvolts", "electron volt", "electron volts"}
_KEV = {"kev", "kiloelectronvolt", "kiloelectronvolts", "kilo electron volt"}
# 'Energy loss (eV)', 'E / keV': a label where the unit should stand
_NAMED_UNIT = re.compile(
    r"(?:Δ|delta )?e(?:nergy|loss)?[\w\s-]*(?:[(\[/]|\s)\s*([km]?ev)\s*[)\]]?", re.I
)
_BLANK = {"", "none", "undefined", "<undefined>", "null", "n/a", "unknown"}
_PIXEL = {"px", "pixel", "pixels", "channel", "channels", "ch", "index", "point", "points"}


@dataclass(frozen=True)
class DeclaredAxis:
    """One axis of a data set as its file declares it; ``values`` only where it is uneven."""

    name: str
    unit: str
    scale: float
    offset: float
    size: int
    navigate: bool = False
    values: NDArray[np.float64] | None = None

    @property
    def counts_pixels(self) -> bool:
        """Whether the axis only numbers its channels 0, 1, 2, … (or 1, 2, 3, …)."""
        if self.unit.strip().lower() in _PIXEL:
            return True
        bare = self.values is None and self.scale == 1.0 and self.offset in (0.0, 1.0)
        return bare and is_blank_unit(self.unit)

    def energies(self, factor: float) -> NDArray[np.float64]:
        """Channel energies, (size,) [eV]; ``factor`` is eV per unit of the axis."""
        # A damaged file may declare 1e300 eV; the range is checked by settle_rows.
        with np.errstate(over="ignore", invalid="ignore"):
            if self.values is not None:
                return self.values * factor
            return (self.offset + self.scale * np.arange(self.size, dtype=float)) * factor


def energy_factor(unit: str) -> float | None:
    """eV in one of ``unit``, None if it is not an energy."""
    named = _NAMED_UNIT.fullmatch(unit.strip())
    text = named[1] if named else unit.strip().strip("()[]{}").strip()
    low = text.lower()
    if low in _EV:
        return 1.0
    if low in _KEV:
        return 1e3
    # MeV is 10^6 eV, and no loss is measured in it; only a lower-case m is milli.
    if low == "mev" and text[0] == "m":
        return 1e-3
    return None


def is_blank_unit(unit: str) -> bool:
    """Whether a unit says nothing."""
    return unit.strip().lower() in _BLANK


def settle_rows(
    source: str | os.PathLike[str], energies: NDArray[np.float64], counts: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.floating], list[str]]:
    """Channels in ascending order of energy, each energy once.

    Parameters
    ----------
    energies : (n_energy,) [eV]
    counts : (..., n_energy)

    Raises
    ------
    ReadError
        If energies are not finite or many of them repeat.
    """
    notes: list[str] = []
    if not np.all(np.isfinite(energies)):
        bad = int(np.count_nonzero(~np.isfinite(energies)))
        raise ReadError(
            source,
            f"{bad} of its {energies.size} channel energies are NaN or infinite",
            "give every channel a finite energy in eV",
        )
    farthest = energies[np.argmax(np.abs(energies))]
    if abs(farthest) > MAX_ENERGY:
        raise ReadError(
            source,
            f"its energy axis reaches {farthest:g} eV",
            "calibrate it, copy the file again or pass energies from Python",
        )
    steps = np.diff(energies)
    disordered = bool(np.any(steps < 0) and np.any(steps > 0))
    joined = _overlapping(energies) if disordered else None
    if np.any(steps < 0) and not disordered:
        energies, counts = energies[::-1], counts[..., ::-1]
        notes.append("energy axis ran downwards and was reversed")
    elif disordered:
        order = np.argsort(energies, kind="stable")
        energies, counts = energies[order], counts[..., order]
        notes.append("energies were not in order and were sorted")
    repeats = int(np.count_nonzero(np.diff(energies) == 0))
    if repeats == 0:
        if joined is not None:
            raise ReadError(
                source,
                f"its energies run back from {joined[0]:g} to {joined[1]:g} eV, as where records "
                "that overlap are joined",
                "write each into a file of its own",
            )
        if disordered and np.mean(steps < 0) > 0.05 and _line_residual(energies) > 1.0:
            raise ReadError(
                source,
                f"its energies run up and down between {energies[0]:g} and {energies[-1]:g} eV, "
                "as counts do",
                "give a column of energies in eV, and one of counts",
            )
        return energies, counts, notes
    if not disordered and repeats > 0.01 * energies.size:
        # A fine axis printed with too few digits repeats in runs but follows a line.
        run = energies.size / np.unique(energies).size
        near = _line_residual(energies) <= run if repeats > 0.2 * energies.size else _even(energies)
        if near:
            return energies, counts, notes
    if repeats > 0.01 * energies.size:
        raise ReadError(
            source,
            f"{repeats} of its {energies.size} channel energies repeat an earlier one",
            "give each energy once, or write each spectrum into a file of its own",
        )
    distinct, first, times = np.unique(energies, return_index=True, return_counts=True)
    merged = np.add.reduceat(counts, first, axis=-1) / times
    notes.append(f"{repeats} repeated energies were merged and their counts averaged")
    return distinct, merged, notes


def _overlapping(energies: NDArray[np.float64]) -> tuple[float, float] | None:
    """Where records of one file that overlap run back [eV], None where there are none.

    Counts of two records that overlap are of two exposures, and would make a saw of the range
    that both hold.
    """
    back = np.flatnonzero(np.diff(energies) < 0)
    parts = np.split(energies, back + 1)
    if len(parts) > 10 or min(part.size for part in parts) < 8:
        return None
    order = sorted(range(len(parts)), key=lambda i: parts[i][0])
    for first, second in itertools.pairwise(order):
        if parts[first][-1] > parts[second][0]:
            return float(energies[back[0]]), float(energies[back[0] + 1])
    return None


def _line_residual(energies: NDArray[np.float64]) -> float:
    """Largest distance of ascending energies from their straight line, in channels."""
    if energies.size < 3:
        return 0.0
    index = np.arange(energies.size)
    slope, start = np.polyfit(index, energies, 1)
    if slope <= 0:
        return np.inf
    return float(np.max(np.abs(energies - (start + slope * index))) / slope)


def _last_digit(energies: NDArray[np.float64]) -> float:
    """Unit of the last digit of energies (n,) that are written with three or fewer [eV]; 0 else."""
    for unit in (1.0, 0.1, 0.01, 0.001):
        scaled = energies / unit
        if np.all(np.abs(scaled - np.rint(scaled)) < 0.01):  # single precision, too
            return unit
    return 0.0


def _even(energies: NDArray[np.float64]) -> bool:
    """Whether ascending energies (n,) are an even axis rounded to their last digit."""
    found = _places(energies)
    return found is not None and int(found[0][-1]) == energies.size - 1


def _places(energies: NDArray[np.float64]) -> tuple[NDArray[np.intp], float, float] | None:
    """Which channels of an even axis ascending energies (n,) are, rounded to their last digit.

    With them come the axis's first energy and its step [eV]. Channels may be missing. A few long
    steps tell of these, but evenly spread ones of rounding: 1.03 eV a channel skips every 33rd
    whole number. None where no axis is so close.
    """
    unit, number = _last_digit(energies), energies.size
    span = float(energies[-1] - energies[0])
    if unit == 0.0 or number < 8 or span <= 0:
        return None
    steps = np.diff(energies)
    long = np.flatnonzero(steps > MISSING_RATIO * np.median(steps))
    even = long.size > 2 and np.ptp(np.diff(long)) <= 2
    whole = long.size == 0 or long.size > SELDOM * number or even
    for missing in range(0 if whole else 1, number // 2):
        step = span / (number - 1 + missing)
        if missing and unit > step:
            return None  # any energies are as close to so fine an axis
        # the first and the last energy are rounded, too
        for begin, end in itertools.product((0.0, -0.4, 0.4), repeat=2):
            away = energies - energies[0] - begin * unit
            place = np.rint(away / (step + (end - begin) * unit / (number - 1 + missing)))
            for _ in range(2):
                slope, start = np.polyfit(place, energies, 1)
                place = np.rint((energies - start) / slope)
            if not missing:
                place = np.arange(number, dtype=float)
            slope = float(np.polyfit(place, energies, 1)[0])
            rest = energies - slope * place
            if np.ptp(rest) <= ROUNDING_DIGITS * unit and np.all(np.diff(place) > 0):
                first = 0.5 * float(rest.min() + rest.max()) + slope * place[0]
                return (place - place[0]).astype(np.intp), first, slope
    return None


def rounded_axis(
    energies: NDArray[np.float64], most: float | None = None
) -> tuple[EnergyAxis, str] | None:
    """The even axis of ascending energies (n_energy,) [eV] that are but rounded, and a note.

    None where they are farther from a straight line than ``most`` channels, or than their digits
    tell without it.
    """
    slope, start = np.polyfit(np.arange(energies.size), energies, 1)
    if not _line_residual(energies) <= (ROUNDING_CHANNELS if most is None else most):
        found = _places(energies) if most is None else None
        if found is None or found[0][-1] >= energies.size:
            return None
        _, start, slope = found
    note = f"energies are rounded; an even axis of {slope:.4g} eV/channel was fitted"
    return EnergyAxis(float(start), float(slope), energies.size), note


def _with_missing(
    energies: NDArray[np.float64], counts: NDArray[np.floating]
) -> tuple[EnergyAxis, NDArray[np.floating], list[str]] | None:
    """Rounded energies of an even axis that lacks channels: these get NaN, the others their counts.

    None of energies that are not rounded: their steps tell which channels are missing.
    """
    found = _places(energies)
    if found is None:
        return None
    place, start, step = found
    rest = energies - step * place
    if np.ptp(rest) < EXACT_CHANNELS * step or place[-1] < energies.size:
        return None
    whole = np.full((*counts.shape[:-1], int(place[-1]) + 1), np.nan)
    whole[..., place] = counts
    return (
        EnergyAxis(start, step, whole.shape[-1]),
        whole,
        [
            f"energies are rounded; an even axis of {step:.4g} eV/channel was fitted, of which "
            f"{whole.shape[-1] - energies.size} channels are missing"
        ],
    )


def uniform(
    source: str | os.PathLike[str], energies: NDArray[np.float64], counts: NDArray[np.floating]
) -> tuple[EnergyAxis, NDArray[np.floating], list[str]]:
    """A uniform axis for ascending energies (n_energy,) [eV] and counts (..., n_energy).

    An axis that is even but for rounded digits gets its straight line and keeps its counts.
    Others are resampled so that counts per eV are conserved; gaps become NaN.
    """
    n = energies.size
    ends = np.linspace(energies[0], energies[-1], n)
    step = (energies[-1] - energies[0]) / (n - 1)
    if step <= 0:
        raise ReadError(
            source,
            f"all its {n} channels have the same energy, {energies[0]:g} eV",
            "give each channel its own energy",
        )
    if np.max(np.abs(energies - ends)) <= 1e-3 * step:
        return EnergyAxis(float(energies[0]), float(step), n), counts, []
    repeated = bool(np.any(np.diff(energies) == 0))
    rounded = rounded_axis(energies, np.inf if repeated else None)
    if rounded is not None:
        return rounded[0], counts, [rounded[1]]
    return _with_missing(energies, counts) or _resampled(source, energies, counts)


def _gaps(steps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which steps (n,) between channels leave some out: longer than those on both sides.

    Twice as long is enough where a few channels are missing, but not where many are as long, as
    rounded energies have it; before and behind a channel that is by itself only much longer ones
    are. At the ends the one neighbour counts.
    """
    before, after = np.append(steps[1], steps[:-1]), np.append(steps[1:], steps[-2])
    alone = (steps > MISSING_RATIO * before) & (steps > MISSING_RATIO * after)
    if alone.mean() > SELDOM:
        alone &= (steps > GAP_RATIO * before) & (steps > GAP_RATIO * after)
    left, right = steps > GAP_RATIO * before, steps > GAP_RATIO * after
    pair = left[:-1] & right[1:]
    return np.asarray(alone | np.append(pair, False) | np.append(False, pair))


def _resampled(
    source: str | os.PathLike[str], energies: NDArray[np.float64], counts: NDArray[np.floating]
) -> tuple[EnergyAxis, NDArray[np.floating], list[str]]:
    steps = np.diff(energies)
    step = float(np.median(steps))
    gaps = _gaps(steps)
    # a channel beside a gap is as wide there as on its other side, and one by itself as most are
    widths = np.where(gaps, np.inf, steps)
    before, after = np.append(np.inf, widths), np.append(widths, np.inf)
    narrower = np.minimum(before, after)
    narrower[np.isinf(narrower)] = step
    low = energies - 0.5 * np.where(before > GAP_RATIO * narrower, narrower, before)
    high = energies + 0.5 * np.where(after > GAP_RATIO * narrower, narrower, after)
    size = round((high[-1] - low[0]) / step)
    if size > MAX_RESAMPLED:
        raise ReadError(
            source,
            f"its energies run from {energies[0]:g} to {energies[-1]:g} eV in steps of "
            f"{steps.min():.3g} to {steps.max():.3g} eV",
            "give a spectrum on an evenly spaced axis",
        )
    edges = low[0] + step * np.arange(size + 1)
    # Counts and covered width up to any energy are piecewise linear, so the share of each new
    # channel is a difference of two interpolations. NaN counts as not covered.
    known = np.isfinite(counts)
    filled = np.where(known, counts, 0.0)
    knots = np.stack([low, high], axis=-1).ravel()
    axis = EnergyAxis(float(low[0] + 0.5 * step), step, size)
    flat, mask = filled.reshape(-1, energies.size), known.reshape(-1, energies.size)
    out = np.empty((flat.shape[0], size))
    for row in range(flat.shape[0]):
        gained = np.diff(np.interp(edges, knots, _stairs(flat[row])))
        covered = np.diff(np.interp(edges, knots, _stairs(mask[row] * (high - low))))
        enough = covered >= 0.5 * step
        out[row] = np.where(enough, gained * step / np.where(enough, covered, 1.0), np.nan)
    note = (
        f"energy steps of {steps.min():.3g} to {steps.max():.3g} eV were resampled to "
        f"{step:.4g} eV/channel, conserving counts per eV"
    )
    return axis, out.reshape(*counts.shape[:-1], size), [note]


def _stairs(amounts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Running total at the lower and upper boundary of each channel, (2 * n_energy,)."""
    total = np.concatenate([[0.0], np.cumsum(amounts)])
    return np.stack([total[:-1], total[1:]], axis=-1).ravel()
