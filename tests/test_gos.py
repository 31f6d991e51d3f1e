"""Continuum waves and generalised oscillator strengths."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from coreloss.atom.gos import (
    HARTREE_EV,
    Continuum,
    _bessel,
    continuum_gos,
    dipole_density,
    three_j_squared,
)
from coreloss.atom.radial import RadialGrid, bound_state
from coreloss.atom.scf import Atom, solve_atom


@pytest.fixture(scope="module")
def hydrogen() -> Atom:
    grid = RadialGrid.of_atom(1, largest=100.0)
    state = bound_state(grid, -1 / grid.r, 1, 1, -1)
    return Atom(1, grid, -1 / grid.r, {(1, -1): state}, {(1, -1): 1.0}, 0.0 * grid.r)


def analytic(loss: float, q: float) -> float:
    """df/dE of hydrogen 1s [1/hartree] (Inokuti 1971, eq. 3.25); loss in hartree."""
    e = 2.0 * loss
    k = np.sqrt(e - 1.0)
    angle = np.arctan2(2 * k, q * q - k * k + 1)
    return float(
        2**8 * e * (q * q + e / 3) / (((q + k) ** 2 + 1) ** 3 * ((q - k) ** 2 + 1) ** 3)
        * np.exp(-2 / k * angle) / (1 - np.exp(-2 * np.pi / k))
    )  # fmt: skip


def test_three_j_symbols() -> None:
    assert three_j_squared(1, 0, 1) == pytest.approx(1 / 2)
    assert three_j_squared(1, 1, 1) == pytest.approx(1 / 6)
    assert three_j_squared(1, 1, 3) == pytest.approx(1 / 6)
    assert three_j_squared(3, 1, 5) == pytest.approx(1 / 10)
    assert three_j_squared(1, 1, 5) == 0.0
    # Σ over j' of (2j'+1)(…)² is one for every λ
    for two_j in (1, 3, 5, 7):
        for multipole in range(6):
            total = sum((t + 1) * three_j_squared(two_j, multipole, t) for t in range(1, 40, 2))
            assert total == pytest.approx(1.0)


def test_spherical_bessel_functions() -> None:
    x = np.array([1e-4, 0.1, 1.0, 3.0, 10.0, 40.0])
    np.testing.assert_allclose(_bessel(0, x), np.sin(x) / x, rtol=1e-10)
    np.testing.assert_allclose(_bessel(1, x)[1:], (np.sin(x) / x**2 - np.cos(x) / x)[1:], rtol=1e-9)
    # Σ (2λ+1) j_λ² = 1
    total = sum((2 * order + 1) * _bessel(order, x) ** 2 for order in range(80))
    np.testing.assert_allclose(total, 1.0, rtol=1e-8)


def test_hydrogen_is_the_analytic_one(hydrogen: Atom) -> None:
    excess, q = np.array([0.1, 3.0, 15.0, 60.0, 200.0]), np.array([0.05, 0.3, 1.0, 2.0])
    ours = continuum_gos(Continuum(hydrogen, excess), 1, -1, q)
    exact = [[analytic(0.5 + e / HARTREE_EV, k) / HARTREE_EV for k in q] for e in excess]
    np.testing.assert_allclose(ours, exact, rtol=1.2e-3)


def test_small_momentum_gives_the_dipole_limit() -> None:
    atom = solve_atom(26, alpha=1.0)
    continuum = Continuum(atom, np.array([5.0, 40.0, 300.0]))
    for n, kappa in ((2, -2), (2, 1), (3, -1)):
        dipole = dipole_density(continuum, n, kappa)
        limit = continuum_gos(continuum, n, kappa, np.array([1e-3]))[:, 0]
        np.testing.assert_allclose(limit, dipole, rtol=2e-3)


def test_bethe_sum_of_a_k_shell() -> None:
    """At large q nearly all of a shell's strength is in the continuum: one per electron."""
    atom = solve_atom(6, alpha=1.0)
    excess = np.concatenate([np.geomspace(0.2, 100.0, 40), np.linspace(110.0, 6000.0, 240)])
    total = continuum_gos(Continuum(atom, excess), 1, -1, np.array([9.0]))[:, 0]
    assert np.trapezoid(total, excess) == pytest.approx(2.0, rel=0.02)


def test_dipole_sum_of_neon_is_its_electrons() -> None:
    """Continuum of all subshells and the bound Rydberg states below it: 10 within 4 %."""
    atom = solve_atom(10, alpha=1.0)
    excess = np.geomspace(0.05, 60_000.0, 220)
    continuum = Continuum(atom, excess)
    total = 0.0
    for n, kappa in atom.orbitals:
        total += np.trapezoid(dipole_density(continuum, n, kappa), excess)
    # the discrete lines of neon hold some 0.4 (Chan et al., Chem. Phys. 168, 369, 1992)
    assert 9.0 < total < 10.1


def test_delayed_maxima_are_the_published_ones() -> None:
    """Hartree–Slater M4,5 and M5 maxima (Leapman, Rez & Mayers, J. Chem. Phys. 72, 1232,
    1980): tens of electronvolts above threshold, nearer for heavier 4d metals."""
    excess = np.geomspace(1.0, 300.0, 60)
    place = {}
    for z, name in ((40, "Zr"), (47, "Ag"), (50, "Sn"), (52, "Te")):
        continuum = Continuum(solve_atom(z, alpha=1.0), excess)
        place[name] = excess[np.argmax(dipole_density(continuum, 3, -3))]
    assert 55 < place["Zr"] < 100
    assert 50 < place["Ag"] < 90
    assert 30 < place["Sn"] < 60
    assert 15 < place["Te"] < 35


def test_impossible_requests_are_refused(hydrogen: Atom) -> None:
    with pytest.raises(ValueError, match="no subshell"):
        continuum_gos(Continuum(hydrogen, np.array([1.0])), 2, -1, np.array([0.1]))
    with pytest.raises(ValueError, match="positive"):
        Continuum(hydrogen, np.array([-1.0])).waves(-1)
