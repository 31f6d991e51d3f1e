"""How far the fit may correct the network, as tools/build_judgement.py has it."""

from __future__ import annotations

import numpy as np
import pytest

from coreloss.identification.evidence import FEATURES

pytest.importorskip("sklearn")
from build_judgement import correction


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
