"""Giant resonances of 3p→3d, 4d→4f, 4d→εf, 5d→5f and alike, and how far their shapes are known.

Into occupied 4f and 5f shells they interfere with the continuum of these (U. Fano, Phys. Rev. 124,
1866 (1961); profiles of free Ce, Nd, Gd, Dy and Er: G. Kutluk et al., J. Electron Spectrosc. 169,
67 (2009)): absorption falls before them, to a third of what it was in the films and tables of
``tools/published``, rises within a few electronvolts and falls slowly behind. Multiplets split
them; solids move them. The simulator draws all of this.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coreloss.simulate.near_edge import BELLS, GIANT_RESONANCES, NO_4P_HOLE
from coreloss.simulate.shallow import bell

__all__ = ["BEFORE_EV", "beneath", "dips", "extremes", "resonance", "resonances", "seen_before"]

Floats = NDArray[np.float64]

#: nothing of a resonance, or of what is smeared, lies farther below the onset of its edge [eV]
BEFORE_EV = 34
# share of the width below the maximum, of resonances that interfere
_RISE = 0.27
# farther than this above its maximum nothing of a resonance is followed [eV]
_FAR_EV = 400.0
# how early and late, narrow and wide resonances are at most, of those that are drawn
_MOVED_EV, _NARROW, _WIDE = 3.5, 0.65, 1.5
# whose 4d⁹4fⁿ⁺¹ multiplets have lines well before their resonance
_WITH_LINES = frozenset("La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb".split())


def _interferes(key: tuple[str, str]) -> bool:
    return key not in BELLS


def _faded(energies: Floats, at: float, width: float) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip((energies - at) / width, -60.0, 60.0))))


def _peak(energies: Floats, maximum: float, fwhm: float, rise: float) -> Floats:
    """A Lorentzian of unit area, steeper below than above its maximum."""
    half = np.where(energies < maximum, rise * fwhm, (1.0 - rise) * fwhm)
    profile = 1.0 / (1.0 + ((energies - maximum) / half) ** 2)
    return np.asarray(profile / (np.pi / 2 * fwhm))


def resonance(
    key: tuple[str, str],
    energies: Floats,
    onset_ev: float,
    *,
    moved_ev: float = 0.0,
    wider: float = 1.0,
) -> Floats:
    """df/dE [1/eV] of the giant resonance of a shell group; ``energies`` is (n,) [eV].

    Or of one whose maximum lies elsewhere and whose width is another's times that.
    """
    maximum, fwhm, strength = GIANT_RESONANCES[key]
    maximum, fwhm = maximum + moved_ev, fwhm * wider
    if _interferes(key):
        shape = _peak(energies, maximum, fwhm, _RISE)
        return strength * shape * _faded(energies, maximum - 3.0 * _RISE * fwhm, 1.5)
    return (
        strength * bell(energies, maximum, fwhm, BELLS[key]) * _faded(energies, onset_ev - 6.0, 2.0)
    )


def extremes(key: tuple[str, str], energies: Floats, onset_ev: float) -> Floats:
    """Shapes of which those that solids show are mixtures, all but the finest, (5, n) [1/eV].

    Early and late, narrow and wide; and one that hardly falls behind its maximum.
    """
    maximum, fwhm, _ = GIANT_RESONANCES[key]
    behind = np.maximum(energies - maximum, 0.0)
    usual = resonance(key, energies, onset_ev)
    tail = usual.max() * np.exp(-behind / 100.0) / (1.0 + behind / (2.0 * fwhm))
    return np.stack(
        [
            *(
                resonance(key, energies, onset_ev, moved_ev=moved, wider=wider)
                for moved in (-_MOVED_EV, _MOVED_EV)
                for wider in (_NARROW, _WIDE)
            ),
            np.maximum(usual, np.where(energies < maximum, 0.0, tail)),
        ]
    )


def beneath(key: tuple[str, str], energies: Floats) -> Floats:
    """How far the continuum under a resonance is there, (n,) from 0 to 1.

    It takes part in the resonance and has no step of its own.
    """
    maximum, fwhm, _ = GIANT_RESONANCES[key]
    return _faded(energies, maximum - 0.5 * fwhm, 0.2 * fwhm)


def resonances(
    key: tuple[str, str], energies: Floats, onset_ev: float, rng: np.random.Generator, n: int
) -> Floats:
    """``n`` shapes that a shell group's resonance may have in a solid, (n, n_energies) [1/eV].

    Place and width as tables and films differ, 1 to 2 eV and a quarter; where it begins, how
    steeply it rises, how much lies in its tail, in a second peak and in the lines before it, as
    those of different ions do. All are as strong as `resonance` over ``energies``, which are evenly
    spaced and hold the whole of it.
    """
    out = np.zeros((n, energies.size))
    maximum, fwhm, _ = GIANT_RESONANCES[key]
    near = (energies > onset_ev - BEFORE_EV) & (energies < maximum + _FAR_EV)
    at = energies[near]
    strength = resonance(key, at, onset_ev).sum()
    for row in range(n):
        width = fwhm * np.exp(np.clip(0.25 * rng.standard_normal(), -0.6, 0.6))
        place = maximum + np.clip(1.5 * rng.standard_normal(), -4.0, 4.0)
        if _interferes(key):
            shape = _interfering(at, place, width, rng)
        else:
            below = np.clip(BELLS[key] + 0.1 * rng.standard_normal(), 0.15, 0.85)
            shape = bell(at, place, width, below)
            if rng.uniform() < 0.3:  # Ba has two maxima 9 eV apart
                share, beside = rng.uniform(0.1, 0.5), place + rng.uniform(-9.0, 9.0)
                narrow = width * rng.uniform(0.3, 0.8)
                shape = (1.0 - share) * shape + share * bell(at, beside, narrow, below)
            begins = onset_ev - rng.uniform(-1.0, 15.0)
            if key[1] == "N45" and rng.uniform() < 0.45:  # Ce, Cs and Ba rise at once
                begins = place - width * rng.uniform(0.2, 0.7)
            shape *= _faded(at, begins, rng.uniform(0.5, 3.0))
        if key[1] == "O45" or (key[1] == "N45" and key[0] in _WITH_LINES):
            most = 0.3 if key[1] == "O45" else 0.15
            shape += shape.max() * most * _lines(at, place, rng)
        out[row, near] = shape * (strength / shape.sum())
    return out


def _interfering(energies: Floats, place: float, width: float, rng: np.random.Generator) -> Floats:
    """A resonance into an occupied shell, of about unit area, (n_energies,) [1/eV]."""
    rise = rng.uniform(0.1, 0.38)
    shape = _peak(energies, place, width, rise)
    if rng.uniform() < 0.7:
        share = rng.uniform(0.1, 0.65)
        beside = place + rng.uniform(-9.0, 9.0)
        narrow = rng.uniform(2.0, 7.0)
        shape = (1.0 - share) * shape + share * _peak(
            energies, beside, narrow, rng.uniform(0.25, 0.5)
        )
    behind = np.maximum(energies - place, 0.0)
    tail = np.exp(-behind / rng.uniform(40.0, 120.0)) / (1.0 + behind / (1.5 * width))
    shape = shape + rng.uniform(0.0, 0.35) * shape.max() * tail * _faded(energies, place, 1.5)
    begins = place - width * rng.uniform(0.25, 1.3)
    return np.asarray(shape * _faded(energies, begins, rng.uniform(0.4, 2.5)))


def _lines(energies: Floats, place: float, rng: np.random.Generator) -> Floats:
    """Weak narrow lines of a multiplet before its resonance, the highest about 1 or less.

    Ce has a group of them from 22 to 10 eV before its maximum, together a tenth as high in the
    film, which look like the onset of La; Th and U have one 12 to 14 eV before theirs, a fifth as
    high.
    """
    out = np.zeros(energies.size)
    if rng.uniform() < 0.3:
        return out
    highest, centre = 30.0 ** -rng.uniform(), rng.uniform(7.0, 20.0)
    reach = rng.uniform(0.0, 8.0)
    for _ in range(rng.integers(1, 7)):
        height, width = highest * rng.uniform(0.2, 1.0), rng.uniform(0.6, 3.0)
        at = place - max(centre + reach * rng.uniform(-1.0, 1.0), 5.0)
        out += height * np.exp(-4 * np.log(2) * ((energies - at) / width) ** 2)
    return out


def dips(symbol: str, energies: Floats, rng: np.random.Generator, n: int) -> Floats:
    """What interference leaves of the continuum of an element's f shell, (n, n_energies), 0 to 1.

    It is lowest just below the resonance and as it was 20 to 40 eV below; one where there is no
    such resonance.
    """
    out = np.ones((n, energies.size))
    for name in ("N45", "O45"):
        key = (symbol, name)
        if key not in GIANT_RESONANCES or not _interferes(key):
            continue
        maximum, fwhm, _ = GIANT_RESONANCES[key]
        for row in range(n):
            lowest = maximum - fwhm * rng.uniform(0.4, 1.1)
            below = np.exp(-np.maximum(lowest - energies, 0.0) / rng.uniform(6.0, 25.0))
            above = np.clip((maximum + 2.0 - energies) / max(maximum + 2.0 - lowest, 1.0), 0.0, 1.0)
            out[row] *= 1.0 - rng.uniform(0.0, 0.75) * below * above
    return out


def seen_before(key: tuple[str, str]) -> int:
    """How far below its onset a shell group may absorb [eV]."""
    smeared = key[1] == "N23" and key[0] in NO_4P_HOLE
    return BEFORE_EV if smeared or key in GIANT_RESONANCES else 0
