"""Cross sections from generalised oscillator strengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreloss.atom.cross_section import dsigma_de, dsigma_de_batch, partial_cross_section
from coreloss.atom.discrete import lines_of
from coreloss.atom.gos_grid import MomentumScale
from coreloss.atom.gos_table import Strengths, gos_table
from coreloss.atom.gosh import GoshTable
from coreloss.atom.kinematics import (
    BOHR_RADIUS_M,
    RYDBERG_EV,
    aperture_overlap,
    characteristic_angle_mrad,
    effective_collection_mrad,
    lorentz_factor,
    nonrelativistic_energy_ev,
)
from coreloss.atom.scattering import cross_section_rows


@pytest.fixture(scope="module")
def dipole() -> Strengths:
    """A subshell whose strength does not depend on q: df/dE = E/1000 eV², up to q = 60."""
    scale = MomentumScale(500.0, 4.0, 60.0)
    excess = np.geomspace(0.01, 4000.0, 96)
    return Strengths("X", "K", scale, excess, np.full((96, 96), 1000.0**-0.5))


def _bethe(energy: float, e0: float) -> float:
    """4π a₀² R²/T (1/E) df/dE [m²/eV] of `dipole`."""
    t = nonrelativistic_energy_ev(e0)
    return float(4 * np.pi * BOHR_RADIUS_M**2 * RYDBERG_EV**2 / t / 1000.0)


@pytest.mark.parametrize("e0", [80.0, 300.0])
def test_dipole_scattering_has_the_logarithm_of_bethe(dipole: Strengths, e0: float) -> None:
    rows = cross_section_rows(dipole, e0, 0.0, 20.0, transverse=False)[0]
    i = 20
    energy = 500.0 + dipole.excess_ev[i]
    theta_e = characteristic_angle_mrad(energy, e0)
    expected = _bethe(energy, e0) * np.log1p((20.0 / theta_e) ** 2)
    # θ_E neglects the recoil, E/2E₀
    assert rows[i] == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("e0", [60.0, 300.0])
def test_transverse_interaction_adds_what_fano_found(dipole: Strengths, e0: float) -> None:
    """ln γ² - v²/c² beside the logarithm, over angles much wider than θ_E (Fano 1956)."""
    wide = [
        cross_section_rows(dipole, e0, 0.0, 150.0, transverse=flag)[0, 10] for flag in (True, False)
    ]
    gamma = lorentz_factor(e0)
    extra = (wide[0] - wide[1]) / _bethe(510.0, e0)
    assert extra == pytest.approx(np.log(gamma**2) - 1 + gamma**-2, rel=0.02)


@pytest.mark.parametrize(
    ("alpha", "beta"), [(0.5, 10.0), (5.0, 10.0), (9.8, 10.0), (10.0, 10.0), (30.0, 10.0)]
)
@pytest.mark.parametrize("transverse", [False, True])
def test_overlap_of_illumination_and_aperture(
    dipole: Strengths, alpha: float, beta: float, transverse: bool
) -> None:
    """Against the integral over angles, weighted with the area common to two discs."""
    e0, i = 200.0, 15
    energy = 500.0 + dipole.excess_ev[i]
    theta_e = characteristic_angle_mrad(energy, e0)
    theta = theta_e * np.sinh(np.linspace(1e-6, np.arcsinh((alpha + beta) / theta_e), 40_001))
    inside = theta < abs(alpha - beta)
    with np.errstate(invalid="ignore"):
        weight = np.where(
            inside, min(1.0, (beta / alpha) ** 2), aperture_overlap(theta, alpha, beta)
        )
    v2 = 1 - lorentz_factor(e0) ** -2
    long = 1.0 / (theta**2 + theta_e**2)
    if transverse:
        # both together (dipole, retarded): [θ² + θ_E²/γ⁴]/[θ² + θ_E²/γ²]²
        g = 1 - v2
        long = (theta**2 + theta_e**2 * g**2) / (theta**2 + theta_e**2 * g) ** 2
    expected = _bethe(energy, e0) * np.trapezoid(2 * theta * long * weight, theta)
    ours = cross_section_rows(dipole, e0, alpha, beta, transverse=transverse)[0, i]
    assert ours == pytest.approx(expected, rel=4e-3)


def test_parallel_illumination_is_the_limit(dipole: Strengths) -> None:
    conditions = np.array([0.0, 1e-3, 0.1])
    rows = cross_section_rows(dipole, 200.0, conditions, 8.0)
    np.testing.assert_allclose(rows[1:], np.broadcast_to(rows[0], (2, 96)), rtol=1e-4)


def test_the_usual_correction_is_the_effective_angle(dipole: Strengths) -> None:
    usual = cross_section_rows(dipole, 200.0, 5.0, 10.0, convergence="effective")
    effective = effective_collection_mrad(5.0, 10.0)
    np.testing.assert_allclose(usual, cross_section_rows(dipole, 200.0, 0.0, effective), rtol=1e-6)


#: σ_K [m²] of the hydrogenic model (Egerton's SIGMAK) for 100 keV, α = 0, β = 10 mrad and
#: 100 eV above the onset, as eXSpy 0.3.2 computes it (HydrogenicGOS.integrateq)
HYDROGENIC_K = {
    "B": 1.4066e-24,
    "C": 6.1514e-25,
    "N": 2.8654e-25,
    "O": 1.4825e-25,
    "F": 7.8119e-26,
    "Ne": 4.0646e-26,
    "Na": 2.1777e-26,
    "Mg": 1.1774e-26,
    "Al": 6.5785e-27,
    "Si": 3.7639e-27,
}


@pytest.mark.parametrize("symbol", HYDROGENIC_K)
def test_k_shells_are_within_a_tenth_of_hydrogenic_ones(symbol: str) -> None:
    """N to Si; of B and C more strength lies in the bound 1s→2p lines than that: the
    hydrogenic model, which has no such lines, is between the continuum with and without."""
    onset = gos_table().strengths(symbol, "K").onset_ev
    beam = {"beam_energy_kev": 100.0, "alpha_mrad": 0.0, "beta_mrad": 10.0, "transverse": False}
    ours = partial_cross_section(symbol, ["K"], (onset, onset + 100.0), **beam)
    ratio = ours / HYDROGENIC_K[symbol]
    if symbol not in ("B", "C"):
        assert ratio == pytest.approx(1.0, abs=0.10)
        return
    first = dsigma_de(symbol, "K", [onset], **beam)[0]
    density = gos_table().strengths(symbol, "K").gos([onset], [1e-3])[0, 0]
    lines = sum(line.strength for line in lines_of(symbol, "K")) * first / density
    assert 0.85 < ratio < 1.0 < ratio + lines / HYDROGENIC_K[symbol] < 1.25


def test_small_apertures_see_the_dipole_limit_and_wide_ones_less() -> None:
    """Beyond the Bethe ridge nothing is scattered: σ saturates."""
    energies = np.array([290.0, 400.0, 800.0])
    sigma = dsigma_de_batch(
        [("C", "K")],
        energies,
        beam_energy_kev=200.0,
        alpha_mrad=0.0,
        beta_mrad=[1.0, 10.0, 100.0, 200.0],
    )[:, 0]
    assert np.all(np.diff(sigma, axis=0) > 0)
    # the ridge of 800 eV is at 63 mrad: what is wider adds almost nothing
    assert sigma[3, 2] / sigma[2, 2] < 1.1


def test_one_call_for_many_edges_and_conditions() -> None:
    energies = np.arange(500.0, 900.0)
    edges = [("O", "K"), ("Fe", "L3"), ("Fe", "L2")]
    e0, alpha, beta = [100.0, 200.0, 300.0], [0.0, 10.0, 30.0], [5.0, 20.0, 10.0]
    many = dsigma_de_batch(edges, energies, beam_energy_kev=e0, alpha_mrad=alpha, beta_mrad=beta)
    assert many.shape == (3, 3, 400)
    for i in range(3):
        for j, (symbol, shell) in enumerate(edges):
            one = dsigma_de(
                symbol,
                shell,
                energies,
                beam_energy_kev=e0[i],
                alpha_mrad=alpha[i],
                beta_mrad=beta[i],
            )
            np.testing.assert_allclose(many[i, j], one, rtol=1e-10)


def test_partial_cross_sections_add_up() -> None:
    beam = {"beam_energy_kev": 200.0, "alpha_mrad": 5.0, "beta_mrad": 20.0}
    whole = partial_cross_section("Fe", ["L2", "L3"], (600.0, 900.0), **beam)
    parts = partial_cross_section("Fe", ["L2", "L3"], (600.0, 760.0), **beam)
    parts += partial_cross_section("Fe", ["L2", "L3"], (760.0, 900.0), **beam)
    assert parts == pytest.approx(whole, rel=1e-3)
    assert partial_cross_section("Fe", ["L3"], (500.0, 600.0), **beam) == 0.0
    energies = np.arange(700.0, 900.0, 0.01)
    sigma = dsigma_de("Fe", "L3", energies, **beam)
    ours = partial_cross_section("Fe", ["L3"], (700.0, 900.0), **beam)
    assert np.trapezoid(sigma, energies) == pytest.approx(ours, rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(
    e0=st.floats(30, 300),
    alpha=st.floats(0, 50),
    beta=st.floats(0.5, 100),
    wider=st.floats(1.05, 3.0),
)
def test_wider_apertures_collect_more(e0: float, alpha: float, beta: float, wider: float) -> None:
    sigma = dsigma_de_batch(
        [("O", "K")],
        [560.0, 700.0],
        beam_energy_kev=e0,
        alpha_mrad=alpha,
        beta_mrad=[beta, beta * wider],
    )
    assert (sigma[0] > 0).all()
    assert (sigma[1] >= sigma[0] * (1 - 1e-6)).all()


def test_impossible_requests_are_refused(dipole: Strengths) -> None:
    for e0, alpha, beta in ((0.0, 1.0, 1.0), (200.0, -1.0, 1.0), (200.0, 1.0, float("nan"))):
        with pytest.raises(ValueError, match="must be positive"):
            cross_section_rows(dipole, e0, alpha, beta)
    with pytest.raises(ValueError, match="ascending"):
        dsigma_de("C", "K", [400.0, 300.0], beam_energy_kev=200, alpha_mrad=1, beta_mrad=1)
    with pytest.raises(ValueError, match="empty"):
        partial_cross_section(
            "C", ["K"], (400.0, 300.0), beam_energy_kev=200, alpha_mrad=1, beta_mrad=1
        )


def _write_gosh(path: Path) -> np.ndarray:
    """A file of the layout that the published ones have, with C K as 1/(1 + q²)² · 2/E."""
    h5py = pytest.importorskip("h5py")
    free, q = np.geomspace(0.01, 3000.0, 50), np.geomspace(0.05, 20.0, 90)
    loss = 283.8 + free - free[0]
    values = 2.0 / loss[None, :] / (1.0 + q[:, None] ** 2) ** 2
    with h5py.File(path, "w") as file:
        file.create_group("metadata/data_ref").attrs["data_doi"] = "10.0/none"
        info = file.create_group("metadata/edges_info/K")
        info.attrs["table"], info.attrs["occupancy_ratio"] = "K1", 0.5
        group = file.create_group("C/K1")
        group["free_energies"], group["q"] = free, q / BOHR_RADIUS_M
        group["data"] = values
    return free


def test_gosh_files_stand_in_for_our_table(tmp_path: Path) -> None:
    _write_gosh(tmp_path / "small.gosh")
    source = GoshTable(tmp_path / "small.gosh")
    assert source.doi == "10.0/none"
    strengths = source.strengths("C", "K")
    assert strengths.onset_ev == 283.8
    q, losses = np.array([0.1, 0.5, 2.0]), np.array([290.0, 500.0])
    expected = 0.5 * 2.0 / losses[:, None] / (1.0 + q**2) ** 2
    np.testing.assert_allclose(strengths.gos(losses, q), expected, rtol=5e-3)
    sigma = dsigma_de(
        "C", "K", [300.0, 400.0], beam_energy_kev=200, alpha_mrad=0, beta_mrad=10, table=source
    )
    assert (sigma > 0).all()


def test_gosh_files_that_are_none_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.gosh"
    with pytest.raises(ValueError, match="no such file"):
        GoshTable(path)
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        GoshTable(path)
    with h5py.File(tmp_path / "y.gosh", "w") as file:
        file.create_group("other")
    with pytest.raises(ValueError, match="edges_info"):
        GoshTable(tmp_path / "y.gosh")
    _write_gosh(tmp_path / "z.gosh")
    with pytest.raises(ValueError, match="no oscillator strengths of Fe L3"):
        GoshTable(tmp_path / "z.gosh").strengths("Fe", "L3")
