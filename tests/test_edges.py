"""The edge table against other tables and against physics."""

from __future__ import annotations

import csv
from importlib.resources import files
from itertools import pairwise

import pytest
from other_tables import TABLES

from coreloss.edges import (
    ELEMENTS,
    edges_between,
    edges_near,
    edges_of,
    format_table,
    pair_label,
    table,
)

# Onsets microscopists know, EELS Atlas (Ahn & Krivanek 1983) and Egerton 2011, appendix D
KNOWN = """
K: Li 55 Be 111 B 188 C 284 N 401 O 532 F 685 Ne 867 Na 1072 Mg 1305 Al 1560 Si 1839 P 2146
K: S 2472 Cl 2823 Ar 3203
L3: Al 73 Si 99 P 132 S 165 Cl 200 Ar 245 K 294 Ca 346 Sc 402 Ti 456 V 513 Cr 575 Mn 640 Fe 708
L3: Co 779 Ni 855 Cu 931 Zn 1020 Ga 1115 Ge 1217 As 1323 Se 1436 Br 1550 Kr 1675 Rb 1804 Sr 1940
L3: Y 2080 Zr 2222 Nb 2371 Mo 2520 Tc 2677 Ru 2838 Rh 3004 Pd 3173
M5: Kr 89 Rb 110 Sr 133 Y 157 Zr 180 Nb 205 Mo 227 Tc 253 Ru 279 Rh 307 Pd 335 Ag 367 Cd 404
M5: In 443 Sn 485 Sb 528 Te 572 I 619 Xe 672 Cs 726 Ba 781 La 832 Ce 883 Pr 931 Nd 978 Pm 1027
M5: Sm 1080 Eu 1131 Gd 1185 Tb 1241 Dy 1295 Ho 1351 Er 1409 Tm 1468 Yb 1527 Lu 1588 Hf 1662
M5: Ta 1735 W 1810 Re 1883 Os 1960 Ir 2040 Pt 2122 Au 2206 Hg 2295 Tl 2389 Pb 2484 Bi 2580
N5: Cs 77 Ba 90 La 99 Ce 110 Pr 113 Nd 118 Pm 120 Sm 129 Eu 133 Gd 140 Tb 147 Dy 154 Ho 161
N5: Er 168 Tm 177 Yb 184 Lu 195 Hf 214 Ta 229 W 245 Pt 314 Au 334 Th 676 U 736
N7: Pt 71 Au 84 Pb 137 Bi 157 Th 333 U 377
"""


def onset(symbol: str, subshell: str) -> float:
    return next(e.onset_ev for e in edges_of(symbol) if e.subshell == subshell)


def test_elements_are_lithium_to_bismuth_thorium_uranium() -> None:
    assert len(ELEMENTS) == 83
    assert ELEMENTS[0] == "Li"
    assert ELEMENTS[-3:] == ("Bi", "Th", "U")
    assert {e.symbol for e in table()} == set(ELEMENTS)


@pytest.mark.parametrize("line", KNOWN.strip().splitlines())
def test_onsets_are_those_microscopists_know(line: str) -> None:
    shell, rest = line.split(":")
    words = rest.split()
    for symbol, value in zip(words[::2], words[1::2], strict=True):
        assert onset(symbol, shell) == pytest.approx(float(value), abs=1.6), f"{symbol} {shell}"


def test_spin_orbit_splittings() -> None:
    for symbol, low, high, least, most in (
        ("Ti", "L3", "L2", 5.0, 7.0),
        ("Fe", "L3", "L2", 12.0, 14.0),
        ("Cu", "L3", "L2", 19.0, 21.0),
        ("La", "M5", "M4", 15.0, 18.5),
        ("Gd", "M5", "M4", 30.0, 34.0),
        ("Au", "M5", "M4", 82.0, 88.0),
        ("Sr", "L3", "L2", 65.0, 69.0),
    ):
        assert least < onset(symbol, high) - onset(symbol, low) < most, symbol


def test_onsets_rise_with_atomic_number() -> None:
    for shell in ("K", "L3", "M5"):
        values = [
            onset(s, shell) for s in ELEMENTS if any(e.subshell == shell for e in edges_of(s))
        ]
        assert values == sorted(values), shell


#: Onsets fall with Z here: O1, O2, O3 are valence-like and scatter, Pm is interpolated
FALLS = "N2 Pm;O1 Pr;O1 Sm;O1 Eu;O1 Er;O2 Re;O3 Hf;O3 W;O3 Re"


