"""Atomic percent and areal densities, of simulated images and of standards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from spectrum_images import (
    AXIS,
    LOW_AXIS,
    MICROSCOPE,
    image_counts,
    low_loss_counts,
    tem,
    write_hspy,
)

from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit import design_matrix, fit_spectra, mismatch_of
from coreloss.io import ReadError
from coreloss.maps import quantify
from coreloss.maps.microscope import microscope_of
from coreloss.maps.quantification import atomic_percent
from coreloss.maps.support import untold
from coreloss.maps.thickness import typical_low_loss


def test_atomic_percent_and_its_errors() -> None:
    rng = np.random.default_rng(0)
    covariance = np.array([[4.0, 1.0], [1.0, 9.0]])
    draws = rng.multivariate_normal([60.0, 120.0], covariance, 20_000)
    percent, error = atomic_percent(np.array([[60.0, 120.0]]), covariance[None])
    assert percent[0] == pytest.approx([100 / 3, 200 / 3])
    scatter = (100.0 * draws[:, 0] / draws.sum(axis=1)).std()
    assert error[0] == pytest.approx([scatter, scatter], rel=0.03)
    nothing, unknown = atomic_percent(np.zeros((1, 2)), covariance[None])
    assert np.isnan(nothing).all()
    assert np.isnan(unknown).all()


def test_composition_maps_with_errors(image_file: Path, step_bundle: Path) -> None:
    result = quantify(image_file, ["O", "Ti", "N"], near_edge="none")
    o, ti, n = (result.elements.index(s) for s in ("O", "Ti", "N"))
    left = result.atomic_percent[:, :6]
    right = result.atomic_percent[:, 6:]
    assert left[..., ti].mean() == pytest.approx(100 / 3, abs=2.0)
    assert right[..., o].mean() == pytest.approx(100.0, abs=2.5)
    assert result.total["N"]["likelihood_ratio"] < 9
    assert "not significant" in result.table()
    assert not result.significant[..., n].mean() > 0.1
    pull = (left[..., ti] - 100 / 3) / result.atomic_percent_errors[:, :6, ti]
    # nitrogen, absent and held above zero, scatters less than the Fisher information says
    assert 0.6 < pull.std() < 1.4
    assert np.nanmedian(result.reduced_chi2) == pytest.approx(1.0, abs=0.15)
    assert np.abs(result.residual).mean() < 2.0
    assert result.unit == "relative"


def test_elements_are_found(step_bundle: Path) -> None:
    result = quantify(Spectra(image_counts(), AXIS), model=step_bundle, **MICROSCOPE)
    assert set(result.elements) == {"O", "Ti"}
    assert result.maps is not None
    for reason in result.not_quantified.values():
        assert reason
    single = quantify(
        Spectra(image_counts().sum(axis=(0, 1)), AXIS), model=step_bundle, **MICROSCOPE
    )
    assert single.shape == (1,)
    assert {"O", "Ti"} <= set(single.elements)


def test_no_amount_is_given_where_other_edges_may_feign_it() -> None:
    """A little O under extended structure of N that no atom has, and as much O as N."""
    axis = EnergyAxis(380.0, 1.0, 380)
    design = design_matrix(["N", "O"], axis, **MICROSCOPE)
    nitrogen, oxygen = design.matrix[:, design.amplitude].T
    beyond = np.maximum(axis.energies - 402.0, 0.0)
    nitrogen = nitrogen * (1.0 + 0.3 * np.exp(-beyond / 60.0) * np.cos(beyond / 9.0))
    rng = np.random.default_rng(8)
    for share, unknown in ((0.01, {"O"}), (1.0, set())):
        edges = nitrogen + share * oxygen
        clean = 1e7 * ((axis.energies / 380.0) ** -3 + 0.8 * edges / edges.max())
        fit = fit_spectra(rng.poisson(clean), design)
        found = untold(fit, mismatch_of(fit))
        assert set(found) == unknown
        assert all("may feign" in reason for reason in found.values())


def test_beam_intensity_makes_amounts_areal_densities() -> None:
    design = design_matrix(["O"], AXIS, near_edge="none", **MICROSCOPE)
    true, intensity = 250.0, 4e8
    clean = intensity * true * design.matrix[:, design.amplitude[0]]
    clean = clean + clean.max() * (AXIS.energies / 400.0) ** -3
    counts = np.random.default_rng(0).poisson(clean, (10, AXIS.size))
    result = quantify(
        Spectra(counts, AXIS), ["O"], beam_intensity=intensity, near_edge="none", **MICROSCOPE
    )
    assert result.absolute
    assert result.unit == "atoms/nm²"
    assert result.amounts.mean() == pytest.approx(true, rel=0.03)
    assert result.total["O"]["amount"] == pytest.approx(true, rel=0.03)


def test_a_low_loss_of_each_pixel_and_its_drift() -> None:
    drift = np.array([0.0, 2.0, -2.0, 1.0])
    low = np.stack(
        [np.interp(LOW_AXIS.energies - d, LOW_AXIS.energies, low_loss_counts()) for d in drift]
    )
    counts = np.stack([image_counts((1, 2), dose=2e4)[0, 0]] * 4)
    image = Spectra(counts, AXIS)
    one = quantify(image, ["O", "Ti"], low_loss=Spectra(low[0], LOW_AXIS), **MICROSCOPE)
    own = quantify(
        image, ["O", "Ti"], low_loss=Spectra(low, LOW_AXIS), exposure_ratio=1.0, **MICROSCOPE
    )
    assert own.absolute
    # the zero loss of a separate low loss is put at zero wherever it lies
    assert own.atomic_percent == pytest.approx(one.atomic_percent, abs=3.0)


def test_drift_in_a_common_file_moves_the_model(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    drift = np.array([0.0, 3.0, -3.0, 2.0, 0.0, -2.0, 1.0, 0.0])
    clean = image_counts((1, 2), dose=1e5)[0, 0].astype(float)
    counts = np.stack([np.interp(AXIS.energies - d, AXIS.energies, clean) for d in drift])
    low = np.stack(
        [np.interp(LOW_AXIS.energies - d, LOW_AXIS.energies, low_loss_counts()) for d in drift]
    )
    path = write_hspy(tmp_path / "dual.hspy", counts, AXIS, **tem())
    other = write_hspy(tmp_path / "low.hspy", low, LOW_AXIS, **tem())
    with h5py.File(path, "a") as store, h5py.File(other) as second:
        second.copy("Experiments/area", store["Experiments"], "low loss")
    moved = quantify(path, ["O", "Ti"])
    assert any("drifts by" in note for note in moved.notes)
    fixed = quantify(
        Spectra(counts, AXIS), ["O", "Ti"], low_loss=Spectra(low[0], LOW_AXIS), **MICROSCOPE
    )
    assert moved.reduced_chi2.std() < 0.1 * fixed.reduced_chi2.std()
    scatter = moved.atomic_percent[:, 0].std(), fixed.atomic_percent[:, 0].std()
    assert scatter[0] < scatter[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha_mrad": 10.0, "beam_energy_kev": 200.0}, "collection semi-angle β is not in"),
        ({}, "the beam energy and the convergence semi-angle α and the collection"),
        ({**MICROSCOPE, "beta_mrad": -1.0}, "must be positive"),
        ({**MICROSCOPE, "beam_energy_kev": 200_000.0}, "give it in keV"),
    ],
)
def test_missing_parameters_are_named(given: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantify(Spectra(image_counts(), AXIS), ["O"], **given)


def test_a_parallel_beam_may_be_given() -> None:
    found = microscope_of("x", {"beam_energy_kev": 300.0, "beta_mrad": 5.0}, alpha_mrad=0.0)
    assert found.alpha_mrad == 0.0


def test_low_losses_that_do_not_fit_are_refused() -> None:
    image = Spectra(image_counts(), AXIS)
    wrong = Spectra(low_loss_counts((12, 8)), LOW_AXIS)
    with pytest.raises(ValueError, match=r"12 × 8 spectra and the core loss 8 × 12"):
        quantify(image, ["O"], low_loss=wrong, **MICROSCOPE)
    with pytest.raises(ValueError, match="says nothing without a low loss"):
        quantify(image, ["O"], exposure_ratio=2.0, **MICROSCOPE)
    with pytest.raises(ValueError, match="not both"):
        quantify(image, ["O"], exposure_ratio=2.0, beam_intensity=1.0, **MICROSCOPE)
    with pytest.raises(ValueError, match=r"\(B: no edge between 400 and 760 eV\)"):
        quantify(image, ["B"], **MICROSCOPE)
    with pytest.raises(ValueError, match=r"O: no edge between 410 and 500 eV"):
        quantify(image, ["O"], window_ev=(410.0, 500.0), **MICROSCOPE)
    with pytest.raises(ValueError, match="cannot be moved twice, by"):
        quantify(image, ["O"], shift_ev=1.0, axis_mode=2.0, **MICROSCOPE)


def test_a_saturated_low_loss_is_told_and_gives_no_areal_density() -> None:
    image = Spectra(image_counts(), AXIS)
    full = Spectra(np.minimum(low_loss_counts(), 20_000.0), LOW_AXIS)
    told = quantify(image, ["O", "Ti"], low_loss=full, **MICROSCOPE).notes
    assert any(note.startswith("the low loss is saturated") for note in told)
    with pytest.raises(ValueError, match="zero-loss peak is saturated"):
        quantify(image, ["O", "Ti"], low_loss=full, exposure_ratio=100.0, **MICROSCOPE)
    fine = Spectra(low_loss_counts(), LOW_AXIS)
    told = quantify(image, ["O", "Ti"], low_loss=fine, exposure_ratio=100.0, **MICROSCOPE).notes
    assert not any("saturated" in note for note in told)


@pytest.mark.real
@pytest.mark.parametrize(
    ("stem", "shift", "stretch", "ratio", "truth", "within"),
    [
        ("BN_A3_r3_cal", 5.0, 0.973, ("B", "N"), 1.0, 0.04),
        ("TiO2_B3_r1", -4.0, 1.0, ("Ti", "O"), 0.5, 0.06),
        ("TiO2_B3_r2", -8.0, 1.0, ("Ti", "O"), 0.5, 0.06),
        ("SrTiO3_D3_r1", 2.0, 1.0, ("Ti", "O"), 1 / 3, 0.08),
    ],
)
def test_round_robin_compositions(
    real_folder: Path,
    stem: str,
    shift: float,
    stretch: float,
    ratio: tuple[str, str],
    truth: float,
    within: float,
) -> None:
    low = real_folder / "files" / f"{stem}_lowloss.dm3"
    result = quantify(
        real_folder / "files" / f"{stem}.dm3",
        ratio,
        low_loss=low if low.is_file() else None,
        shift_ev=shift,
        stretch=stretch,
        beam_energy_kev=300.0,
        alpha_mrad=0.2,
        beta_mrad=4.12,
    )
    first, second = (result.amounts[:, result.elements.index(s)] for s in ratio)
    assert (first / second).mean() == pytest.approx(truth, rel=within)
    column = result.elements.index(ratio[0])
    stated = result.atomic_percent_errors[:, column].mean()
    assert 1 / 1.3 < stated / result.atomic_percent[:, column].std() < 1.3


def test_plural_scattering_without_a_low_loss_is_told_by_the_edges() -> None:
    response = typical_low_loss(0.9, AXIS.dispersion)
    assert response.kernel.sum() == pytest.approx(1.0)
    thick = design_matrix(
        ["O", "Ti"], AXIS, response=response, near_edge="none", background=1, **MICROSCOPE
    )
    edges = thick.matrix[:, thick.amplitude] @ np.array([2.0, 1.0])
    clean = 4e4 * ((AXIS.energies / 400.0) ** -3 + 0.8 * edges / edges.max())
    counts = np.random.default_rng(6).poisson(clean, (12, AXIS.size))
    result = quantify(Spectra(counts, AXIS), ["O", "Ti"], **MICROSCOPE)
    assert any("t/λ 0.9" in note or "t/λ 1.0" in note for note in result.notes)
    assert result.total["Ti"]["atomic_percent"] == pytest.approx(100 / 3, abs=1.5)
    thin = quantify(Spectra(counts, AXIS), ["O", "Ti"], thickness=0.0, **MICROSCOPE)
    assert thin.notes == ()
    assert abs(thin.total["Ti"]["atomic_percent"] - 100 / 3) > 2.0
    # where the edges are those of a thin specimen nothing is assumed
    assert quantify(Spectra(image_counts(), AXIS), ["O", "Ti"], **MICROSCOPE).notes == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"thickness": -0.1}, "must lie between 0 and 5"),
        ({"thickness": 0.5, "beam_intensity": 1e8}, "either a thickness or"),
        ({"exposure_ratio": -1.0, "low_loss": Spectra(low_loss_counts(), LOW_AXIS)}, "positive"),
        ({"window_ev": (100.0, 200.0)}, "leaves nothing of the record"),
        ({"near_edge": "some"}, "must be one of"),
    ],
)
def test_impossible_options_are_refused(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantify(Spectra(image_counts(), AXIS), ["O"], **MICROSCOPE, **given)


def test_images_that_cannot_be_fitted_say_so() -> None:
    with pytest.raises(ValueError, match="none of its 96 spectra is usable"):
        quantify(Spectra(np.full((8, 12, AXIS.size), np.nan), AXIS), ["O"], **MICROSCOPE)
    with pytest.raises(ValueError, match="none of its 96 spectra is usable"):
        quantify(Spectra(np.zeros((8, 12, AXIS.size)), AXIS), ["O"], **MICROSCOPE)
    with pytest.raises(ReadError, match="complex numbers"):
        quantify(Spectra(image_counts() * 1j, AXIS), ["O"], **MICROSCOPE)


def test_faulty_pixels_integers_and_one_pixel_are_quantified(tmp_path: Path) -> None:
    counts = image_counts()
    clean = quantify(Spectra(counts, AXIS), ["O", "Ti"], near_edge="none", **MICROSCOPE)
    faulty = counts.copy()
    faulty[0, 0], faulty[1, 1], faulty[3] = 0.0, np.nan, np.nan
    faulty[2, 2, :40] = 65_535.0
    faulty[5, 5, 100:103] = np.nan
    result = quantify(Spectra(faulty, AXIS), ["O", "Ti"], near_edge="none", **MICROSCOPE)
    assert (result.state == 1).sum() == 14
    assert result.state[2, 2] == 2
    assert np.isnan(result.atomic_percent[result.state > 0]).all()
    good = result.state == 0
    assert np.isfinite(result.atomic_percent[good]).all()
    assert result.atomic_percent[good] == pytest.approx(clean.atomic_percent[good], abs=1.5)
    whole = Spectra(counts.astype(np.uint16), AXIS)
    same = quantify(whole, ["O", "Ti"], near_edge="none", **MICROSCOPE)
    assert same.atomic_percent == pytest.approx(clean.atomic_percent, abs=1e-3)
    one = quantify(Spectra(counts[:1, :1], AXIS), ["O", "Ti"], near_edge="none", **MICROSCOPE)
    assert one.shape == (1, 1)
    one.save(tmp_path / "one")
    assert (tmp_path / "one" / "atomic_percent_model_error.hspy").is_file()
