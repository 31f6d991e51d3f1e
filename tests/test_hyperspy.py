"""HyperSpy and eXSpy signals in and out."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from coreloss.energy import EnergyAxis
from coreloss.fit import design_matrix

hs = pytest.importorskip("hyperspy.api")
exspy = pytest.importorskip("exspy")

import coreloss.hyperspy as adapter  # noqa: E402

# HyperSpy and eXSpy warn of their own use of NumPy
pytestmark = pytest.mark.filterwarnings("ignore")

AXIS = EnergyAxis(400.0, 1.0, 360)
MICROSCOPE = {"beam_energy_kev": 200.0, "alpha_mrad": 10.0, "beta_mrad": 20.0}


def signal(lazy: bool = False) -> object:
    """An EELS image of 4 × 6 pixels with O everywhere and Ti in the left half."""
    design = design_matrix(["O", "Ti"], AXIS, near_edge="none", **MICROSCOPE)
    oxygen, titanium = design.matrix[:, design.amplitude].T
    left = np.zeros((4, 6, 1))
    left[:, :3] = 1.0
    edges = 2.0 * oxygen + left * titanium
    clean = 4000.0 * ((AXIS.energies / 400.0) ** -3 + 0.8 * edges / edges.max())
    s = exspy.signals.EELSSpectrum(np.random.default_rng(0).poisson(clean).astype(float))
    for number, (name, unit, scale, offset) in enumerate(
        [("x", "nm", 0.5, 0.0), ("y", "nm", 0.5, 0.0), ("Energy loss", "eV", 1.0, 400.0)]
    ):
        axis = s.axes_manager[number]
        axis.name, axis.units, axis.scale, axis.offset = name, unit, scale, offset
    s.set_microscope_parameters(beam_energy=200.0, convergence_angle=10.0, collection_angle=20.0)
    return s.as_lazy() if lazy else s


@pytest.mark.parametrize("lazy", [False, True])
def test_signals_are_identified_mapped_and_quantified(lazy: bool, step_bundle: Path) -> None:
    s = signal(lazy)
    found = adapter.identify(s, model=step_bundle)
    assert {"O", "Ti"} <= set(found.found)
    assert {"O", "Ti"} <= set(s.metadata.Sample.elements)
    maps = adapter.map(s, model=step_bundle, clusters=1)
    assert isinstance(maps.probabilities, hs.signals.Signal2D)
    names = list(maps.metadata.Sample.elements)
    assert maps.axes_manager.signal_shape == (6, 4)
    assert [a.scale for a in maps.axes_manager.signal_axes] == [0.5, 0.5]
    assert maps.inav[names.index("Ti")].data[:, :3].min() > 0.5
    # the table, what was dropped and why, and notes are kept
    assert maps.result.elements == tuple(names)
    assert {row["symbol"] for row in maps.result.candidates if not row["kept"]}
    assert "dropped" in maps.result.table()
    assert maps.present.data.dtype == np.uint8
    assert (np.moveaxis(maps.present.data, 0, -1) == maps.result.present).all()
    assert list(maps.present.metadata.Sample.elements) == names
    result = adapter.quantify(s, ["O", "Ti"], near_edge="none")
    percent = result.atomic_percent.inav[1].data
    assert percent[:, :3].mean() == pytest.approx(100 / 3, abs=3.0)
    assert result.chi2.axes_manager.signal_shape == (6, 4)
    for values in (result.atomic_percent_model_error, result.likelihood_ratio, result.residual):
        assert values.data.shape == result.atomic_percent.data.shape
        assert np.isfinite(values.data).all()
    assert "at%" in result.result.table()


def test_maps_are_used_as_the_signal_of_their_probabilities(
    step_bundle: Path, tmp_path: Path
) -> None:
    maps = adapter.map(signal(), model=step_bundle, clusters=1)
    assert maps.data is maps.probabilities.data
    assert maps.sum().data.shape == maps.probabilities.sum().data.shape
    maps.metadata.General.title = "another"
    assert maps.probabilities.metadata.General.title == "another"
    maps.save(str(tmp_path / "maps.hspy"))
    assert hs.load(str(tmp_path / "maps.hspy")).data == pytest.approx(maps.data)
    assert copy.copy(maps).result is maps.result
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        maps.nothing_of_the_kind  # noqa: B018


def test_maps_take_a_low_loss_that_is_a_signal(step_bundle: Path) -> None:
    energy = np.arange(-20.0, 100.0)
    places = np.linspace(-2.0, 2.0, 24).reshape(4, 6, 1)
    low = exspy.signals.EELSSpectrum(1e5 * np.exp(-0.5 * (energy - places) ** 2))
    axis = low.axes_manager[-1]
    axis.name, axis.units, axis.scale, axis.offset = "Energy loss", "eV", 1.0, -20.0
    maps = adapter.map(signal(), low_loss=low, model=step_bundle, clusters=1)
    assert any("drifts by" in note for note in maps.result.notes)


def test_an_exspy_model_has_the_elements_edges(step_bundle: Path) -> None:
    s = signal()
    model = adapter.to_exspy_model(s, ["O", "Ti"])
    names = {component.name for component in model}
    assert {"O_K", "Ti_L3"} <= names
    assert "Ti_L3" not in {part.name for part in adapter.to_exspy_model(s, ["O"])}
    assert s.metadata.Sample.elements == ["O"]
    with pytest.raises(TypeError, match="no eXSpy EELS spectrum"):
        adapter.to_exspy_model(hs.signals.Signal1D(np.ones((2, 20))))
    bare = signal()
    del bare.metadata.Acquisition_instrument.TEM.Detector
    with pytest.raises(ValueError, match="collection semi-angle β is not in"):
        adapter.to_exspy_model(bare, ["O"])
