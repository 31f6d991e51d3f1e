"""Elements of which a record tells no amount."""

from __future__ import annotations

import numpy as np
import pytest

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis, Spectra
from coreloss.maps import quantify
from coreloss.maps.doubtful import doubtful

MICROSCOPE = {"beam_energy_kev": 200.0, "alpha_mrad": 10.0, "beta_mrad": 20.0}


def _axis(start: float, end: float) -> EnergyAxis:
    return EnergyAxis(start, 1.0, int(end - start))


@pytest.mark.parametrize(
    ("symbol", "window", "better"),
    [
        ("La", (85, 450), "record La M4,5 at 832 eV"),
        ("I", (42, 450), "record I M4,5 at 619 eV"),
        ("Th", (60, 300), "record Th N6,7 at 333 eV"),
    ],
)
def test_a_giant_resonance_tells_no_amount(
    symbol: str, window: tuple[float, float], better: str
) -> None:
    without, notes = doubtful([symbol, "C"], _axis(*window), None)
    assert list(without) == [symbol]
    assert without[symbol].endswith(better)
    assert notes == []


def test_a_resonance_beside_better_edges_is_told() -> None:
    without, notes = doubtful(["Ba", "Ti", "O"], _axis(60, 1000), None)
    assert without == {}
    assert len(notes) == 1
    assert notes[0].startswith("Ba N4,5 at 90 eV is a giant resonance")
    assert doubtful(["Ba", "Ti", "O"], _axis(60, 1000), (200.0, 1000.0)) == ({}, [])


def test_minor_edges_alone_are_told() -> None:
    without, notes = doubtful(["Te"], _axis(60, 400), None)
    assert without == {}
    assert notes == ["only minor edges of Te are fitted (Te N2,3, Te N1): a doubtful amount"]


def test_4d_shells_of_antimony_to_ytterbium_are_resonances() -> None:
    for symbol in ("Sb", "Te", "I", "Xe", "Cs", "La", "Yb"):
        shapes = {e.subshell: e.shape for e in edges_of(symbol)}
        assert shapes["N4"] == shapes["N5"] == "resonance"


def test_quantification_gives_none_and_keeps_the_element_in_the_fit() -> None:
    axis = _axis(85, 450)
    counts = 1e6 * (axis.energies / 85.0) ** -2.5
    counts += 2e5 * np.exp(-0.5 * ((axis.energies - 118.0) / 5.0) ** 2)
    counts += 2e4 * (axis.energies > 284.0) * (axis.energies / 284.0) ** -3
    record = Spectra(np.random.default_rng(0).poisson(counts).astype(float), axis, MICROSCOPE)
    result = quantify(record, ["La", "C"], thickness=0.0)
    assert result.elements == ("C",)
    assert result.design.elements == ("La", "C")
    assert "giant resonance" in result.not_quantified["La"]
    with pytest.raises(ValueError, match=r"no amount can be told \(La: La N4,5 is a giant"):
        quantify(record, ["La"], thickness=0.0)
