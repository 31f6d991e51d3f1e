"""How far the fit may correct the network, and which sets are given: tools/build_judgement.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from coreloss.identification.candidates import members, set_features
from coreloss.identification.evidence import FEATURES

pytest.importorskip("sklearn")
from build_judgement import Group, correction, sets_from


def _candidates(told: float, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of candidates, the likelihood ratio worth ``told``, and which are there."""
    rng = np.random.default_rng(seed)
    x = np.stack(
        [
            rng.normal(-1.0, 2.0, n),
            rng.exponential(1.5, n),
            rng.exponential(1.0, n),
            rng.uniform(0.0, 1.0, n).round(),
        ],
        axis=1,
    )
    odds = x[:, 0] + told * (x[:, 1] - 1.5)
    return x, rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-odds))


def test_a_fit_that_tells_nothing_leaves_the_network_as_it_is() -> None:
    for seed in range(3):
        x, y = _candidates(0.0, 600, seed)
        weights = correction(x, y)
        assert weights.shape == (1 + len(FEATURES),)
        odds = weights[0] + x @ weights[1:]
        assert (odds - x[:, 0]).std() < 0.15
        assert weights[1] == pytest.approx(1.0, abs=0.1)


def test_a_fit_that_tells_much_is_heard_where_records_are_many() -> None:
    x, y = _candidates(1.0, 20_000, 1)
    weights = correction(x, y)
    assert weights[2] == pytest.approx(1.0, abs=0.25)


def test_evidence_never_speaks_against_an_element() -> None:
    x, y = _candidates(-1.0, 5000, 2)
    weights = correction(x, y)
    assert weights[2] == 0.0
    assert weights[3] >= 0.0
    assert weights[4] <= 0.0


def _groups(n: int, seed: int, *, honest: float) -> list[Group]:
    """Pairs of rivals; ``honest`` is by what the odds of any are higher than by each for itself."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        first = rng.uniform(0.3, 0.89)
        second = rng.uniform(0.3, 1.0) * first
        any_there = 1.0 - (1.0 - first) * (1.0 - second)
        odds = any_there / (1.0 - any_there) * honest
        there = np.zeros(2, dtype=bool)
        if rng.uniform() < odds / (1.0 + odds):
            there[int(rng.uniform() > first / (first + second))] = True
        out.append(
            Group(np.array([first, second]), rng.uniform(0.0, rng.uniform(0.001, 0.01), 80), there)
        )
    return out


def _coverage(groups: list[Group], model: dict[str, Any]) -> tuple[float, int]:
    """Of sets from where they are given on: the share that is true, and their number."""
    intercept, *slopes = model["set_joint"]
    hits = []
    for g in groups:
        m = members(g.values, model["set_weight"])
        odds = intercept + float(np.dot(slopes, set_features(g.values[:m], g.others)))
        if m > 1 and 1.0 / (1.0 + np.exp(-odds)) >= model["set_probability"]:
            hits.append(g.there[:m].any())
    return float(np.mean(hits)), len(hits)


def test_the_worst_kind_of_record_decides_which_sets_are_given() -> None:
    honest, boastful = _groups(3000, 1, honest=6.0), _groups(3000, 2, honest=2.0)
    alone = sets_from([honest], 0.48)
    both = sets_from([honest, boastful], 0.48)
    assert _coverage(boastful, alone)[0] < 0.95
    for groups in (_groups(3000, 3, honest=6.0), _groups(3000, 4, honest=2.0)):
        covered, number = _coverage(groups, both)
        assert covered >= 0.95
        assert 50 < number < _coverage(groups, alone)[1]
