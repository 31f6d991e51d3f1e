"""Dirac orbitals and self-consistent atoms."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from coreloss.atom import scf
from coreloss.atom.radial import SPEED_OF_LIGHT, RadialGrid, bound_state
from coreloss.atom.scf import configuration, hartree, quantum_numbers, solve_atom


def sommerfeld(z: int, n: int, kappa: int, c: float = SPEED_OF_LIGHT) -> float:
    """Exact energy of a hydrogen-like ion [hartree]."""
    gamma = np.sqrt(kappa**2 - (z / c) ** 2)
    return float(c * c / np.sqrt(1 + ((z / c) / (n - abs(kappa) + gamma)) ** 2) - c * c)


@pytest.mark.parametrize("z", [1, 26, 79, 92])
@pytest.mark.parametrize(
    ("n", "kappa"), [(1, -1), (2, -1), (2, 1), (2, -2), (3, 2), (3, -3), (4, 3), (4, -4), (5, -3)]
)
def test_hydrogen_like_energies(z: int, n: int, kappa: int) -> None:
    grid = RadialGrid.of_atom(z, largest=150.0 / z + 60.0)
    state = bound_state(grid, -z / grid.r, z, n, kappa)
    assert state.energy == pytest.approx(sommerfeld(z, n, kappa), rel=1e-8)
    assert grid.integral(state.large**2 + state.small**2) == pytest.approx(1.0, abs=1e-9)


def test_orbitals_are_orthogonal() -> None:
    atom = solve_atom(18)
    one, two, three = (atom.orbitals[n, -1] for n in (1, 2, 3))
    for a, b in ((one, two), (one, three), (two, three)):
        overlap = atom.grid.integral(a.large * b.large + a.small * b.small)
        assert abs(overlap) < 1e-6


def test_nodes_are_counted() -> None:
    atom = solve_atom(36)
    for (n, kappa), state in atom.orbitals.items():
        angular = kappa if kappa > 0 else -kappa - 1
        large = state.large[np.abs(state.large) > 1e-6 * np.abs(state.large).max()]
        assert np.count_nonzero(np.diff(np.sign(large))) == n - angular - 1


def test_hartree_potential_of_a_hydrogen_atom() -> None:
    grid = RadialGrid.of_atom(1)
    r = grid.r
    ours = hartree(grid, 4 * r**2 * np.exp(-2 * r))
    exact = 1 / r - np.exp(-2 * r) * (1 + 1 / r)
    near = r > 1e-3
    np.testing.assert_allclose(ours[near], exact[near], rtol=2e-5)


@pytest.mark.parametrize("z", [3, 10, 26, 54, 57, 79, 92])
def test_neutral_atoms_hold_their_electrons(z: int) -> None:
    assert sum(configuration(z).values()) == pytest.approx(z)
    atom = solve_atom(z)
    assert atom.grid.integral(atom.density) == pytest.approx(z, rel=1e-6)
    r = atom.grid.r
    assert atom.potential[-1] * r[-1] == pytest.approx(-1.0, abs=1e-6)
    assert atom.potential[0] * r[0] == pytest.approx(-z, rel=1e-3)


def _vosko_wilk_nusair(rho: np.ndarray) -> np.ndarray:
    """Correlation potential [hartree] of Vosko, Wilk & Nusair (1980), paramagnetic."""
    a, x0, b, c = 0.0310907, -0.10498, 3.72744, 12.9352
    x = np.sqrt((3 / (4 * np.pi * np.maximum(rho, 1e-25))) ** (1 / 3))
    big, big0 = x * x + b * x + c, x0 * x0 + b * x0 + c
    q = np.sqrt(4 * c - b * b)
    angle = np.arctan(q / (2 * x + b))
    energy = a * (
        np.log(x * x / big)
        + 2 * b / q * angle
        - b * x0 / big0 * (np.log((x - x0) ** 2 / big) + 2 * (b + 2 * x0) / q * angle)
    )
    slope = a * (
        2 / x
        - (2 * x + b) / big
        - 4 * b / (q * q + (2 * x + b) ** 2)
        - b * x0 / big0 * (
            2 / (x - x0) - (2 * x + b) / big - 4 * (b + 2 * x0) / (q * q + (2 * x + b) ** 2)
        )
    )  # fmt: skip
    return energy - x / 6 * slope


@pytest.mark.parametrize(
    ("z", "published"),
    [
        # NIST Atomic Reference Data for Electronic Structure Calculations, LDA (Kotochigova et
        # al., Phys. Rev. A 55, 191, 1997)
        (10, {(1, -1): -30.305855, (2, -1): -1.322809, (2, -2): -0.498034}),
        (
            18,
            {
                (1, -1): -113.800134,
                (2, -1): -10.794172,
                (2, -2): -8.443439,
                (3, -1): -0.883384,
                (3, -2): -0.382330,
            },
        ),
        (
            26,
            {
                (1, -1): -254.225505,
                (2, -1): -29.564860,
                (2, -2): -25.551766,
                (3, -1): -3.360621,
                (3, -2): -2.187523,
                (3, -3): -0.295049,
                (4, -1): -0.197978,
            },
        ),
        (
            54,
            {(1, -1): -1208.688993, (4, -3): -2.286666, (5, -1): -0.672086, (5, -2): -0.309835},
        ),
        (
            79,
            {(1, -1): -2683.508245, (4, -4): -3.486824, (5, -3): -0.304738, (6, -1): -0.162334},
        ),
    ],
)
def test_orbital_energies_are_the_published_local_density_ones(
    z: int, published: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the non-relativistic limit and with the correlation that NIST used."""
    plain = scf.exchange

    def with_correlation(grid: RadialGrid, density: np.ndarray, alpha: float) -> np.ndarray:
        rho = density / (4 * np.pi * grid.r**2)
        return plain(grid, density, alpha) + _vosko_wilk_nusair(rho)

    monkeypatch.setattr(scf, "exchange", with_correlation)
    atom = solve_atom(z, latter=False, c=1e5)
    for key, energy in published.items():
        assert atom.orbitals[key].energy == pytest.approx(energy, abs=2e-4, rel=2e-6)


def test_heavy_atoms_show_the_spin_orbit_splittings_of_x_ray_levels() -> None:
    """Differences of orbital energies, free of relaxation, within 6 % of Bearden & Burr."""
    hartree_ev = 27.211386
    gold = solve_atom(79).orbitals
    split = {
        "L2 - L3": ((2, 1), (2, -2), 13734.0 - 11919.0),
        "M4 - M5": ((3, 2), (3, -3), 2291.0 - 2206.0),
        "N6 - N7": ((4, 3), (4, -4), 87.6 - 84.0),
    }
    for name, (upper, lower, observed) in split.items():
        ours = hartree_ev * (gold[lower].energy - gold[upper].energy)
        assert ours == pytest.approx(observed, rel=0.06), name


def test_names_of_subshells() -> None:
    assert quantum_numbers("K") == (1, -1)
    assert quantum_numbers("L2") == (2, 1)
    assert quantum_numbers("M5") == (3, -3)
    assert quantum_numbers("N6") == (4, 3)
    for wrong in ("", "L4", "X1", "L0", "fe"):
        with pytest.raises(ValueError, match="no subshell"):
            quantum_numbers(wrong)


def test_impossible_atoms_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 92"):
        configuration(93)
    grid = RadialGrid.of_atom(1)
    with pytest.raises(ValueError, match="no bound state"):
        bound_state(grid, np.zeros(grid.size), 1, 2, -1)
