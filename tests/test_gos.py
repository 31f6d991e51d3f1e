"""Continuum waves and generalised oscillator strengths."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from coreloss.atom.continuum import WaveGrid, continuum_waves
from coreloss.atom.gos import (
    HARTREE_EV,
    Continuum,
    _bessel,
    continuum_gos,
    dipole_density,
    three_j_squared,
)
from coreloss.atom.radial import SPEED_OF_LIGHT, RadialGrid, bound_state
from coreloss.atom.scf import Atom, solve_atom


def _hydrogen(c: float = SPEED_OF_LIGHT) -> Atom:
    grid = RadialGrid.of_atom(1, largest=100.0)
    state = bound_state(grid, -1 / grid.r, 1, 1, -1, c=c)
    return Atom(1, grid, -1 / grid.r, {(1, -1): state}, {(1, -1): 1.0}, 0.0 * grid.r)


@pytest.fixture(scope="module")
def hydrogen() -> Atom:
    return _hydrogen()


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
    exact = [[analytic(0.5 + e / HARTREE_EV, k) / HARTREE_EV for k in q] for e in excess]
    # Schrödinger's hydrogen, to which the formula belongs
    slow = Continuum(_hydrogen(1e4), excess, c=1e4)
    np.testing.assert_allclose(continuum_gos(slow, 1, -1, q, converged=1e-5), exact, rtol=1e-4)
    # Dirac's differs by some α²
    ours = continuum_gos(Continuum(hydrogen, excess), 1, -1, q)
    np.testing.assert_allclose(ours, exact, rtol=1.5e-3)


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


@pytest.mark.parametrize("energy_ev", [0.01, 1.0, 60.0, 4000.0])
@pytest.mark.parametrize("angular", [0, 1, 3])
def test_normalisation_is_that_of_coulomb_functions(energy_ev: float, angular: int) -> None:
    """At the origin of a proton P = √(2/πk) C_l (kr)^{l+1} (1 - r/(l+1) + …), with
    C_0² = 2πη/(e^{2πη} - 1), C_l = C_{l-1} √(l² + η²)/(l(2l+1)) (Abramowitz & Stegun 14.1)."""
    grid = RadialGrid.of_atom(1)
    waves = WaveGrid.of_atom(1)
    energy = energy_ev / HARTREE_EV
    k = np.sqrt(2 * energy)
    c = 1e5  # Schrödinger's equation
    p, _ = continuum_waves(waves, grid, -1 / grid.r, 1, -angular - 1, np.array([energy]), c=c)
    eta = -1 / k
    factor = np.sqrt(2 * np.pi * eta / np.expm1(2 * np.pi * eta))
    for i in range(1, angular + 1):
        factor *= np.sqrt(i * i + eta * eta) / (i * (2 * i + 1))
    r = waves.r[: waves.inner]
    near = (r > 2e-3) & (r < 4e-3)
    shape = (k * r) ** (angular + 1) * (1 - r / (angular + 1))
    expected = np.sqrt(2 / (np.pi * k)) * factor * shape
    np.testing.assert_allclose(np.abs(p[0][near]), expected[near], rtol=1e-3)


def _channel(atom: Atom, continuum: Continuum, key: tuple[int, int], kappa2: int) -> float:
    """Oscillator strength of one closed subshell into all empty states of one κ'."""
    kappa = key[1]
    factor = three_j_squared(2 * abs(kappa) - 1, 1, 2 * abs(kappa2) - 1) * 2 * abs(kappa2)
    core, r = atom.orbitals[key], atom.grid.r
    share = 2 / 3 * atom.occupation[key] * factor
    total = 0.0
    angular2 = kappa2 if kappa2 > 0 else -kappa2 - 1
    first = 1 + max([m for m, k in atom.orbitals if k == kappa2], default=angular2)
    for m in (first, first + 1):
        state = bound_state(atom.grid, atom.potential, atom.z, m, kappa2)
        radial = atom.grid.integral((core.large * state.large + core.small * state.small) * r)
        total += share * (state.energy - core.energy) * radial**2
    p, s = continuum.waves(kappa2)
    inner = continuum.grid.inner
    lever = continuum.grid.r[:inner] * continuum.grid.weight[:inner]
    large = continuum.grid.sampled(atom.grid, core.large)
    small = continuum.grid.sampled(atom.grid, core.small)
    energy = continuum.excess_ev / HARTREE_EV
    density = share * (energy - core.energy) * ((p * large + s * small) @ lever) ** 2
    # the rest of the Rydberg series goes on as the continuum at threshold does
    total += density[0] * (0.5 / ((-2 * state.energy) ** -0.5 + 0.5) ** 2 + energy[0])
    total += np.trapezoid(density * energy, np.log(energy))
    # the tail falls as a power of the energy
    last = energy - core.energy
    slope = -np.log(density[-1] / density[-6]) / np.log(last[-1] / last[-6])
    return float(total + density[-1] * last[-1] / (slope - 1))


@pytest.mark.parametrize("z", [10, 18, 36])
def test_dipole_sum_of_an_atom_is_its_electrons(z: int) -> None:
    """Thomas, Reiche and Kuhn: empty bound states and continuum of all subshells, in the one
    potential of the atom; energies to 100 keV above each threshold, and a power law beyond."""
    atom = solve_atom(z, alpha=1.0)
    continuum = Continuum(atom, np.geomspace(0.05, 1e5, 150))
    total = 0.0
    for key in atom.orbitals:
        kappa = key[1]
        for kappa2 in (kappa - 1, -kappa, kappa + 1):
            if kappa2 and three_j_squared(2 * abs(kappa) - 1, 1, 2 * abs(kappa2) - 1):
                total += _channel(atom, continuum, key, kappa2)
    assert total == pytest.approx(z, rel=0.03)


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
