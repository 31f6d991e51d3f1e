"""Backgrounds subtracted as it is done: a power law fitted before an edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coreloss.edges import ELEMENTS
from coreloss.simulate import load_recipe, simulate
from coreloss.simulate.draws import draw
from coreloss.simulate.library import edge_library
from coreloss.simulate.subtraction import subtracted_before_edges

RECIPE = replace(load_recipe("default"), subtracted_fraction=1.0, fitted_fraction=1.0)


@pytest.fixture(scope="module")
def drawn():
    return draw(np.random.default_rng(3), 400, RECIPE, edge_library())


def _power_laws(draws, size: np.ndarray, exponent: float) -> np.ndarray:
    channel = np.arange(int(size.max()))[None, :]
    energy = draws.start_ev[:, None] + draws.dispersion_ev[:, None] * (channel + 0.5)
    record = 1e6 * (energy / draws.start_ev[:, None]) ** -exponent
    return (record * (channel < size[:, None])).astype(np.float32)


def test_a_power_law_goes_wherever_it_is_fitted(drawn) -> None:
    import array_api_compat.numpy as xp

    size = np.floor((drawn.end_ev - drawn.start_ev) / drawn.dispersion_ev).astype(int)
    record = _power_laws(drawn, size, 3.0)
    onset = 0.5 * (drawn.start_ev + drawn.end_ev)
    before = record.copy()
    left, start, cut, done = subtracted_before_edges(
        xp, np.random.default_rng(0), record, drawn, size, onset, RECIPE
    )
    np.testing.assert_array_equal(record, before)
    assert done.mean() > 0.7
    assert np.abs(left[done]).max() < 1e-3 * record.max()
    np.testing.assert_array_equal(left[~done], record[~done])
    np.testing.assert_array_equal(cut[~done], size[~done])
    # what is cut off goes at the beginning
    np.testing.assert_allclose(
        start + cut * drawn.dispersion_ev, drawn.start_ev + size * drawn.dispersion_ev
    )
    assert (start[done] > drawn.start_ev[done]).mean() > 0.5
    assert (cut >= np.minimum(size, 24)).all()
    assert (cut * drawn.dispersion_ev >= 24.0).all()


def test_records_keep_their_channels_where_they_are_cut(drawn) -> None:
    import array_api_compat.numpy as xp

    size = np.floor((drawn.end_ev - drawn.start_ev) / drawn.dispersion_ev).astype(int)
    record = _power_laws(drawn, size, 3.0)
    onset = 0.5 * (drawn.start_ev + drawn.end_ev)
    place = np.rint((onset + 5.0 - drawn.start_ev) / drawn.dispersion_ev).astype(int)
    place = np.minimum(place, size - 1)
    record[np.arange(size.size), place] *= 1e3
    left, start, _, done = subtracted_before_edges(
        xp, np.random.default_rng(0), record, drawn, size, onset, RECIPE
    )
    first = np.rint((start - drawn.start_ev) / drawn.dispersion_ev).astype(int)
    np.testing.assert_array_equal(left.argmax(axis=1)[done], (place - first)[done])


def test_something_is_left_of_every_record(drawn) -> None:
    """Behind the window a background that falls ever faster lies below its power law."""
    import array_api_compat.numpy as xp

    size = np.floor((drawn.end_ev - drawn.start_ev) / drawn.dispersion_ev).astype(int)
    channel = np.arange(int(size.max()))[None, :] * drawn.dispersion_ev[:, None]
    record = _power_laws(drawn, size, 3.0) * np.exp(-((channel / 200.0) ** 2)).astype(np.float32)
    onset = 0.5 * (drawn.start_ev + drawn.end_ev)
    left, *_, done = subtracted_before_edges(
        xp, np.random.default_rng(0), record, drawn, size, onset, RECIPE
    )
    below = (left.max(axis=1) <= 0)[done]
    assert below.any()
    assert (left.min(axis=1) < 0)[done][below].all()


def test_nothing_is_left_before_the_first_edge() -> None:
    """Of the sum of all edges, tails of those below the record included, and the background."""
    recipe = replace(
        RECIPE, composition="chemistry", empty_fraction=0.0, unlisted_fraction=0.0,
        offset_fraction=0.0, baseline_fraction=0.0, shading_fraction=0.0, spike_fraction=0.0,
        gain_step_fraction=0.0, smoothed_fraction=0.0, gain_noise=(0.0, 0.0),
        framed_fraction=1.0, framed_log_counts=(6.0, 7.0), close_fraction=0.0,
    )  # fmt: skip

    def share_before(fitted: float) -> float:
        batch = simulate(replace(recipe, fitted_fraction=fitted), 300, seed=11)
        shares = []
        for row in range(300):
            onsets = batch.edges["onset_ev"][batch.edges["spectrum"] == row]
            if onsets.size == 0:
                continue
            energy = batch.offset[row] + batch.dispersion[row] * np.arange(batch.size[row])
            counts = np.asarray(batch.counts[row, : batch.size[row]])
            early = energy < onsets.min() - 5.0
            if early.sum() > 3:
                shares.append(abs(counts[early].mean()) / np.abs(counts[~early]).max())
        return float(np.median(shares))

    assert share_before(1.0) < 0.1 < 0.3 < share_before(0.0)


def test_labels_are_those_of_the_record_as_cut() -> None:
    batch = simulate(RECIPE, 300, seed=12)
    end = batch.offset + batch.dispersion * batch.size
    spectrum, onset = batch.edges["spectrum"], batch.edges["onset_ev"]
    assert (onset > batch.offset[spectrum]).all()
    assert (onset < end[spectrum]).all()
    there = np.zeros((300, len(ELEMENTS)), dtype=bool)
    there[spectrum, batch.edges["element"]] = True
    np.testing.assert_array_equal(there, batch.in_range)
