"""Write src/coreloss/data/shallow_strengths.npz: continua of shells below the edge table.

Run: python tools/build_shallow.py   (needs numba and xraylib; two minutes)

The edge table begins at 30 eV. Shells with onsets below it have no edge there, but the continua
of d and f electrons rise to maxima tens of electronvolts higher, so records show them. Here is
their dipole limit, of the same atoms as `tools/build_oscillator_strengths.py` has; within any
aperture it holds to some ten per cent but in a Cooper minimum. Onsets are xraylib's, at least
``LOWEST_EV`` (binding energies of conduction and of 4f bands are of no account here).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import xraylib

from coreloss.atom.gos import Continuum, dipole_density
from coreloss.atom.scf import configuration, quantum_numbers, solve_atom
from coreloss.edges import ELEMENTS, edges_of

EXCESS_EV = np.geomspace(0.1, 4000.0, 96)
LOWEST_EV = 3.0
_SHELLS = ("M4", "M5", "N4", "N5", "N6", "N7", "O4", "O5")
#: p shells whose continua show between their resonances and the next edge
_P_SHELLS = {
    **dict.fromkeys(("K", "Ca"), ("M2", "M3")),
    **dict.fromkeys(("Rb", "Sr", "Y", "Zr"), ("N2", "N3")),
}


def main() -> None:
    """Write the table."""
    names, onsets, densities = [], [], []
    for number, symbol in enumerate(ELEMENTS, 1):
        edges = edges_of(symbol)
        z, listed = edges[0].z, {edge.subshell for edge in edges}
        held = configuration(z)
        todo = []
        for shell in (*_P_SHELLS.get(symbol, ()), *_SHELLS):
            if shell in listed or quantum_numbers(shell) not in held:
                continue
            try:
                onset = 1e3 * xraylib.EdgeEnergy(z, getattr(xraylib, f"{shell}_SHELL"))
            except ValueError:  # a conduction band
                onset = LOWEST_EV
            if onset < 40.0:  # others lie above the edge table
                todo.append((shell, max(onset, LOWEST_EV)))
        if todo:
            continuum = Continuum(solve_atom(z, alpha=1.0), EXCESS_EV)
            for shell, onset in todo:
                names.append(f"{symbol} {shell}")
                onsets.append(onset)
                densities.append(dipole_density(continuum, *quantum_numbers(shell), onset_ev=onset))
        sys.stderr.write(f"\r{number} of {len(ELEMENTS)} elements ")
    out = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "shallow_strengths.npz"
    np.savez_compressed(
        out,
        subshell=np.array(names),
        onset_ev=np.array(onsets, dtype=np.float32),
        excess_ev=EXCESS_EV.astype(np.float32),
        df_de=np.array(densities, dtype=np.float32),
    )
    print(f"\n{len(names)} subshells, {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
