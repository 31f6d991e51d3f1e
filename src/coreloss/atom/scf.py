"""Self-consistent Dirac–Slater atoms.

Neutral, spherically averaged atoms with a local exchange potential: Slater's
Vx = -(3/2) α (3ρ/π)^{1/3} with α = 2/3 (Kohn & Sham 1965) or α = 1 (Slater 1951), and
Latter's tail, V ≥ ... → -1/r, so that an electron far out sees the ion (Latter 1955).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.radial import SPEED_OF_LIGHT, BoundState, RadialGrid, bound_state

__all__ = ["Atom", "configuration", "quantum_numbers", "solve_atom"]

Floats = NDArray[np.float64]

# Madelung order of (n, l) and the exceptions to it of the neutral ground states (NIST)
_ORDER = "1s 2s 2p 3s 3p 4s 3d 4p 5s 4d 5p 6s 4f 5d 6p 7s 5f 6d".split()
_LETTERS = "spdf"
_EXCEPTIONS: dict[int, dict[str, float]] = {
    24: {"4s": 1, "3d": 5},
    29: {"4s": 1, "3d": 10},
    41: {"5s": 1, "4d": 4},
    42: {"5s": 1, "4d": 5},
    44: {"5s": 1, "4d": 7},
    45: {"5s": 1, "4d": 8},
    46: {"5s": 0, "4d": 10},
    47: {"5s": 1, "4d": 10},
    57: {"4f": 0, "5d": 1},
    58: {"4f": 1, "5d": 1},
    64: {"4f": 7, "5d": 1},
    78: {"6s": 1, "5d": 9},
    79: {"6s": 1, "5d": 10},
    89: {"5f": 0, "6d": 1},
    90: {"5f": 0, "6d": 2},
    91: {"5f": 2, "6d": 1},
    92: {"5f": 3, "6d": 1},
}


def configuration(z: int) -> dict[tuple[int, int], float]:
    """Electrons in each relativistic subshell (n, κ) of the neutral atom's ground state.

    Open shells are averaged: both members of a spin–orbit pair hold electrons in proportion
    to their degeneracies.

    Raises ValueError outside 1 ≤ z ≤ 92.
    """
    if not 1 <= z <= 92:
        raise ValueError(f"no configuration for Z = {z}; 1 to 92 are known")
    left = float(z)
    shells: dict[str, float] = {}
    for name in _ORDER:
        held = min(left, 2.0 * (2 * _LETTERS.index(name[1]) + 1))
        shells[name] = held
        left -= held
    shells.update(_EXCEPTIONS.get(z, {}))
    out: dict[tuple[int, int], float] = {}
    for name, held in shells.items():
        n, angular = int(name[0]), _LETTERS.index(name[1])
        capacity = 2.0 * (2 * angular + 1)
        if held <= 0:
            continue
        if angular:
            out[n, angular] = held * 2 * angular / capacity
        out[n, -angular - 1] = held * 2 * (angular + 1) / capacity
    return out


def quantum_numbers(subshell: str) -> tuple[int, int]:
    """(n, κ) of 'L3' and the like.

    Raises ValueError for what is not the name of a subshell.
    """
    n = "KLMNOPQ".find(subshell[:1]) + 1
    number = subshell[1:] or "1"
    if not n or not subshell or not number.isdigit() or not 1 <= int(number) <= 2 * n - 1:
        raise ValueError(f"{subshell!r} is no subshell; they are named K, L1, L2, L3, M1, …")
    angular = int(number) // 2
    return n, angular if int(number) % 2 == 0 else -angular - 1


@dataclass(frozen=True)
class Atom:
    """A solved atom.

    Attributes
    ----------
    z : int
    grid : RadialGrid
    potential : ndarray, (size,) [hartree]
        What an electron feels, Latter tail included.
    orbitals : dict of (n, κ) to BoundState
    occupation : dict of (n, κ) to float
    density : ndarray, (size,) [1/bohr]
        4π r² ρ, electrons per radius.
    """

    z: int
    grid: RadialGrid
    potential: Floats
    orbitals: dict[tuple[int, int], BoundState]
    occupation: dict[tuple[int, int], float]
    density: Floats


def _cumulative(values: Floats, step: float) -> Floats:
    """∫ from the first grid point, in ln r, of values · r given as ``values`` (fourth order)."""
    out = np.zeros_like(values)
    # cubic through four neighbours; trapezoid at both ends, where the integrand vanishes
    inner = (13.0 * (values[1:-2] + values[2:-1]) - values[:-3] - values[3:]) * step / 24.0
    out[1] = 0.5 * step * (values[0] + values[1])
    out[2:-1] = out[1] + np.cumsum(inner)
    out[-1] = out[-2] + 0.5 * step * (values[-2] + values[-1])
    return out


def hartree(grid: RadialGrid, density: Floats) -> Floats:
    """Electrostatic potential [hartree] of 4π r² ρ = ``density`` (size,) on an electron."""
    r = grid.r
    inside = _cumulative(density * r, grid.step)
    outside = _cumulative(density, grid.step)
    return np.asarray(inside / r + outside[-1] - outside)


def exchange(grid: RadialGrid, density: Floats, alpha: float) -> Floats:
    """Slater's exchange potential [hartree]."""
    rho = np.maximum(density, 0.0) / (4.0 * np.pi * grid.r**2)
    return np.asarray(-1.5 * alpha * np.cbrt(3.0 * rho / np.pi))


