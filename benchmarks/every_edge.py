"""Every major edge of every element, by our edge shapes and by another theory's.

Run: python benchmarks/every_edge.py [--model BUNDLE] [--spectra 12]

Of each element with a major edge between 55 and 2,700 eV: the element by itself and its oxide,
four in ten of them on carbon, in a narrow, a middling and a wide window about each of these edges,
as one records a reference: well counted, t/λ 0.15 to 0.9, the axis right to 1.5 eV. The
network alone judges the same samples twice: with edges as in training, and with Kissel's partial
photo-ionisation cross sections (xraylib) in the place of all but giant resonances: what a
wrong edge shape may cost. Near-edge structure is drawn alike.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xraylib
from numpy.typing import NDArray
from results import write

from coreloss.edges import ELEMENTS, edges_of
from coreloss.identification import ModelBundle, load_model
from coreloss.simulate import SimulatedBatch, load_recipe
from coreloss.simulate.chemistry import oxidation_shifts_ev
from coreloss.simulate.draws import draw
from coreloss.simulate.gos import records
from coreloss.simulate.library import N_GRID, EdgeLibrary, edge_library
from coreloss.simulate.near_edge import GIANT_RESONANCES, WHITE_LINES

SEED = 970_000_000
WINDOWS = ("narrow", "middling", "wide")
SAMPLES = ("element", "oxide")
#: df/dE [1/eV] of a cross section of 1 Mbarn (Fano and Cooper 1968)
_PER_MBARN = 1.0 / 109.76
# where their tables begin above an edge, they are taken at the first of these that they have [eV]
_BEGINS = (0.0, 5.0, 10.0, 20.0)
_WORST = 30


@dataclass(frozen=True)
class Case:
    """A shell group, a sample and a window."""

    group: int
    sample: str
    window: str


def recipe() -> Any:
    """The recipe `default` without wrong axes and broken records."""
    return replace(
        load_recipe("default"),
        empty_fraction=0.0,
        unlisted_fraction=0.0,
        wide_shift_fraction=0.0,
        stretch_fraction=0.1,
        thickness=(0.15, 0.9),
        thick_fraction=0.0,
        framed_fraction=1.0,
        spike_fraction=0.0,
        shading_fraction=0.02,
        gain_step_fraction=0.0,
        baseline_fraction=0.02,
        offset_fraction=0.05,
        subtracted_fraction=0.1,
        smoothed_fraction=0.05,
    )


def partial(symbol: str, subshell: str, onset_ev: float) -> NDArray[np.float64]:
    """Kissel's df/dE [1/eV] of a subshell on the simulator's grid, its threshold at our onset."""
    z = xraylib.SymbolToAtomicNumber(symbol)
    shell = getattr(xraylib, f"{subshell}_SHELL")
    begins = 1e3 * xraylib.EdgeEnergy(z, shell)
    electrons = xraylib.ElectronConfig(z, shell)
    density = np.zeros(N_GRID)
    for channel in range(int(onset_ev), N_GRID):
        for further in _BEGINS:
            energy = begins + max(channel - onset_ev, 0.5) + further
            try:
                barn = xraylib.CSb_Photo_Partial(z, shell, 1e-3 * energy)
            except ValueError:  # below its tables
                continue
            density[channel] = 1e-6 * barn * electrons * _PER_MBARN
            break
    return density


def kissel() -> tuple[EdgeLibrary, int]:
    """The library with Kissel's shapes where he has them, and how many groups those are."""
    ours = edge_library(False, True)
    shape, partner, height = ours.shape.copy(), ours.partner.copy(), ours.height.copy()
    replaced = 0
    for group, (index, name) in enumerate(zip(ours.element, ours.name, strict=True)):
        symbol = ELEMENTS[index]
        if (symbol, name) in GIANT_RESONANCES:
            continue
        members = [
            e for e in edges_of(symbol) if e.subshell[0] == name[0] and e.subshell[1:] in name[1:]
        ]
        try:
            parts = [partial(symbol, e.subshell, e.onset_ev) for e in members]
        except ValueError:  # a shell that he has not
            continue
        if not any(part.any() for part in parts):
            continue
        if (symbol, name) in WHITE_LINES:  # added by the simulator
            parts = [
                np.minimum(part, 1.2 * part[min(int(e.onset_ev) + 30, N_GRID - 1)])
                for part, e in zip(parts, members, strict=True)
            ]
        near = int(ours.onset_ev[group])
        shape[group] = np.sum(parts, axis=0)
        partner[group] = parts[-1] if len(parts) > 1 else 0.0
        height[group] = shape[group, near : near + 80].max(initial=0.0)
        replaced += 1
    return replace(ours, shape=shape, partner=partner, height=height), replaced


def cases(library: EdgeLibrary) -> list[Case]:
    """Every major edge, as an element and as an oxide, in every window."""
    groups = np.flatnonzero(library.major & (library.onset_ev > 55) & (library.onset_ev < 2700))
    return [Case(g, sample, window) for g in groups for sample in SAMPLES for window in WINDOWS]


