"""Momentum transfers at which a subshell's oscillator strength is tabulated.

At every energy they run from below what any beam electron can transfer, q > E/(ħc), to where
the strength has died out beyond the Bethe ridge at q ≈ √(2ε); they are dense in ln q and
about the ridge, whose width is the momentum of the bound electron. Atomic units inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["HARTREE_EV", "MomentumScale"]

HARTREE_EV = 27.211386246
_C = 137.035999084

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MomentumScale:
    """A coordinate t from 0 to 1 for momentum transfers of one subshell.

    t grows with ln(q/q₀) + asinh((q - q_r)/Δ); q₀ = 0.7 E/c is its zero.

    Attributes
    ----------
    onset_ev : float [eV]
    width : float [1/bohr]
        Δ, the median momentum of the bound electron.
    tail : float [1/bohr]
        By how much the largest q exceeds the Bethe ridge.
    """

    onset_ev: float
    width: float
    tail: float

    def _parts(self, excess_ev: Any) -> tuple[Floats, Floats, Floats]:
        excess = np.asarray(excess_ev, dtype=float)
        lowest = 0.7 * (self.onset_ev + excess) / HARTREE_EV / _C
        energy = excess / HARTREE_EV
        ridge = np.sqrt(2.0 * energy * (1.0 + 0.5 * energy / _C**2))
        return lowest, ridge, ridge + self.tail

    def _raw(self, q: Floats, lowest: Floats, ridge: Floats) -> Floats:
        from_ridge = np.arcsinh((q - ridge) / self.width)
        return np.asarray(
            np.log(q / lowest) + from_ridge - np.arcsinh((lowest - ridge) / self.width)
        )

    def coordinate(self, excess_ev: Any, q: Any) -> Floats:
        """t at energies above the onset [eV] and momenta [1/bohr], which broadcast.

        Below the lowest tabulated momentum it is negative, above the highest over one.
        """
        lowest, ridge, highest = self._parts(excess_ev)
        return np.asarray(
            self._raw(np.asarray(q, dtype=float), lowest, ridge) / self._raw(highest, lowest, ridge)
        )

    def momenta(self, excess_ev: Any, t: Floats) -> Floats:
        """q (n_energies, n_t) [1/bohr] at coordinates t (n_t,): the inverse."""
        lowest, ridge, highest = (part[..., None] for part in self._parts(np.atleast_1d(excess_ev)))
        wanted = t * self._raw(highest, lowest, ridge)
        low, high = np.log(lowest) + 0.0 * wanted, np.log(highest) + 0.0 * wanted
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = self._raw(np.exp(middle), lowest, ridge) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(np.exp(0.5 * (low + high)))
