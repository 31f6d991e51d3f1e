"""Make the table of generalised oscillator strengths (`coreloss gos build`; needs numba).

Hartree–Slater exchange (α = 1) with Latter's tail and a frozen core, one potential for bound
and free electrons; onsets are those of the edge table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.continuum import IonField, WaveGrid
from coreloss.atom.gos import Continuum, dipole_density
from coreloss.atom.gos_grid import HARTREE_EV, MomentumScale
from coreloss.atom.multipoles import _bessel_orders, form_factors, wave_index
from coreloss.atom.radial import BoundState
from coreloss.atom.scf import Atom, quantum_numbers, solve_atom
from coreloss.edges import edges_of

__all__ = ["ElementStrengths", "element_strengths", "settings"]

Floats = NDArray[np.float64]

N_ENERGIES = 104
N_REGULAR = 96
N_MOMENTA = 96
#: share of its largest amplitude below which an orbital is cut off
NEGLIGIBLE = 3e-6
LOWEST_EV, HIGHEST_EV = 0.01, 4000.0


@dataclass(frozen=True)
class ElementStrengths:
    """Generalised oscillator strengths of one element's subshells.

    Attributes
    ----------
    symbol : str
    excess_ev : ndarray, (n_energies,) [eV]
        Energies above the onset.
    subshells : tuple of str
    scales : tuple of MomentumScale
    log_strength : ndarray, (n_subshells, n_energies, n_momenta)
        ln of (df/dE)/E [1/eV²], at momenta evenly spaced in the scale's coordinate.
    highest_multipole : int
        The highest that was summed.
    """

    symbol: str
    excess_ev: Floats
    subshells: tuple[str, ...]
    scales: tuple[MomentumScale, ...]
    log_strength: Floats
    highest_multipole: int


def momentum_scale(grid: WaveGrid, atom: Atom, state: BoundState, onset_ev: float) -> MomentumScale:
    """Median and 99th percentile of the bound electron's momentum set the scale."""
    angular = state.kappa if state.kappa > 0 else -state.kappa - 1
    p = np.geomspace(0.02, 100.0, 240)
    r = grid.r[: grid.inner]
    lever = grid.sampled(atom.grid, state.large) * r * grid.weight[: grid.inner]
    amplitude = np.empty(p.size)
    table = np.empty((angular + 1, r.size))
    for i, momentum in enumerate(p):
        _bessel_orders(momentum * r, angular, table)
        amplitude[i] = table[angular] @ lever
    # dp is p d ln p
    share = np.cumsum((p * amplitude) ** 2 * p)
    median, last = np.interp([0.5, 0.99], share / share[-1], p)
    return MomentumScale(onset_ev, float(median), float(max(last, 2.0 * median)))


def chosen_energies(atom: Atom, shells: list[tuple[int, int]]) -> Floats:
    """Energies above threshold [eV]: logarithmic, and denser where a resonance needs it.

    Points go where cubic interpolation between every second of them errs most.
    """
    fine = np.geomspace(LOWEST_EV, HIGHEST_EV, 4 * (N_REGULAR - 1) + 1)
    continuum = Continuum(atom, fine)
    curves = np.log([dipole_density(continuum, n, kappa) / fine for n, kappa in shells])
    chosen = list(range(0, fine.size, 4))
    x = np.log(fine)
    while len(chosen) < N_ENERGIES:
        nodes = np.array(chosen)
        error = np.abs(lagrange(x[nodes], curves[:, nodes], x) - curves).max(axis=0)
        error[nodes] = -1.0
        chosen.append(int(np.argmax(error)))
        chosen.sort()
    return np.asarray(fine[chosen])


def lagrange(nodes: Floats, values: Floats, x: Floats) -> Floats:
    """Cubic interpolation through the four nearest of uneven nodes; values (..., n_nodes)."""
    first = np.clip(np.searchsorted(nodes, x) - 2, 0, nodes.size - 4)
    total = np.zeros((*values.shape[:-1], x.size))
    for k in range(4):
        weight = np.ones(x.size)
        for m in range(4):
            if m != k:
                weight *= (x - nodes[first + m]) / (nodes[first + k] - nodes[first + m])
        total += weight * values[..., first + k]
    return total


class _Waves:
    """Continuum waves of one energy [hartree], made when asked for."""

    def __init__(self, ion: IonField, energy: float) -> None:
        self.ion, self.energy = ion, energy
        self._made: dict[int, tuple[Floats, Floats]] = {}

    def wave(self, kappa: int) -> tuple[Floats, Floats]:
        """P and Q, (grid.inner,)."""
        if kappa not in self._made:
            self._made[kappa] = self.ion.wave(kappa, self.energy)
        return self._made[kappa]


