"""Edge shapes of every element on the simulator's energy grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.cross_section import oscillator_table
from coreloss.atom.delayed import DELAYED_M45
from coreloss.edges import ELEMENTS, edges_of
from coreloss.simulate.near_edge import GIANT_RESONANCES, NO_4P_HOLE, WHITE_LINES
from coreloss.simulate.resonances import beneath, resonance
from coreloss.simulate.shallow import shallow_density

__all__ = ["MARGIN", "N_GRID", "EdgeLibrary", "edge_library", "grid_size"]

#: Channels of the simulator's grid: 0 … N_GRID - 1 eV, 1 eV each; a product of small primes.
N_GRID = 3456

#: Channels at the end of the grid that plural scattering may spoil.
MARGIN = 130

# lengths whose Fourier transforms are fast
_SIZES = (384, 512, 640, 768, 960, 1152, 1440, 1728, 2048, 2560, 3072, N_GRID)


def grid_size(end_ev: float) -> int:
    """Channels of the simulator's grid that a record up to ``end_ev`` needs."""
    return next((size for size in _SIZES if size >= end_ev + MARGIN + 8), N_GRID)


# half of the stretch of delayed edges is gone this far above their onset [eV]
_RELAXED_EV = 900.0

#: index into the reach of `oscillator_table`: 2/bohr, 15 mrad at 200 keV
TYPICAL_REACH = 2

_GROUPS = {
    "K": "K",
    "L1": "L1",
    "L2": "L23",
    "L3": "L23",
    "M1": "M1",
    "M2": "M23",
    "M3": "M23",
    "M4": "M45",
    "M5": "M45",
    "N1": "N1",
    "N2": "N23",
    "N3": "N23",
    "N4": "N45",
    "N5": "N45",
    "N6": "N67",
    "N7": "N67",
    "O1": "O1",
    "O2": "O23",
    "O3": "O23",
    "O4": "O45",
    "O5": "O45",
}


# FWHM over which what 4p holes would do is smeared, see `NO_4P_HOLE`
_SMEARED_EV = 20.0


@dataclass(frozen=True)
class EdgeLibrary:
    """Shell groups (K, L1, L23, …) of all elements, sorted by element, then onset.

    Attributes
    ----------
    shape : ndarray, (n_groups, N_GRID) float32 [1/eV]
        df/dE without near-edge structure, as collected within ``TYPICAL_REACH``; giant
        resonances and the measured place of delayed M4,5 maxima are included.
    partner : ndarray, (n_groups, N_GRID) float32 [1/eV]
        The part of ``shape`` that is the spin–orbit partner's; zero where there is none, or
        where the pair has a giant resonance in common.
    reach : ndarray, (n_reach,) [1/bohr]
        Largest momenta across the beam that the spectrometer collects.
    excess_ev : ndarray, (n_excess,) [eV]
    collected : ndarray, (n_reach, n_groups, n_excess)
        What is collected within each reach over ``shape``, by energy above the onset.
    element : ndarray, (n_groups,) int
        Index into ``coreloss.edges.ELEMENTS``.
    name : tuple of str
        Shell group.
    onset_ev : ndarray, (n_groups,) [eV]
        Onset of the subshell at lowest energy.
    second_ev : ndarray, (n_groups,) [eV]
        Onset of its spin–orbit partner; equal to ``onset_ev`` where there is none.
    height : ndarray, (n_groups,) [1/eV]
        Largest df/dE within 80 eV above the onset.
    second_share : ndarray, (n_groups,)
        Share of the partner in the continuum just above it.
    major : ndarray, (n_groups,) bool
    first, last : ndarray, (n_elements,) int
        The groups of element e are first[e] … last[e] - 1.
    shallow : ndarray, (n_elements, N_GRID) float32 [1/eV]
        df/dE of shells below the edge table (`coreloss.simulate.shallow`), which have no label;
        zero without measured shapes and in the library of major edges.
    """

    shape: NDArray[np.float32]
    partner: NDArray[np.float32]
    reach: NDArray[np.float64]
    excess_ev: NDArray[np.float64]
    collected: NDArray[np.float64]
    element: NDArray[np.int64]
    name: tuple[str, ...]
    onset_ev: NDArray[np.float64]
    second_ev: NDArray[np.float64]
    height: NDArray[np.float64]
    second_share: NDArray[np.float64]
    major: NDArray[np.bool_]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    shallow: NDArray[np.float32]

    @property
    def labels(self) -> tuple[str, ...]:
        """'Fe L23' and so on, for messages."""
        return tuple(f"{ELEMENTS[e]} {n}" for e, n in zip(self.element, self.name, strict=True))


def _smeared(values: NDArray[np.float64], fwhm_ev: float) -> NDArray[np.float64]:
    """Values (n,) on 1 eV channels, broadened by a Gaussian."""
    sigma = fwhm_ev / 2.355
    reach = np.arange(-int(4 * sigma), int(4 * sigma) + 1)
    kernel = np.exp(-0.5 * (reach / sigma) ** 2)
    return np.convolve(values, kernel / kernel.sum(), mode="same")


