"""Scores of a model on the challenge classes of benchmarks/challenges/, one TOML file each.

Run: python benchmarks/challenges.py [--model BUNDLE] [--before BUNDLE] [--spectra 100]
     [--whole 20] [NAME …]

Every file says what is hard about its class, what caused the errors that were found in it and what
was done about them, which samples it draws from ([sample]), the record
([record]) and what differs from the simulation recipe 'default' ([simulation]). 'network' is
the network alone with the axis as recorded; 'whole' is what the command line can give: axis
estimated, edges fitted, abstentions. 'exact, first' is the network on the spectra that 'whole'
sees. 'before' is the network of another bundle on the same spectra; that in RESULTS.md is default
model 1, src/coreloss/data/models/default at commit 2373603.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import write

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis
from coreloss.evaluate.metrics import confusions, scores
from coreloss.identification import ModelBundle, identify, load_model
from coreloss.simulate import SimulatedBatch, SimulationRecipe, simulation_from_table
from coreloss.simulate.draws import draw
from coreloss.simulate.gos import records
from coreloss.simulate.library import edge_library

FOLDER = Path(__file__).parent / "challenges"
SEED = 950_000_000

#: what [record] may hold, all pairs of a uniform draw but ``anchor``
RECORD = {
    "start_ev",
    "end_ev",
    "before_ev",
    "length_ev",
    "dispersion_ev",
    "log_counts",
    "jump_ratio",
    "shift_ev",
    "stretch",
    "thickness",
}


@dataclass(frozen=True)
class Challenge:
    """One class: its name, what is hard about it and why, its samples, record and recipe."""

    name: str
    description: str
    cause: str
    samples: tuple[dict[str, float], ...]
    record: dict[str, tuple[float, float]]
    recipe: SimulationRecipe


def load_challenge(path: Path) -> Challenge:
    """Read a challenge; raises ValueError naming the file and what is wrong."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown = set(table) - {"description", "cause", "sample", "record", "simulation"}
    unknown |= set(table.get("record", {})) - RECORD
    if unknown:
        raise ValueError(f"{path}: unknown {', '.join(sorted(unknown))}")
    record = {k: (float(v[0]), float(v[1])) for k, v in table.get("record", {}).items()}
    if ("start_ev" in record) == ("before_ev" in record):
        raise ValueError(f"{path}: give start_ev and end_ev, or before_ev and length_ev")
    samples = tuple(table["sample"]["any_of"])
    for symbol in {s for sample in samples for s in sample}:
        if symbol not in ELEMENTS:
            raise ValueError(f"{path}: {symbol!r} is no element of the list")
    simulation = simulation_from_table(
        {"base": "default", "framed_fraction": 0.0, **table.get("simulation", {})},
        source=str(path),
    )
    return Challenge(path.stem, table["description"], table["cause"], samples, record, simulation)


