"""Delayed M4,5 edges of solids over those of atoms, as photo-absorption shows them.

An unrelaxed atom whose continuum begins at the solid's onset has these maxima 8 to 37 eV too
early and the first 100 eV up to twice too strong. Stretch and strength are those of least squares
to df/dE from 60 eV below to 350 eV above M5 after f₂ of the Center for X-Ray Optics
(``tools/published``; `benchmarks/physics.py` fits them anew), smoothed over neighbours. From Sb
on f₂ is theory's; Sn's is kept. Of Hf to Bi only Au is known to be measured (1.25, 0.88,
coarsely); Egerton's strengths of Hf and W speak for less, so half of that is taken.
"""

from __future__ import annotations

import numpy as np

__all__ = ["DELAYED_M45"]

_FOURTH = "As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe".split()
_FIFTH = "Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi".split()
# atomic number, stretch, strength; straight lines between
_KNOTS = (
    (33, 1.00, 1.00),
    (37, 1.07, 1.05),
    (40, 1.27, 0.96),
    (46, 1.22, 0.92),
    (48, 1.35, 0.88),
    (50, 1.38, 0.78),
    (54, 1.38, 0.78),
    (72, 1.15, 0.94),
    (83, 1.15, 0.94),
)


def _delayed_m45() -> dict[str, tuple[float, float]]:
    number, stretch, strength = zip(*_KNOTS, strict=True)
    return {
        symbol: (float(np.interp(z, number, stretch)), float(np.interp(z, number, strength)))
        for z, symbol in (*enumerate(_FOURTH, 33), *enumerate(_FIFTH, 72))
    }


#: By element, over our atom (unrelaxed, its continuum at the solid's onset): how much wider the
#: energy scale above the onset is, and the strength.
DELAYED_M45: dict[str, tuple[float, float]] = _delayed_m45()
