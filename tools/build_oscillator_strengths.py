"""Build src/coreloss/data/oscillator_strengths.npz from the packed table of GOS.

Run: python tools/build_oscillator_strengths.py   (after ``coreloss gos build``; a minute)

What the simulator multiplies by the angular factor of dipole scattering: the optical limit of
every subshell, and how the strength that an aperture collects differs from it, by the largest
momentum transfer that reaches the detector.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from coreloss.atom.cross_section import angular_factor
from coreloss.atom.gos_table import gos_table
from coreloss.atom.kinematics import (
    BOHR_RADIUS_M,
    RYDBERG_EV,
    momentum_per_mrad,
    nonrelativistic_energy_ev,
)
from coreloss.atom.scattering import cross_section_rows
from coreloss.edges import ELEMENTS, edges_of

EXCESS_EV = np.geomspace(0.1, 4000.0, 96)
REACH = np.array([0.5, 1.0, 2.0, 3.5, 6.0, 10.0, 18.0])  # 1/bohr
_BEAM_KEV = 200.0


def main() -> None:
    """Write the table."""
    table = gos_table()
    beta = REACH / momentum_per_mrad(_BEAM_KEV)
    prefactor = 4 * np.pi * BOHR_RADIUS_M**2 * RYDBERG_EV**2 / nonrelativistic_energy_ev(_BEAM_KEV)
    names, onsets, optical, collected = [], [], [], []
    for number, symbol in enumerate(ELEMENTS, 1):
        for edge in edges_of(symbol):
            try:
                one = table.strengths(symbol, edge.subshell)
            except ValueError:  # an edge of the solid that no bound orbital of the atom has
                continue
            energies = one.onset_ev + EXCESS_EV
            rows = cross_section_rows(one, _BEAM_KEV, 0.0, beta, convergence="effective")
            limit = np.diagonal(
                one.gos(energies, one.scale.momenta(EXCESS_EV, np.array([1e-6]))[:, 0])
            )
            factor = np.stack([angular_factor(energies, _BEAM_KEV, 0.0, b) for b in beta])
            names.append(f"{symbol} {edge.subshell}")
            onsets.append(one.onset_ev)
            optical.append(limit)
            collected.append(one.along_energy(rows, energies) / (prefactor * factor * limit))
        sys.stderr.write(f"\r{number} of {len(ELEMENTS)} elements ")
    out = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "oscillator_strengths.npz"
    np.savez_compressed(
        out,
        subshell=np.array(names),
        onset_ev=np.array(onsets, dtype=np.float32),
        excess_ev=EXCESS_EV.astype(np.float32),
        df_de=np.array(optical, dtype=np.float32),
        reach=REACH.astype(np.float32),
        collected=np.stack(collected, axis=1).astype(np.float16),
        source=np.array("data/gos.npz"),
    )
    print(f"\n{len(names)} subshells, {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
