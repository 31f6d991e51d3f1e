"""Figures: drawn, written whole, labels apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import coreloss
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
