"""Energy-normalised continuum waves of the Dirac equation in an atom's potential.

The ion is that of the frozen neutral atom, whose Latter tail leaves one unit of charge: the
same potential for bound and free electron, so that they are orthogonal and sum rules hold.

The wave is integrated outward to where the potential is -1/r, and its amplitude is fixed
there by Milne's equation: P ~ √(2/π) A(r) sin φ(r) per √hartree, with A = k^(-1/2) at first
order and the second-order correction for the Coulomb tail (M. J. Seaton & G. Peach, Proc.
Phys. Soc. 79, 1296, 1962).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from coreloss.atom.radial import SPEED_OF_LIGHT, RadialGrid

__all__ = ["IonField", "WaveGrid", "continuum_waves", "interpolated"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WaveGrid:
    """Radii for bound and free electrons: logarithmic near the nucleus, then uniform.

    Attributes
    ----------
    r, weight : ndarray, (size,) [bohr]
        Points, and weights of an integral over r.
    inner : int
        Points that bound orbitals need.
    """

    r: Floats
    weight: Floats
    inner: int

    @classmethod
    def of_atom(
        cls, z: int, *, step: float = 0.02, finest: float = 0.012, reach: float = 30.0
    ) -> WaveGrid:
        """Steps of ``step`` in ln r until they reach ``finest`` bohr, to ``reach`` and beyond.

        Integrals extend to ``reach``; waves go on to 60 bohr to be normalised.
        """
        turn = finest / step
        first = 1e-5 / z
        n_log = int(np.log(turn / first) / step) // 2 * 2
        log = first * np.exp(step * np.arange(n_log + 1))
        n_flat = int((60.0 - log[-1]) / finest) // 2 * 2
        flat = log[-1] + finest * np.arange(1, n_flat + 1)
        r = np.concatenate([log, flat])
        # Simpson's rule on either part, in ln r and in r
        weight = np.zeros_like(r)
        for begin, count, size in ((0, n_log, None), (n_log, n_flat, finest)):
            rule = np.full(count + 1, 2.0)
            rule[1::2] = 4.0
            rule[[0, -1]] = 1.0
            part = slice(begin, begin + count + 1)
            weight[part] += rule / 3.0 * (size if size is not None else step * r[part])
        return cls(r, weight, int(np.searchsorted(r, reach)))

    def sampled(self, atom_grid: RadialGrid, values: Floats) -> Floats:
        """``values`` (atom_grid.size,) at the inner points: bound orbitals, say."""
        return interpolated(self.r[: self.inner], atom_grid, values)


def interpolated(r: Floats, atom_grid: RadialGrid, values: Floats) -> Floats:
    """Cubic interpolation in ln r; beyond the atom's grid its last value."""
    place = np.clip(np.log(r / atom_grid.first) / atom_grid.step, 1.0, atom_grid.size - 2.000001)
    i = place.astype(np.int64)
    t = place - i
    return np.asarray(
        -t * (t - 1) * (t - 2) / 6.0 * values[i - 1]
        + (t + 1) * (t - 1) * (t - 2) / 2.0 * values[i]
        - (t + 1) * t * (t - 2) / 2.0 * values[i + 1]
        + (t + 1) * t * (t - 1) / 6.0 * values[np.minimum(i + 2, atom_grid.size - 1)]
    )


@njit(cache=True)
def _derivative(
    r: float, charge: float, p: float, q: float, kappa: int, energy: float, c: float
) -> tuple[float, float]:
    excess = energy - charge / r
    dp = -kappa / r * p + (excess + 2.0 * c * c) / c * q
    dq = kappa / r * q - excess / c * p
    return dp, dq


@njit(cache=True)
def _wave(
    r: Floats, charge: Floats, middle: Floats, z: float, kappa: int, energy: float, c: float
) -> tuple[Any, Any]:
    """Outward Runge–Kutta integration; ``middle`` is r V halfway between the points.

    Matrix elements at high energy are small remainders of oscillating integrals, so a step
    is divided until it holds a twentieth of a radian.
    """
    n = r.size
    p, q = np.zeros(n), np.zeros(n)
    gamma = np.sqrt(kappa * kappa - (z / c) ** 2)
    p[0] = 1e-12
    if kappa < 0:
        q[0] = -z / (c * (gamma - kappa)) * p[0]
    else:
        q[0] = 1e-12
        p[0] = q[0] * z / (c * (gamma + kappa))
    for i in range(n - 1):
        width = r[i + 1] - r[i]
        wave = np.sqrt(2.0 * abs(energy - charge[i] / r[i]))
        parts = min(int(wave * width / 0.05) + 1, 40)
        h = width / parts
        # a parabola through the charges at both ends and in the middle
        bend = 2.0 * (charge[i] + charge[i + 1]) - 4.0 * middle[i]
        tilt = charge[i + 1] - charge[i] - bend
        x, y = p[i], q[i]
        for k in range(parts):
            t = k / parts
            u = (k + 0.5) / parts
            s = (k + 1.0) / parts
            ra, rb, rc = r[i] + t * width, r[i] + u * width, r[i] + s * width
            za = charge[i] + t * (tilt + t * bend)
            zb = charge[i] + u * (tilt + u * bend)
            zc = charge[i] + s * (tilt + s * bend)
            a1, b1 = _derivative(ra, za, x, y, kappa, energy, c)
            a2, b2 = _derivative(rb, zb, x + 0.5 * h * a1, y + 0.5 * h * b1, kappa, energy, c)
            a3, b3 = _derivative(rb, zb, x + 0.5 * h * a2, y + 0.5 * h * b2, kappa, energy, c)
            a4, b4 = _derivative(rc, zc, x + h * a3, y + h * b3, kappa, energy, c)
            x += h / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
            y += h / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
        p[i + 1], q[i + 1] = x, y
        if abs(x) > 1e100:
            for k in range(i + 2):
                p[k] *= 1e-100
                q[k] *= 1e-100
    return p, q


