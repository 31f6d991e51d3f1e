"""Records that begin behind an element's main edge, with its minor ones in it."""

from __future__ import annotations

import numpy as np
import pytest

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis
from coreloss.identification.evidence import gather
from coreloss.identification.physics import columns_of
from coreloss.identification.positions import found_edges
from coreloss.simulate import simulate_sample

ALL = frozenset(ELEMENTS)


def _iron(start_ev: float) -> tuple[np.ndarray, EnergyAxis]:
    batch = simulate_sample(
        {"Fe": 1}, start_ev=start_ev, end_ev=1080.0, counts=3e6, seed=5, thickness=0.3
    )
    axis = EnergyAxis(float(batch.offset[0]), float(batch.dispersion[0]), int(batch.size[0]))
    return np.asarray(batch.counts[0], dtype=float), axis


def test_shells_behind_the_start_of_a_record_stand_for_themselves() -> None:
    whole, behind = columns_of("Fe", 600.0), columns_of("Fe", 750.0)
    assert whole == tuple(c for c in columns_of("Fe") if c.onset_ev > 600.0)
    assert any("L1" in c.groups and "L23" in c.groups for c in whole)
    (atom,) = (c for c in behind if c.kind == "atom")
    assert atom.groups == ("L1",)
    assert atom.onset_ev == pytest.approx(846.0, abs=3.0)
    assert not atom.major
    below = np.arange(0.0, atom.onset_ev - 10.0, 0.5).size
    assert not atom.shape[:below].any()
    assert columns_of("Fe", 900.0) == ()


def test_a_minor_edge_is_looked_for_where_there_is_no_main_one() -> None:
    (found,) = found_edges(*_iron(750.0), ["Fe"])
    assert found.label == "Fe L1"
    assert found.snr > 4.0
    assert found.found_ev == pytest.approx(found.onset_ev, abs=5.0)
    # the main one in the record is enough
    assert [edge.label for edge in found_edges(*_iron(600.0), ["Fe"])] == ["Fe L2,3"]


def test_the_fit_knows_what_a_minor_edge_brings() -> None:
    counts, axis = _iron(750.0)
    network = {s: 0.9 if s == "Fe" else 0.001 for s in ELEMENTS}
    proof = gather(counts, axis, network, ALL, 0.5)
    iron = proof.elements["Fe"]
    assert iron.likelihood_ratio > 20.0
    assert "Fe L1" in proof.text(("Fe",))
    assert proof.shows_edge
