"""White lines and natural widths."""

from __future__ import annotations

import pytest

from coreloss.atom.discrete import compute_lines, lines_of
from coreloss.atom.widths import natural_width_ev
from coreloss.edges import ELEMENTS


def test_empty_states_are_counted() -> None:
    """Ten, less the electrons of the neutral ground state."""
    for symbol, empty in (("Ca", 10), ("Ti", 8), ("Fe", 4), ("Ni", 2)):
        holes = {line.final: line.holes for line in lines_of(symbol, "L3")}
        assert sum(holes.values()) == pytest.approx(empty)
    assert not lines_of("Cu")  # 3d¹⁰
    for symbol, empty in (("La", 14), ("Gd", 7), ("Tm", 1)):
        holes = {line.final: line.holes for line in lines_of(symbol, "M5")}
        assert sum(holes.values()) == pytest.approx(empty)


def test_lines_have_the_statistical_ratio_of_their_subshells() -> None:
    """Each subshell's strength goes with its electrons: 2p 4 to 2, 3d and 4d 6 to 4 when the
    open shell is empty."""
    for symbol, pair, ratio in (("Ti", ("L3", "L2"), 2.0), ("La", ("M5", "M4"), 1.5)):
        strong, weak = (sum(line.strength for line in lines_of(symbol, s)) for s in pair)
        assert strong / weak == pytest.approx(ratio, rel=0.12)


def test_giant_resonances_hold_nearly_all_of_the_4d_strength() -> None:
    """4d¹⁰→4f of lanthanum: observed 4d absorption sums to some 9 to 10 (Zimkina et al. 1967);
    taken to where it is observed, 117 eV, theory has as much."""
    lines = [line for s in ("N4", "N5") for line in lines_of("La", s) if line.final[:2] == "4f"]
    strength = sum(line.strength for line in lines) * 117.0 / 98.9
    assert 8.0 < strength < 10.5
    # and no transition takes more than the electrons there are
    assert all(sum(line.strength for line in lines_of(s, "M5")) < 6 for s in ELEMENTS)


def test_white_lines_shrink_as_the_shell_fills() -> None:
    for row, shell in (("Sc Ti V Mn Fe Co Ni", "L3"), ("La Ce Pr Nd Sm Gd Dy Er Tm", "M5")):
        strengths = [
            sum(line.strength for line in lines_of(symbol, shell) if line.final[1] in "df")
            / sum(line.strength_per_hole for line in lines_of(symbol, shell))
            for symbol in row.split()
        ]
        assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize("symbol", ["C", "Fe", "Gd"])
def test_the_table_is_what_the_theory_gives(symbol: str) -> None:
    pytest.importorskip("numba")
    fresh = compute_lines(symbol)
    assert [(a.subshell, a.final) for a in fresh] == [
        (b.subshell, b.final) for b in lines_of(symbol)
    ]
    for a, b in zip(fresh, lines_of(symbol), strict=True):
        assert a.strength == pytest.approx(b.strength, rel=2e-3)
        assert a.level_ev == pytest.approx(b.level_ev, abs=0.02)


def test_natural_widths() -> None:
    """Campbell & Papp 2001, table II."""
    assert natural_width_ev("Fe", "L3") == pytest.approx(0.36, abs=0.05)
    assert natural_width_ev("Al", "K") == pytest.approx(0.42, abs=0.05)
    # Coster–Kronig decay makes L1 and L2 wider than L3
    for symbol in ("Ti", "Fe", "Mo"):
        widths = [natural_width_ev(symbol, s) for s in ("L1", "L2", "L3")]
        assert widths == sorted(widths, reverse=True)
    with pytest.raises(ValueError, match="no natural width for Fe N5; Fe has"):
        natural_width_ev("Fe", "N5")
