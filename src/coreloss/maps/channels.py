"""Channels that are hot or dead in every spectrum of an image, and cosmic rays in single ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis, filled, total_of
from coreloss.fit import apparent_gain
from coreloss.identification.spikes import without_spikes

__all__ = ["faulty_channels", "settled_channels", "without_cosmic_rays"]

# a dead channel holds less than this share of what those about it hold …
_DEAD_SHARE = 0.05
# … and that by so many standard deviations of counting
_DEAD_SIGMA = 8.0
_ABOUT = 12
# a channel that stands out in this share of the spectra, and in two, is hit by no cosmic rays
_OFTEN = 0.02


def faulty_channels(
    sample: NDArray[np.floating], axis: EnergyAxis
) -> tuple[NDArray[np.bool_], list[str]]:
    """Channels to leave out of fits, (n_energy,), and what to say of them.

    Told from the sum of spectra, in which noise is small: hot ones by
    `coreloss.identification.spikes`, dead ones because no edge falls by 95 % and comes back.

    Parameters
    ----------
    sample : ndarray, (n, n_energy)
        Usable spectra; NaN where nothing was recorded.
    axis : EnergyAxis
    """
    known = np.flatnonzero(np.isfinite(sample).any(axis=0))
    faulty = np.zeros(axis.size, dtype=bool)
    if known.size <= 2 * _ABOUT:
        return faulty, []
    total = total_of(sample[:, known])
    padded = np.pad(total, _ABOUT, mode="reflect")
    about = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * _ABOUT + 1), axis=1)
    noise = np.sqrt(apparent_gain(sample) * np.maximum(about, 0.0))
    dead = (total < _DEAD_SHARE * about) & (about - total > _DEAD_SIGMA * noise)
    bridged = np.interp(known, known[~dead], total[~dead]) if dead.any() else total
    hot = without_spikes(bridged[None], axis)[0][0] != bridged
    faulty[known[dead | hot]] = True
    notes = []
    for what, places in (("dead", known[dead]), ("far too high", known[hot & ~dead])):
        if places.size:
            where = ", ".join(f"{axis.energies[place]:.1f}" for place in places[:3])
            more = " …" if places.size > 3 else ""
            notes.append(
                f"{places.size} channel{'s' if places.size > 1 else ''} {what} in all spectra left "
                f"out: {where}{more} eV"
            )
    return faulty, notes


def without_cosmic_rays(
    counts: NDArray[np.floating], axis: EnergyAxis, spared: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], int]:
    """Spectra with straight lines over single channels far too high, and how many were changed.

    Parameters
    ----------
    counts : ndarray, (n, n_energy)
        NaN where nothing was recorded, which stays so.
    axis : EnergyAxis
    spared : ndarray, (n_energy,)
        Channels that are left alone; see `settled_channels`.
    """
    return _bridged(counts, *_high(counts, axis), spared)


def settled_channels(
    sample: NDArray[np.floating], axis: EnergyAxis
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Sample spectra without cosmic rays, and channels that none struck, (n_energy,).

    A channel that stands out again and again is hot or holds a line. In a single spectrum nothing
    tells a cosmic ray from a hot channel, and it stays as it is.
    """
    if sample.shape[0] == 1:
        return sample, np.ones(axis.size, dtype=bool)
    mended, high = _high(sample, axis)
    spared = high.sum(axis=0) >= max(2.0, _OFTEN * sample.shape[0])
    return _bridged(sample, mended, high, spared)[0], spared


def _bridged(
    counts: NDArray[np.floating],
    mended: NDArray[np.floating],
    high: NDArray[np.bool_],
    spared: NDArray[np.bool_],
) -> tuple[NDArray[np.floating], int]:
    struck = np.flatnonzero((high & ~spared).any(axis=1))
    if not struck.size:
        return counts, 0
    counts = counts.copy()
    counts[struck] = np.where(high[struck] & ~spared, mended[struck], counts[struck])
    return counts, struck.size


def _high(
    counts: NDArray[np.floating], axis: EnergyAxis
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Spectra without their spikes, and where those were; both (n, n_energy)."""
    high = np.zeros(counts.shape, dtype=bool)
    known = np.flatnonzero(np.isfinite(counts).any(axis=0))
    if not known.size:
        return counts, high
    part = slice(known[0], known[-1] + 1)
    whole = filled(counts[:, part])
    inner = EnergyAxis(float(axis.energies[part][0]), axis.dispersion, whole.shape[1])
    bridged, told = without_spikes(whole, inner)
    if not told:
        return counts, high
    mended = np.array(counts, dtype=float)
    mended[:, part] = bridged
    rows = list(told)
    high[rows, part] = (bridged[rows] != whole[rows]) & np.isfinite(counts[rows, part])
    return mended, high
