"""Are probabilities honest? Reliability on simulated, off-recipe and real spectra, and sets.

Run: python benchmarks/calibration.py [--spectra 1000] [--sets 6000] [--model BUNDLE]
     [--real FOLDER] [--dry]

The network alone and network joined with the fit of edges, on the same spectra; and what the fit
would tell by itself. The reliability diagram goes to docs/images. Sets of rivals:
how often the true element is among the members, and how many members there are, on as many more
spectra as it takes to tell; evidence is gathered of those only that may get a set.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from results import ROOT, write
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis, Spectra
from coreloss.evaluate.metrics import scores
from coreloss.evaluate.reliability import reliability
from coreloss.identification import Identification, ModelBundle, identify_spectra, load_model
from coreloss.identification.candidates import rival_groups
from coreloss.identification.evidence import features_of
from coreloss.io import load
from coreloss.simulate import SimulationRecipe, load_recipe, simulate

SEED = 960_000_000
LEAST = 0.02
BLOCK = 1000
# network and fit differ: what the fit may make a possible rival of
LOOSE = 1.5


class Tally:
    """Probabilities and truths of one set of spectra, and its sets of rivals."""

    def __init__(self) -> None:
        self.probability: list[np.ndarray] = []
        self.true: list[np.ndarray] = []
        self.counted: list[np.ndarray] = []
        self.covered: list[bool] = []
        self.members: list[int] = []
        self.looked_at: list[tuple[int, np.ndarray, float, bool]] = []

    def add(self, result: Identification, truth: set[str], unsure: set[str]) -> None:
        """One identification."""
        p = np.zeros(len(ELEMENTS))
        for symbol, value in result.probabilities.items():
            p[ELEMENTS.index(symbol)] = value if symbol in result.judged else 0.0
        self.probability.append(p)
        self.true.append(np.array([s in truth for s in ELEMENTS]))
        self.counted.append(np.array([s not in unsure or s in truth for s in ELEMENTS]))
        for group in result.sets:
            if not unsure & set(group.members):
                self.covered.append(bool(truth & set(group.members)))
                self.members.append(len(group.members))
        for symbol, element in result.evidence.elements.items() if result.evidence else ():
            given = features_of(element.network, element.likelihood_ratio, list(element.edges))
            record = len(self.probability) - 1
            self.looked_at.append((record, given, element.probability, symbol in truth))

    def row(self, name: str, threshold: float) -> str:
        """A line of the table."""
        p, y, c = (np.array(a) for a in (self.probability, self.true, self.counted))
        everything = reliability(p[c], y[c]).error
        likely = reliability(p[c], y[c], least=LEAST).error
        value = scores(y, p, threshold, counted=c)
        sets = f"{np.mean(self.covered):.3f}" if self.covered else ""
        size = f"{np.mean(self.members):.2f}" if self.members else ""
        return (
            f"| {name} | {len(p)} | {everything:.4f} | {likely:.3f} | {value['f1']:.3f} | "
            f"{value['exact_match']:.3f} | {len(self.covered)} | {sets} | {size} |"
        )


def gains(tallies: dict[str, Tally]) -> list[str]:
    """Lines of a table: network, fit and both, of the elements that the network looks at.

    Both are as they ship; the fit alone is a logistic regression of its features on every second
    simulated record, so that of 'simulated' only the others count.
    """
    lines = [
        "| elements looked at | number | log loss: network | fit alone | both | "
        "wrong at one half: network | fit alone | both |",
        "|---|---|---|---|---|---|---|---|",
    ]
    alone = None
    for name, tally in tallies.items():
        record, x, both, y = (np.array(c) for c in zip(*tally.looked_at, strict=True))
        scale = np.array([1.0, 0.1, 1.0, 1.0])  # ratios run to hundreds
        fit = np.arcsinh(x * scale)[:, 1:]  # all but the network's log odds
        told = np.ones(y.size, dtype=bool)
        if alone is None:
            told = record % 2 == 1
            alone = LogisticRegression(C=10.0, max_iter=2000).fit(fit[~told], y[~told])
        ways = (1.0 / (1.0 + np.exp(-x[:, 0])), alone.predict_proba(fit)[:, 1], both)
        ways = tuple(np.clip(p[told], 1e-6, 1.0 - 1e-6) for p in ways)
        loss = [-np.log(np.where(y[told], p, 1.0 - p)).mean() for p in ways]
        wrong = [((p >= 0.5) != y[told]).mean() for p in ways]
        numbers = " | ".join(f"{v:.3f}" for v in (*loss, *wrong))
        lines.append(f"| {name} | {int(told.sum()):,} | {numbers} |")
    return lines


def sets_row(name: str, bundle: ModelBundle, recipe: SimulationRecipe, n: int, seed: int) -> str:
    """A line of the table of sets: n spectra of a recipe."""
    covered, members = [], []
    for part in range(0, n, BLOCK):
        batch = simulate(recipe, min(BLOCK, n - part), seed + part)
        for row in range(batch.size.size):
            size = int(batch.size[row])
            axis = EnergyAxis(float(batch.offset[row]), float(batch.dispersion[row]), size)
            spectra = Spectra(np.asarray(batch.counts[row, :size], dtype=float), axis)
            (quick,) = identify_spectra(spectra, model=bundle, threads=1)
            loose = {s: min(LOOSE * p, 0.85) for s, p in quick.probabilities.items()}
            if not rival_groups(loose, quick.judged, axis):
                continue
            (result,) = identify_spectra(spectra, model=bundle, evidence=True, threads=1)
            truth = {s for s, y in zip(batch.elements, batch.present[row], strict=True) if y}
            for group in result.sets:
                covered.append(bool(truth & set(group.members)))
                members.append(len(group.members))
    if not covered:
        return f"| {name} | {n} | 0 | | | |"
    hits, number = sum(covered), len(covered)
    # Clopper and Pearson, Biometrika 26, 404 (1934)
    low = beta.ppf(0.025, hits, number - hits + 1)
    high = beta.ppf(0.975, hits + 1, number - hits) if hits < number else 1.0
    return (
        f"| {name} | {n} | {number} | {hits / number:.3f} | {low:.3f} to {high:.3f} | "
        f"{np.mean(members):.2f} |"
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=1000)
    parser.add_argument("--sets", type=int, default=6000, help="spectra for the sets of rivals")
    parser.add_argument("--model")
    parser.add_argument("--real", type=Path, default=ROOT / ".." / "shared" / "real")
    parser.add_argument(
        "--picture", type=Path, default=ROOT / "docs" / "images" / "reliability.png"
    )
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    bundle = load_model(options.model)
    tallies: dict[str, Tally] = {}
    here = Path(__file__).parent
    recipes = {
        "simulated": load_recipe("default"),
        "off-recipe": load_recipe(here / "off-recipe.toml"),
    }
    for name, recipe in recipes.items():
        batch = simulate(recipe, options.spectra, SEED + len(tallies))
        for joined in (False, True):
            tally = tallies[f"{name}, {'network and fit' if joined else 'network'}"] = Tally()
            for row in range(options.spectra):
                size = int(batch.size[row])
                axis = EnergyAxis(float(batch.offset[row]), float(batch.dispersion[row]), size)
                counts = np.asarray(batch.counts[row, :size], dtype=float)
                (result,) = identify_spectra(
                    Spectra(counts, axis), model=bundle, evidence=joined, threads=1
                )
                truth = {s for s, y in zip(batch.elements, batch.present[row], strict=True) if y}
                tally.add(result, truth, set())
    manifest = options.real / "manifest.json"
    entries = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else []
    for joined, mode in ((False, "as-recorded"), (True, "as-recorded"), (True, "auto")):
        if not entries:
            break
        way = "network and fit" if joined else "network"
        tally = tallies[f"real, axis {mode}, {way}"] = Tally()
        for entry in entries:
            spectra = load(options.real / entry["file"]).summed()
            (result,) = identify_spectra(
                spectra, model=bundle, axis_mode=mode, evidence=joined, threads=1
            )
            tally.add(result, set(entry["elements_in_range"]), set(entry.get("ambiguous", ())))
    real = [tally for name, tally in tallies.items() if name.startswith("real")]
    unseen = "; real spectra give none here" if real and not any(t.covered for t in real) else ""
    lines = [
        "| set | spectra | ECE, all | ECE, p ≥ 0.02 | F1 | exact | sets | truth in set | members |",
        "|---|---|---|---|---|---|---|---|---|",
        *(tally.row(name, bundle.threshold) for name, tally in tallies.items()),
        "",
        f"Model {bundle.name} {bundle.version}. ECE: expected calibration error in 15 bins, over "
        "all elements of all spectra and over those with a probability of 0.02 or more. Off-recipe "
        "spectra: `benchmarks/off-recipe.toml`. Sets: answers like “Pr or Nd”, how often "
        f"a true element is among the members, and their mean number{unseen}.",
        "",
        *gains({name: tallies[f"{name}, network and fit"] for name in recipes}),
        "",
        "Elements are looked at where the network gives them 0.02 or more, so what it misses the "
        "fit cannot find.",
    ]
    if options.sets:
        lines += [
            "",
            "| sets of rivals | spectra | sets | truth in set | 95 % interval | members |",
            "|---|---|---|---|---|---|",
        ]
        for number, (name, recipe) in enumerate(recipes.items()):
            seed = SEED + 10_000_000 * (number + 1)
            lines.append(sets_row(name, bundle, recipe, options.sets, seed))
    print("\n".join(lines))
    if not options.dry:
        picture(tallies, options.picture)
        command = (
            f"python benchmarks/calibration.py --spectra {options.spectra} --sets {options.sets}"
        )
        write("Calibration", command, "\n".join(lines))


def picture(tallies: dict[str, Tally], path: Path) -> None:
    """Reliability diagrams, one panel a set."""
    from matplotlib.figure import Figure

    from coreloss.plot import save

    columns = min(4, len(tallies))
    rows = -(-len(tallies) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.8 * rows), dpi=110, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place in panels.flat[len(tallies) :]:
        place.axis("off")
    for axes, (name, tally) in zip(panels.flat, tallies.items(), strict=False):
        p, y, c = (np.array(a) for a in (tally.probability, tally.true, tally.counted))
        curve = reliability(p[c], y[c], bins=10, least=LEAST)
        axes.plot([0, 1], [0, 1], color="#9A9A9A", linewidth=0.8)
        axes.plot(curve.stated, curve.observed, "o-", color="#0072B2", markersize=4)
        axes.set_title(f"{name}\nECE {curve.error:.3f}", fontsize=8)
        axes.set_xlabel("probability stated")
    for place in panels[:, 0]:
        place.set_ylabel("share that was true")
    save(figure, path)


if __name__ == "__main__":
    main()
