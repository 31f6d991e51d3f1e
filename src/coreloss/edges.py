"""The edge table: every K to O edge of 83 elements between 30 and 3,300 eV, and look-ups.

One convention of labels: a resolved subshell is ``Fe L3``; ``Fe L2,3`` names the
unresolved pair and nothing else.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

__all__ = [
    "ELEMENTS",
    "Edge",
    "edges_between",
    "edges_near",
    "edges_of",
    "format_table",
    "pair_label",
    "table",
]

#: Symbols of the elements that can be identified, by atomic number: Li to Bi, Th, U.
ELEMENTS: tuple[str, ...] = tuple(
    (
        "Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr "
        "Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd "
        "Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er "
        "Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Th U"
    ).split()
)

_NAMES = (
    "Lithium Beryllium Boron Carbon Nitrogen Oxygen Fluorine Neon Sodium Magnesium Aluminium "
    "Silicon Phosphorus Sulphur Chlorine Argon Potassium Calcium Scandium Titanium Vanadium "
    "Chromium Manganese Iron Cobalt Nickel Copper Zinc Gallium Germanium Arsenic Selenium Bromine "
    "Krypton Rubidium Strontium Yttrium Zirconium Niobium Molybdenum Technetium Ruthenium Rhodium "
    "Palladium Silver Cadmium Indium Tin Antimony Tellurium Iodine Xenon Caesium Barium Lanthanum "
    "Cerium Praseodymium Neodymium Promethium Samarium Europium Gadolinium Terbium Dysprosium "
    "Holmium Erbium Thulium Ytterbium Lutetium Hafnium Tantalum Tungsten Rhenium Osmium Iridium "
    "Platinum Gold Mercury Thallium Lead Bismuth Thorium Uranium"
).split()
#: symbols by the elements' names, as hints
_SYMBOLS = dict(zip(_NAMES, ELEMENTS, strict=True)) | {
    "Aluminum": "Al",
    "Sulfur": "S",
    "Cesium": "Cs",
}

_PARTNER = {"L3": "L2", "M3": "M2", "M5": "M4", "N3": "N2", "N5": "N4", "N7": "N6"}
_PARTNER |= {"O3": "O2", "O5": "O4"}


@dataclass(frozen=True)
class Edge:
    """One ionisation edge.

    Attributes
    ----------
    symbol : str
    z : int
    subshell : str
        'K', 'L1', 'L2', … 'O5'.
    onset_ev : float [eV]
        Energy loss at which the edge begins in a solid.
    major : bool
        Whether the element is usually identified by it.
    shape : str
        'sharp', 'delayed', 'white_lines' or 'resonance'.
    """

    symbol: str
    z: int
    subshell: str
    onset_ev: float
    major: bool
    shape: str

    @property
    def label(self) -> str:
        """'Fe L3'."""
        return f"{self.symbol} {self.subshell}"


@lru_cache(maxsize=1)
def table() -> tuple[Edge, ...]:
    """Every edge, by atomic number, then subshell."""
    text = (files("coreloss.data") / "edges.csv").read_text(encoding="utf-8")
    return tuple(
        Edge(
            row["symbol"],
            int(row["z"]),
            row["subshell"],
            float(row["onset_ev"]),
            row["major"] == "1",
            row["shape"],
        )
        for row in csv.DictReader(text.splitlines())
    )


@lru_cache(maxsize=1)
def _by_symbol() -> dict[str, tuple[Edge, ...]]:
    grouped: dict[str, list[Edge]] = {symbol: [] for symbol in ELEMENTS}
    for edge in table():
        grouped[edge.symbol].append(edge)
    return {s: tuple(sorted(e, key=lambda edge: edge.onset_ev)) for s, e in grouped.items()}


def edges_of(symbol: str) -> tuple[Edge, ...]:
    """The edges of an element, lowest onset first; upper and lower case are the same.

    Raises ValueError for what is not one of ``ELEMENTS``.
    """
    name = symbol.strip().capitalize()
    if name not in _by_symbol():
        if name[:1] in "KLMNO" and name[1:2].isdigit():
            raise ValueError(f"{symbol!r} is a subshell; give the element alone, for all its edges")
        near = [_SYMBOLS[n] for n in difflib.get_close_matches(name, _SYMBOLS, n=1, cutoff=0.8)]
        near = near or difflib.get_close_matches(name, ELEMENTS, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{symbol!r} is not among the elements Li to Bi, Th and U{hint}")
    return _by_symbol()[name]


def edges_near(energy_ev: float, tolerance_ev: float = 10.0) -> tuple[Edge, ...]:
    """Edges whose onset lies within a tolerance [eV]: major ones first, then the nearest."""
    near = (edge for edge in table() if abs(edge.onset_ev - energy_ev) <= tolerance_ev)
    return tuple(
        sorted(near, key=lambda edge: (not edge.major, abs(edge.onset_ev - energy_ev), edge.z))
    )


def edges_between(start_ev: float, end_ev: float) -> tuple[Edge, ...]:
    """Edges with an onset from ``start_ev`` to ``end_ev`` [eV], lowest first."""
    inside = (edge for edge in table() if start_ev <= edge.onset_ev <= end_ev)
    return tuple(sorted(inside, key=lambda edge: edge.onset_ev))


def pair_label(edge: Edge) -> str:
    """Label of the unresolved pair of a subshell, 'Fe L2,3'; the edge's own where it has none."""
    shell = edge.subshell
    lower = shell if shell in _PARTNER else next((k for k, v in _PARTNER.items() if v == shell), "")
    if not lower:
        return edge.label
    return f"{edge.symbol} {lower[0]}{_PARTNER[lower][1]},{lower[1]}"


def format_table(edges: Iterable[Edge]) -> str:
    """Edges as an aligned text table, one a line."""
    lines = [f"{'edge':<8}{'onset [eV]':>12}  {'':<6}shape"]
    for edge in edges:
        kind = "major" if edge.major else "minor"
        lines.append(f"{edge.label:<8}{edge.onset_ev:>12.1f}  {kind:<6}{edge.shape}")
    return "\n".join(lines)