def solve_atom(
    z: int,
    *,
    alpha: float = 2.0 / 3.0,
    latter: bool = True,
    occupation: dict[tuple[int, int], float] | None = None,
    c: float = SPEED_OF_LIGHT,
    tolerance: float = 1e-8,
    iterations: int = 300,
) -> Atom:
    """Iterate an atom to self-consistency.

    Parameters
    ----------
    z : int
        Nuclear charge, 1 to 92.
    alpha : float
        Slater's α: 2/3 (Kohn–Sham) or 1.
    latter : bool
        Give the potential Latter's tail; without it a neutral atom's falls off too fast.
    occupation : dict, optional
        Electrons by (n, κ); the neutral ground state without it. A hole makes an ion.
    c : float
        Speed of light in atomic units; large values give the non-relativistic atom.
    tolerance : float
        Largest relative change of an orbital energy in the last iteration.
    iterations : int

    Raises
    ------
    RuntimeError
        If it does not converge.
    """
    held = dict(occupation) if occupation is not None else configuration(z)
    grid = RadialGrid.of_atom(z)
    r = grid.r
    electrons = sum(held.values())
    tail = -max(z - electrons + 1.0, 1.0) / r
    # Thomas–Fermi screening (Latter's fit) to begin with
    x = r * z ** (1.0 / 3.0) / 0.8853
    screening = 1.0 / (
        1.0 + 0.02747 * np.sqrt(x) + 1.243 * x - 0.1486 * x**1.5 + 0.2302 * x**2
        + 0.007298 * x**2.5 + 0.006944 * x**3
    )  # fmt: skip
    potential = np.minimum(-z * screening / r, -1.0 / r)
    energies: dict[tuple[int, int], float] = {}
    before: tuple[Floats, Floats] | None = None
    for _ in range(iterations):
        orbitals = {
            (n, kappa): bound_state(
                grid, potential, z, n, kappa, guess=energies.get((n, kappa)), c=c
            )
            for n, kappa in held
        }
        density = np.zeros(grid.size)
        for key, state in orbitals.items():
            density += held[key] * (state.large**2 + state.small**2)
        new = -z / r + hartree(grid, density) + exchange(grid, density, alpha)
        if latter:
            # from the outermost point on where the potential crosses the ion's
            above = new > tail
            new = np.where(np.cumsum(~above[::-1])[::-1] == 0, tail, np.minimum(new, tail))
        change = max(
            abs(state.energy / energies.get(key, np.inf) - 1.0) if key in energies else 1.0
            for key, state in orbitals.items()
        )
        energies = {key: state.energy for key, state in orbitals.items()}
        residual = new - potential
        if change < tolerance and float(np.max(np.abs(residual * r))) < 1e-5:
            return Atom(z, grid, potential, orbitals, held, density)
        # Anderson's mixing of this and the last potential
        share = 0.0
        if before is not None:
            difference = residual - before[1]
            norm = grid.integral((difference * r) ** 2)
            if norm > 0:
                share = grid.integral(residual * difference * r**2) / norm
                share = min(max(share, -2.0), 0.9)
        older = before or (potential, residual)
        mixed = (1 - share) * potential + share * older[0]
        target = (1 - share) * residual + share * older[1]
        before = (potential, residual)
        potential = mixed + 0.35 * target
    raise RuntimeError(f"the atom Z = {z} did not converge in {iterations} iterations")
