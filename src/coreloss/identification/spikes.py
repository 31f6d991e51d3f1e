"""Single channels far too high: cosmic rays and hot pixels, told from sharp edges."""

from __future__ import annotations

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
_REACH = 4
_MOST = 12


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
    # all rows at once: which have a channel that may be one
    y = np.asarray(counts, dtype=float)
    with np.errstate(invalid="ignore"):
        rise = y[:, 1:-1] - 0.5 * (y[:, :-2] + y[:, 2:])
        typical = np.median(np.abs(rise[:, :: max(1, rise.shape[1] // 256)]), axis=1)
        suspect = rise.max(axis=1) > 0.7 * _LEAST_SIGMA * typical
    for row in np.flatnonzero(suspect & np.isfinite(y).all(axis=1)):
        places = _spikes(y[row], rise[row], float(typical[row]))
        if places:
            values = y[row].copy()
            keep = np.delete(np.arange(values.size), places)
            values[places] = np.interp(places, keep, values[keep])
            changed[int(row)] = values
            told = ", ".join(f"{axis.energies[place]:.1f}" for place in places[:3])
            more = " …" if len(places) > 3 else ""
            notes[int(row)] = f"single channels far too high were bridged: {told}{more} eV"
    if not changed:
        return counts, notes
    out = y.copy()
    for place, values in changed.items():
        out[place] = values
    return out, notes


def _spikes(y: Floats, rise: Floats, typical: float) -> list[int]:
    """Channels of one record that are spikes, highest first, ``_MOST`` at most."""
    scale = np.median(np.abs(y)) + 1e-30
    places = np.argsort(-rise)[:_MOST] + 1
    places = places[(places >= _REACH) & (places < y.size - _REACH)]
    steps = np.arange(2, _REACH + 1)
    low = np.median(y[places[:, None] - steps], axis=1)
    high = np.median(y[places[:, None] + steps], axis=1)
    base = 0.5 * (low + high)
    height = y[places] - base
    # counting noise goes with the root of the counts; 1.22 σ is a second difference's
    sigma = 1.4826 / 1.2247 * typical * np.sqrt(np.maximum(np.abs(base) / scale, 0.05))
    beside = np.maximum(np.abs(y[places - 1] - base), np.abs(y[places + 1] - base))
    found = height >= np.maximum(_LEAST_SIGMA * sigma, _LEAST_SHARE * np.abs(base))
    found &= np.maximum(beside, np.abs(high - low)) < _NEIGHBOUR * height + 2.5 * sigma
    return [int(place) for place in places[found]]
