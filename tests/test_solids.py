"""Delayed M4,5 edges in the fit: where solids have them, and as strong."""

from __future__ import annotations

import numpy as np
import pytest
from literature import above_shallower_shells, cxro

from coreloss.atom.cross_section import angular_factor, dsigma_de
from coreloss.atom.gos_table import gos_table
from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit import design_matrix
from coreloss.fit.solids import SolidTable, as_measured
from coreloss.maps import quantify

BEAM = {"beam_energy_kev": 200.0, "alpha_mrad": 0.0, "beta_mrad": 10.0}
SHELLS = ("M4", "M5")


def onset(symbol: str, shell: str = "M5") -> float:
    return next(e.onset_ev for e in edges_of(symbol) if e.subshell == shell)


def test_the_strength_of_the_atom_is_stretched_at_every_momentum() -> None:
    stretch, strength = as_measured("Zr", "M5")
    assert stretch > 1.1
    atom, solid = (t.strengths("Zr", "M5") for t in (gos_table(), SolidTable.shipped()))
    excess = np.array([0.0, 2.0, 30.0, 90.0, 250.0, 1500.0])
    q = [0.03, 0.5, 2.0]
    before = atom.gos(atom.onset_ev + excess, q)
    after = solid.gos(solid.onset_ev + stretch * excess, q)
    assert after == pytest.approx(strength * before, rel=2e-3)
    assert not solid.gos(solid.onset_ev - 1.0, q).any()


@pytest.mark.parametrize(("symbol", "span"), [("Zr", 150), ("Ag", 200), ("Sn", 200)])
def test_models_have_the_measured_maximum_and_strength(symbol: str, span: int) -> None:
    """Nearer to photo-absorption than the atom is, and near to it."""
    first = onset(symbol)
    energies = first + 0.5 + np.arange(span)
    density = above_shallower_shells(cxro(symbol), first, energies)
    seen = density * angular_factor(energies, 200.0, 1e-3, 10.0)
    axis = EnergyAxis(energies[0] - 20.0, 1.0, span + 20)
    place, strength = [], []
    for measured, table in ((False, gos_table()), (True, SolidTable.shipped())):
        design = design_matrix(
            [symbol], axis, near_edge="none", measured_shapes=measured, background=1, **BEAM
        )
        edge = design.matrix[20:, design.amplitude[0]]
        # M2 and M3 of heavier elements begin within the span
        both = sum(dsigma_de(symbol, s, energies, table=table, **BEAM) for s in SHELLS)
        until = int(min(span, onset(symbol, "M3") - first - 1))
        assert edge[12:until] == pytest.approx(1e18 * both[12:until], rel=0.01)
        place.append(energies[np.argmax(both)])
        strength.append(
            sum(table.strengths(symbol, s).gos(energies[:100], [0.03]).sum() for s in SHELLS)
        )
    where = energies[np.argmax(seen)]
    assert place[1] - place[0] >= 8.0
    assert abs(place[1] - where) < 0.65 * abs(place[0] - where)
    assert strength[1] == pytest.approx(density[:100].sum(), rel=0.21)
    assert strength[0] > 1.2 * density[:100].sum()


def test_only_delayed_m45_edges_change() -> None:
    assert as_measured("O", "K") == as_measured("La", "M5") == as_measured("Zr", "M3") == (1.0, 1.0)
    axis = EnergyAxis(400.0, 1.0, 600)
    designs = [
        design_matrix(["O", "Ti", "La"], axis, measured_shapes=measured, **BEAM)
        for measured in (True, False)
    ]
    assert (designs[0].matrix == designs[1].matrix).all()
    assert SolidTable.shipped().strengths("O", "K") is gos_table().strengths("O", "K")


def test_quantities_follow_and_the_atom_can_be_asked_for() -> None:
    """Sn over O of a record made with one model and fitted with the other."""
    axis = EnergyAxis(400.0, 1.0, 500)
    truth = design_matrix(["Sn", "O"], axis, near_edge="none", background=1, **BEAM)
    edges = truth.matrix[:, truth.amplitude] @ np.array([1.0, 2.0])
    clean = 1e5 * ((axis.energies / 400.0) ** -3 + 0.5 * edges / edges.max())
    record = Spectra(np.random.default_rng(0).poisson(clean, (6, axis.size)), axis)
    options = {"near_edge": "none", "thickness": 0.0, **BEAM}
    found = quantify(record, ["Sn", "O"], **options)
    assert found.total["Sn"]["atomic_percent"] == pytest.approx(100 / 3, abs=0.7)
    assert any("Sn M4,5 as measured" in note for note in found.notes)
    atom = quantify(record, ["Sn", "O"], measured_shapes=False, **options)
    assert abs(atom.total["Sn"]["atomic_percent"] - 100 / 3) > 2.0
    assert not any("as measured" in note for note in atom.notes)
