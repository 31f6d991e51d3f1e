"""The zero-loss peak of a simultaneous low loss tells how the energy axis is off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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

from coreloss.energy import Spectra
from coreloss.maps import element_maps, quantify
from coreloss.maps.lowloss import aligned_by_zero_loss
from coreloss.maps.source import open_image

OFF = np.array([3.0, 3.0, 5.0, 3.0, 1.0, 3.0])


def moved(counts: np.ndarray, axis: Any) -> np.ndarray:
    """Spectra of a sweep whose axis reads too high, by another amount in each pixel."""
    energies = axis.energies
    return np.stack([np.interp(energies - off, energies, counts) for off in OFF])


CORE = moved(image_counts((1, 2), dose=1e5)[0, 0].astype(float), AXIS)
LOW = moved(low_loss_counts(), LOW_AXIS)


@pytest.fixture
def dual(tmp_path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    path = write_hspy(tmp_path / "dual.hspy", CORE, AXIS, **tem())
    other = write_hspy(tmp_path / "low.hspy", LOW, LOW_AXIS, **tem())
    with h5py.File(path, "a") as store, h5py.File(other) as second:
        second.copy("Experiments/area", store["Experiments"], "low loss")
    return path


@pytest.fixture(autouse=True)
def no_edges_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the edges say of the axis is tested elsewhere."""
    for module in ("quantification", "elements"):
        monkeypatch.setattr(
            f"coreloss.maps.{module}.settled_axis", lambda image, *_: (image, [], 0.0)
        )


def said(notes: tuple[str, ...]) -> list[str]:
    return [n for n in notes if n.startswith("the zero-loss peak of the low loss lies at")]


def test_that_of_the_same_file_moves_the_axis(dual: Path, step_bundle: Path) -> None:
    image, told = aligned_by_zero_loss(open_image(dual))
    assert image.axis.offset == pytest.approx(AXIS.offset - 3.0, abs=0.1)
    assert told == [
        "the zero-loss peak of the low loss lies at +3.0 eV; the energy axis is moved by -3.0 eV"
    ]
    result = quantify(dual, ["O", "Ti"], axis_mode="auto", near_edge="none")
    assert result.axis.offset == image.axis.offset
    assert said(result.notes) == told
    assert any("drifts by" in note for note in result.notes)
    maps = element_maps(dual, axis_mode="auto", model=step_bundle, clusters=0)
    assert maps.axis.offset == image.axis.offset
    assert said(maps.notes) == told


def test_an_axis_that_is_given_stays(dual: Path) -> None:
    for changes, by in (
        ({}, 0.0), ({"axis_mode": "auto", "shift_ev": -2.0}, -2.0),
        ({"axis_mode": "auto", "low_loss": False}, 0.0),
    ):  # fmt: skip
        result = quantify(dual, ["O", "Ti"], near_edge="none", **changes)
        assert result.axis.offset == AXIS.offset + by
        assert not said(result.notes)


def test_a_separate_file_of_the_same_sweep() -> None:
    image, low = Spectra(CORE, AXIS), Spectra(LOW, LOW_AXIS)
    options: dict[str, Any] = {"low_loss": low, "near_edge": "none", "axis_mode": "auto"}
    together = quantify(image, ["O", "Ti"], simultaneous=True, **options, **MICROSCOPE)
    apart = quantify(image, ["O", "Ti"], **options, **MICROSCOPE)
    assert said(together.notes)
    assert together.axis.offset == pytest.approx(AXIS.offset - 3.0, abs=0.1)
    assert not said(apart.notes)
    assert apart.axis.offset == AXIS.offset
    # each pixel by its own zero loss
    assert np.ptp(together.reduced_chi2) < 0.05 * np.ptp(apart.reduced_chi2)
    assert together.reduced_chi2.max() < apart.reduced_chi2.min()
    with pytest.raises(ValueError, match="a simultaneous low loss is not given"):
        quantify(image, ["O"], simultaneous=True, **MICROSCOPE)


def test_a_peak_where_it_belongs_or_far_away_moves_nothing() -> None:
    image = open_image(Spectra(CORE, AXIS))
    for off in (0.0, 30.0):
        low = np.interp(LOW_AXIS.energies - off, LOW_AXIS.energies, low_loss_counts())
        assert aligned_by_zero_loss(image, Spectra(low, LOW_AXIS)) == (image, [])
