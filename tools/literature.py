"""Published oscillator strengths and absorption of thin films, and our theory beside them.

`tools/published/README.md` states where each table comes from and what of it was read.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from coreloss.atom.discrete import lines_of
from coreloss.atom.gos_table import gos_table
from coreloss.edges import edges_of
from coreloss.simulate.library import edge_library

__all__ = [
    "ATOMS_PER_M3",
    "PublishedStrength",
    "above_shallower_shells",
    "cxro",
    "delayed_m45_fit",
    "density",
    "film",
    "jump_of",
    "line_strength",
    "observed_resonances",
    "onset",
    "published_strengths",
    "window",
    "within",
]

Floats = NDArray[np.float64]
PUBLISHED = Path(__file__).parent / "published"
STEP_EV = 0.25

_CLASSICAL_RADIUS_M = 2.8179403e-15
_AVOGADRO = 6.02214076e23
#: density [g/cm³] as the papers used it (Pr and Ho: of the bulk) over atomic weight [g/mol]
ATOMS_PER_M3 = {
    symbol: 1e6 * density / weight * _AVOGADRO
    for symbol, density, weight in (
        ("Sr", 2.58, 87.62),
        ("Ce", 6.771, 140.116),
        ("Pr", 6.77, 140.908),
        ("Eu", 5.25, 151.964),
        ("Ho", 8.795, 164.930),
        ("Er", 9.066, 167.259),
        ("Tm", 9.33, 168.934),
    )
}


@dataclass(frozen=True)
class PublishedStrength:
    """Oscillator strength of an edge, white lines included, after Egerton 1993.

    Attributes
    ----------
    onset_ev : float [eV]
    f50, f100, f200 : float
        In the first 50, 100 and 200 eV; nan where not given.
    error : float
        Relative uncertainty.
    """

    onset_ev: float
    f50: float
    f100: float
    f200: float
    error: float


def _rows(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@lru_cache(maxsize=1)
def published_strengths() -> dict[tuple[str, str], PublishedStrength]:
    """By symbol and 'K', 'L2,3', 'M4,5', 'N4,5' or 'O4,5'."""
    return {
        (row["symbol"], row["edge"]): PublishedStrength(
            float(row["onset_ev"]),
            *(float(row[key] or "nan") for key in ("f50", "f100", "f200")),
            0.01 * float(row["error_percent"]),
        )
        for row in _rows("oscillator_strengths.csv")
    }


@lru_cache(maxsize=32)
def film(symbol: str, edge: str) -> tuple[Floats, Floats]:
    """Energies [eV], ascending, and df/dE [1/eV] of an evaporated film; all shells together.

    From the extinction coefficient k = r₀ λ² n f₂ / 2π and df/dE = (2/π) f₂/E.
    """
    rows = [r for r in _rows("films.csv") if (r["symbol"], r["edge"]) == (symbol, edge)]
    if not rows:
        raise ValueError(f"no film of {symbol} at its {edge} edge in {PUBLISHED / 'films.csv'}")
    wavelength = np.array([float(r["wavelength_nm"]) for r in rows])
    k = np.array([float(r["k"]) for r in rows])
    energies = 1239.84198 / wavelength
    f2 = 2 * np.pi * k / (_CLASSICAL_RADIUS_M * ATOMS_PER_M3[symbol] * (1e-9 * wavelength) ** 2)
    order = np.argsort(energies)
    return energies[order], (2 / np.pi * f2 / energies)[order]


@lru_cache(maxsize=64)
def cxro(symbol: str) -> tuple[Floats, Floats]:
    """Energies [eV], ascending, and df/dE [1/eV] of the Center for X-Ray Optics' tables."""
    rows = [r for r in _rows("cxro.csv") if r["symbol"] == symbol]
    if not rows:
        raise ValueError(f"no part of {symbol} in {PUBLISHED / 'cxro.csv'}")
    energies = np.array([float(r["energy_ev"]) for r in rows])
    return energies, 2 / np.pi * np.array([float(r["f2"]) for r in rows]) / energies


