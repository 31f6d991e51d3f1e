"""The radial Dirac equation on a logarithmic grid.

Atomic units throughout: energies in hartree without the rest energy, lengths in bohr.
With κ = -(l+1) for j = l+1/2 and κ = l for j = l-1/2, the large and small components obey

    P' = -κ/r P + (E - V + 2c²)/c Q,    Q' = κ/r Q - (E - V)/c P

(I. P. Grant, Relativistic Quantum Theory of Atoms and Molecules, Springer 2007, chapter 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["SPEED_OF_LIGHT", "BoundState", "RadialGrid", "bound_state"]

#: in atomic units
SPEED_OF_LIGHT = 137.035999084

Floats = NDArray[np.float64]

# Adams–Moulton coefficients of fifth order, newest first
_AM = np.array([251.0, 646.0, -264.0, 106.0, -19.0]) / 720.0


@dataclass(frozen=True)
class RadialGrid:
    """r_i = r_0 exp(i h).

    Parameters
    ----------
    first : float [bohr]
    step : float
        h, the logarithmic step.
    size : int
    """

    first: float
    step: float
    size: int

    @classmethod
    def of_atom(cls, z: int, *, step: float = 0.0125, largest: float = 60.0) -> RadialGrid:
        """The grid for an atom: from 10⁻⁶/Z to ``largest`` bohr."""
        first = 1e-6 / z
        return cls(first, step, int(np.log(largest / first) / step) + 2)

    @property
    def r(self) -> Floats:
        """Radii, (size,) [bohr]."""
        return np.asarray(self.first * np.exp(self.step * np.arange(self.size)))

    def integral(self, values: Floats) -> float:
        """∫ values dr by Simpson's rule in ln r; values (size,) vanish at both ends."""
        weighted = values * self.r
        n = weighted.size - (1 - weighted.size % 2)
        total = weighted[0] + weighted[n - 1] + 4 * weighted[1:n:2].sum()
        total += 2 * weighted[2 : n - 1 : 2].sum()
        return float(total * self.step / 3.0)


@dataclass(frozen=True)
class BoundState:
    """One bound orbital, ∫(P² + Q²) dr = 1.

    Attributes
    ----------
    n, kappa : int
    energy : float [hartree]
    large, small : ndarray, (size,) [bohr^-1/2]
        P and Q.
    """

    n: int
    kappa: int
    energy: float
    large: Floats
    small: Floats


@njit(cache=True)
def _outward(
    r: Floats, h: float, v: Floats, z: float, kappa: int, energy: float, c: float, last: int
) -> tuple[Any, Any, int]:
    """Integrate from the origin to grid point ``last``; also counts the nodes of P."""
    p, q = np.zeros(r.size), np.zeros(r.size)
    fp, fq = np.zeros(r.size), np.zeros(r.size)
    gamma = np.sqrt(kappa * kappa - (z / c) ** 2)
    # the nuclear Coulomb field alone decides the first few points
    ratio = -z / (c * (gamma - kappa)) if kappa < 0 else (gamma + kappa) * c / z
    for i in range(4):
        p[i] = (r[i] / r[3]) ** gamma
        q[i] = ratio * p[i]
    if kappa > 0:
        # keep P of order one where Q is the dominant component
        for i in range(4):
            p[i] /= max(ratio, 1.0)
            q[i] /= max(ratio, 1.0)
    nodes = 0
    for i in range(last + 1):
        a = -float(kappa)
        b = r[i] * (energy - v[i] + 2.0 * c * c) / c
        d = -r[i] * (energy - v[i]) / c
        if i >= 4:
            sp = p[i - 1]
            sq = q[i - 1]
            for k in range(1, 5):
                sp += h * _AM[k] * fp[i - k]
                sq += h * _AM[k] * fq[i - k]
            g = h * _AM[0]
            # (1 - g A) y = s, with A = ((a, b), (d, -a))
            det = (1.0 - g * a) * (1.0 + g * a) - g * g * b * d
            p[i] = ((1.0 + g * a) * sp + g * b * sq) / det
            q[i] = (g * d * sp + (1.0 - g * a) * sq) / det
            if p[i] * p[i - 1] < 0.0:
                nodes += 1
            if abs(p[i]) > 1e100:
                for k in range(i + 1):
                    p[k] *= 1e-100
                    q[k] *= 1e-100
                    fp[k] *= 1e-100
                    fq[k] *= 1e-100
        fp[i] = a * p[i] + b * q[i]
        fq[i] = d * p[i] - a * q[i]
    return p, q, nodes


