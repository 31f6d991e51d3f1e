"""Build src/coreloss/data/oscillator_strengths.npz from our own Dirac–Slater atoms.

Run: python tools/build_oscillator_strengths.py   (needs numba; minutes)

Hartree–Slater exchange (α = 1) with Latter's tail, as Scofield's photo-ionisation cross
sections and the Hartree–Slater tables of EELS have it; onsets are those of the edge table.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from coreloss.atom.gos import Continuum, dipole_density
from coreloss.atom.scf import quantum_numbers, solve_atom
from coreloss.edges import ELEMENTS, edges_of

EXCESS_EV = np.geomspace(0.5, 4000.0, 80)


def element(symbol: str) -> list[tuple[str, float, np.ndarray]]:
    """Name, onset [eV] and df/dE [1/eV] of every edge of an element that the atom holds."""
    edges = edges_of(symbol)
    atom = solve_atom(edges[0].z, alpha=1.0)
    continuum = Continuum(atom, EXCESS_EV)
    rows = []
    for edge in edges:
        n, kappa = quantum_numbers(edge.subshell)
        if (n, kappa) in atom.orbitals:
            density = dipole_density(continuum, n, kappa, onset_ev=edge.onset_ev)
            rows.append((f"{symbol} {edge.subshell}", edge.onset_ev, density))
    return rows


def main() -> None:
    """Write the table."""
    rows = []
    with ProcessPoolExecutor(2) as pool:
        for done, part in enumerate(pool.map(element, ELEMENTS), 1):
            rows += part
            sys.stderr.write(f"\r{done} of {len(ELEMENTS)} elements ")
    out = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "oscillator_strengths.npz"
    np.savez_compressed(
        out,
        subshell=np.array([name for name, _, _ in rows]),
        onset_ev=np.array([onset for _, onset, _ in rows], dtype=np.float32),
        excess_ev=EXCESS_EV.astype(np.float32),
        df_de=np.array([density for _, _, density in rows], dtype=np.float32),
        source=np.array("coreloss.atom, Dirac–Slater, alpha = 1, Latter tail"),
    )
    print(f"\n{len(rows)} subshells, {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
