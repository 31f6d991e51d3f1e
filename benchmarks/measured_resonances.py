"""Giant resonances with the shapes that were measured, none of which the simulator draws as such.

Run: python benchmarks/measured_resonances.py [--models NAME=BUNDLE ...] [--spectra 24]

Of every element from Xe to Tm, Th and U with published absorption of its 4d or 5d shell
(`tools/published`: films, beyond which the tables go on, and the tables of the Center for X-Ray
Optics): its df/dE as measured, on a power law, with one and two plasmons behind every channel,
counted. Two windows about the maximum, jump ratios of 0.2 to 1.2, t/λ of 0.1 to 0.8, the axis
right to 1.5 eV. Beside them the same records with the library's own shape, whose place and width
were read from these sources. The whole command judges with what was fitted for the default model,
whichever network it is given.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from results import ROOT, write

sys.path.insert(0, str(ROOT / "tools"))
from literature import cxro, film

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis
from coreloss.identification import ModelBundle, identify, load_model
from coreloss.simulate.library import edge_library
from coreloss.simulate.near_edge import GIANT_RESONANCES

SEED = 980_000_000
FILMS = ("Ce", "Pr", "Eu", "Ho", "Er", "Tm")
TABLES = tuple("Xe Cs Ba La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Th U".split())
#: eV before and behind the maximum
WINDOWS = ((32.0, 55.0), (55.0, 120.0))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """Shares of records."""

    exact: float
    neighbour: float
    offered: float


def maximum_of(symbol: str) -> float:
    """Where the resonance lies that the simulator has [eV]."""
    name = "O45" if symbol in ("Th", "U") else "N45"
    return GIANT_RESONANCES[symbol, name][0]


def library_shape(symbol: str) -> tuple[Floats, Floats]:
    """Energies and df/dE of all shells in the simulator's library."""
    library, index = edge_library(), ELEMENTS.index(symbol)
    whole = library.shape[library.element == index].sum(axis=0) + library.shallow[index]
    energies = np.arange(whole.size, dtype=float)
    return energies[45:400], whole[45:400].astype(float)


def film_shape(symbol: str) -> tuple[Floats, Floats]:
    """A film's energies and df/dE; beyond them the tables', scaled to go on from it."""
    (energies, density), (wide, tabled) = film(symbol, "N4,5"), cxro(symbol)
    below, above = wide < energies[0], wide > energies[-1]
    first, last = (density[at] / np.interp(energies[at], wide, tabled) for at in (0, -1))
    return (
        np.concatenate([wide[below], energies, wide[above]]),
        np.concatenate([first * tabled[below], density, last * tabled[above]]),
    )


def record(
    data: tuple[Floats, Floats], symbol: str, window: tuple[float, float], rng: np.random.Generator
) -> tuple[Floats, EnergyAxis]:
    """A counted record (n,) and its axis; the window stays within what was measured."""
    maximum = maximum_of(symbol)
    start = max(maximum - window[0], data[0][0], 45.0)
    end = min(maximum + window[1], data[0][-1])
    step = float(rng.choice([0.3, 0.5, 1.0]))
    energies = np.arange(start - 35.0, end, step)
    # dipole scattering into a small aperture
    density = np.exp(np.interp(np.log(energies), *np.log(data))) / energies
    background = (energies / maximum) ** -rng.uniform(2.5, 4.0)
    near = np.abs(energies - maximum) < 15.0
    before = (energies > maximum - 30.0) & (energies < maximum - 10.0)
    rise = density[near].max() - density[before].min()
    signal = density * np.exp(rng.uniform(np.log(0.2), np.log(1.2))) / rise
    thickness = rng.uniform(0.1, 0.8)
    plasmon, width = rng.uniform(10.0, 16.0), rng.uniform(4.0, 10.0)
    loss = np.arange(0.0, 60.0, step)
    once = 1.0 / ((loss - plasmon) ** 2 + 0.25 * width**2) * (loss > 2.0)
    once *= thickness / once.sum()
    shape = np.concatenate([[1.0], np.zeros(loss.size - 1)]) + once
    shape += 0.5 * np.convolve(once, once)[: loss.size]
    whole = background + np.convolve(signal, shape)[: signal.size]
    shown = energies >= start
    level = 10.0 ** rng.uniform(4.0, 6.0)
    counts = rng.poisson(level * whole[shown]).astype(float)
    moved = rng.uniform(-1.5, 1.5)
    return counts, EnergyAxis(float(energies[shown][0] + moved), step, counts.size)


def score(
    shapes: dict[str, tuple[Floats, Floats]], spectra: int, bundle: ModelBundle, whole: bool
) -> tuple[Score, dict[str, float]]:
    """Over all elements, and exact for each."""
    rng = np.random.default_rng(SEED)
    exact: dict[str, list[bool]] = {}
    near, offered = [], []
    for symbol, data in shapes.items():
        number = ELEMENTS.index(symbol)
        for window in WINDOWS:
            for _ in range(spectra):
                counts, axis = record(data, symbol, window, rng)
                how = {"axis_mode": "auto", "evidence": True} if whole else {}
                result = identify(counts, axis, model=bundle, threads=1, **how)
                found = set(result.found) - {"C", "O"}
                exact.setdefault(symbol, []).append(found == {symbol})
                near.append(
                    len(found) == 1 and abs(ELEMENTS.index(next(iter(found))) - number) <= 1
                )
                members = {s for group in result.sets for s in group.members}
                offered.append(symbol in found | members)
    each = {s: float(np.mean(v)) for s, v in exact.items()}
    return Score(
        float(np.mean(list(each.values()))), *map(float, (np.mean(near), np.mean(offered)))
    ), each


def main() -> None:
    """Judge and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["default=default"], metavar="NAME=BUNDLE")
    parser.add_argument("--spectra", type=int, default=24, help="of each element and window")
    options = parser.parse_args()
    sources = {
        "films": {s: film_shape(s) for s in FILMS},
        "tables": {s: cxro(s) for s in TABLES},
        "library": {s: library_shape(s) for s in TABLES},
    }
    lines = [
        "| network | shapes | records | exact | one element, right or next to it "
        "| whole command: exact | right one found or in a set |",
        "|---|---|---|---|---|---|---|",
    ]
    by_element = []
    for label, place in (pair.split("=", 1) for pair in options.models):
        bundle = load_model(place)
        for source, shapes in sources.items():
            alone, each = score(shapes, options.spectra, bundle, whole=False)
            answer, _ = score(shapes, options.spectra, bundle, whole=True)
            n = len(shapes) * len(WINDOWS) * options.spectra
            lines.append(
                f"| {label} {bundle.version} | {source} | {n} | {alone.exact:.2f} "
                f"| {alone.neighbour:.2f} | {answer.exact:.2f} | {answer.offered:.2f} |"
            )
            said = ", ".join(f"{s} {v:.2f}" for s, v in each.items())
            by_element.append(f"- {label} {bundle.version}, {source}: {said}")
    lines += ["", "Exact by element, the network alone:", "", *by_element]
    write(
        "Measured resonances",
        "python benchmarks/measured_resonances.py --models before=BUNDLE default=default",
        "\n".join(lines),
    )


if __name__ == "__main__":
    main()
