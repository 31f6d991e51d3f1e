"""Single channels far too high: cosmic rays and hot pixels, told from sharp edges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis

__all__ = ["without_spikes"]

Floats = NDArray[np.float64]

# coarser channels hold a whole white line
_WIDEST_EV = 2.05
_LEAST_SIGMA = 8.0
_LEAST_SHARE = 0.005
# a line as narrow as the energy resolution still gives its neighbours more than this
_NEIGHBOUR = 0.1
_LEAST_RISE = 0.7
_REACH = 4
_MOST = 12
_ROWS = 128
# where most channels are empty the scatter tells no noise, and a count or two are no spike
_LEAST_COUNTS = 10


def without_spikes(counts: NDArray, axis: EnergyAxis) -> tuple[NDArray, dict[int, str]]:
    """Spectra whose spikes are replaced by a straight line, and a note for each changed one.

    A spike stands in one channel; an edge has a step behind it and shares its line, which the
    energy resolution broadens, with the next channels.

    Parameters
    ----------
    counts : ndarray, (n, n_energy)
        Rows with other than finite numbers are left as they are.
    axis : EnergyAxis
    """
    notes: dict[int, str] = {}
    if axis.dispersion > _WIDEST_EV or axis.size < 4 * _REACH:
        return counts, notes
    changed: dict[int, Floats] = {}
    # some rows at once, as many as a processor's cache holds
    for begin in range(0, counts.shape[0], _ROWS):
        y = np.asarray(counts[begin : begin + _ROWS], dtype=float)
        rise, typical, suspect = _suspects(y)
        rows = np.flatnonzero(suspect & np.isfinite(y).all(axis=1))
        tried, spike = _spikes(y[rows], rise[rows], typical[rows])
        for k in np.flatnonzero(spike.any(axis=1)):
            row, places = int(rows[k]), tried[k, spike[k]].tolist()
            values = y[row].copy()
            keep = np.delete(np.arange(values.size), places)
            values[places] = np.interp(places, keep, values[keep])
            changed[begin + row] = values
            told = ", ".join(f"{axis.energies[place]:.1f}" for place in places[:3])
            more = " …" if len(places) > 3 else ""
            notes[begin + row] = f"single channels far too high were bridged: {told}{more} eV"
    if not changed:
        return counts, notes
    out = np.array(counts, dtype=float)
    for place, values in changed.items():
        out[place] = values
    return out, notes


def _suspects(y: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Rises of channels over their neighbours, typical ones, and which rows to look at."""
    with np.errstate(invalid="ignore"):
        beside = 0.5 * (y[:, :-2] + y[:, 2:])
        rise = y[:, 1:-1] - beside
        typical = np.median(np.abs(rise[:, :: max(1, rise.shape[1] // 256)]), axis=1)
        some = np.abs(y[:, ::4])
        scale = np.median(some, axis=1)
        scale = np.where(scale > 0, scale, some.mean(axis=1))  # most channels are empty
        sigma = _sigma(typical[:, None], beside, scale[:, None])
        # a spike of less than this is too near the noise to be worth a look
        high = rise > _LEAST_RISE * _LEAST_SIGMA * sigma
        # neighbours as near to the base as `_spikes` asks are as near to each other
        high &= np.abs(y[:, 2:] - y[:, :-2]) <= 2.5 * _NEIGHBOUR * rise + 6.0 * sigma
    return rise, typical, high.any(axis=1)


def _spikes(y: Floats, rise: Floats, typical: Floats) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The ``_MOST`` channels of records (n, n_energy) that rise highest, and which are spikes.

    Both (n, _MOST), the highest first. ``rise`` (n, n_energy - 2) and its ``typical`` size (n,)
    are those of `without_spikes`.
    """
    scale = np.median(np.abs(y), axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, np.abs(y).mean(axis=1, keepdims=True))
    highest = np.argpartition(-rise, _MOST, axis=1)[:, :_MOST]
    order = np.argsort(-np.take_along_axis(rise, highest, axis=1), axis=1, kind="stable")
    places = np.take_along_axis(highest, order, axis=1) + 1
    inner = (places >= _REACH) & (places < y.shape[1] - _REACH)
    at = np.where(inner, places, _REACH)
    row = np.arange(len(y))[:, None]
    steps = np.arange(2, _REACH + 1)
    low = np.median(y[row[..., None], at[..., None] - steps], axis=2)
    high = np.median(y[row[..., None], at[..., None] + steps], axis=2)
    base = 0.5 * (low + high)
    height = y[row, at] - base
    sigma = _sigma(typical[:, None], base, scale)
    beside = np.maximum(np.abs(y[row, at - 1] - base), np.abs(y[row, at + 1] - base))
    found = inner & (height >= np.maximum(_LEAST_SIGMA * sigma, _LEAST_SHARE * np.abs(base)))
    found &= np.maximum(beside, np.abs(high - low)) < _NEIGHBOUR * height + 2.5 * sigma
    for k in np.flatnonzero(found.any(axis=1)):
        found[k] &= height[k] >= _LEAST_COUNTS * np.diff(np.unique(y[k])).min()
    return places, found


def _sigma(typical: Any, base: Any, scale: Any) -> Any:
    """Noise where the counts are ``base``, of a record whose median is ``scale``.

    Counting noise goes with the root of the counts; 1.22 σ is a second difference's.
    """
    return 1.4826 / 1.2247 * typical * np.sqrt(np.maximum(np.abs(base) / (scale + 1e-30), 0.05))
