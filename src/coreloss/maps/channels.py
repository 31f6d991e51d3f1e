"""Channels of a detector that are hot or dead in every spectrum of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.fit import apparent_gain
from coreloss.identification.spikes import without_spikes

__all__ = ["faulty_channels"]

# a dead channel holds less than this share of what those about it hold …
_DEAD_SHARE = 0.05
# … and that by so many standard deviations of counting
_DEAD_SIGMA = 8.0
_ABOUT = 12


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
    total = np.nansum(sample[:, known], axis=0, dtype=float)
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
