"""Write src/coreloss/data/level_widths.csv: natural widths of core levels, from xraylib.

Run: python tools/build_widths.py   (xraylib carries Campbell & Papp 2001)
"""

from __future__ import annotations

import csv
from pathlib import Path

import xraylib

from coreloss.edges import table


def main() -> None:
    """Write the widths of the subshells of the edge table that have one."""
    rows = []
    for edge in table():
        try:
            width = 1e3 * xraylib.AtomicLevelWidth(
                edge.z, getattr(xraylib, f"{edge.subshell}_SHELL")
            )
        except ValueError:
            continue
        if width > 0:
            rows.append((edge.symbol, edge.subshell, f"{width:.4g}"))
    out = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "level_widths.csv"
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("symbol", "subshell", "width_ev"))
        writer.writerows(rows)
    print(f"{len(rows)} widths of {len(table())} subshells")


if __name__ == "__main__":
    main()
