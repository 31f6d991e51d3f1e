"""What a simulation returns: records and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.simulate.draws import Draws

__all__ = ["SimulatedBatch"]


@dataclass
class SimulatedBatch:
    """Simulated records with their truth.

    Attributes
    ----------
    counts : array, (n, n_energy) float32 [electrons]
        Recorded channels, zero beyond ``size``.
    offset, dispersion : ndarray, (n,) [eV], [eV/channel]
        The energy axis as the record states it, shift and stretch included.
    size : ndarray, (n,) int
    present : ndarray, (n, n_elements) bool
        Labels by the recipe's rule.
    in_range : ndarray, (n, n_elements) bool
        Elements in the sample with an onset inside the record.
    snr : ndarray, (n, n_elements) float32
        Cramér–Rao signal-to-noise ratio of each element in the sample; else 0.
    edges : dict of ndarray, (n_edges,)
        ``spectrum``, ``element``, ``group`` (index into the edge library), ``onset_ev``
        (on the record's own axis), ``jump_ratio``, of every shell group in range: the edge's
        height before near-edge structure and plural scattering over the background at its
        onset, as the recipe enforces it on one of them. The height is that of the oscillator
        strength; maxima far behind their onset (M4,5 of Kr to Mo) are half as high in the record.
    elements : tuple of str
    draws : Draws
        All other parameters.
    """

    counts: Any
    offset: NDArray[np.float64]
    dispersion: NDArray[np.float64]
    size: NDArray[np.int64]
    present: NDArray[np.bool_]
    in_range: NDArray[np.bool_]
    snr: NDArray[np.float32]
    edges: dict[str, NDArray[Any]]
    draws: Draws
    elements: tuple[str, ...] = ELEMENTS
