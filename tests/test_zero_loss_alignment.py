"""The zero-loss peak of a simultaneous low loss tells how the energy axis is off."""

from __future__ import annotations

import json
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

from coreloss.cli import main
from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit.response import zero_loss_position
from coreloss.identification import identify_spectra, load_model
from coreloss.identification.predict import probabilities
from coreloss.maps import element_maps, quantify
from coreloss.maps.lowloss import aligned_by_zero_loss, lined_up
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


def drifted() -> np.ndarray:
    """How far each pixel's zero loss lies from the median, (6,) [eV]."""
    place = zero_loss_position(LOW, LOW_AXIS)
    return place - np.median(place)


def test_every_pixel_is_mapped_on_its_own_axis(step_bundle: Path) -> None:
    image, low = Spectra(CORE, AXIS), Spectra(LOW, LOW_AXIS)
    options: dict[str, Any] = {"model": step_bundle, "clusters": 0}
    maps = element_maps(image, low_loss=low, **options)
    said = [n for n in maps.notes if "drifts" in n]
    assert said == ["the zero-loss peak drifts by 4.00 eV; the axis of every pixel follows it"]
    assert maps.axis == AXIS
    assert {"O", "Ti"} <= set(maps.elements)
    for row, off, chance in zip(CORE, drifted(), maps.probabilities, strict=True):
        own = identify_spectra(Spectra(row, AXIS.corrected(-off)), model=step_bundle)[0]
        wanted = [own.probabilities[symbol] for symbol in maps.elements]
        assert chance == pytest.approx(wanted, abs=2e-3)
    # counts are put over by whole channels in sums, and all of them say the same
    whole = slice(3, -3)
    assert maps.total.counts[whole] == pytest.approx(6.0 * CORE[0][whole], rel=1e-6)
    moved = element_maps(image, low_loss=low, axis_mode="auto", **options)
    assert moved.axis.offset == pytest.approx(AXIS.offset - 3.0, abs=0.1)
    alone = element_maps(image, **options)
    assert not any("zero-loss" in n for n in alone.notes)
    assert np.ptp(alone.probabilities, axis=0).max() > 10 * np.ptp(maps.probabilities, axis=0).max()


def test_pixels_follow_their_low_loss_in_blocks_and_binned(
    step_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = Spectra(np.repeat(CORE, 2, axis=0), AXIS), Spectra(np.repeat(LOW, 2, axis=0), LOW_AXIS)
    options: dict[str, Any] = {"model": step_bundle, "clusters": 0}
    one = element_maps(Spectra(CORE, AXIS), low_loss=Spectra(LOW, LOW_AXIS), **options)
    binned = element_maps(pairs[0], low_loss=pairs[1], bin=2, **options)
    blocks = type(open_image(pairs[0])).blocks
    monkeypatch.setattr(
        "coreloss.maps.source.SpectrumImage.blocks", lambda image, _=0: blocks(image, 4000)
    )
    parts = element_maps(Spectra(CORE, AXIS), low_loss=Spectra(LOW, LOW_AXIS), **options)
    for other in (binned, parts):
        assert other.elements == one.elements
        assert other.probabilities == pytest.approx(one.probabilities, abs=2e-3)


def test_own_axes_of_spectra_with_gaps(step_bundle: Path) -> None:
    bundle = load_model(step_bundle)
    counts = CORE.copy()
    counts[1, :30] = counts[2, 340:] = counts[3] = np.nan
    off = np.array([0.0, 2.5, -3.0, 1.0, 7.25, -0.4])
    found = probabilities(counts, AXIS, bundle, drift_ev=off)
    for row, by, chance in zip(counts, off, found, strict=True):
        if not np.isfinite(row).any():
            assert not chance.any()
            continue
        own = identify_spectra(Spectra(row, AXIS.corrected(-by)), model=bundle)[0]
        assert chance == pytest.approx([own.probabilities[s] for s in bundle.elements], abs=1e-9)
    with pytest.raises(ValueError, match="only 0 channels hold numbers"):
        probabilities(counts[3:4], AXIS, bundle, drift_ev=off[3:4])


def test_sums_are_of_counts_as_recorded() -> None:
    axis = EnergyAxis(100.0, 0.5, 6)
    counts = np.arange(18.0).reshape(3, 6)
    moved = lined_up(counts, axis, np.array([0.2, 1.1, -0.6]))
    assert moved[0] == pytest.approx(counts[0])
    assert moved[1] == pytest.approx([8, 9, 10, 11, np.nan, np.nan], nan_ok=True)
    assert moved[2] == pytest.approx([np.nan, 12, 13, 14, 15, 16], nan_ok=True)


def test_an_axis_that_does_not_drift_costs_nothing(
    step_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def called(*_: object, **__: object) -> None:
        raise AssertionError("nothing is put over")

    monkeypatch.setattr("coreloss.maps.elements.lined_up", called)
    image = Spectra(np.stack([CORE[0]] * 6), AXIS)
    for low in (LOW[0], np.stack([LOW[0]] * 6)):
        maps = element_maps(
            image, low_loss=Spectra(low, LOW_AXIS), model=step_bundle, clusters=0, axis_mode="auto"
        )
        assert maps.axis.offset == pytest.approx(AXIS.offset - 3.0, abs=0.1)
        assert [n for n in maps.notes if "zero-loss" in n] == said(maps.notes)


@pytest.mark.parametrize("which", ["same file", "none", "file", "other area", "core loss"])
def test_the_map_command_takes_a_low_loss(
    which: str,
    dual: Path,
    step_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["map", str(dual), "--model", str(step_bundle), "--clusters", "0", "--json"]
    low = {"same file": "", "none": "none", "file": str(tmp_path / "low.hspy")}.get(which)
    if which == "other area":
        low = str(write_hspy(tmp_path / "other.hspy", LOW[:4], LOW_AXIS, **tem()))
    if which == "core loss":
        low = str(write_hspy(tmp_path / "core.hspy", CORE, AXIS, **tem()))
    words += ["--low-loss", str(low)] if low else []
    status = main([*words, "--out", str(tmp_path / "out")])
    told = capsys.readouterr()
    if which in ("other area", "core loss"):
        assert status == 2
        message = "4 spectra and the core loss 6" if which == "other area" else "zero-loss peak"
        assert message in told.err
        assert not (tmp_path / "out").exists()
        return
    assert status == 0
    notes = json.loads(told.out)["notes"]
    assert len(said(notes)) == (which != "none")
    assert sum("drifts by" in n for n in notes) == (which != "none")


def test_elements_to_quantify_are_found_on_the_same_axes(dual: Path, step_bundle: Path) -> None:
    together = quantify(
        Spectra(CORE, AXIS), low_loss=Spectra(LOW, LOW_AXIS), simultaneous=True, model=step_bundle,
        near_edge="none", **MICROSCOPE,
    )  # fmt: skip
    assert together.maps is not None
    assert any("axis of every pixel" in n for n in together.maps.notes)
    # said once
    assert sum("drifts by" in n for n in together.notes) == 1
    none = quantify(dual, low_loss=False, model=step_bundle, near_edge="none")
    assert none.maps is not None
    assert not any("drifts by" in n for n in (*none.notes, *none.maps.notes))


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
