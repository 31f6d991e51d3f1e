"""White lines: transitions of core electrons into the empty part of a p, d or f shell.

Of a core orbital (n, κ) with N electrons into a bound orbital (n', κ') with h holes,

    f = (2/3) E N h (j 1 j'; ½ 0 -½)² (∫ (P P' + Q Q') r dr)²,

in the same neutral, spherically averaged atom as the continuum (`coreloss.atom.gos`), so that
lines and continuum obey one sum rule. An atom has the strength right within some ten per cent.
It has not the place of the lines, for which the onset stands: 4d→4f transitions, which exchange
and screening lift by tens of electronvolts, least of all. Nor has it multiplets.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from coreloss.edges import edges_of

__all__ = ["Line", "compute_lines", "lines_of"]

_LETTERS = "spdf"


@dataclass(frozen=True)
class Line:
    """One transition into an open shell.

    Attributes
    ----------
    symbol, subshell : str
        Of the core electron.
    final : str
        '3d3/2', '4f7/2', …
    holes : float
        Empty states of the final orbital in the neutral atom.
    strength_per_hole : float
        Oscillator strength of one empty state, at the subshell's onset.
    level_ev : float [eV]
        Energy of the final orbital below the vacuum level, positive.
    """

    symbol: str
    subshell: str
    final: str
    holes: float
    strength_per_hole: float
    level_ev: float

    @property
    def strength(self) -> float:
        """Oscillator strength of the neutral atom's holes together."""
        return self.holes * self.strength_per_hole


def _open_shells(z: int) -> list[tuple[int, int]]:
    """(n, l) of the d and f shells that this row of the periodic table fills, and of light
    elements' p shells, into which K electrons go."""
    shells = []
    for n, angular, first, last in (
        (2, 1, 3, 9),
        (3, 1, 11, 17),
        (3, 2, 19, 30),
        (4, 2, 37, 48),
        (5, 2, 55, 80),
        (6, 2, 87, 92),
        (4, 3, 55, 71),
        (5, 3, 87, 92),
    ):
        if first <= z <= last:
            shells.append((n, angular))
    return shells


def compute_lines(symbol: str) -> list[Line]:
    """Solve the atom and its open shells (needs numba, ``coreloss[gos]``).

    Final orbitals that the atom does not bind, and those without holes, have no line.
    """
    from coreloss.atom.gos import HARTREE_EV, three_j_squared
    from coreloss.atom.radial import bound_state
    from coreloss.atom.scf import quantum_numbers, solve_atom

    edges = edges_of(symbol)
    z = edges[0].z
    finals = [
        (n, kappa)
        for n, angular in _open_shells(z)
        for kappa in (angular, -angular - 1)
    ]  # fmt: skip
    if not finals:
        return []
    atom = solve_atom(z, alpha=1.0)
    lines = []
    for n2, kappa2 in finals:
        two_j2 = 2 * abs(kappa2) - 1
        holes = two_j2 + 1 - atom.occupation.get((n2, kappa2), 0.0)
        if holes < 1e-6:
            continue
        try:
            state = atom.orbitals.get((n2, kappa2)) or bound_state(
                atom.grid, atom.potential, z, n2, kappa2
            )
        except ValueError:
            continue
        angular2 = kappa2 if kappa2 > 0 else -kappa2 - 1
        for edge in edges:
            n, kappa = quantum_numbers(edge.subshell)
            angular = kappa if kappa > 0 else -kappa - 1
            factor = three_j_squared(2 * abs(kappa) - 1, 1, two_j2)
            if abs(angular - angular2) != 1 or factor == 0.0:
                continue
            core = atom.orbitals[n, kappa]
            r = atom.grid.r
            radial = atom.grid.integral((core.large * state.large + core.small * state.small) * r)
            loss = edge.onset_ev / HARTREE_EV
            per_hole = 2.0 / 3.0 * loss * atom.occupation[n, kappa] * factor * radial**2
            name = f"{n2}{_LETTERS[angular2]}{two_j2}/2"
            lines.append(
                Line(symbol, edge.subshell, name, holes, per_hole, -state.energy * HARTREE_EV)
            )
    return lines


@lru_cache(maxsize=1)
def _table() -> tuple[Line, ...]:
    text = (files("coreloss.data") / "discrete_lines.csv").read_text(encoding="utf-8")
    return tuple(
        Line(
            row["symbol"],
            row["subshell"],
            row["final"],
            float(row["holes"]),
            float(row["strength_per_hole"]),
            float(row["level_ev"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


def lines_of(symbol: str, subshell: str | None = None) -> tuple[Line, ...]:
    """The lines of an element, or of one of its subshells; none where no shell is open."""
    return tuple(
        line for line in _table() if line.symbol == symbol and subshell in (None, line.subshell)
    )
