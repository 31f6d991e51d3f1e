"""The study of Kong, Ji & Xin 2022 with our models: their Figures 6 and 7 and Table 4.

Run: python benchmarks/kong2022.py [--published BUNDLE] [--model BUNDLE] [--spectra 10000]
     [--repeats 100] [--real FOLDER] [--only simulated,real,carbons,sensitivity,files,limits]

The model is the shipped `kong2022`, or a bundle; --published is one that `coreloss train
kong2022` and `coreloss export` made, which knows the paper's own spectra alone. Writes the
sections "Kong et al. 2022 …" of RESULTS.md and pictures into docs/images.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from results import ROOT, write

from coreloss.energy import EnergyAxis, Spectra
from coreloss.evaluate import (
    Sensitivity,
    evaluate_folder,
    evaluate_sensitivity,
    evaluate_simulated,
)
from coreloss.evaluate.sensitivity import PUBLISHED
from coreloss.identification import ModelBundle, identify_spectra, load_model
from coreloss.io import load
from coreloss.plot import save
from coreloss.simulate import load_recipe
from coreloss.simulate.dataset import DatasetPlan, make_file
from coreloss.simulate.gaussian import GaussianDraws, GaussianRecipe, assembled
from coreloss.simulate.gaussian.forward import shape_table

IMAGES = ROOT / "docs" / "images"
KEYS = ("spectrum_f1", "spectrum_precision", "spectrum_recall", "exact_match", "recognition")
NAMES = ("F1", "precision", "recall", "exact", "recognition")
# Kong et al. 2022, text around Figure 6; 'around 90 %' for the last two of the validation set
THEIRS = {
    "validation": ("0.98", "0.99", "0.97", "about 0.90", "about 0.90"),
    "177 real spectra": ("0.99", "0.98", "0.99", "0.949", "0.989"),
}
HEAD = ["| set | model | " + " | ".join(NAMES) + " | spectra |", "|---" * (len(NAMES) + 3) + "|"]


def row(name: str, model: str, values: list[str], number: str) -> str:
    """One row of a table of scores."""
    return f"| {name} | {model} | " + " | ".join(values) + f" | {number} |"


def scores(models: list[ModelBundle], spectra: int) -> list[str]:
    """Each model on the simulated spectra of each recipe."""
    lines = list(HEAD)
    lines.append(row("validation", "the paper's", list(THEIRS["validation"]), "50,000"))
    boxes = []
    for name in ("kong2022", "kong2022-real", "default"):
        for bundle in models:
            few = name == "default" and bundle is not models[-1]
            # few of the default recipe's spectra hold only the 20 elements
            report = evaluate_simulated(
                load_recipe(name), spectra * (5 if few else 1), 0, model=bundle, name=name
            )
            for variant in ("model", "in common"):
                if variant in report.scores:
                    values = [f"{report.scores[variant][k]:.3f}" for k in KEYS]
                    label = f"recipe `{name}`" + (", common elements" * (variant == "in common"))
                    lines.append(row(label, bundle.name, values, f"{report.n_spectra:,}"))
            if name == "kong2022" and bundle is not models[-1]:
                box = {k: round(v, 3) for k, v in report.spectrum_scores["f1"].items()}
                boxes.append(f"F1 of each spectrum, {bundle.name}, recipe `{name}`: {box}")
    return [*lines, "", *(f"- {box}" for box in boxes)]


def real(models: list[ModelBundle], manifest: Path) -> list[str]:
    """Each model on the real sets of the 20 elements."""
    elements = models[0].elements
    lines = list(HEAD)
    theirs = list(THEIRS["177 real spectra"])
    lines.append(row("177 real spectra", "the paper's", theirs, "177"))
    wrong = []
    for corrected in (True, False):
        for bundle in models:
            report = evaluate_folder(manifest, model=bundle, corrected=corrected, elements=elements)
            label = "axis corrected" if corrected else "as recorded"
            values = [f"{report.scores['all elements'][k]:.3f}" for k in KEYS]
            lines.append(row(label, bundle.name, values, str(report.n_spectra)))
            for entry in report.sets:
                if entry["missed"] or entry["extra"]:
                    wrong.append(
                        f"- {label}, {bundle.name}: {entry['id']}, missed "
                        f"{' '.join(entry['missed']) or '-'}, wrongly "
                        f"{' '.join(entry['extra']) or '-'}"
                    )
    return [*lines, "", *wrong]


def carbons(recipe: GaussianRecipe) -> tuple[list[str], Spectra]:
    """C K of each family of the library at jump ratio 0.5 with the paper's noise."""
    table = shape_table(recipe)
    first: dict[str, int] = {}
    for index in table.of(recipe.edges.index("C K")):
        first.setdefault(table.shapes[index].family, int(index))
    n = len(first)

    def every(value: float) -> np.ndarray:
        return np.full(n, value)

    draws = GaussianDraws(
        shape=np.array(list(first.values()))[:, None],
        jump_ratio=np.full((n, 1), 0.5),
        extension=np.full((n, 1), -2.8),
        fwhm_ev=every(0.8),
        hwhm_ev=every(0.2),
        exponent=every(1.88),
        shift_ev=every(0.0),
        stretch=every(1.0),
        frame=np.full(n, 45),
        noise=every(1.5 * recipe.noise),
        white=every(0.0),
        start_ev=every(recipe.range_ev[0]),
        end_ev=every(recipe.range_ev[1]),
    )
    batch = assembled(recipe, draws, np.random.default_rng(7))
    axis = EnergyAxis(recipe.range_ev[0], recipe.dispersion_ev, batch.counts.shape[1])
    return list(first), Spectra(np.asarray(batch.counts), axis)


