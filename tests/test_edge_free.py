"""Edges against what a detector does: steps of gain and spikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import coreloss
from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis
from coreloss.identification.boosted import BoostedTrees
from coreloss.identification.edge_free import (
    EDGE_FEATURES,
    FOR_EDGES,
    SEARCHED,
    SHOWN,
    Likeliest,
    edge_features,
    edge_probability,
    least_edge,
    smoothed_step,
    step_of_gain,
)
from coreloss.identification.evidence import Evidence, gather
from coreloss.identification.judgement import edge_trees
from coreloss.identification.physics import binned, columns_of
from coreloss.identification.positions import found_edges, window_bins
from coreloss.identification.result import Identification
from coreloss.identification.spikes import without_spikes
from coreloss.simulate import simulate_sample

AXIS = EnergyAxis(430.0, 1.0, 300)
# no trees: every record shows an edge
NODES, VALUES = np.zeros((0, 1), dtype=np.int64), np.zeros((0, 1))
SURE = BoostedTrees(30.0, NODES, VALUES, NODES, NODES, VALUES)


def _background(seed: int = 4) -> np.ndarray:
    smooth = 4e5 * (AXIS.energies / 430.0) ** -3
    return np.random.default_rng(seed).poisson(smooth).astype(float)


def _oxide() -> tuple[np.ndarray, EnergyAxis]:
    batch = simulate_sample(
        {"Ti": 1, "O": 2}, start_ev=400.0, end_ev=700.0, counts=1e6, seed=2, thickness=0.3
    )
    axis = EnergyAxis(float(batch.offset[0]), float(batch.dispersion[0]), int(batch.size[0]))
    return np.asarray(batch.counts[0], dtype=float), axis


def test_a_step_of_gain_explains_itself_and_not_an_edge() -> None:
    joined = _background()
    joined[120:] *= 1.2
    oxygen = columns_of("O")
    step, plain = binned(joined, AXIS), binned(_background(), AXIS)
    explained = [float(step_of_gain(bins) @ bins.rest) ** 2 for bins in (step, plain)]
    assert explained[0] > 20.0 * explained[1]
    assert step_of_gain(step) @ step_of_gain(step) == pytest.approx(1.0)
    assert step.basis.T @ step_of_gain(step) == pytest.approx(0.0, abs=1e-9)
    place = EDGE_FEATURES.index("edges against a step of gain")
    oxygen_likely = Likeliest(0.7, 0.7, 0.0, 0.7, 532.0, 2.0, None, None)
    assert edge_features(step, oxygen, oxygen_likely, 0.0)[place] < 0.0
    counts, axis = _oxide()
    both = [*columns_of("Ti"), *oxygen]
    found = edge_features(binned(counts, axis), both, oxygen_likely, 0.0)
    assert found[place] > 2.0
    # a detector's unit of counts tells nothing
    other = edge_features(binned(2.5e-4 * counts, axis), both, oxygen_likely, 0.0)
    assert other == pytest.approx(found, abs=1e-6)


def test_a_smoothed_step_explains_itself_where_an_edge_was_looked_for() -> None:
    oxygen = 100 + np.arange(-40, 60)
    for width in (1, 3, 5):
        joined = _background()
        joined[100:] *= 1.2
        joined = np.convolve(joined, np.ones(width) / width, "same")[oxygen]
        bins = binned(joined, EnergyAxis(float(AXIS.energies[oxygen[0]]), 1.0, oxygen.size))
        bare = float(bins.rest @ bins.rest)
        sharp = float(step_of_gain(bins) @ bins.rest) ** 2
        assert smoothed_step(bins) >= 0.999 * sharp
        assert bare - smoothed_step(bins) < 0.05 * bare
    counts, axis = _oxide()
    (edge,) = (e for e in found_edges(counts, axis, ["Ti", "O"]) if e.symbol == "O")
    bins = window_bins(counts, axis, edge.window)
    step = float(bins.rest @ bins.rest) - smoothed_step(bins)
    assert step > 1.3 * edge.chi2


def test_neighbours_that_share_a_probability_are_an_edge_together() -> None:
    place = EDGE_FEATURES.index("log odds of any element")
    counts, axis = _oxide()

    def odds(**network: float) -> float:
        every = dict.fromkeys(ELEMENTS, 0.001) | network
        proof = gather(counts, axis, every, frozenset(ELEMENTS), 0.3, trees=SURE)
        return float(proof.edge_features[place])

    assert odds(Ti=0.3, V=0.3, Cr=0.3) > odds(Ti=0.3) + 1.0
    assert odds(Ti=0.3, V=0.3, Cr=0.3) < odds(Ti=0.9)


def test_records_with_edges_are_told_from_those_without() -> None:
    joined = _background()
    joined[120:] *= 1.2
    counts, axis = _oxide()
    trees = edge_trees()
    # the network is surer of such edges than of a step
    titanium = max(found_edges(counts, axis, ["Ti", "O"]), key=lambda edge: edge.snr)
    window = window_bins(counts, axis, titanium.window)
    both = Likeliest(0.97, 0.97, 0.9, 0.99, 456.0, 5.0, titanium, window)
    oxide = [*columns_of("Ti"), *columns_of("O")]
    edge = edge_probability(edge_features(binned(counts, axis), oxide, both, 2.0), trees)
    alone = Likeliest(0.7, 0.7, 0.0, 0.7, 532.0, 2.0, None, None)
    step = edge_probability(edge_features(binned(joined, AXIS), columns_of("O"), alone, 2.0), trees)
    missing = Likeliest(0.7, 0.7, 0.0, 0.7, 532.0, 2.0, None, None)
    none = edge_probability(edge_features(binned(_background(), AXIS), (), missing, 2.0), trees)
    assert step < 0.5 < edge
    assert none < edge


def test_trees_add_the_leaf_that_features_fall_into() -> None:
    # the first asks for feature 1, then for feature 0; the second is a leaf
    trees = BoostedTrees(
        0.5,
        np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),
        np.array([[2.0, -1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]),
        np.array([[1, 3, 2, 3, 4], [0, 1, 2, 3, 4]]),
        np.array([[2, 4, 2, 3, 4], [0, 1, 2, 3, 4]]),
        np.array([[0.0, 0.0, 10.0, 20.0, 30.0], [0.25, 0.0, 0.0, 0.0, 0.0]]),
    )
    for features, leaf in (((-1.0, 2.0), 20.0), ((0.0, 2.0), 30.0), ((-1.0, 2.1), 10.0)):
        assert trees.log_odds(np.array(features)) == pytest.approx(0.75 + leaf)


def test_what_speaks_for_an_edge_never_makes_it_less_probable() -> None:
    trees = edge_trees()
    assert trees.feature.max() < len(EDGE_FEATURES)
    rng = np.random.default_rng(0)
    for _ in range(40):
        features = rng.normal(0.0, 3.0, len(EDGE_FEATURES))
        more = features.copy()
        more[: len(FOR_EDGES)] += rng.exponential(2.0, len(FOR_EDGES))
        assert trees.log_odds(more) >= trees.log_odds(features) - 1e-9


def test_nothing_is_named_where_no_edge_is_likely() -> None:
    joined = _background()
    joined[120:] *= 1.2
    network = {symbol: 0.75 if symbol == "O" else 0.001 for symbol in ELEMENTS}
    every = frozenset(ELEMENTS)
    limit = 0.3
    proof = gather(joined, AXIS, network, every, limit)
    alone = gather(joined, AXIS, network, every, limit, trees=SURE)
    oxygen = proof.elements["O"].probability
    assert 0.0 < proof.edge < 0.5 < alone.edge
    assert oxygen == pytest.approx(alone.elements["O"].probability)
    assert limit <= oxygen
    assert alone.shows_edge
    assert not proof.shows_edge

    def answer(evidence: Evidence) -> Identification:
        values = network | {"O": oxygen}
        return Identification(values, limit, "a model", AXIS, joined, every, evidence=evidence)

    assert answer(alone).found == ("O",)
    assert answer(proof).found == ()
    assert answer(proof).to_dict()["elements"] == []
    assert "an edge of any element is there with a probability of 0." in proof.text(())

    loose = gather(joined, AXIS, network, every, limit, shown=0.9 * proof.edge)
    assert loose.edge == proof.edge
    assert answer(loose).found == ("O",)


def test_a_lower_threshold_asks_for_less_of_an_edge() -> None:
    assert least_edge(0.48, 0.48) == pytest.approx(SHOWN)
    # what was searched for under many axes is to be surer, at any threshold
    assert least_edge(0.48, 0.48, searched=True) == pytest.approx(SEARCHED)
    assert least_edge(0.1, 0.48, searched=True) > least_edge(0.1, 0.48)
    asked = [least_edge(p, 0.48) for p in (0.01, 0.1, 0.3, 0.7, 0.99)]
    assert asked == sorted(asked)
    assert asked[1] == pytest.approx(0.1 / 0.9 * 0.52 / 0.48 / (1 + 0.1 / 0.9 * 0.52 / 0.48))
    assert 0.0 < asked[0] < SHOWN < asked[-1] < 1.0


def test_the_threshold_asked_for_reaches_the_record(step_bundle: Path) -> None:
    counts, axis = _oxide()
    for threshold in (0.1, 0.5, 0.9):
        result = coreloss.identify(
            counts, axis, model=step_bundle, threshold=threshold, evidence=True
        )
        assert result.evidence is not None
        assert result.evidence.shown == pytest.approx(threshold)


def test_spikes_are_bridged_and_lines_are_not() -> None:
    counts = _background()
    spiked = counts.copy()
    spiked[[80, 200]] *= (1.6, 3.0)
    rows, notes = without_spikes(np.stack([counts, spiked]), AXIS)
    assert np.array_equal(rows[0], counts)
    assert list(notes) == [1]
    assert "510.0, 630.0 eV" in notes[1] or "630.0, 510.0 eV" in notes[1]
    assert rows[1] == pytest.approx(counts, rel=0.02)
    # a white line as sharp as the energy resolution, 1.5 eV wide, with and without its step
    line = np.exp(-2.7726 * ((AXIS.energies - 532.0) / 1.5) ** 2)
    for step in (0.0, 0.2):
        edge = counts * (1.0 + line + step * (AXIS.energies > 532.0))
        assert without_spikes(edge[None], AXIS)[1] == {}
    coarse = EnergyAxis(430.0, 4.0, 300)
    assert without_spikes(spiked[None], coarse)[1] == {}
    gap = spiked.copy()
    gap[10] = np.nan
    assert without_spikes(gap[None], AXIS)[1] == {}
    gap[10:12] = np.inf
    assert without_spikes(gap[None], AXIS)[1] == {}


def test_the_answer_tells_of_spikes() -> None:
    spiked = _background()
    spiked[80] *= 3.0
    result = coreloss.identify(spiked, AXIS, threads=1)
    assert any("single channels far too high" in note for note in result.notes)
    assert result.counts[80] < 1.5 * _background()[80]


def test_single_electrons_are_no_spikes() -> None:
    few = np.random.default_rng(0).poisson(0.4 * np.ones((20, AXIS.size)))
    for unit in (1.0, 37.5):
        rows, notes = without_spikes(unit * few, AXIS)
        assert notes == {}
        assert (rows == unit * few).all()
    few[3, 100] = 40
    assert list(without_spikes(few, AXIS)[1]) == [3]


def test_so_few_counts_that_most_channels_are_zero_are_judged() -> None:
    """Their median is zero, and so are the median noise and level."""
    counts = np.random.default_rng(3).poisson(0.1, 400).astype(float)
    counts[300:] += np.random.default_rng(4).poisson(5.0, 100)
    axis = EnergyAxis(232.0, 1.0, 400)
    result = coreloss.identify(counts, axis, evidence=True)
    assert result.evidence is not None
    assert np.isfinite(result.evidence.edge_features).all()