def test_every_subshell_rises_with_atomic_number_but_for_those_listed() -> None:
    found = []
    for shell in sorted({e.subshell for e in table()}):
        column = [e for e in table() if e.subshell == shell]
        for lower, upper in pairwise(column):
            if upper.onset_ev < lower.onset_ev:
                found.append(f"{shell} {upper.symbol}")
    assert sorted(found) == sorted(FALLS.split(";"))


def test_inner_subshells_lie_higher() -> None:
    for symbol in ELEMENTS:
        by_shell = sorted(edges_of(symbol), key=lambda e: e.subshell)
        for shell in "LMNO":
            onsets = [e.onset_ev for e in by_shell if e.subshell[0] == shell]
            assert onsets == sorted(onsets, reverse=True), f"{symbol} {shell}"


#: In xraydb within 30..3300 eV and not here: xraylib has none, or one below 30 eV
ABSENT = "N L1;O L1;Rb N1;Ba O1;Ho O2;Er O2;Yb O2;Lu O2"


def test_no_edge_of_xraydb_is_missing_but_those_listed() -> None:
    xraydb = pytest.importorskip("xraydb")
    ours = {e.label for e in table()}
    missing = {
        f"{symbol} {shell}"
        for symbol in ELEMENTS
        for shell, edge in xraydb.xray_edges(symbol).items()
        if shell[0] in "KLMNO" and 30.0 <= edge.energy <= 3300.0
    } - ours
    assert missing == set(ABSENT.split(";"))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_difference_over_3_ev_is_explained(name: str) -> None:
    """Each is in data/edges_differences.csv with the reason, and nothing else is."""
    other = TABLES[name]()
    if other is None:
        pytest.skip(f"{name}'s edge table is not installed")
    assert len(other) > 400
    differ = {
        (edge.symbol, edge.subshell)
        for edge in table()
        if abs(other.get((edge.symbol, edge.subshell), edge.onset_ev) - edge.onset_ev) > 3.0
    }
    text = (files("coreloss.data") / "edges_differences.csv").read_text(encoding="utf-8")
    rows = [r for r in csv.DictReader(text.splitlines()) if r["table"] == name]
    assert all(r["why"] for r in rows)
    assert {(r["symbol"], r["subshell"]) for r in rows} == differ
    for row in rows:
        assert float(row["chosen_ev"]) == onset(row["symbol"], row["subshell"])
        assert float(row["other_ev"]) == round(other[row["symbol"], row["subshell"]], 1)


def test_lookups() -> None:
    near = edges_near(532.0, 6.0)
    assert near[0].label == "O K"
    majors = [e.major for e in near]
    assert majors == sorted(majors, reverse=True)
    assert [e.label for e in edges_between(455.0, 463.0) if e.major] == ["Ti L3", "Ti L2"]
    assert edges_of("fe")[0].symbol == "Fe"
    with pytest.raises(ValueError, match="did you mean"):
        edges_of("Feo")
    with pytest.raises(ValueError, match="Li to Bi"):
        edges_of("He")


@pytest.mark.parametrize(
    ("name", "symbol"), [("iron", "Fe"), ("Sulfur", "S"), ("tungsten", "W"), ("aluminium", "Al")]
)
def test_names_of_elements_are_told_their_symbol(name: str, symbol: str) -> None:
    """Iron once was taken for iridium, indium or iodine."""
    with pytest.raises(ValueError, match=rf"did you mean {symbol}\?"):
        edges_of(name)


def test_labels_have_one_convention() -> None:
    labels = [e.label for e in table()]
    assert len(labels) == len(set(labels))
    assert not any("," in label for label in labels)
    iron = next(e for e in edges_of("Fe") if e.subshell == "L2")
    assert pair_label(iron) == "Fe L2,3"
    assert pair_label(edges_of("La")[0]).count(",") <= 1
    assert pair_label(next(e for e in edges_of("La") if e.subshell == "M5")) == "La M4,5"
    assert pair_label(edges_of("O")[0]) == "O K"


def test_text_table_has_a_line_for_each_edge() -> None:
    edges = edges_of("O")
    lines = format_table(edges).splitlines()
    assert len(lines) == 1 + len(edges)
    assert "O K" in lines[1]
    assert "532" in lines[1]
