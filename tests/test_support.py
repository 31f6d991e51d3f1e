"""Which elements a joint fit is asked of, where a summed spectrum is to bear one out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coreloss.energy import EnergyAxis
from coreloss.maps.quantification import _left_out
from coreloss.maps.support import BORNE_OUT, Proof

NETWORK = {"Ti": 0.999, "O": 0.99, "Sn": 0.23, "Co": 0.5, "Ba": 0.95, "V": 0.05}


def proof(monkeypatch: pytest.MonkeyPatch, hidden_by: dict[str, str]) -> Proof:
    """Of a sum in which some elements seem to bring nothing beside another."""

    def gather(
        counts: Any, axis: Any, network: dict[str, float], judged: Any, limit: float
    ) -> SimpleNamespace:
        among = {s for s, p in network.items() if p > 0}
        ratio = {s: 13.0 if hidden_by.get(s) in among else 15.0 for s in among}
        return SimpleNamespace(
            elements={s: SimpleNamespace(likelihood_ratio=r) for s, r in ratio.items()}
        )

    monkeypatch.setattr("coreloss.maps.support.gather", gather)
    elements = {
        s: SimpleNamespace(network=p, probability=p, likelihood_ratio=0.0)
        for s, p in NETWORK.items()
    }
    result: Any = SimpleNamespace(
        evidence=SimpleNamespace(elements=elements),
        threshold=0.4,
        probabilities=NETWORK,
        counts=np.array([1.0, np.nan, 3.0]),
        axis=EnergyAxis(400.0, 1.0, 3),
        judged=tuple(NETWORK),
    )
    return Proof.of(result)


def test_an_unlikely_rival_hides_no_likely_element(monkeypatch: pytest.MonkeyPatch) -> None:
    found = proof(monkeypatch, {"O": "Sn", "Co": "Ba"})
    assert "V" not in found.likelihood_ratios
    assert found.support("O").likelihood_ratio > BORNE_OUT
    assert found.support("O").found
    # a likelier one does: what the network takes for cobalt is barium
    assert not found.support("Co").found
    assert "gains too little" in found.support("Co").reason("the sum")


def test_what_maps_leave_out_of_many_spectra_is_said() -> None:
    rows = [
        {"symbol": "O", "fraction": 0.98, "kept": False, "reason": "the fit gains nothing by it"},
        {"symbol": "Co", "fraction": 0.02, "kept": False, "reason": "scattered"},
        {"symbol": "Ti", "fraction": 1.0, "kept": True, "reason": ""},
    ]
    maps: Any = SimpleNamespace(candidates=rows)
    assert _left_out(maps) == {"O": "found in 98 % of the spectra, but the fit gains nothing by it"}
