"""Write src/coreloss/data/edges_differences.csv: where other tables differ by over 3 eV.

Run: python tools/build_differences.py   (with xraydb, exspy and nionswift-eels-analysis)
"""

from __future__ import annotations

import csv
from pathlib import Path

from other_tables import TABLES

from coreloss.edges import Edge, edges_of, table

GAS = "the other value is a gas-phase ionisation energy; solids show the edge lower"
PAIR = "the other table gives both members of the unresolved pair one energy"
ATLAS = "the chosen value is within 2 eV of the Gatan table that eXSpy carries"
SCATTER = "no EELS table at hand has this subshell; compilations differ and xraylib's value is kept"
THORIUM = "photoemission has O5 at 87 eV, O4 at 94 eV (X-ray Data Booklet, Williams)"
MINOR = (
    "a minor or shallow level: published binding energies scatter this much, and no element is "
    "identified by it"
)
GASES = {"N", "O", "F", "Ne", "Ar", "Kr", "Xe"}


def reason(
    edge: Edge,
    name: str,
    other: float,
    pairs: dict[tuple[str, str], float],
    gatan: dict[tuple[str, str], float],
) -> str:
    """Why the chosen onset stays."""
    if name != "exspy" and edge.symbol in GASES:
        return GAS
    shell = edge.subshell
    partner = {"2": "3", "3": "2", "4": "5", "5": "4", "6": "7", "7": "6"}.get(shell[-1])
    own = [e.onset_ev for e in edges_of(edge.symbol) if e.subshell == f"{shell[0]}{partner}"]
    if pairs.get((edge.symbol, f"{shell[0]}{partner}")) == other and own != [edge.onset_ev]:
        return PAIR
    if edge.symbol == "Th" and shell in ("O4", "O5"):
        return THORIUM
    atlas = gatan.get((edge.symbol, shell))
    if atlas is not None and abs(atlas - edge.onset_ev) <= 2.0:
        return ATLAS
    return SCATTER if edge.major else MINOR


def main() -> None:
    """Write the list."""
    rows = []
    gatan = TABLES["exspy"]() or {}
    for name, read in TABLES.items():
        other = read()
        if other is None:
            raise SystemExit(f"{name} is not installed; the list would be incomplete")
        for edge in table():
            value = other.get((edge.symbol, edge.subshell))
            if value is not None and abs(value - edge.onset_ev) > 3.0:
                rows.append(
                    {
                        "symbol": edge.symbol,
                        "subshell": edge.subshell,
                        "chosen_ev": edge.onset_ev,
                        "table": name,
                        "other_ev": round(value, 1),
                        "why": reason(edge, name, value, other, gatan),
                    }
                )
    out = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "edges_differences.csv"
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} differences over 3 eV")


if __name__ == "__main__":
    main()
