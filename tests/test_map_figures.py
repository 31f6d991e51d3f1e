"""How pictures of maps are laid out, and what they say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coreloss.energy import EnergyAxis
from coreloss.maps import figures
from coreloss.maps.source import NavigationAxis
from coreloss.maps.wording import axis_said

AXIS = EnergyAxis(400.0, 1.0, 200)


def axes(shape: tuple[int, ...]) -> list[NavigationAxis]:
    return [NavigationAxis(n, 0.5, 0.0, "nm", "yx"[i]) for i, n in enumerate(shape)]


@pytest.mark.parametrize(
    ("shape", "number", "wanted"),
    [((16, 91), 6, (3, 2)), ((40, 40), 6, (2, 4)), ((40, 40), 3, (1, 3)), ((8, 200), 3, (3, 1))],
)
def test_wide_maps_stand_in_fewer_columns(
    shape: tuple[int, int], number: int, wanted: tuple[int, int]
) -> None:
    rows, columns, width = figures._grid(np.zeros(shape), number, axes(shape))
    assert (rows, columns) == wanted
    assert rows * columns >= number
    assert width * columns <= 10.5


def test_errors_shown_are_those_of_counting_and_model_together() -> None:
    elements, shape = ("O", "Ti"), (16, 91)
    spectrum = 1e3 * (AXIS.energies / 400.0) ** -3
    result: Any = SimpleNamespace(
        shape=shape,
        elements=elements,
        atomic_percent=np.full((*shape, 2), 50.0),
        total={s: {"atomic_percent": 50.0, "error": 0.3, "model_error": 0.4} for s in elements},
        maps=None,
        notes=("no low loss", "the axis reads 8.8 ± 1.5 eV high (O K at 537.6 eV); corrected"),
        axes=axes(shape),
        reduced_chi2=np.ones(shape),
        axis=AXIS,
        spectrum={"counts": spectrum, "model": spectrum, "background": spectrum},
        design=SimpleNamespace(use=np.ones(AXIS.size, dtype=bool), elements=elements),
    )
    figure = figures.quantification_figure(result)
    upper, lower = figure.subfigs
    assert upper.axes[0].get_title(loc="left").startswith("O 50.0 ± 0.5  Ti 50.0 ± 0.5")
    said = upper.axes[0].get_xlabel()
    assert said == "Energy loss [eV]; the axis reads 8.8 ± 1.5 eV high; corrected"
    titles = [a.get_title(loc="left") for a in lower.axes]
    assert "Ti   50.0 ± 0.5 at%" in titles
    # one label for a pair of edges, where two would lie on each other
    named = [text.get_text() for text in upper.axes[0].texts]
    assert named == ["O K", "Ti L2,3"]


def test_what_was_done_to_the_axis_stands_above_the_maps() -> None:
    shape = (8, 9)
    maps: Any = SimpleNamespace(
        elements=("O",), probabilities=np.ones((*shape, 1)), threshold=0.5, axes=axes(shape),
        survey=None, metadata={"title": "film"},
        notes=("the axis was moved by -4.5 eV as asked",),
    )  # fmt: skip
    for notes, said in ((maps.notes, "\nthe axis was moved by -4.5 eV as asked"), ((), "")):
        maps.notes = notes
        assert figures.element_maps_figure(maps).get_suptitle() == f"film   O{said}"
    assert axis_said(["the axis agrees with O K (+0.1 ± 1.0 eV); taken as recorded"]) == ""