def _extent(atom: Atom, state: BoundState) -> float:
    """Radius [bohr] beyond which an orbital is negligible."""
    size = np.abs(state.large)
    return float(atom.grid.r[np.nonzero(size > NEGLIGIBLE * size.max())[0][-1]])


@dataclass(frozen=True)
class _Orbital:
    """A bound orbital where it is not negligible, with the weights of the integral."""

    kappa: int
    begin: int
    large: Floats
    small: Floats
    r: Floats

    @classmethod
    def on(cls, grid: WaveGrid, atom: Atom, state: BoundState) -> _Orbital:
        large = grid.sampled(atom.grid, state.large)
        small = grid.sampled(atom.grid, state.small)
        size = np.abs(large)
        there = np.nonzero(size > NEGLIGIBLE * size.max())[0]
        # the weights alternate from an even point on
        begin, end = int(there[0]) // 2 * 2, int(there[-1]) + 1
        part = slice(begin, end)
        weight = grid.weight[part]
        return cls(
            state.kappa, begin, large[part] * weight, small[part] * weight, grid.r[part].copy()
        )

    @property
    def reach(self) -> float:
        """Radius [bohr] within which nearly all of it lies; an estimate is enough."""
        return float(
            self.r[np.nonzero(np.abs(self.large) > 1e-2 * np.abs(self.large).max())[0][-1]]
        )

    def products(self, waves: _Waves) -> Floats:
        """(P P' + Q Q') with weights, for as many κ' as come near the orbital."""
        part = slice(self.begin, self.begin + self.r.size)
        rows: list[Floats] = []
        largest = 0.0
        for order in range(1, 200):
            size = 0.0
            for kappa in (-order, order):
                p, q = waves.wave(kappa)
                row = p[part] * self.large + q[part] * self.small
                assert len(rows) == wave_index(kappa)
                rows.append(row)
                size = max(size, float(np.abs(row).sum()))
            largest = max(largest, size)
            if order > abs(self.kappa) + 3 and size < 3e-6 * largest:
                break
        return np.array(rows)


def settings() -> dict[str, object]:
    """What the numbers depend on besides the onsets: goes into the table and names its parts."""
    return {
        "theory": "Dirac–Slater, alpha = 1, Latter tail, frozen core, one potential",
        "energies": [LOWEST_EV, HIGHEST_EV, N_REGULAR, N_ENERGIES],
        "momenta": N_MOMENTA,
        "orbitals_to": NEGLIGIBLE,
        "version": 1,
    }


def element_strengths(symbol: str) -> ElementStrengths:
    """Compute all subshells of one element that the edge table holds.

    Raises
    ------
    RuntimeError
        If multipoles do not converge.
    """
    edges = edges_of(symbol)
    atom = solve_atom(edges[0].z, alpha=1.0)
    shells = [quantum_numbers(edge.subshell) for edge in edges]
    energies = chosen_energies(atom, shells)
    states = [atom.orbitals[shell] for shell in shells]
    grid = WaveGrid.of_atom(atom.z, reach=max(_extent(atom, state) for state in states))
    ion = IonField.of_atom(grid, atom.grid, atom.potential, atom.z)
    scales = [momentum_scale(grid, atom, s, e.onset_ev) for s, e in zip(states, edges, strict=True)]
    orbitals = [_Orbital.on(grid, atom, state) for state in states]
    t = np.linspace(0.0, 1.0, N_MOMENTA)
    momenta = [scale.momenta(energies, t) for scale in scales]
    logs = np.empty((len(edges), energies.size, t.size))
    highest = 0
    for row, energy in enumerate(energies):
        waves = _Waves(ion, float(energy) / HARTREE_EV)
        for column, (shell, orbital) in enumerate(zip(shells, orbitals, strict=True)):
            q = momenta[column][row]
            sums, used = form_factors(
                orbital.products(waves), shell[1], orbital.r, q, orbital.reach
            )
            if used.min() < 0:
                raise RuntimeError(f"{symbol} {edges[column].subshell}: multipoles do not converge")
            highest = max(highest, int(used.max()))
            held = atom.occupation[shell]
            # E in the strength is taken out, so that the onset may be moved: units 1/hartree²
            strength = 2.0 / q**2 * held * sums
            logs[column, row] = np.log(np.maximum(strength / HARTREE_EV**2, 1e-300))
    return ElementStrengths(
        symbol, energies, tuple(e.subshell for e in edges), tuple(scales), logs, highest
    )
