"""Low losses recorded with other channels than the core loss, and those that cannot be used."""

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
from coreloss.fit import Response, design_matrix
from coreloss.maps import quantify
from coreloss.maps.thickness import typical_low_loss

FINE = EnergyAxis(-10.0, 0.1, 1095)
WIDE = EnergyAxis(-60.0, 2.5, 64)


def measured(axis: EnergyAxis, thickness: float = 1.0) -> np.ndarray:
    """One low loss as channels of ``axis`` count it: a zero loss and plasmons, finely made."""
    made = typical_low_loss(thickness, 0.02)
    energy = 0.02 * (np.arange(made.kernel.shape[1]) - made.zero)
    channel = np.floor((energy - axis.offset) / axis.dispersion + 0.5).astype(int)
    inside = (channel >= 0) & (channel < axis.size)
    return 1e6 * np.bincount(channel[inside], weights=made.kernel[0][inside], minlength=axis.size)


@pytest.mark.parametrize("axis", [FINE, LOW_AXIS, WIDE])
@pytest.mark.parametrize("dispersion", [0.3, 1.0])
def test_counts_keep_their_sum_and_place(axis: EnergyAxis, dispersion: float) -> None:
    counts = measured(axis)
    response = Response.of_low_loss(counts, axis, dispersion, ratio=3.0)
    assert response.kernel.sum() == pytest.approx(3.0 * counts.sum(), rel=1e-4)
    energy = dispersion * (np.arange(response.kernel.shape[1]) - response.zero)
    middle = (response.kernel[0] * energy).sum() / response.kernel.sum()
    assert middle == pytest.approx((counts * axis.energies).sum() / counts.sum(), abs=0.3)
    plasmon = np.abs(energy - 20.0) < 10.0
    own = np.abs(axis.energies - 20.0) < 10.0
    assert response.kernel[0][plasmon].sum() == pytest.approx(3.0 * counts[own].sum(), rel=0.08)


def test_each_spectrum_is_moved_by_itself() -> None:
    places = np.array([0.0, 0.9, -1.7])
    low = np.exp(-0.5 * ((FINE.energies - places[:, None]) / 0.3) ** 2)
    kernel = Response.of_low_loss(low, FINE, 0.5, shift_ev=[0.0, 0.0, 2.0])
    energy = 0.5 * (np.arange(kernel.kernel.shape[1]) - kernel.zero)
    assert kernel.kernel @ energy == pytest.approx([0.0, 0.0, 2.0], abs=0.02)


def test_one_without_plasmons_to_tell_is_refused() -> None:
    axis = EnergyAxis(-80.0, 8.0, 60)
    low = Spectra(measured(axis), axis)
    with pytest.raises(ValueError, match=r"8 eV/channel, too coarse .* at most 5 eV/channel"):
        quantify(Spectra(image_counts(), AXIS), ["O"], low_loss=low, **MICROSCOPE)


def thick_image() -> np.ndarray:
    """O and Ti, 2 : 1, at t/λ 1, (6, n_energy)."""
    response = typical_low_loss(1.0, AXIS.dispersion)
    design = design_matrix(["O", "Ti"], AXIS, response=response, near_edge="none", **MICROSCOPE)
    edges = design.matrix[:, design.amplitude] @ np.array([2.0, 1.0])
    clean = 1e6 * ((AXIS.energies / 400.0) ** -3 + 0.8 * edges / edges.max())
    return np.random.default_rng(5).poisson(clean, (6, AXIS.size)).astype(float)


@pytest.mark.parametrize("axis", [FINE, WIDE])
def test_another_dispersion_tells_the_same_amounts(axis: EnergyAxis) -> None:
    image = Spectra(thick_image(), AXIS)
    options = {"exposure_ratio": 2.0, "near_edge": "exclude", **MICROSCOPE}
    one, other = (
        quantify(image, ["O", "Ti"], low_loss=Spectra(measured(low), low), **options)
        for low in (LOW_AXIS, axis)
    )
    said = [n for n in other.notes if "rebinned" in n]
    assert said == [
        f"the low loss of {axis.dispersion:g} eV/channel is rebinned to the core loss's 1"
    ]
    assert not [n for n in one.notes if "rebinned" in n]
    for symbol in ("O", "Ti"):
        assert other.total[symbol]["amount"] == pytest.approx(one.total[symbol]["amount"], rel=0.02)
    assert other.total["Ti"]["atomic_percent"] == pytest.approx(100 / 3, abs=1.0)


def test_a_stretched_axis_stretches_a_low_loss_of_its_dispersion_alone() -> None:
    image = Spectra(thick_image(), AXIS)
    for low, axis in ((LOW_AXIS, 1.05), (FINE, 0.1)):
        result = quantify(
            image, ["O"], low_loss=Spectra(measured(low), low), stretch=1.05, shift_ev=-20.0,
            axis_mode="as-recorded", exposure_ratio=1.0, **MICROSCOPE,
        )  # fmt: skip
        # what is rebinned has the channels that it was recorded with
        assert any("rebinned" in n for n in result.notes) == (axis == 0.1)


def beside(path: Path, low: np.ndarray, axis: EnergyAxis, counts: np.ndarray) -> Path:
    """A file that holds a core loss and a low loss."""
    h5py = pytest.importorskip("h5py")
    write_hspy(path, counts, AXIS, **tem())
    other = write_hspy(path.with_name("low.hspy"), low, axis, **tem())
    with h5py.File(path, "a") as store, h5py.File(other) as second:
        second.copy("Experiments/area", store["Experiments"], "low loss")
    return path


def test_that_of_the_same_file_is_used(tmp_path: Path) -> None:
    low = np.stack([measured(FINE)] * 6)
    result = quantify(beside(tmp_path / "dual.hspy", low, FINE, thick_image()), ["O", "Ti"])
    assert any(n.startswith("low loss: ") and "dual.hspy" in n for n in result.notes)
    assert any("rebinned" in n for n in result.notes)
    assert result.total["Ti"]["atomic_percent"] == pytest.approx(100 / 3, abs=1.5)


def test_one_of_the_same_file_that_does_not_fit_is_told(tmp_path: Path) -> None:
    path = beside(
        tmp_path / "dual.hspy", np.stack([measured(LOW_AXIS)] * 4), LOW_AXIS, thick_image()
    )
    said = quantify(path, ["O", "Ti"]).notes
    told = [n for n in said if n.startswith("the low loss in the file is not used: ")]
    assert len(told) == 1
    assert "has 4 spectra and the core loss 6" in told[0]
    assert str(path) not in told[0]
    with pytest.raises(ValueError, match="has 4 spectra"):
        quantify(path, ["O", "Ti"], exposure_ratio=2.0)
    assert not any("in the file" in n for n in quantify(path, ["O", "Ti"], low_loss=False).notes)


def test_a_short_low_loss_is_told() -> None:
    axis = EnergyAxis(-10.0, 0.1, 400)
    low = Spectra(measured(axis), axis)
    notes = quantify(Spectra(thick_image(), AXIS), ["O"], low_loss=low, **MICROSCOPE).notes
    assert any(n.startswith("the low loss ends at 30 eV") for n in notes)
    whole = Spectra(low_loss_counts(), LOW_AXIS)
    notes = quantify(Spectra(thick_image(), AXIS), ["O"], low_loss=whole, **MICROSCOPE).notes
    assert not any("ends at" in n for n in notes)