def above_shallower_shells(
    data: tuple[Floats, Floats], onset_ev: float, energies_ev: ArrayLike, width: float = 0.25
) -> Floats:
    """df/dE (n,) [1/eV] of one edge: the data less a power law fitted before the onset.

    Parameters
    ----------
    data : (energies, df/dE)
    onset_ev : float [eV]
        First energy of the edge.
    energies_ev : array_like, (n,) [eV]
    width : float
        Of the fitted region, relative to the onset.

    Raises
    ------
    ValueError
        If fewer than three points lie there.
    """
    energies, values = data
    before = (energies > (1 - width) * onset_ev) & (energies < onset_ev - 2.0)
    if before.sum() < 3:
        raise ValueError(
            f"no data to fit between {(1 - width) * onset_ev:.0f} and {onset_ev - 2:.0f} eV; "
            f"they begin at {energies[0]:.0f} eV"
        )
    slope, constant = np.polyfit(np.log(energies[before]), np.log(values[before]), 1)
    if not -4.0 < slope < -1.0:  # too short or too structured to tell: as hydrogen-like shells
        slope = -2.5
        constant = np.mean(np.log(values[before]) - slope * np.log(energies[before]))
    x = np.asarray(energies_ev, dtype=float)
    return np.asarray(np.interp(x, energies, values) - np.exp(constant + slope * np.log(x)))


@dataclass(frozen=True)
class DelayedFit:
    """M4,5 of our atom fitted to measured absorption.

    Attributes
    ----------
    stretch, strength : float
        What the energy scale above the onset and df/dE are multiplied by.
    rms : float
        Of the deviations, over the measured df/dE.
    rms_before : float
        The same at stretch 1, with the best strength.
    """

    stretch: float
    strength: float
    rms: float
    rms_before: float


def delayed_m45_fit(symbol: str) -> DelayedFit:
    """Least squares to df/dE of the Center for X-Ray Optics, 60 eV before M5 to 350 eV after.

    M4,5 of our atom, its energies above the onset stretched, the element's own shells that begin
    in the region, and the tail of those before it (two power laws); all strengths not negative.
    """
    energies, values = cxro(symbol)
    library = edge_library(measured=False)
    own = [label.split() for label in library.labels]
    groups = {name: i for i, (element, name) in enumerate(own) if element == symbol}
    first = library.onset_ev[groups["M45"]]
    x = np.arange(np.ceil(max(0.75 * first, first - 60.0)), min(first + 350.0, 2.2 * first))
    y = np.interp(x, energies, values)
    grid = np.arange(library.shape.shape[1], dtype=float)
    others = [
        np.interp(x, grid, library.shape[i])
        for name, i in groups.items()
        if name != "M45" and first < library.onset_ev[i] < x[-1]
    ]
    others += [y[0] * (x / x[0]) ** -power for power in (2.0, 3.0)]
    best: list[tuple[float, float, float]] = []
    for stretch in np.arange(0.8, 2.01, 0.05):
        at = first + (x - first) / stretch
        delayed = np.interp(at, grid, library.shape[groups["M45"]])
        columns = np.array([delayed, *others]).T
        solution, _ = nnls(columns / y[:, None], np.ones_like(y))
        rms = float(np.sqrt(np.mean((columns @ solution / y - 1.0) ** 2)))
        best.append((rms, float(stretch), float(solution[0])))
    rms, stretch, strength = min(best)
    return DelayedFit(stretch, strength, rms, best[4][0])


def observed_resonances() -> list[dict[str, str]]:
    """Observed maxima of the giant resonances: symbol, edge, first_ev, last_ev, source."""
    return _rows("resonances.csv")


def jump_of(data: tuple[Floats, Floats]) -> float:
    """The energy [eV] after the steepest rise: a tabulated K edge, up to 12 eV above ours."""
    energies, values = data
    return float(energies[np.argmax(np.diff(np.log(values))) + 1])


def onset(symbol: str, shell: str) -> float:
    """Our onset [eV] of a subshell, 'K' or 'M5'; raises StopIteration where there is none."""
    return next(edge.onset_ev for edge in edges_of(symbol) if edge.subshell == shell)


def window(first_ev: float, width_ev: float) -> Floats:
    """Midpoints of steps of STEP_EV over a window [eV]."""
    return first_ev + STEP_EV * (np.arange(round(width_ev / STEP_EV)) + 0.5)


def density(symbol: str, shells: tuple[str, ...], energies_ev: ArrayLike) -> Floats:
    """Our optical df/dE (n,) [1/eV] of subshells together, without lines."""
    table = gos_table()
    parts = [table.strengths(symbol, shell).gos(energies_ev, [0.03])[:, 0] for shell in shells]
    return np.sum(parts, axis=0)


def within(symbol: str, shells: tuple[str, ...], width_ev: float) -> float:
    """Our oscillator strength of subshells together from the first onset on, without lines."""
    first = min(onset(symbol, shell) for shell in shells)
    return float(STEP_EV * density(symbol, shells, window(first, width_ev)).sum())


def line_strength(symbol: str, shells: tuple[str, ...], final: str) -> float:
    """Oscillator strength of the atom's lines into a shell, '3d'."""
    return sum(
        line.strength for s in shells for line in lines_of(symbol, s) if line.final[:2] == final
    )
