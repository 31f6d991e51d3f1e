"""Recipe annys2023: each edge has a chemical shift of its own; three elements are left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coreloss.edges import ELEMENTS
from coreloss.simulate import SimulationRecipe, load_recipe, simulate, simulate_sample
from coreloss.simulate.batch import SimulatedBatch
from coreloss.simulate.library import edge_library


def shifts(batch: SimulatedBatch, label: str) -> np.ndarray:
    """How far an edge lies from the library's onset, spectrum by spectrum [eV]."""
    library = edge_library(major_only=True, measured=False)
    group = library.labels.index(label)
    mine = batch.edges["group"] == group
    assert np.array_equal(batch.edges["spectrum"][mine], np.arange(batch.size.size))
    return batch.edges["onset_ev"][mine] - library.onset_ev[group]


@pytest.fixture(scope="module")
def silicon() -> SimulatedBatch:
    """Si alone, with two edges, no fine structure and all but no background."""
    recipe = replace(
        load_recipe("annys2023"), fine_structure_max=0.0, background_amplitude=(),
        zero_loss_fwhm_ev=(0.3, 0.3),
    )  # fmt: skip
    return simulate_sample(
        {"Si": 1.0}, start_ev=79.5, end_ev=2100.5, counts=1e12, jump_ratio=1e6, thickness=1e-6,
        n=400, seed=4, recipe=recipe,
    )  # fmt: skip


def test_edges_of_an_element_shift_by_whole_electronvolts_of_their_own(
    silicon: SimulatedBatch,
) -> None:
    lower, upper = shifts(silicon, "Si L23"), shifts(silicon, "Si K")
    for shift in (lower, upper):
        np.testing.assert_allclose(shift, np.rint(shift), atol=1e-9)
        values, counts = np.unique(np.rint(shift), return_counts=True)
        np.testing.assert_array_equal(values, np.arange(-5, 6))
        assert counts.min() > 15  # of 36
    assert abs(np.corrcoef(lower, upper)[0, 1]) < 0.2


def test_edges_rise_where_the_truth_says(silicon: SimulatedBatch) -> None:
    for label, shift in (("Si K", shifts(silicon, "Si K")), ("Si L23", shifts(silicon, "Si L23"))):
        library = edge_library(major_only=True, measured=False)
        onset = library.onset_ev[library.labels.index(label)]
        first = round(float(onset - silicon.offset[0])) - 12
        part = np.asarray(silicon.counts)[:, first : first + 24]
        # the steepest rise of each record against that of the whole set
        rise = np.argmax(np.diff(part, axis=1), axis=1)
        moved = rise - np.median(rise - shift)
        np.testing.assert_allclose(moved, shift, atol=1.01)
        assert np.mean(np.abs(moved - shift) < 0.5) > 0.9


def test_annys_samples_hold_the_published_elements_only() -> None:
    batch = simulate(load_recipe("annys2023"), 3000, 8)
    seen = {ELEMENTS[i] for i in np.unique(batch.draws.elements[batch.draws.elements >= 0])}
    assert seen == set(ELEMENTS) - {"Li", "Th", "U"}


def test_elements_left_out_must_be_known() -> None:
    with pytest.raises(ValueError, match="elements_left_out"):
        SimulationRecipe(elements_left_out=("Xx",))
    with pytest.raises(ValueError, match="not all"):
        SimulationRecipe(elements_left_out=ELEMENTS)


def test_torch_moves_the_same_edges() -> None:
    torch = pytest.importorskip("torch")
    recipe = replace(load_recipe("annys2023"), background_amplitude=(1e7,))
    ours, theirs = simulate(recipe, 20, 5), simulate(recipe, 20, 5, xp=torch)
    np.testing.assert_array_equal(ours.edges["onset_ev"], theirs.edges["onset_ev"])
    np.testing.assert_allclose(ours.snr, theirs.snr, rtol=2e-3, atol=2e-3)
