"""Oscillator strengths with the delayed M4,5 edges of As to Xe and Hf to Bi as in solids.

What photo-absorption of the elements says of them is in `coreloss.atom.delayed`: a stretch k of
the energy above the onset and a strength s,

    df/dE (E_c + k ε, q) = s · df/dE of the atom (E_c + ε, q),

for all momenta q alike: it is the radial overlap with the delayed continuum that both move.
Kinematics stay those of the true energy loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.cross_section import StrengthTable
from coreloss.atom.delayed import DELAYED_M45
from coreloss.atom.gos_table import Scale, Strengths, gos_table

__all__ = ["SolidTable", "as_measured"]

_DELAYED = ("M4", "M5")


def as_measured(symbol: str, subshell: str) -> tuple[float, float]:
    """Stretch of the energy above the onset and strength, over the atom's; (1, 1) where none is.

    Parameters
    ----------
    symbol, subshell : str
        As in ``coreloss.edges``: 'Zr', 'M5'.
    """
    return DELAYED_M45.get(symbol, (1.0, 1.0)) if subshell in _DELAYED else (1.0, 1.0)


@dataclass(frozen=True)
class _Stretched:
    """The momentum scale of a subshell whose energies above the onset are stretched."""

    atom: Scale
    stretch: float

    @property
    def onset_ev(self) -> float:
        return self.atom.onset_ev

    def coordinate(self, excess_ev: Any, q: Any) -> NDArray[np.float64]:
        return self.atom.coordinate(np.asarray(excess_ev) / self.stretch, q)

    def momenta(self, excess_ev: Any, t: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.atom.momenta(np.asarray(excess_ev) / self.stretch, t)


class SolidTable:
    """Our oscillator strengths with `as_measured` applied; a `StrengthTable` for `dsigma_de`.

    Parameters
    ----------
    atoms : StrengthTable, optional
        In place of the table that ships.
    """

    def __init__(self, atoms: StrengthTable | None = None) -> None:
        self._atoms = atoms or gos_table()
        self._made: dict[tuple[str, str], Strengths] = {}

    @classmethod
    @lru_cache(maxsize=1)
    def shipped(cls) -> SolidTable:
        """That of the table that ships, one for the whole process."""
        return cls()

    def strengths(self, symbol: str, subshell: str) -> Strengths:
        """One subshell; raises ValueError where the table has none."""
        name = (symbol, subshell)
        if name not in self._made:
            atom = self._atoms.strengths(symbol, subshell)
            stretch, strength = as_measured(symbol, subshell)
            if (stretch, strength) != (1.0, 1.0):
                excess = stretch * atom.excess_ev
                # root² is (df/dE)/E, and E grows with the stretch while df/dE does not
                ratio = strength * (atom.onset_ev + atom.excess_ev) / (atom.onset_ev + excess)
                root = atom.root * np.sqrt(ratio)[:, None]
                scale = _Stretched(atom.scale, stretch)
                atom = Strengths(symbol, subshell, scale, excess, root)
            self._made[name] = atom
        return self._made[name]