def simulate_challenge(challenge: Challenge, n: int, seed: int) -> SimulatedBatch:
    """n records of a class."""
    plan = challenge.recipe
    rng = np.random.default_rng(SEED + seed)
    library = edge_library(plan.edges == "major", plan.measured_shapes)
    drawn = draw(rng, n, plan, library)
    elements = np.full((n, plan.max_elements), -1)
    amounts = np.zeros((n, plan.max_elements))
    pick = rng.integers(len(challenge.samples), size=n)
    for row, index in enumerate(pick):
        for slot, (symbol, amount) in enumerate(challenge.samples[index].items()):
            elements[row, slot], amounts[row, slot] = ELEMENTS.index(symbol), amount
    chemical = np.where(elements >= 0, np.rint(rng.normal(0, 1, elements.shape)), 0).astype(int)

    def drawn_from(key: str, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
        return rng.uniform(*challenge.record[key], n) if key in challenge.record else otherwise

    if "start_ev" in challenge.record:
        start, end = drawn_from("start_ev", drawn.start_ev), drawn_from("end_ev", drawn.end_ev)
    else:
        start = _anchors(rng, library, elements) - drawn_from("before_ev", drawn.start_ev)
        start = np.maximum(start, 42.0)
        end = start + drawn_from("length_ev", drawn.end_ev)
    middle = 0.5 * (start + end)
    shift = drawn_from("shift_ev", np.zeros(n)) * rng.choice((-1.0, 1.0), n)
    stretch = drawn_from("stretch", np.ones(n))
    chosen = replace(
        drawn,
        elements=elements,
        amounts=amounts,
        chemical_shift_ev=chemical,
        start_ev=start,
        end_ev=end,
        dispersion_ev=drawn_from("dispersion_ev", np.clip(drawn.dispersion_ev, 1.0, 1.5)),
        counts=10.0 ** drawn_from("log_counts", np.log10(drawn.counts)),
        jump_ratio=drawn_from("jump_ratio", drawn.jump_ratio),
        thickness=drawn_from("thickness", drawn.thickness),
        shift_ev=middle - stretch * (middle - shift),
        stretch=stretch,
        reference=_references(library, elements, start, end),
    )
    return records(plan, chosen, rng)


def _anchors(rng: np.random.Generator, library: Any, elements: NDArray) -> NDArray[np.float64]:
    """Onset of a main edge of each sample's first element, drawn at random [eV]."""
    out = np.zeros(elements.shape[0])
    for row, element in enumerate(elements[:, 0]):
        groups = np.arange(library.first[element], library.last[element])
        onset = library.onset_ev[groups]
        good = onset[library.major[groups] & (onset > 54.0) & (onset < 3200.0)]
        out[row] = rng.choice(good if good.size else onset)
    return out


def _references(
    library: Any, elements: NDArray, start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The edge that the jump ratio is stated for: the first main one in the window."""
    out = np.full(elements.shape[0], -1)
    for row in range(elements.shape[0]):
        inside = (library.onset_ev > start[row] + 4.0) & (library.onset_ev < end[row] - 6.0)
        for element in elements[row][elements[row] >= 0]:
            mine = np.flatnonzero(inside & (library.element == element))
            if mine.size:
                out[row] = mine[np.argmax(library.major[mine])]
                break
    return out


def score(challenge: Challenge, bundle: ModelBundle, n: int, whole: int, seed: int) -> dict:
    """Scores of a class: ``network``, and of the first ``whole`` records ``first`` and ``whole``.

    ``first`` is the network alone on the records that ``whole`` sees. What counts is what is
    named: the likeliest of rivals is, what hardly shows an edge is not.
    """
    batch = simulate_challenge(challenge, n, seed)
    out: dict[str, Any] = {"description": challenge.description, "spectra": n}
    whole = min(whole, n)
    for kind, number in (("network", n), ("whole", whole)):
        if not number:
            continue
        probability = np.zeros((number, len(ELEMENTS)))
        found = np.zeros((number, len(ELEMENTS)), dtype=bool)
        columns = [ELEMENTS.index(s) for s in bundle.elements]
        for row in range(number):
            axis = EnergyAxis(
                float(batch.offset[row]), float(batch.dispersion[row]), int(batch.size[row])
            )
            options = {"axis_mode": "auto", "evidence": True} if kind == "whole" else {}
            result = identify(
                np.asarray(batch.counts[row, : axis.size]), axis, model=bundle, **options
            )
            values = [p if s in result.judged else 0.0 for s, p in result.probabilities.items()]
            probability[row, columns] = values
            found[row, [ELEMENTS.index(s) for s in result.found]] = True
        present = batch.present[:number]
        out[kind] = scores(present, probability, bundle.threshold, found=found)
        out[kind]["confusions"] = confusions(present, found, ELEMENTS)[:5]
        if kind == "network" and whole:
            first = (present[:whole], probability[:whole], bundle.threshold)
            out["first"] = scores(*first, found=found[:whole])
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="classes; all without")
    parser.add_argument("--model", help="model name or bundle directory")
    parser.add_argument("--before", help="another, scored beside it without fit and axis search")
    parser.add_argument("--spectra", type=int, default=100)
    parser.add_argument("--whole", type=int, default=20, help="records of each with everything on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write all scores there")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args(argv)
    bundle = load_model(options.model)
    paths = sorted(FOLDER.glob("*.toml"))
    if options.names:
        paths = [path for path in paths if path.stem in options.names]
    if not paths:
        raise SystemExit(f"no challenge named {' '.join(options.names)} in {FOLDER.name}/")
    lines = [
        "| class | F1 | exact | recognised | exact, first | F1, whole | exact, whole | "
        "most frequent errors |",
        "|---|---|---|---|---|---|---|---|",
    ]
    results = {}
    before = load_model(options.before) if options.before else None
    causes = []
    if before:
        then, now = (f"exact, {b.name} {b.version}" for b in (before, bundle))
        causes = [
            "",
            "The network alone, then and now:",
            "",
            f"| class | {then} | {now} | what caused errors, and what was done |",
            "|---|---|---|---|",
        ]
    for path in paths:
        challenge = load_challenge(path)
        values = score(challenge, bundle, options.spectra, options.whole, options.seed)
        results[challenge.name] = values
        network, full = values["network"], values.get("whole", {})
        wrong = ", ".join(f"{a}→{b} ({k})" for a, b, k in network["confusions"][:3])
        cells = [f"{network[k]:.2f}" for k in ("spectrum_f1", "exact_match", "recognition")]
        cells.append(f"{values['first']['exact_match']:.2f}" if full else "")
        cells += [f"{full[k]:.2f}" if full else "" for k in ("spectrum_f1", "exact_match")]
        line = f"| {challenge.name} | {' | '.join(cells)} | {wrong} |"
        print(line, flush=True)
        lines.append(line)
        if before:
            old = score(challenge, before, options.spectra, 0, options.seed)["network"]
            causes.append(
                f"| {challenge.name} | {old['exact_match']:.2f} | {network['exact_match']:.2f} | "
                f"{challenge.cause} |"
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    lines += [
        "",
        f"Model {bundle.name} {bundle.version}; {options.spectra} simulated spectra of each class "
        f"for the network alone, as recorded, the first {options.whole} of them with axis search, "
        "evidence and abstention; “exact, first” is the network alone on those. F1 is the mean "
        "over spectra; a spectrum without elements has 1 where nothing is found. What each class "
        "is: `benchmarks/challenges/*.toml`.",
        *causes,
    ]
    if not options.dry:
        command = (
            f"python benchmarks/challenges.py --spectra {options.spectra} --whole {options.whole}"
            + (" --before BUNDLE" if before else "")
        )
        write("Challenges", command, "\n".join(lines))


if __name__ == "__main__":
    main()