def _delayed(
    excess: NDArray[np.float64], stretch: float, weight: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy above the onset at which the atom's density is taken, and the factor on it.

    `DELAYED_M45` holds for the first 350 eV; far above, where exchange and relaxation do
    nothing, the atom is right.
    """
    near = 1.0 / (1.0 + (np.maximum(excess, 0.0) / _RELAXED_EV) ** 4)
    return excess / (1.0 + (stretch - 1.0) * near), 1.0 + (weight - 1.0) * near


@lru_cache(maxsize=4)
def edge_library(major_only: bool = False, measured: bool = True) -> EdgeLibrary:
    """The library of all 83 elements.

    With ``major_only`` shell groups without a major edge are left out. ``measured`` puts giant
    resonances and delayed M4,5 maxima where measurements have them; without it every shape is
    the atom's continuum.
    """
    table = oscillator_table()
    available = set(table.subshells)
    energies = np.arange(N_GRID, dtype=float)
    # channel averages: the onset falls within a channel
    sub = energies[:, None] + np.linspace(-0.375, 0.375, 4)[None, :]
    rows: list[NDArray[np.float32]] = []
    partners: list[NDArray[np.float32]] = []
    collected: list[NDArray[np.float64]] = []
    element, name, onset, second = [], [], [], []
    height, share, major, first, last = [], [], [], [], []
    for index, symbol in enumerate(ELEMENTS):
        first.append(len(rows))
        groups: dict[str, list] = {}
        for edge in edges_of(symbol):
            if (symbol, edge.subshell) in available and edge.subshell in _GROUPS:
                groups.setdefault(_GROUPS[edge.subshell], []).append(edge)
        for key, members in sorted(groups.items(), key=lambda item: item[1][0].onset_ev):
            is_major = any(edge.major for edge in members)
            if major_only and not is_major:
                continue
            stretch, weight = 1.0, 1.0
            if measured and key == "M45":
                stretch, weight = DELAYED_M45.get(symbol, (1.0, 1.0))
            parts = []
            for edge in members:
                at, factor = _delayed(sub.ravel() - edge.onset_ev, stretch, weight)
                row = table.index(symbol, edge.subshell)
                density = table.density(row, edge.onset_ev + at, TYPICAL_REACH) * factor
                parts.append(density.reshape(sub.shape).mean(axis=1))
            if (symbol, key) in WHITE_LINES:
                # bound and resonant states at the edge are added as white lines
                parts = [
                    np.minimum(part, 1.2 * part[min(int(edge.onset_ev) + 30, N_GRID - 1)])
                    for part, edge in zip(parts, members, strict=True)
                ]
            total = np.sum(parts, axis=0)
            partner = parts[-1] if len(parts) > 1 else np.zeros(N_GRID)
            first_onset, second_onset = members[0].onset_ev, members[-1].onset_ev
            near = slice(int(first_onset), min(int(first_onset) + 80, N_GRID))
            resonant = measured and (symbol, key) in GIANT_RESONANCES
            smeared = measured and key == "N23" and symbol in NO_4P_HOLE
            if resonant:
                partner = np.zeros(N_GRID)
                # independent electrons have part of the resonance, in the wrong place
                total = np.minimum(total, total[int(first_onset) + 80])
                total = total * beneath((symbol, key), energies)
                total = total + resonance((symbol, key), energies, first_onset)
            elif smeared:
                total = _smeared(np.minimum(total, total[int(first_onset) + 60]), _SMEARED_EV)
                partner = np.zeros(N_GRID)
            rows.append(total.astype(np.float32))
            partners.append(partner.astype(np.float32))
            # spin–orbit partners have all but the same radial functions
            ratio = table.collected[:, table.index(symbol, members[0].subshell)]
            if resonant or smeared:
                # a resonance is dipole-like as far as it goes; of what is smeared no step is left
                ratio = np.ones_like(ratio)
            collected.append(ratio / ratio[TYPICAL_REACH])
            element.append(index)
            name.append(key)
            onset.append(first_onset)
            second.append(second_onset)
            height.append(float(total[near].max()) if near.start < N_GRID else 0.0)
            beyond = min(int(second_onset) + 20, N_GRID - 1)
            share.append(
                float(parts[-1][beyond] / max(sum(p[beyond] for p in parts), 1e-30))
                if len(parts) > 1
                else 0.0
            )
            major.append(is_major)
        last.append(len(rows))
    shallow = np.zeros((len(ELEMENTS), N_GRID), dtype=np.float32)
    if measured and not major_only:
        for index, symbol in enumerate(ELEMENTS):
            shallow[index, 1:] = shallow_density(symbol, energies[1:])
    return EdgeLibrary(
        np.array(rows),
        np.array(partners),
        table.reach,
        table.excess_ev,
        np.stack(collected, axis=1),
        np.array(element),
        tuple(name),
        np.array(onset),
        np.array(second),
        np.array(height),
        np.array(share),
        np.array(major),
        np.array(first),
        np.array(last),
        shallow,
    )
