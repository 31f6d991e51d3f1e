"""Several answers in one figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coreloss.energy import EnergyAxis
from coreloss.identification import Identification
from coreloss.identification.bundle import ModelBundle
from coreloss.identification.predict import identify
from coreloss.plot_predictions import predictions


@pytest.fixture
def results(step_bundle: Path) -> list[Identification]:
    axis = EnergyAxis(400.0, 1.0, 300)
    counts = 1e4 * (axis.energies / 400.0) ** -3.0
    bundle = ModelBundle.open(step_bundle)
    found = [identify(counts * factor, axis, model=bundle) for factor in (1.0, 2.0, 3.0)]
    return [one for one in found if isinstance(one, Identification)]


def test_each_result_has_spectrum_and_table(results: list[Identification], tmp_path: Path) -> None:
    figure = predictions(results, tmp_path / "p.png", titles=["a", "b", "c"])
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 6
    spectra = [axes for axes in shown if axes.lines]
    assert [axes.get_title(loc="left") for axes in spectra] == ["a", "b", "c"]
    for axes, result in zip(spectra, results, strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), result.counts)
    tables = [axes for axes in shown if not axes.lines]
    assert all({"O", "Fe"} <= {text.get_text() for text in axes.texts} for axes in tables)
    assert (tmp_path / "p.png").stat().st_size > 10_000


def test_wrong_numbers_get_a_sentence(results: list[Identification]) -> None:
    with pytest.raises(ValueError, match="no results"):
        predictions([])
    with pytest.raises(ValueError, match="2 titles for 3"):
        predictions(results, titles=["a", "b"])
