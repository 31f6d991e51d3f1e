"""Generalised oscillator strengths of subshells into the continuum.

For a subshell of N electrons in orbitals (n, κ), summed over final (ε, κ') and multipoles λ,

    df/dE(E, q) = (2E/q²) N Σ (2λ+1)(2j'+1) (j λ j'; ½ 0 -½)² R²,
    R = ∫ (P P' + Q Q') j_λ(qr) dr,

with waves normalised per unit energy (M. Inokuti, Rev. Mod. Phys. 43, 297, 1971; for Dirac
orbitals C. Scofield, Phys. Rev. A 18, 963, 1978). E and q are in atomic units inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from coreloss.atom.continuum import WaveGrid, continuum_waves
from coreloss.atom.radial import SPEED_OF_LIGHT
from coreloss.atom.scf import Atom

__all__ = [
    "HARTREE_EV",
    "Continuum",
    "continuum_gos",
    "coupled",
    "dipole_density",
    "three_j_squared",
]

HARTREE_EV = 27.211386246

Floats = NDArray[np.float64]


def three_j_squared(two_j: int, multipole: int, two_j2: int) -> float:
    """(j λ j'; ½ 0 -½)², from 2j, λ and 2j'; 0 outside the triangle."""
    if not abs(two_j - two_j2) <= 2 * multipole <= two_j + two_j2:
        return 0.0
    # Racah's formula with all arguments doubled where half-integer
    j1, j2, j3 = two_j, 2 * multipole, two_j2
    m1, m2, m3 = 1, 0, -1

    def fact(twice: int) -> int:
        return factorial(twice // 2)

    triangle = Fraction(
        fact(j1 + j2 - j3) * fact(j1 - j2 + j3) * fact(-j1 + j2 + j3), fact(j1 + j2 + j3 + 2)
    )
    norm = (
        fact(j1 + m1)
        * fact(j1 - m1)
        * fact(j2 + m2)
        * fact(j2 - m2)
        * fact(j3 + m3)
        * fact(j3 - m3)
    )
    total = Fraction(0)
    for t in range((j1 + j2 + j3) // 2 + 1):
        terms = (
            t,
            (j3 - j2 + m1) // 2 + t,
            (j3 - j1 - m2) // 2 + t,
            (j1 + j2 - j3) // 2 - t,
            (j1 - m1) // 2 - t,
            (j2 + m2) // 2 - t,
        )
        if min(terms) < 0:
            continue
        product = 1
        for value in terms:
            product *= factorial(value)
        total += Fraction((-1) ** t, product)
    return float(triangle * norm * total * total)


def coupled(kappa: int, multipole: int) -> Iterator[tuple[int, float]]:
    """Final κ' that a multipole λ couples to κ, and (2λ+1)(2j'+1)(j λ j'; ½ 0 -½)²."""
    two_j = 2 * abs(kappa) - 1
    angular = kappa if kappa > 0 else -kappa - 1
    for two_j2 in range(abs(two_j - 2 * multipole), two_j + 2 * multipole + 1, 2):
        for kappa2 in ((two_j2 + 1) // 2, -(two_j2 + 1) // 2):
            angular2 = kappa2 if kappa2 > 0 else -kappa2 - 1
            if (angular + multipole + angular2) % 2:
                continue
            factor = three_j_squared(two_j, multipole, two_j2)
            if factor > 0.0:
                yield kappa2, (2 * multipole + 1) * (two_j2 + 1) * factor


@njit(cache=True)
def _bessel(order: int, x: Any) -> Any:
    """Spherical Bessel functions j_order(x) for x ≥ 0, any shape flattened."""
    out = np.empty(x.size)
    for i in range(x.size):
        v = x[i]
        if v < 1e-3 * (order + 1):
            # leading terms of the series
            value = 1.0
            for k in range(1, order + 1):
                value *= v / (2.0 * k + 1.0)
            out[i] = value * (1.0 - 0.5 * v * v / (2.0 * order + 3.0))
        elif v > order:
            a = np.sin(v) / v
            b = np.sin(v) / (v * v) - np.cos(v) / v
            if order == 0:
                out[i] = a
                continue
            for k in range(1, order):
                a, b = b, (2.0 * k + 1.0) / v * b - a
            out[i] = b
        else:
            # downward recurrence (Miller), normalised by j_0
            start = order + 20 + int(v)
            a, b, kept = 0.0, 1e-200, 0.0
            for k in range(start, 0, -1):
                a, b = b, (2.0 * k + 1.0) / v * b - a
                if k - 1 == order:
                    kept = b
                if abs(b) > 1e150:
                    a *= 1e-150
                    b *= 1e-150
                    kept *= 1e-150
            out[i] = kept * (np.sin(v) / v) / b
    return out


@dataclass
class Continuum:
    """Continuum waves of one atom at fixed energies above threshold, made when asked for.

    Parameters
    ----------
    atom : Atom
    excess_ev : ndarray, (n_energies,) [eV], positive
        Kinetic energies of the ejected electron.
    c : float
        Speed of light in atomic units, as the atom was solved with.
    """

    atom: Atom
    excess_ev: Floats
    c: float = SPEED_OF_LIGHT
    grid: WaveGrid = field(init=False)
    _waves: dict[int, tuple[Floats, Floats]] = field(init=False, default_factory=dict)
    _tables: dict[tuple[int, bytes], Floats] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.grid = WaveGrid.of_atom(self.atom.z)

    def waves(self, kappa: int) -> tuple[Floats, Floats]:
        """P and Q, (n_energies, grid.inner), for one κ."""
        if kappa not in self._waves:
            self._waves[kappa] = continuum_waves(
                self.grid,
                self.atom.grid,
                self.atom.potential,
                self.atom.z,
                kappa,
                np.asarray(self.excess_ev) / HARTREE_EV,
                c=self.c,
            )
        return self._waves[kappa]

    def bessel(self, order: int, q: Floats) -> Floats:
        """j_order(q r), less 1 for order 0, with the integral's weights, (grid.inner, n_q)."""
        key = (order, q.tobytes())
        if key not in self._tables:
            inner = self.grid.inner
            x = np.outer(self.grid.r[:inner], q)
            values = _bessel(order, x.ravel()).reshape(x.shape)
            if order == 0:
                # bound and free wave of one κ are orthogonal: without the 1 their numerical
                # overlap would stand beside the small monopole
                values -= 1.0
            self._tables[key] = values * self.grid.weight[:inner, None]
        return self._tables[key]


def dipole_density(
    continuum: Continuum, n: int, kappa: int, *, onset_ev: float | None = None
) -> Floats:
    """df/dE of one subshell in the optical limit, q → 0.

    df/dE = (2/3) E N Σ (2j'+1) (j 1 j'; ½ 0 -½)² (∫ (P P' + Q Q') r dr)².

    Parameters
    ----------
    continuum : Continuum
    n, kappa : int
    onset_ev : float, optional
        As in `continuum_gos`.

    Returns
    -------
    ndarray, (n_energies,) [1/eV]
    """
    atom = continuum.atom
    orbital = atom.orbitals[n, kappa]
    large = continuum.grid.sampled(atom.grid, orbital.large)
    small = continuum.grid.sampled(atom.grid, orbital.small)
    inner = continuum.grid.inner
    lever = continuum.grid.r[:inner] * continuum.grid.weight[:inner]
    onset = onset_ev / HARTREE_EV if onset_ev is not None else -orbital.energy
    loss = onset + np.asarray(continuum.excess_ev) / HARTREE_EV
    total = np.zeros(loss.size)
    for kappa2 in (kappa - 1, -kappa, kappa + 1):
        if kappa2 == 0:
            continue
        two_j2 = 2 * abs(kappa2) - 1
        factor = three_j_squared(2 * abs(kappa) - 1, 1, two_j2)
        p, s = continuum.waves(kappa2)
        total += (two_j2 + 1) * factor * ((p * large + s * small) @ lever) ** 2
    electrons = atom.occupation[n, kappa]
    return np.asarray(2.0 / 3.0 * loss * electrons * total / HARTREE_EV)


def continuum_gos(
    continuum: Continuum,
    n: int,
    kappa: int,
    q: Floats,
    *,
    onset_ev: float | None = None,
    converged: float = 2e-3,
    largest_multipole: int = 60,
) -> Floats:
    """df/dE of one subshell into the continuum.

    Parameters
    ----------
    continuum : Continuum
    n, kappa : int
        The subshell; its occupation is that of the atom.
    q : ndarray, (n_q,) [1/bohr], positive
    onset_ev : float, optional
        Ionisation energy [eV]; the orbital energy without it. Energy losses are this plus the
        continuum's energies.
    converged : float
        Multipoles are added until the last changes nothing by more than this share.
    largest_multipole : int

    Returns
    -------
    ndarray, (n_energies, n_q) [1/eV]

    Raises
    ------
    ValueError
        For a subshell the atom has not.
    RuntimeError
        If the multipoles do not converge.
    """
    atom = continuum.atom
    if (n, kappa) not in atom.orbitals:
        raise ValueError(f"the atom Z = {atom.z} has no subshell n = {n}, κ = {kappa}")
    orbital = atom.orbitals[n, kappa]
    large = continuum.grid.sampled(atom.grid, orbital.large)
    small = continuum.grid.sampled(atom.grid, orbital.small)
    onset = onset_ev / HARTREE_EV if onset_ev is not None else -orbital.energy
    loss = onset + np.asarray(continuum.excess_ev) / HARTREE_EV
    q = np.ascontiguousarray(q, dtype=float)
    total = np.zeros((loss.size, q.size))
    quiet = 0
    for multipole in range(largest_multipole + 1):
        part = np.zeros_like(total)
        bessel = continuum.bessel(multipole, q)
        for kappa2, factor in coupled(kappa, multipole):
            p, s = continuum.waves(kappa2)
            radial = (p * large + s * small) @ bessel
            part += factor * radial**2
        total += part
        # a multipole that adds nothing anywhere ends the series, if the next does not either
        weight = total.max(axis=0, keepdims=True) * 1e-3
        quiet = quiet + 1 if np.all(part <= converged * (total + weight)) else 0
        if quiet >= 2:
            break
    else:
        raise RuntimeError(
            f"multipoles up to {largest_multipole} do not converge for Z = {atom.z}, n = {n}, "
            f"κ = {kappa}; lower the largest q"
        )
    electrons = atom.occupation[n, kappa]
    # one κ' for each wave: |κ'| and the parity fix it, so no final state is counted twice
    return np.asarray(2.0 * loss[:, None] / q**2 * electrons * total / HARTREE_EV)
