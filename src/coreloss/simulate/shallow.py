"""What shells with onsets below the edge table's 30 eV add to records beyond 40 eV.

Such shells have no edge there, no label and no share in an element's signal-to-noise ratio,
but they often are the largest part of what the atom absorbs: the 4f continuum of Yb to Ta, flat
from 70 to 250 eV; the 3d continuum of Cu to Ge, flat to 150 eV; humps of 4d electrons of Pd to Sn
and of 5d electrons of Au to Bi, which end below 120 eV; the upper halves of 3p→3d, 4p→4d and 5p→5d
resonances. Left out are outer s and p electrons, which are the background.

f and 3d continua are those of our atoms. Resonances are least squares to df/dE after f₂ of the
Center for X-Ray Optics (`tools/published/README.md`; measurements smoothed, and theory where there
were none), less our atoms' other shells. `tools/build_shallow.py` writes the atoms' part.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS

__all__ = ["SHALLOW_RESONANCES", "TRIVALENT", "bell", "shallow_density"]

#: element → (energy of the maximum [eV], FWHM [eV], oscillator strength, share of the width
#: below the maximum); of the p shell where that is .36, else of a full d shell
SHALLOW_RESONANCES: dict[str, tuple[float, float, float, float]] = {
    # 3p→3d, 4p→4d
    "K": (32.0, 11.0, 4.2, 0.36),
    "Ca": (35.5, 11.0, 5.0, 0.36),
    "Rb": (26.0, 14.0, 5.5, 0.36),
    "Sr": (28.5, 16.0, 6.5, 0.36),
    "Y": (32.0, 13.0, 5.3, 0.36),
    "Zr": (37.0, 15.0, 5.4, 0.36),
    # 4d→εf
    "Pd": (60.0, 62.0, 12.2, 0.7),
    "Ag": (64.0, 70.0, 16.2, 0.7),
    "Cd": (66.0, 85.0, 15.0, 0.7),
    "In": (75.5, 72.0, 17.0, 0.7),
    "Sn": (77.5, 67.0, 17.4, 0.64),
    # 5p→5d
    "Cs": (16.0, 16.0, 6.0, 0.36),
    "Ba": (20.0, 16.0, 6.0, 0.36),
    "La": (26.0, 20.0, 6.0, 0.36),
    "Ce": (27.0, 24.0, 6.0, 0.36),
    "Pr": (27.0, 25.0, 5.8, 0.36),
    "Nd": (27.0, 26.0, 5.6, 0.36),
    "Pm": (27.0, 28.0, 5.8, 0.36),
    "Sm": (27.0, 30.0, 6.0, 0.36),
    "Eu": (27.0, 26.0, 7.3, 0.36),
    "Gd": (29.0, 18.0, 7.5, 0.36),
    "Tb": (30.0, 28.0, 7.0, 0.36),
    "Dy": (32.0, 22.0, 7.0, 0.36),
    "Ho": (32.0, 25.0, 6.8, 0.36),
    "Er": (30.0, 26.0, 7.3, 0.36),
    "Yb": (30.0, 28.0, 7.5, 0.36),
    "Lu": (34.0, 24.0, 6.5, 0.36),
    # 5d→εf
    "Au": (44.0, 86.0, 16.6, 0.7),
    "Hg": (46.0, 92.0, 25.8, 0.7),
    "Tl": (51.0, 91.0, 26.2, 0.7),
    "Pb": (60.5, 75.0, 19.6, 0.65),
    "Bi": (68.5, 60.0, 17.8, 0.57),
    # 6p→6d
    "Th": (26.0, 24.0, 8.0, 0.36),
    "U": (30.0, 38.0, 11.0, 0.36),
}

#: Full d shells of which the atom has the continuum in the wrong place, as a resonance above.
_FULL_D = ("Pd", "Ag", "Cd", "In", "Sn", "Au", "Hg", "Tl", "Pb", "Bi")

#: Lanthanides with one 4f electron less in their solids than in the atom.
TRIVALENT = ("Pr", "Nd", "Pm", "Sm", "Tb", "Dy", "Ho", "Er", "Tm")

#: how much wider than the atom's the energy scale of d continua is, by principal quantum number:
#: least squares to f₂ of Cu to Ge and Ti to Ni (3d), of Ag and Ru to Pd (4d), of Pt and Au (5d)
_STRETCH = {"M": 1.1, "N": 1.5, "O": 1.3}
_STRENGTH_3D = 1.08  # over the atom's, by the same f₂


def bell(
    energies: NDArray[np.float64], maximum: float, fwhm: float, below: float
) -> NDArray[np.float64]:
    """Peak of unit area, a squared Lorentzian, with a share of its width below the maximum.

    Resonances in the continuum fall faster than Lorentzians and more slowly than Gaussians.
    """
    width = fwhm / np.sqrt(np.sqrt(2.0) - 1.0)
    half = np.where(energies < maximum, below * width, (1.0 - below) * width)
    return np.asarray((1.0 + ((energies - maximum) / half) ** 2) ** -2.0 / (0.25 * np.pi * width))


@lru_cache(maxsize=1)
def _atoms() -> dict[tuple[str, str], tuple[float, NDArray[np.float64], NDArray[np.float64]]]:
    """(symbol, subshell) → onset [eV], energies above it [eV] and df/dE [1/eV]."""
    path = files("coreloss.data") / "shallow_strengths.npz"
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
        excess = data["excess_ev"].astype(float)
        rows = zip(data["subshell"], data["onset_ev"], data["df_de"], strict=True)
        return {
            (str(name).split()[0], str(name).split()[1]): (
                float(onset),
                excess,
                values.astype(float),
            )
            for name, onset, values in rows
        }


def shallow_density(symbol: str, energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """df/dE of the shells of an element below the edge table.

    Parameters
    ----------
    symbol : str
    energies : ndarray, (n_energies,) [eV], positive

    Returns
    -------
    ndarray, (n_energies,) [1/eV]
        Without outer s and most p electrons; zero for light elements.
    """
    total = np.zeros(energies.shape)
    if symbol not in ELEMENTS:
        raise ValueError(f"{symbol!r} is none of the {len(ELEMENTS)} elements of the edge table")
    for (element, shell), (onset, excess, values) in _atoms().items():
        if element != symbol:
            continue
        orbital_f = shell in ("N6", "N7")
        orbital_p = shell in ("M2", "M3", "N2", "N3")
        capped = orbital_p or (symbol in _FULL_D and not orbital_f)
        stretch = 1.0 if orbital_f or capped else _STRETCH[shell[0]]
        if symbol in TRIVALENT and orbital_f:
            electrons = ELEMENTS.index(symbol) - ELEMENTS.index("Pr") + 3
            values = values * (electrons - 1) / electrons
        if shell in ("M4", "M5"):
            values = _STRENGTH_3D * values
        if capped:  # what remains beside the resonance
            values = np.minimum(values, np.interp(80.0, excess, values))
        above = (energies - onset) / stretch
        log_values = np.interp(
            np.log(np.maximum(above, excess[0])), np.log(excess), np.log(np.maximum(values, 1e-30))
        )
        total += np.where(above > 0, np.exp(log_values) / stretch, 0.0)
    if symbol in SHALLOW_RESONANCES:
        maximum, fwhm, strength, below = SHALLOW_RESONANCES[symbol]
        total += strength * bell(energies, maximum, fwhm, below)
    return total