@njit(cache=True)
def _inward(
    r: Floats, h: float, v: Floats, kappa: int, energy: float, c: float, first: int, last: int
) -> tuple[Any, Any]:
    """Integrate from grid point ``last``, where the wave has decayed, to ``first``."""
    p, q = np.zeros(r.size), np.zeros(r.size)
    fp, fq = np.zeros(r.size), np.zeros(r.size)
    for i in range(last, last - 4, -1):
        decay = np.sqrt(max(-(energy - v[i]) * (2.0 + (energy - v[i]) / (c * c)), 1e-12))
        p[i] = np.exp(-decay * (r[i] - r[last]))
        q[i] = (-decay + kappa / r[i]) * p[i] * c / (energy - v[i] + 2.0 * c * c)
    for i in range(last, first - 1, -1):
        a = -float(kappa)
        b = r[i] * (energy - v[i] + 2.0 * c * c) / c
        d = -r[i] * (energy - v[i]) / c
        if i <= last - 4:
            sp = p[i + 1]
            sq = q[i + 1]
            for k in range(1, 5):
                sp -= h * _AM[k] * fp[i + k]
                sq -= h * _AM[k] * fq[i + k]
            g = -h * _AM[0]
            det = (1.0 - g * a) * (1.0 + g * a) - g * g * b * d
            p[i] = ((1.0 + g * a) * sp + g * b * sq) / det
            q[i] = (g * d * sp + (1.0 - g * a) * sq) / det
        fp[i] = a * p[i] + b * q[i]
        fq[i] = d * p[i] - a * q[i]
    return p, q


def bound_state(
    grid: RadialGrid,
    potential: Floats,
    z: float,
    n: int,
    kappa: int,
    *,
    guess: float | None = None,
    c: float = SPEED_OF_LIGHT,
    tolerance: float = 1e-11,
) -> BoundState:
    """Solve for one bound orbital.

    Parameters
    ----------
    grid : RadialGrid
    potential : ndarray, (size,) [hartree]
        Of an electron; -Z/r at the origin.
    z : float
        Nuclear charge.
    n, kappa : int
        Principal and relativistic angular quantum number.
    guess : float, optional
        Starting energy [hartree].
    c : float
        Speed of light; large values give Schrödinger's atom.
    tolerance : float
        Relative, of the energy.

    Raises
    ------
    ValueError
        If the potential holds no such state.
    """
    r = grid.r
    angular = kappa if kappa > 0 else -kappa - 1
    wanted = n - angular - 1
    low = -1.2 * z * z - 10.0
    high = -1e-7
    energy = guess if guess is not None and low < guess < high else -0.5 * (z / n) ** 2
    energy = min(max(energy, 0.999 * low), -1e-4)
    for _ in range(300):
        kinetic = energy - potential - 0.5 * (angular + 0.5) ** 2 / r**2
        allowed = np.nonzero(kinetic > 0)[0]
        if allowed.size == 0:
            low = energy
            energy = 0.5 * (low + high)
            continue
        turn = min(max(int(allowed[-1]), 12), grid.size - 12)
        # e^-40 beyond the turning point there is nothing left
        action = np.cumsum(np.sqrt(np.maximum(-2.0 * kinetic[turn:], 0.0)) * r[turn:] * grid.step)
        last = turn + min(int(np.searchsorted(action, 40.0)), grid.size - 1 - turn)
        last = max(last, turn + 8)
        p, q, nodes = _outward(r, grid.step, potential, float(z), kappa, energy, c, turn)
        if nodes != wanted:
            if nodes > wanted:
                high = energy
            else:
                low = energy
            energy = 0.5 * (low + high)
            if high - low < tolerance * abs(energy):
                break
            continue
        pi, qi = _inward(r, grid.step, potential, kappa, energy, c, turn, min(last, grid.size - 1))
        scale = p[turn] / pi[turn]
        large = np.where(np.arange(grid.size) <= turn, p, pi * scale)
        small = np.where(np.arange(grid.size) <= turn, q, qi * scale)
        norm = grid.integral(large**2 + small**2)
        change = c * large[turn] * (q[turn] - qi[turn] * scale) / norm
        if abs(change) < tolerance * abs(energy):
            size = np.sqrt(norm) * (1.0 if large[np.argmax(np.abs(large))] > 0 else -1.0)
            return BoundState(n, kappa, energy + change, large / size, small / size)
        if change > 0:
            low = energy
        else:
            high = energy
        new = energy + change
        energy = new if low < new < high else 0.5 * (low + high)
    raise ValueError(f"no bound state n = {n}, κ = {kappa} in this potential (Z = {z})")
