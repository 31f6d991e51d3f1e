"""Near-edge structure of known substances for the simulator's atomic edges.

The library of multi-Gaussian edges (`coreloss.simulate.gaussian`) has, for 20 edges of the most
usual elements, what substances show at them. An edge here is that near the onset and the atom's
beyond.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.simulate.gaussian.shapes import shipped_shapes
from coreloss.simulate.library import N_GRID, edge_library

__all__ = ["BEFORE_EV", "LENGTH_EV", "Substances", "substances"]

LENGTH_EV = 136  # of a curve, in channels of 1 eV
BEFORE_EV = 12  # of which before the onset
_TAPER_EV = 25.0  # before the end of a library shape, to the atom's


@dataclass(frozen=True)
class Substances:
    """Edges of substances, and the part of the atom's edge that they take the place of.

    Attributes
    ----------
    known, atom : ndarray, (n_shapes, LENGTH_EV) float32 [1/eV]
        From ``BEFORE_EV`` below the channel of the group's onset; both go to zero where the
        shape of the library ends.
    first, last : ndarray, (n_groups,) int
        The shapes of shell group g are first[g] … last[g] - 1.
    """

    known: NDArray[np.float32]
    atom: NDArray[np.float32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


@lru_cache(maxsize=4)
def substances(major_only: bool, measured: bool) -> Substances:
    """For the groups of `coreloss.simulate.library.edge_library` of the same options.

    A shape of the library has no unit; it is scaled to the atom's df/dE over its last 25 eV.
    """
    library = edge_library(major_only, measured)
    place = {
        (ELEMENTS[e], name): g
        for g, (e, name) in enumerate(zip(library.element, library.name, strict=True))
    }
    curves: dict[int, list[NDArray[np.float64]]] = {}
    # channel averages, as in the library
    sub = np.linspace(-0.375, 0.375, 4)
    for shape in shipped_shapes():
        group = place[shape.element, shape.edge.replace(",", "")]
        first = int(library.onset_ev[group]) - BEFORE_EV
        energies = np.arange(first, first + LENGTH_EV, dtype=float)
        padded = np.zeros(N_GRID + LENGTH_EV)
        padded[:N_GRID] = library.shape[group]
        atom = padded[first : first + LENGTH_EV]
        known = (
            shape.intensity((energies[:, None] + sub).ravel()).reshape(-1, sub.size).mean(axis=1)
        )
        last = (energies > shape.end_ev - _TAPER_EV) & (energies <= shape.end_ev)
        scale = atom[last].mean() / known[last].mean()
        to_end = np.clip((shape.end_ev - energies) / _TAPER_EV, 0.0, 1.0)
        taper = np.sin(0.5 * np.pi * to_end) ** 2
        curves.setdefault(group, []).append(np.stack([scale * known, atom]) * taper)
    begin, end = np.zeros((2, len(library.name)), dtype=np.int64)
    rows: list[NDArray[np.float64]] = []
    for group, members in curves.items():
        begin[group], end[group] = len(rows), len(rows) + len(members)
        rows += members
    table = np.array(rows, dtype=np.float32)
    return Substances(table[:, 0], table[:, 1], begin, end)
