"""Write tools/published/cxro.csv: atomic scattering factors that measurements of films rest on.

Run: python tools/build_cxro.py   (with periodictable, which carries the tables)

B. L. Henke, E. M. Gullikson & J. C. Davis, At. Data Nucl. Data Tables 54, 181 (1993), in the
Center for X-Ray Optics' present state: Cr and Nb of August 2023, Mo after Soufli & Gullikson,
Appl. Opt. 37, 1713 (1998). Only the regions that the comparisons need.
"""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent / "published" / "cxro.csv"
#: symbol, first and last energy [eV]
REGIONS = {
    "B": (125, 420), "C": (190, 520), "N": (270, 640), "O": (360, 780), "F": (470, 920),
    "Na": (740, 1320), "Mg": (900, 1550), "Al": (1080, 1800), "Si": (1270, 2090),
    "Cr": (490, 760),
    "Rb": (75, 465), "Sr": (92, 490), "Y": (105, 515), "Zr": (124, 540), "Nb": (140, 565),
    "Mo": (155, 585), "Tc": (180, 610), "Ru": (200, 640), "Rh": (210, 665), "Pd": (230, 690),
    "Ag": (250, 725), "Cd": (280, 760), "In": (305, 800), "Sn": (335, 840),
    "Au": (1640, 2750),
    "I": (44, 190), "Xe": (60, 190), "Cs": (66, 190), "Ba": (70, 190), "La": (70, 200),
    "Ce": (70, 200), "Pr": (75, 210), "Nd": (80, 220), "Sm": (80, 220), "Eu": (80, 230),
    "Gd": (85, 235), "Tb": (90, 240), "Dy": (90, 245), "Ho": (95, 250), "Er": (95, 255),
    "Tm": (100, 260), "Th": (70, 200), "U": (70, 210),
    # shells below the edge table
    "Ca": (40, 60), "Ti": (40, 400), "Fe": (50, 400), "Cu": (45, 400), "Zn": (45, 400),
    "Ga": (45, 400), "Ge": (60, 400), "Yb": (40, 400), "Lu": (40, 400), "Hf": (40, 400),
    "Ta": (40, 400), "W": (40, 400), "Hg": (40, 400), "Tl": (40, 400), "Pb": (40, 400),
    "Bi": (40, 400),
}  # fmt: skip


def main() -> None:
    """Write the extract."""
    with OUT.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("symbol", "energy_ev", "f2"))
        for symbol, (first, last) in REGIONS.items():
            source = files("periodictable") / "xsf" / f"{symbol.lower()}.nff"
            table = np.loadtxt(source.read_text(encoding="utf-8").splitlines()[1:])
            previous, before = 0.0, 0.0
            for energy, _, f2 in table[(table[:, 0] >= first) & (table[:, 0] <= last)]:
                # measured regions are sampled finer than the shapes need; edges are kept
                if energy - previous >= 0.45 or abs(f2 - before) > 0.1 * before:
                    writer.writerow((symbol, f"{energy:.6g}", f"{f2:.5g}"))
                    previous, before = energy, f2


if __name__ == "__main__":
    main()