@dataclass(frozen=True)
class IonField:
    """An atom's potential on a wave grid, for many waves.

    Attributes
    ----------
    grid : WaveGrid
    z : int
    charge, middle : ndarray, (grid.r.size,) and one fewer
        r V at the points and halfway between them; -1 beyond the atom's grid.
    free : int
        Index from which on the potential is -1/r.
    """

    grid: WaveGrid
    z: int
    charge: Floats
    middle: Floats
    free: int

    @classmethod
    def of_atom(cls, grid: WaveGrid, atom_grid: RadialGrid, potential: Floats, z: int) -> IonField:
        """Of a potential (atom_grid.size,) [hartree] that ends as -1/r."""
        charge = _charge(grid.r, atom_grid, potential)
        middle = _charge(0.5 * (grid.r[1:] + grid.r[:-1]), atom_grid, potential)
        screened = np.nonzero(np.abs(charge + 1.0) > 1e-7)[0]
        return cls(grid, z, charge, middle, int(screened[-1]) + 4 if screened.size else 0)

    def wave(self, kappa: int, energy: float, c: float = SPEED_OF_LIGHT) -> tuple[Floats, Floats]:
        """P and Q, (grid.inner,) [bohr^-1/2 hartree^-1/2], at one energy [hartree]."""
        grid = self.grid
        # as far as bound orbitals and screening go, and fast waves no farther than 40 radians
        far = int(np.searchsorted(grid.r, 40.0 / np.sqrt(2.0 * energy)))
        end = min(max(grid.inner, self.free, far) + 8, grid.r.size)
        p, q = _wave(
            grid.r[:end], self.charge[:end], self.middle[: end - 1], float(self.z), kappa, energy, c
        )
        norm = _asymptotic_amplitude(grid.r[:end], p, q, kappa, energy, c)
        return p[: grid.inner] / norm, q[: grid.inner] / norm


def continuum_waves(
    grid: WaveGrid,
    atom_grid: RadialGrid,
    potential: Floats,
    z: int,
    kappa: int,
    energies: Floats,
    *,
    c: float = SPEED_OF_LIGHT,
) -> tuple[Floats, Floats]:
    """Continuum waves normalised to one per hartree.

    Parameters
    ----------
    grid : WaveGrid
    atom_grid, potential
        Of the solved atom; the potential ends as -1/r.
    z : int
    kappa : int
    energies : ndarray, (n_energies,) [hartree], positive

    Returns
    -------
    large, small : ndarray, (n_energies, grid.inner) [bohr^-1/2 hartree^-1/2]

    Raises
    ------
    ValueError
        If an energy is not positive.
    """
    if np.any(np.asarray(energies) <= 0):
        raise ValueError("continuum waves need positive energies")
    ion = IonField.of_atom(grid, atom_grid, potential, z)
    waves = [ion.wave(kappa, float(energy), c) for energy in energies]
    return np.array([p for p, _ in waves]), np.array([q for _, q in waves])


def _charge(r: Floats, atom_grid: RadialGrid, potential: Floats) -> Floats:
    """r V(r) between the atom's grid points; -1 beyond them."""
    inside = interpolated(r, atom_grid, potential * atom_grid.r)
    return np.asarray(np.where(r > atom_grid.r[-1], -1.0, inside))


def _asymptotic_amplitude(
    r: Floats, p: Floats, q: Floats, kappa: int, energy: float, c: float
) -> float:
    """Factor by which a wave exceeds the energy-normalised one.

    P obeys, where V = -1/r, P'' + w P = 0 up to terms of order V/c² in the potential alone,
    with w = 2ε(1 + ε/2c²) + 2(1 + ε/c²)/r - κ(κ+1)/r². Milne's amplitude is A = w^(-1/4)
    corrected once: k² = w + A''/A and A = k^(-1/2).
    """
    i = r.size - 3
    at = r[i]
    e1 = 1.0 + energy / (c * c)
    w = 2.0 * energy * (1.0 + 0.5 * energy / (c * c)) + 2.0 * e1 / at - kappa * (kappa + 1) / at**2
    if w * at * at < 4.0:
        # held back by its centrifugal barrier to beyond the grid: nothing of it is at the atom
        return np.inf
    w1 = -2.0 * e1 / at**2 + 2.0 * kappa * (kappa + 1) / at**3
    w2 = 4.0 * e1 / at**3 - 6.0 * kappa * (kappa + 1) / at**4
    # k² = w + A''/A with A = w^(-1/4)
    k = np.sqrt(w + (5.0 / 16.0) * (w1 / w) ** 2 - 0.25 * w2 / w)
    # k' by the leading term, for the derivative of the amplitude
    k1 = 0.5 * w1 / np.sqrt(w)
    slope = -kappa / at * p[i] + (energy + 1.0 / at + 2.0 * c * c) / c * q[i]
    # P = A sin φ, P' = A' sin φ + A k cos φ, A ∝ k^(-1/2)
    sine = p[i] * np.sqrt(k)
    cosine = (slope + 0.5 * k1 / k * p[i]) / np.sqrt(k)
    # per hartree: amplitude² = 2/π · (1 + ε/2c²) / k for the large component
    relativity = 1.0 + 0.5 * energy / (c * c)
    return float(np.hypot(sine, cosine) / np.sqrt(2.0 / np.pi * relativity))
