"""Build src/coreloss/data/edge_shapes.toml, the shipped library of multi-Gaussian edges.

Run: python tools/build_edge_shapes.py            (shapes anew)
     python tools/build_edge_shapes.py --sources  (only their sources, after edge_families.py)

The tail of an edge is our own atom's dipole cross section, fitted by steps and Gaussians; the
near-edge structure is that of the families in edge_families.py. Every family comes first as
it stands, then with its peaks, tail and axis scattered as substances, samples and
calibrations scatter, until an edge has as many shapes as Kong et al. 2022 digitised (their
Table 1), and at least 20.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from edge_families import FAMILIES, SOURCES

from coreloss.atom.cross_section import dsigma_de
from coreloss.edges import edges_of
from coreloss.simulate.gaussian.fit import fit_curve
from coreloss.simulate.gaussian.recipe import EDGES
from coreloss.simulate.gaussian.shapes import (
    EdgeShape,
    Peak,
    Step,
    onset_of,
    read_shapes,
    write_shapes,
)

OUT = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "edge_shapes.toml"
SEED = 20221222  # day of the paper's publication
FEWEST = 20
LENGTH_EV = 90.0  # of the continuum that is fitted
# beam energy, convergence and collection semi-angles of the cross section
CONDITIONS = {"beam_energy_kev": 200.0, "alpha_mrad": 10.0, "beta_mrad": 20.0}

# spreads within a family: axis [eV], peak positions [eV], and logarithms of the others
AXIS_EV, CENTRE_EV = 0.25, 0.15
HEIGHT, WIDTH, CONTINUUM, EXPONENT = 0.18, 0.12, 0.15, 0.15

COMMENT = """\
Edges as sums of Gaussians on tails: 20 edges after Kong, Ji & Xin, Sci. Rep. 12, 22183 (2022).
Written by tools/build_edge_shapes.py from our own atomic cross sections and the near-edge
families of tools/edge_families.py, which are estimates, not digitised curves; 'source' names
a work that shows such edges. Shapes numbered from 2 on scatter around the first of a family.
"""


def continuum(element: str, edge: str) -> EdgeShape:
    """The atomic edge: 1 at 25 eV above its onset, without bound and resonant states."""
    onset = onset_of(element, edge)
    shell = edge[0]
    members = [e for e in edges_of(element) if e.subshell in ("K", "L2", "L3")]
    energies = onset - 8.0 + 0.2 * np.arange(int((LENGTH_EV + 8.0) / 0.2))
    names = [e.subshell for e in members if e.subshell.startswith(shell)]
    values = sum(dsigma_de(element, name, energies, **CONDITIONS) for name in names)
    level = float(np.interp(onset + 25.0, energies, values))
    # what the free atom has in white lines, solids have in the families' peaks
    values = np.minimum(values / level, 1.2)
    shape, _ = fit_curve(
        energies,
        values,
        element,
        edge,
        name="atom",
        family="atom",
        source="",
        end_ev=onset + LENGTH_EV - 5.0,
        max_peaks=3,
        tolerance=0.01,
        drift_ev=2.0,
    )
    at = float(shape.intensity([onset + 25.0])[0])
    return EdgeShape(
        element, edge, "atom", "atom", "", shape.end_ev,
        tuple(Step(s.onset_ev, s.height / at, s.width_ev, s.exponent) for s in shape.steps),
        tuple(Peak(p.centre_ev, p.height / at, p.fwhm_ev) for p in shape.peaks),
    )  # fmt: skip


def variant(atom: EdgeShape, family: tuple, number: int, rng: np.random.Generator) -> EdgeShape:
    """One shape of a family: as it stands for number 1, scattered for the others."""
    name, source, start, height, peaks = family
    own = 0.0 if number == 1 else 1.0

    def factor(spread: float) -> float:
        return float(np.exp(own * spread * rng.standard_normal()))

    axis = own * AXIS_EV * float(rng.standard_normal())
    move = start + axis - atom.steps[0].onset_ev
    tail, exponent = height * factor(CONTINUUM), factor(EXPONENT)
    rise = 0.5 * factor(0.4)
    steps = tuple(
        Step(s.onset_ev + move, s.height * tail, rise, s.exponent * exponent) for s in atom.steps
    )
    humps = [Peak(p.centre_ev + move, p.height * tail, p.fwhm_ev) for p in atom.peaks]
    near = [
        Peak(
            centre + axis + own * CENTRE_EV * float(rng.standard_normal()),
            high * factor(HEIGHT),
            max(fwhm * factor(WIDTH), 0.3),
        )
        for centre, high, fwhm in peaks
    ]
    longest = min(start + 80.0, atom.end_ev + move)
    end = longest - own * float(rng.uniform(0.0, 30.0))
    shape = EdgeShape(
        atom.element, atom.edge, f"{name} {number}", name, SOURCES[source], round(end, 1),
        steps, (*near, *humps),
    )  # fmt: skip
    top = float(shape.intensity(np.arange(start - 20.0, end, 0.1)).max())
    return EdgeShape(
        shape.element, shape.edge, shape.name, name, shape.source, shape.end_ev,
        tuple(Step(s.onset_ev, s.height / top, s.width_ev, s.exponent) for s in steps),
        tuple(Peak(p.centre_ev, p.height / top, p.fwhm_ev) for p in shape.peaks),
    )  # fmt: skip


def build() -> list[EdgeShape]:
    """Every shape of the library."""
    rng = np.random.default_rng(SEED)
    shapes = []
    for label, (_, published) in EDGES.items():
        element, edge = label.split()
        atom = continuum(element, edge)
        families = FAMILIES[element, edge]
        for i in range(max(published, FEWEST)):
            family = families[i % len(families)]
            shapes.append(variant(atom, family, i // len(families) + 1, rng))
    return shapes


def with_sources(shapes: tuple[EdgeShape, ...]) -> list[EdgeShape]:
    """The shapes as they are, with the sources that their families have now."""
    sources = {
        (*label, family[0]): SOURCES[family[1]]
        for label, families in FAMILIES.items()
        for family in families
    }
    return [replace(s, source=sources[s.element, s.edge, s.family]) for s in shapes]


if __name__ == "__main__":
    # trained models know the shapes as they stand: a new citation must not move them
    made = with_sources(read_shapes(OUT)) if "--sources" in sys.argv[1:] else build()
    write_shapes(made, OUT, comment=COMMENT, force=True)
    print(f"wrote {OUT}")
