"""What is told of an answer: its edges, why others are none, and the fit that is drawn."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis
from coreloss.identification import AxisEstimate, Evidence, Identification
from coreloss.identification.evidence import gather
from coreloss.identification.physics import columns_of

ALL = frozenset(ELEMENTS)


@pytest.fixture(scope="module")
def ferrite() -> tuple[np.ndarray, EnergyAxis]:
    """Fe and O from 460 to 860 eV, of many counts; atoms' edges on a power law."""
    axis = EnergyAxis(460.5, 1.0, 400)
    counts = 1e6 * (axis.energies / 460.0) ** -3
    for symbol, height in (("O", 3e5), ("Fe", 2e5)):
        (atom,) = (c for c in columns_of(symbol, 460.0) if c.kind == "atom")
        places = 0.5 * np.arange(atom.shape.size)
        counts += height * np.interp(axis.energies, places, atom.shape)
    return np.random.default_rng(3).poisson(counts).astype(float), axis


def _answer(counts: np.ndarray, axis: EnergyAxis, **network: float) -> Identification:
    chances = {symbol: network.get(symbol, 0.001) for symbol in ELEMENTS}
    finite = np.interp(
        axis.energies, axis.energies[np.isfinite(counts)], counts[np.isfinite(counts)]
    )
    proof = gather(finite, axis, chances, ALL, 0.5)
    values = chances | {s: e.probability for s, e in proof.elements.items()}
    return Identification(values, 0.5, "some 1", axis, counts, ALL, evidence=proof)


def _left_over(fit: Evidence, symbols: tuple[str, ...]) -> float:
    parts = sum((fit.contributions[s] for s in symbols), np.zeros_like(fit.counts))
    return float(np.std((fit.counts - fit.background - parts) / fit.sigma))


def test_what_is_drawn_is_the_fit_of_what_was_found(ferrite) -> None:
    counts, axis = ferrite
    # candidates that can stand for the iron edge and its tail, if they may
    result = _answer(counts, axis, Fe=0.97, O=0.97, F=0.3, Xe=0.3, Ba=0.3, Co=0.3, Sb=0.3)
    assert set(result.found) == {"Fe", "O"}
    fit = result.fitted()
    assert set(fit.contributions) == {"Fe", "O"}
    assert _left_over(fit, result.found) <= _left_over(result.evidence, result.found) + 1e-9
    assert np.allclose(fit.background + sum(fit.contributions.values()) + fit.residual, fit.counts)
    assert len(result.plot().axes) == 4


def test_nothing_but_the_found_needs_no_other_fit(ferrite) -> None:
    counts, axis = ferrite
    result = _answer(counts, axis, Fe=0.97, O=0.97)
    assert result.fitted() is result.evidence
    with pytest.raises(ValueError, match="evidence=True"):
        replace(result, evidence=None).fitted()


def test_gaps_of_a_record_are_no_hindrance(ferrite) -> None:
    counts, axis = ferrite
    gap = counts.copy()
    gap[200:204] = np.nan
    result = _answer(gap, axis, Fe=0.97, O=0.97, Ba=0.3)
    assert np.isfinite(result.fitted().background).all()


def test_an_edge_at_the_end_of_the_search_may_lie_farther(ferrite) -> None:
    counts, axis = ferrite
    by = {}
    for move in (0.0, 14.0):
        result = _answer(counts, axis.corrected(move), Fe=0.97, O=0.97)
        (edge,) = [e for e in result.evidence.elements["Fe"].edges if e.group == "L23"]
        by[move] = (edge, result.explain())
    right, off = by[0.0], by[14.0]
    assert not right[0].farther
    assert f"{right[0].found_ev:.1f} ± " in right[1]
    assert off[0].farther
    assert f"above {off[0].found_ev:.0f}" in off[1]
    assert f"{off[0].found_ev:.1f} ± " not in off[1]
    told = json.loads(json.dumps(result.to_dict()))["evidence"]
    (iron,) = [e for e in told if e["symbol"] == "Fe"]
    assert [e["farther"] for e in iron["edges"] if e["label"] == "Fe L2,3"] == [True]


def test_a_table_of_nothing_has_no_heading(ferrite) -> None:
    counts, axis = ferrite
    result = _answer(counts, axis, Ba=0.3)
    assert result.found == ()
    text = result.explain()
    assert "found at [eV]" not in text
    assert "not Ba: " in text


def test_the_axis_that_energies_belong_to_is_said(ferrite) -> None:
    counts, axis = ferrite
    result = _answer(counts, axis, Fe=0.97, O=0.97)
    moved = AxisEstimate("auto", -6.0, 1.0, -6.0, 1.0, 0.9, ("Fe L2,3 at 714.1 eV",))
    assert "corrected axis" in replace(result, axis_estimate=moved).explain()
    kept = replace(moved, shift_ev=0.0)
    assert "corrected axis" not in replace(result, axis_estimate=kept).explain()