def carbon_figure(kong: ModelBundle, real_folder: Path) -> list[str]:
    """The paper's Figure 7: what is found in spectra of different carbons."""
    from matplotlib.figure import Figure

    names, spectra = carbons(GaussianRecipe())
    found = identify_spectra(spectra, model=kong)
    file = real_folder / "files"
    for entry in json.loads((real_folder / "manifest.json").read_text()) if file.is_dir() else ():
        if entry["elements_in_range"] == ["C"]:
            record = load(real_folder / entry["file"]).summed()
            found += identify_spectra(record, model=kong)
            names.append(f"recorded: {entry['id']}")
    figure = Figure(figsize=(11, 2.3 * ((len(names) + 2) // 3)), dpi=120, layout="constrained")
    panels = figure.subplots((len(names) + 2) // 3, 3).ravel()
    lines = ["| carbon | found | probability of C |", "|---|---|---|"]
    for axes, name, result in zip(panels, names, found, strict=False):
        energies = result.axis.energies
        near = (energies > 260) & (energies < 340)
        axes.plot(energies[near], result.counts[near], color="#2B2B2B", linewidth=0.9)
        said = " ".join(result.found) or "-"
        axes.set_title(f"{name}: {said}", fontsize=9, loc="left")
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
        lines.append(f"| {name} | {said} | {result.probabilities['C']:.3f} |")
    for axes in panels[len(names) :]:
        axes.remove()
    save(figure, IMAGES / "kong2022_carbon.png")
    return lines


def _verdict(result: Sensitivity) -> list[str]:
    return [line for line in result.table().splitlines() if "as low as the paper's" in line]


def sensitivity(models: list[ModelBundle], repeats: int) -> list[str]:
    """The paper's Table 4, with each model; draws that of the first."""
    recipe = load_recipe("kong2022")
    limits = [
        evaluate_sensitivity(recipe, model=bundle, repeats=repeats, doses=False, name="kong2022")
        for bundle in models
    ]
    limits[0].plot(IMAGES / "kong2022_sensitivity.png")
    return limits_table([bundle.name for bundle in models], limits, repeats)


def limits_table(names: list[str], limits: list[Sensitivity], repeats: int) -> list[str]:
    """Least PSNR and jump ratio of each edge, the paper's and each model's."""
    head = "".join(f" {name}: PSNR | jump ratio |" for name in ("paper", *names))
    lines = [f"| edge |{head}", "|---" * (3 + 2 * len(names)) + "|"]
    for number, first in enumerate(limits[0].limits):
        values = [PUBLISHED[first.element]]
        values += [(r.limits[number].psnr, r.limits[number].jump_ratio) for r in limits]
        cells = " | ".join(f"{psnr:.2f} | {jump:.3f}" for psnr, jump in values)
        lines.append(f"| {first.edge} | {cells} |")
    for name, result in zip(names, limits, strict=True):
        lines += ["", *(f"- {name}: {line}" for line in _verdict(result))]
    return [
        *lines,
        "",
        f"{repeats} repeats. The paper's PSNRs are about 1 higher than its jump ratios say, as if "
        "read off noisy spectra; jump ratios compare.",
    ]


def files() -> list[str]:
    """How long the paper's 250,000 spectra take to simulate and write, from 1,024 of them."""
    recipe = load_recipe("kong2022")
    plan = DatasetPlan(training=1024, elements=recipe.elements)
    make_file(recipe, replace(plan, training=64), "training", "C")
    begin = time.process_time()
    size = len(make_file(recipe, plan, "training", "Ti")) / 1024
    rate = 1024 / (time.process_time() - begin)
    return [
        f"{rate:.0f} spectra per second of processor time, {size / 1e3:.1f} kB each: 250,000 take "
        f"{250_000 / rate / 120:.1f} minutes of two cores and {250_000 * size / 1e9:.1f} GB."
    ]


def main() -> None:
    """Evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="kong2022")
    parser.add_argument("--published")
    parser.add_argument("--spectra", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--real", type=Path, default=ROOT / ".." / "shared" / "real")
    parser.add_argument("--only", default="simulated,real,carbons,sensitivity,files,limits")
    options = parser.parse_args()
    command = "python benchmarks/kong2022.py --published BUNDLE"
    wanted = options.only.split(",")
    kong, default = load_model(options.model), load_model()
    published = [load_model(options.published)] if options.published else []
    models = [*published, kong, default]
    IMAGES.mkdir(parents=True, exist_ok=True)

    manifest = options.real / "manifest.json"
    if "real" in wanted and manifest.is_file():
        write("Kong et al. 2022, real", command, "\n".join(real(models, manifest)))
    if "carbons" in wanted:
        write("Kong et al. 2022, carbons", command, "\n".join(carbon_figure(kong, options.real)))
    if "sensitivity" in wanted:
        lines = sensitivity([*published, kong, default], options.repeats)
        write("Kong et al. 2022, sensitivity", command, "\n".join(lines))
    if "simulated" in wanted:
        lines = scores(models, options.spectra)
        write("Kong et al. 2022, simulated", command, "\n".join(lines))
    if "files" in wanted:
        write("Kong et al. 2022, files", command, "\n".join(files()))
    if "limits" in wanted:
        every = evaluate_sensitivity(
            load_recipe("default"), model=default, repeats=options.repeats, name="default"
        )
        every.plot(IMAGES / "detection_limits.png")
        write("Detection limits of the default model", command, f"```\n{every.table()}\n```")


if __name__ == "__main__":
    main()
