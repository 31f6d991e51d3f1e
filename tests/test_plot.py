"""Figures: drawn, written whole, labels apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import coreloss
from coreloss.identification import AxisEstimate
from coreloss.identification.candidates import CandidateSet
from coreloss.plot import identification


@pytest.fixture
def result(step_bundle: Path, oxygen):
    energy, counts = oxygen
    return coreloss.identify(counts, energy, model=step_bundle)


def test_figure_names_what_was_found(result) -> None:
    figure = identification(result, title="sample 7")
    upper, lower = figure.axes
    titles = {upper.get_title(loc="left"), upper.get_title(loc="right")}
    assert "sample 7" in titles
    assert any("O" in t.split(", ") for t in titles)
    assert any(t.get_text() == "O K" for t in upper.texts)
    symbols = [t.get_text() for t in lower.texts]
    assert {"O", "U", "La", "He"} <= set(symbols)


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_pictures_are_written_whole(result, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"küvette.{kind}"
    result.plot(path)
    assert path.stat().st_size > 5000
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_unknown_picture_format_is_refused(result, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.pdf or \.svg"):
        result.plot(tmp_path / "spectrum.docx")
    assert not list(tmp_path.iterdir())


def test_decades_are_drawn_on_a_logarithmic_axis(step_bundle: Path) -> None:
    energy = np.arange(100.0, 2000.0)
    wide = coreloss.identify(1e9 * energy**-3.5, energy, model=step_bundle)
    assert identification(wide).axes[0].get_yscale() == "log"
    negative = coreloss.identify(np.sin(energy / 50), energy, model=step_bundle)
    assert identification(negative).axes[0].get_yscale() == "linear"


def test_edges_beside_a_zero_loss_peak_are_seen(step_bundle: Path) -> None:
    """On a linear scale of counts nothing but the peak would be, and noise may be negative."""
    energy = np.arange(-50.0, 450.0)
    counts = 1e8 * np.exp(-0.5 * (energy / 2) ** 2) + 1e5 * np.maximum(energy + 50, 30) ** -0.5
    counts[:20] = np.random.default_rng(3).normal(0.0, 9.0, 20)
    axes = identification(coreloss.identify(counts, energy, model=step_bundle)).axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] > 100.0


def test_a_corrected_axis_is_told(result) -> None:
    for mode, said in (
        ("auto", "(axis read 4.7 ± 0.6 eV high, dispersion −3.0%; corrected)"),
        ("given", "(axis moved by −4.7 eV as asked)"),
    ):
        estimate = AxisEstimate(mode, -4.7, 1.0312, -4.7, 0.6, 0.9, ("O K at 536.7 eV",))
        axes = identification(replace(result, axis_estimate=estimate)).axes[0]
        assert axes.get_title(loc="right").endswith(said)


def test_sets_and_reasons_are_drawn(result) -> None:
    group = CandidateSet(("Pr", "Nd"), (0.6, 0.4), 0.97)
    axes = identification(replace(result, sets=(group,))).axes[0]
    assert "; Pr or Nd (0.97 together)" in axes.get_title(loc="right")
    axes = identification(replace(result, abstained="the detector was saturated")).axes[0]
    assert axes.get_title(loc="right") == "no answer"
    assert any("saturated" in text.get_text() for text in axes.texts)


def test_labels_do_not_overlap(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    crowded = coreloss.identify(counts, energy, model=step_bundle, threshold=1e-9)
    figure = identification(crowded)
    figure.draw_without_rendering()
    texts = [t for t in figure.axes[0].texts if t.get_text()][:5]
    boxes = [t.get_window_extent() for t in texts]
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert not one.overlaps(other)