def made(
    every: list[Case], spectra: int, library: EdgeLibrary, shapes: EdgeLibrary
) -> SimulatedBatch:
    """So many spectra of each case, in order; the same samples for any shapes."""
    rng = np.random.default_rng(SEED)
    which = [case for case in every for _ in range(spectra)]
    n, plan = len(which), recipe()
    draws = draw(rng, n, plan, library)
    oxygen, carbon = ELEMENTS.index("O"), ELEMENTS.index("C")
    elements = np.full_like(draws.elements, -1)
    amounts = np.zeros_like(draws.amounts)
    group = np.array([case.group for case in which])
    elements[:, 0], amounts[:, 0] = library.element[group], 1.0

    def add(slot: int, index: int, rows: NDArray[np.bool_], much: NDArray[np.float64]) -> None:
        rows = rows & (elements[:, 0] != index)
        elements[rows, slot], amounts[rows, slot] = index, much[rows]

    oxide = np.array([case.sample == "oxide" for case in which])
    add(1, oxygen, oxide, rng.uniform(0.5, 2.5, n))
    film = rng.uniform(size=n) < 0.4
    add(2, carbon, film, np.exp(rng.uniform(np.log(0.1), np.log(2.0), n)))
    onset = library.onset_ev[group]
    window = np.array([WINDOWS.index(case.window) for case in which])

    def between(*limits: tuple[float, float]) -> NDArray[np.float64]:
        return np.choose(window, [rng.uniform(*pair, n) for pair in limits])

    start = between((0.97, 0.97), (0.6, 0.85), (0.2, 0.5)) * onset
    start -= between((20.0, 50.0), (0.0, 0.0), (0.0, 0.0))
    draws.elements[:], draws.amounts[:] = elements, amounts
    own = rng.normal(0.0, plan.chemical_shift_ev, elements.shape)
    draws.chemical_shift_ev[:] = np.rint(own + oxidation_shifts_ev(rng, elements))
    draws.start_ev[:] = np.maximum(start, plan.start_ev[0])
    end = onset + between((60.0, 130.0), (250.0, 700.0), (500.0, 1500.0))
    draws.end_ev[:] = np.minimum(end, plan.end_ev[1])
    draws.reference[:] = group
    most = np.maximum((draws.end_ev - draws.start_ev) / 200.0, 1.0)
    draws.dispersion_ev[:] = np.clip(draws.dispersion_ev, 1.0, most)
    draws.jump_ratio[:] = np.exp(rng.uniform(np.log(0.15), np.log(3.0), n))
    draws.counts[:] = 10.0 ** rng.uniform(4.5, 6.5, n)
    return records(plan, draws, rng, library=shapes)


def right(
    batch: SimulatedBatch, bundle: ModelBundle
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each spectrum is exactly right but for carbon; what is found, and what there is."""
    given = (np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size)
    counted = np.arange(len(ELEMENTS)) != ELEMENTS.index("C")
    found = (bundle.predict(*given) >= bundle.threshold) & counted
    present = batch.present & counted
    return (found == present).all(axis=1), found, present


def summary(
    exact: NDArray[np.bool_], found: NDArray[np.bool_], present: NDArray[np.bool_]
) -> list[float]:
    """Exact match rate and micro-averaged F1."""
    both = 2.0 * (found & present).sum() / max(found.sum() + present.sum(), 1)
    return [float(exact.mean()), float(both)]


def main() -> None:
    """Simulate, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--spectra", type=int, default=12, help="of each case")
    options = parser.parse_args()
    bundle = load_model(options.model)
    library = edge_library(False, True)
    other, replaced = kissel()
    every = cases(library)
    judged = [
        right(made(every, options.spectra, library, shapes), bundle) for shapes in (library, other)
    ]
    of = np.repeat(np.arange(len(every)), options.spectra)
    kinds = [(sample, window) for sample in SAMPLES for window in WINDOWS]
    lines = [
        "| sample, window | spectra | exact | F1 | Kissel's shapes: exact | F1 |",
        "|---|---|---|---|---|---|",
    ]
    for kind in [*kinds, None]:
        rows = np.array([kind in (None, (every[i].sample, every[i].window)) for i in of])
        cells = [v for each in judged for v in summary(*(a[rows] for a in each))]
        name = ", ".join(kind) if kind else "all"
        lines.append(f"| {name} | {rows.sum():,} | {' | '.join(f'{v:.3f}' for v in cells)} |")
    lines += ["", "| edge, window | exact | Kissel's | missed | wrong |", "|---|---|---|---|---|"]
    edges = sorted({(case.group, case.window) for case in every})
    scored = []
    for group, window in edges:
        rows = np.array([(every[i].group, every[i].window) == (group, window) for i in of])
        scored.append((judged[0][0][rows].mean() + judged[1][0][rows].mean(), group, window, rows))
    for _, group, window, rows in sorted(scored, key=lambda s: s[0])[:_WORST]:
        missed, wrong = (
            Counter(
                ELEMENTS[column]
                for _, found, present in judged
                for column in np.nonzero(sign * (present[rows] * 1 - found[rows]) > 0)[1]
            )
            for sign in (1, -1)
        )
        said = [
            ", ".join(f"{s} ({k})" for s, k in c.most_common(3)) or "–" for c in (missed, wrong)
        ]
        label = f"{library.labels[group]} {library.onset_ev[group]:.0f} eV, {window}"
        both = " | ".join(f"{each[0][rows].mean():.2f}" for each in judged)
        lines.append(f"| {label} | {both} | {' | '.join(said)} |")
    by_element = []
    for index in np.unique(library.element[[case.group for case in every]]):
        rows = library.element[[every[i].group for i in of]] == index
        by_element.append((np.mean([each[0][rows].mean() for each in judged]), ELEMENTS[index]))
    by_element.sort()
    lines += [
        "",
        f"Elements, mean of both: {', '.join(f'{s} {v:.2f}' for v, s in by_element)}.",
        "",
        f"Model {bundle.name} {bundle.version}, network alone, carbon not counted; {len(every)} "
        f"cases of {len({c.group for c in every})} major edges, {options.spectra} spectra each. "
        f"Kissel's cross sections stand for {replaced} of {len(library.name)} shell groups. The "
        f"{_WORST} edges and windows with the fewest exact, missed and wrong elements of both.",
    ]
    write("Every major edge", "python benchmarks/every_edge.py", "\n".join(lines))


if __name__ == "__main__":
    main()
