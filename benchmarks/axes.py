"""What axis search does to right axes and to wrong ones.

Run: python benchmarks/axes.py [--spectra 400] [--model BUNDLE] [--real FOLDER] [--dry]

Simulated records of the recipe 'default' with at least one visible element; the same records
with their axis right, and off by up to 40 eV and, half of them, up to 5 % in dispersion. An
answer is worse if it was exact as recorded and no longer is.
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
from coreloss.evaluate import evaluate_folder
from coreloss.identification import ModelBundle, identify_spectra, load_model
from coreloss.io import load
from coreloss.simulate import load_recipe, simulate

SEED = 980_000_000
MOVES_EV = (-25.0, -15.0, -8.0, -4.0, 0.0, 4.0, 8.0, 15.0, 25.0)


def moved_real(bundle: ModelBundle, folder: Path) -> list[str]:
    """Real sets with the axis put right by hand, then moved: how many answers are exact."""
    right = dict.fromkeys(MOVES_EV, 0)
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for entry in entries:
        spectra = load(folder / entry["file"]).summed()
        axis = spectra.axis.corrected(*entry.get("axis_correction_a_b", (0.0, 1.0)))
        open_to = set(entry.get("ambiguous", ()))
        truth = set(entry["elements_in_range"]) - open_to
        for move in MOVES_EV:
            (result,) = identify_spectra(
                replace(spectra, axis=axis.corrected(move)),
                model=bundle,
                threads=1,
                axis_mode="auto",
                evidence=True,
            )
            right[move] += set(result.found) - open_to == truth
    return [
        "| real sets with a right axis, moved by [eV] | "
        + " | ".join(f"{move:+g}" for move in MOVES_EV)
        + " |",
        "|---" * (len(MOVES_EV) + 1) + "|",
        f"| exact of {len(entries)}, auto and evidence | "
        + " | ".join(str(right[move]) for move in MOVES_EV)
        + " |",
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=400)
    parser.add_argument("--model")
    parser.add_argument("--real", type=Path, default=ROOT / ".." / "shared" / "real")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    bundle = load_model(options.model)
    recipe = replace(
        load_recipe("default"),
        empty_fraction=0.0,
        unlisted_fraction=0.0,
        instrumental_shift_ev=0.0,
        wide_shift_fraction=0.0,
        stretch_fraction=0.0,
    )
    batch = simulate(recipe, options.spectra, SEED)
    rng = np.random.default_rng(SEED)
    lines = [
        "| axes | records | shift ≤ 1.5 eV from truth | ≤ 4 eV | moved | exact, as recorded | "
        "exact, auto | worse | better |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    spent = []
    for name in ("right", "off, one visible element", "off, two or more"):
        counts = np.zeros(7)
        records = 0
        for row in range(options.spectra):
            truth = {s for s, y in zip(batch.elements, batch.present[row], strict=True) if y}
            wrong = name != "right"
            if not truth or (wrong and (len(truth) > 1) != name.endswith("more")):
                continue
            size = int(batch.size[row])
            axis = EnergyAxis(float(batch.offset[row]), float(batch.dispersion[row]), size)
            error, bend = 0.0, 1.0
            if wrong:
                error = float(rng.choice((-1, 1)) * rng.uniform(5.0, 40.0))
                bend = 1.0 + (rng.uniform(-0.05, 0.05) if rng.uniform() < 0.5 else 0.0)
                middle = axis.offset + 0.5 * (size - 1) * axis.dispersion
                axis = axis.corrected(middle * (1.0 - bend) - error, bend)
            spectra = Spectra(np.asarray(batch.counts[row, :size], dtype=float), axis)
            (plain,) = identify_spectra(spectra, model=bundle, threads=1)
            begun = time.process_time()
            (auto,) = identify_spectra(spectra, model=bundle, threads=1, axis_mode="auto")
            spent.append(time.process_time() - begun)
            estimate = auto.axis_estimate
            shift = estimate.shift_ev if estimate is not None else 0.0
            judged = truth & set(plain.judged)
            was, now = set(plain.found) == judged, set(auto.found) == truth & set(auto.judged)
            off = abs(shift - error)
            counts += (off <= 1.5, off <= 4, shift != 0, was, now, was and not now, now and not was)
            records += 1
        cells = " | ".join(f"{value:.3f}" for value in counts / max(records, 1))
        lines.append(f"| {name} | {records} | {cells} |")
        print(lines[-1], flush=True)
    lines += ["", f"Axis search and network: {1e3 * np.median(spent):.0f} ms a record, one core."]
    manifest = options.real / "manifest.json"
    if manifest.is_file():
        lines += [
            "",
            "| real sets | F1 | exact match | recognition |",
            "|---|---|---|---|",
        ]
        for name, ways in (
            ("as recorded", {}),
            ("as recorded, evidence", {"evidence": True}),
            ("auto", {"axis_mode": "auto"}),
            ("auto, evidence", {"axis_mode": "auto", "evidence": True}),
            ("corrected by hand", {"corrected": True}),
            ("corrected by hand, evidence", {"corrected": True, "evidence": True}),
        ):
            values = evaluate_folder(manifest, model=bundle, **ways).scores["all elements"]
            cells = " | ".join(f"{values[k]:.3f}" for k in ("f1", "exact_match", "recognition"))
            lines.append(f"| {name} | {cells} |")
        lines += ["", *moved_real(bundle, options.real)]
        lines += ["", "| real set | shift, auto | by hand |", "|---|---|---|"]
        for entry in json.loads(manifest.read_text(encoding="utf-8")):
            spectra = load(options.real / entry["file"]).summed()
            (result,) = identify_spectra(spectra, model=bundle, threads=1, axis_mode="auto")
            a, b = entry.get("axis_correction_a_b", (0.0, 1.0))
            middle = 0.5 * (spectra.axis.start + spectra.axis.end)
            said = "none"
            if result.axis_estimate is not None and result.axis_estimate.corrected:
                estimate = result.axis_estimate
                said = f"{estimate.shift_ev:+.1f} ± {estimate.error_ev:.1f} eV"
                said += f", {estimate.stretch - 1:+.1%}" if estimate.stretch != 1 else ""
            lines.append(f"| {entry['id']} | {said} | {a + (b - 1) * middle:+.1f}, {b - 1:+.1%} |")
    lines += ["", f"Model {bundle.name} {bundle.version}."]
    print("\n".join(lines[4:]))
    if not options.dry:
        command = f"python benchmarks/axes.py --spectra {options.spectra}"
        write("Energy axes", command, "\n".join(lines))


if __name__ == "__main__":
    main()
