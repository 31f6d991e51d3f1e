"""Cross sections in the dipole approximation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreloss.atom.cross_section import angular_factor, dsigma_de, oscillator_table
from coreloss.atom.kinematics import (
    aperture_overlap,
    characteristic_angle_mrad,
    effective_collection_mrad,
    lorentz_factor,
    nonrelativistic_energy_ev,
)


def test_kinematics_of_200_kev_electrons() -> None:
    # Egerton 2011, table in appendix: γ = 1.3914, v²/c² = 0.4834
    assert lorentz_factor(200.0) == pytest.approx(1.3914, abs=1e-4)
    assert nonrelativistic_energy_ev(200.0) == pytest.approx(0.4835 * 510_999 / 2, rel=1e-3)
    # θ_E = E/(γ m v²): 532 eV at 200 keV gives 1.55 mrad
    assert characteristic_angle_mrad(532.0, 200.0) == pytest.approx(1.548, abs=0.01)


def test_optical_limit_is_scofields() -> None:
    """All subshells against xraylib's partial photo-ionisation cross sections (Kissel).

    Both are Dirac–Slater; xraylib's table is flat below some ten electronvolts above
    threshold and coarse up to fifty, so the comparison of all subshells begins at 50 eV.
    """
    xraylib = pytest.importorskip("xraylib")
    table = oscillator_table()
    ratios = []
    for row, (symbol, shell) in enumerate(table.subshells):
        z = xraylib.SymbolToAtomicNumber(symbol)
        number = getattr(xraylib, f"{shell}_SHELL")
        edge = xraylib.EdgeEnergy(z, number)
        excess = np.array([50.0, 100.0, 200.0, 500.0])
        barns = xraylib.ElectronConfig(z, number) * np.array(
            [xraylib.CSb_Photo_Partial(z, number, edge + 1e-3 * e) for e in excess]
        )
        ratios.append(109.761e6 * table.density(row, table.onset_ev[row] + excess) / barns)
    deviation = np.abs(np.array(ratios) - 1.0)
    assert len(ratios) > 650
    assert np.median(deviation) < 0.05
    assert np.quantile(deviation, 0.95) < 0.20


def test_subshells_add_up_to_the_atom() -> None:
    """At 2.0 keV the subshells of iron below it make up nearly all photo-absorption."""
    xraylib = pytest.importorskip("xraylib")
    table = oscillator_table()
    for z, symbol, energy in ((26, "Fe", 2000.0), (40, "Zr", 1000.0), (79, "Au", 3300.0)):
        rows = [i for i, (s, _) in enumerate(table.subshells) if s == symbol]
        ours = 109.761e6 * sum(table.density(i, [energy])[0] for i in rows)
        assert ours == pytest.approx(xraylib.CSb_Photo_Total(z, energy * 1e-3), rel=0.08)


def test_k_shell_oscillator_strength_is_that_of_two_electrons_less_the_bound_states() -> None:
    table = oscillator_table()
    for symbol in ("C", "O", "Al"):
        row = table.index(symbol, "K")
        energy = table.onset_ev[row] + np.linspace(0.0, 4000.0, 20_001)
        total = np.trapezoid(table.density(row, energy), energy)
        assert 1.3 < total < 2.0, symbol


def test_nothing_below_the_onset() -> None:
    energies = np.arange(400.0, 531.0)
    zero = dsigma_de("O", "K", energies, beam_energy_kev=200, alpha_mrad=5, beta_mrad=10)
    assert not zero.any()


def test_partial_cross_section_of_carbon() -> None:
    """σ_K(C, 100 keV, β = 10 mrad, Δ = 100 eV), Egerton's SIGMAK gives 5 to 8 · 10⁻²⁵ m²."""
    energy = np.arange(284.0, 384.0, 0.5)
    values = dsigma_de("C", "K", energy, beam_energy_kev=100, alpha_mrad=0, beta_mrad=10)
    assert 4e-25 < np.trapezoid(values, energy) < 9e-25


@settings(max_examples=30, deadline=None)
@given(
    e0=st.floats(40, 300),
    alpha=st.floats(0, 40),
    beta=st.floats(1, 100),
    wider=st.floats(1.05, 3.0),
)
def test_wider_apertures_collect_more(e0: float, alpha: float, beta: float, wider: float) -> None:
    energies = np.array([560.0, 700.0])
    one = dsigma_de("O", "K", energies, beam_energy_kev=e0, alpha_mrad=alpha, beta_mrad=beta)
    more = dsigma_de(
        "O", "K", energies, beam_energy_kev=e0, alpha_mrad=alpha, beta_mrad=beta * wider
    )
    assert (one > 0).all()
    assert (more >= one).all()


def test_convergence_limits() -> None:
    assert effective_collection_mrad(0.0, 10.0) == 10.0
    assert effective_collection_mrad(100.0, 10.0) == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 10.0), (5.0, 10.0), (10.0, 10.0), (30.0, 10.0)])
@pytest.mark.parametrize("energy", [500.0, 2000.0])
def test_convergent_beam_against_the_average_over_its_directions(
    alpha: float, beta: float, energy: float
) -> None:
    """The same integral in another order: over the aperture first, which has a closed form,
    then over the cone of illumination. 200 keV, below the Bethe ridge."""
    theta_e = characteristic_angle_mrad(energy, 200.0)
    u2 = alpha**2 * (np.arange(20_000) + 0.5) / 20_000
    psi = beta**2 + theta_e**2 - u2
    root = np.sqrt(psi**2 + 4 * u2 * theta_e**2)
    with np.errstate(divide="ignore"):
        inside = np.log((psi + root) / (2 * theta_e**2))
        outside = np.log(2 * u2 / (root - psi))
    average = np.where(psi > 0, inside, outside).mean() / energy
    value = angular_factor(np.array([energy]), 200.0, alpha, beta)[0]
    assert value == pytest.approx(average, rel=1e-3)


def test_share_of_the_aperture() -> None:
    assert aperture_overlap(20.0 - 1e-9, 10.0, 10.0) == pytest.approx(0.0, abs=1e-6)
    assert aperture_overlap(1e-9, 10.0, 10.0) == pytest.approx(1.0, abs=1e-6)
    assert aperture_overlap(20.0, 30.0, 10.0) == pytest.approx(1 / 9)
    assert aperture_overlap(20.0, 10.0, 30.0) == pytest.approx(1.0)
    # two unit discs one radius apart share 2π/3 - √3/2
    assert aperture_overlap(1.0, 1.0, 1.0) == pytest.approx(2 / 3 - 3**0.5 / (2 * np.pi))


def test_unknown_edges_and_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="Fe has"):
        dsigma_de("Fe", "N5", [700.0], beam_energy_kev=200, alpha_mrad=1, beta_mrad=10)
    with pytest.raises(ValueError, match="must be positive"):
        dsigma_de("O", "K", [600.0], beam_energy_kev=200, alpha_mrad=1, beta_mrad=0)
