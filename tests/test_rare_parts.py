"""What only some of the records have is computed for these, and says the same as for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from coreloss.simulate import load_recipe
from coreloss.simulate.draws import draw
from coreloss.simulate.gos import _unlisted, plasmon_tail
from coreloss.simulate.library import N_GRID, edge_library
from coreloss.simulate.low_loss import low_loss
from coreloss.simulate.shapes import shape_variants

RECIPE = load_recipe("default")
DRAWS = draw(
    np.random.default_rng(3),
    80,
    RECIPE,
    edge_library(RECIPE.edges == "major", RECIPE.measured_shapes),
)


def test_unlisted_edges_of_some_records_are_those_of_all() -> None:
    found = {}
    for share in (0.3, 1.0):
        rng = np.random.default_rng(7)
        recipe = replace(RECIPE, unlisted_fraction=share)
        found[share] = (*_unlisted(rng, DRAWS, recipe, N_GRID), rng.uniform())
    some, density, after = found[0.3]
    every, whole, after_all = found[1.0]
    assert after == after_all  # what is drawn later does not hang on it
    np.testing.assert_array_equal(every, np.arange(80))
    assert 10 < some.size < 40
    np.testing.assert_array_equal(density, whole[some])
    assert (density.max(axis=1) > 0).all()
    assert _unlisted(rng, DRAWS, replace(RECIPE, unlisted_fraction=0.0), N_GRID)[0].size == 0


def test_plasmon_tails_of_some_records_are_those_of_all() -> None:
    response = low_loss(np.random.default_rng(1), DRAWS, RECIPE)
    found = {}
    for share in (0.4, 1.0):
        rng = np.random.default_rng(7)
        recipe = replace(RECIPE, plasmon_tail_fraction=share)
        found[share] = (plasmon_tail(rng, DRAWS, recipe, response, N_GRID), rng.uniform())
    (tail, after), (whole, after_all) = found[0.4], found[1.0]
    assert after == after_all
    there = tail.any(axis=1)
    assert 2 < there.sum() < whole.any(axis=1).sum()
    np.testing.assert_array_equal(tail[there], whole[there])


def test_each_variant_has_what_its_reach_collects() -> None:
    recipe = replace(
        RECIPE, subshell_spread=0.0, shape_spread=0.0, delayed_spread=0.0, edge_shift_ev=0.0
    )
    library = edge_library(recipe.edges == "major", recipe.measured_shapes)
    table = shape_variants(np.random.default_rng(1), recipe, library).table
    each = table.shape[0] // library.reach.size
    pad = (table.shape[2] - N_GRID) // 2
    group = library.labels.index("O K")
    onset = int(library.onset_ev[group])
    above = np.log(np.maximum(np.arange(N_GRID - onset), 0.5))
    assert each > 1
    for variant, curve in enumerate(table[:, library.element[group]]):
        share = library.collected[variant // each, group]
        expected = library.shape[group, onset:] * np.interp(above, np.log(library.excess_ev), share)
        np.testing.assert_allclose(curve[pad + onset : pad + N_GRID], expected, rtol=1e-5)
        assert not curve[: pad + onset - 1].any()
    assert np.ptp(table[:, library.element[group], pad + onset + 400]) > 0
