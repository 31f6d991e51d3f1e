"""Write src/coreloss/data/discrete_lines.csv: white lines from our own Dirac–Slater atoms.

Run: python tools/build_discrete.py   (needs numba; half a minute)
"""

from __future__ import annotations

import csv
from pathlib import Path

from coreloss.atom.discrete import compute_lines
from coreloss.edges import ELEMENTS


def main() -> None:
    """Write the table."""
    rows = [
        (
            line.symbol,
            line.subshell,
            line.final,
            f"{line.holes:.4g}",
            f"{line.strength_per_hole:.4g}",
            f"{line.level_ev:.2f}",
        )
        for symbol in ELEMENTS
        for line in compute_lines(symbol)
    ]
    out = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "discrete_lines.csv"
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("symbol", "subshell", "final", "holes", "strength_per_hole", "level_ev"))
        writer.writerows(rows)
    print(f"{len(rows)} lines")


if __name__ == "__main__":
    main()
