"""The default model against the published ensemble 2xViT+3xU-Net, side by side on two cores.

Run: python benchmarks/ensemble_speed.py [--seconds 120] [--rounds 2] [--cores 2] [--dry]
     [--spectra 7826] [--bundle BUNDLE]

The spectra are those of an image of 43 by 182 pixels, the size of the superlattice for which
Annys et al. 2023 tell the time of their ensemble. Speed does not hang on what was learnt, so
the ensemble of recipe `annys2023-ensemble` has its first, untrained weights, unless --bundle
names a trained one; it is exported in single precision and judged by the package like any
model. The models take turns, so that whatever else the machine does hits both. The default
model judges every spectrum, the ensemble as many as take about the seconds given in all.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch
from quantification import AXIS, superlattice
from results import write

from coreloss.energy import Spectra
from coreloss.identification import ModelBundle, identify_spectra, load_model
from coreloss.training import checkpoint, export_bundle
from coreloss.training.ensemble import member_folders
from coreloss.training.loop import build_network
from coreloss.training.recipe import load_training_recipe

RECIPE = "annys2023-ensemble"
#: spectra that keep two cores busy: a block of 128 each
STEP = 256


def untrained(folder: Path) -> Path:
    """The bundle of the published ensemble with the weights it would start training with."""
    recipe = load_training_recipe(RECIPE)
    run = folder / "run"
    run.mkdir(parents=True)
    (run / "recipe.toml").write_text(recipe.text, encoding="utf-8")
    for number, place in enumerate(member_folders(recipe, run), start=1):
        member = recipe.member(number)
        torch.manual_seed(member.schedule.seed)
        network = build_network(member)
        place.mkdir()
        (place / "recipe.toml").write_text(member.text, encoding="utf-8")
        unused = torch.optim.Adam(network.parameters())
        checkpoint.save(place, 0, network, network.state_dict(), unused, {})
    return export_bundle(
        run, folder / "bundle", name=f"{RECIPE}, untrained", calibration_spectra=32, half=False
    )


def judged(counts: object, model: ModelBundle, cores: int) -> tuple[float, float]:
    """Wall and processor time [s] of identifying spectra, as `coreloss.identify` does."""
    wall, processor = time.perf_counter(), time.process_time()
    identify_spectra(Spectra(counts, AXIS), model=model, threads=cores)  # type: ignore[arg-type]
    return time.perf_counter() - wall, time.process_time() - processor


def measured(ours: ModelBundle, theirs: ModelBundle, options: argparse.Namespace) -> str:
    """The models in turn; the table and what follows from it."""
    counts = superlattice()[0].reshape(-1, AXIS.size)[: options.spectra]
    whole = len(counts)
    few = min(STEP, whole)
    judged(counts, ours, options.cores)  # the first call reads the network
    judged(counts[:few], theirs, options.cores)
    wall, _ = judged(counts[:few], theirs, options.cores)
    share = options.seconds / options.rounds
    some = min(max(int(few * share / wall) // few, 1) * few, whole)
    lines = [
        "| model, round | spectra | wall [s] | processor [s] | spectra/s | of one core "
        f"| all {whole:,} take [s] |",
        "|---|---|---|---|---|---|---|",
    ]
    sums = {"default": [0, 0.0, 0.0], "ensemble": [0, 0.0, 0.0]}

    def row(name: str, n: int, wall: float, processor: float) -> str:
        return (
            f"| {name} | {n:,} | {wall:.2f} | {processor:.2f} | {n / wall:.4g} "
            f"| {n / processor:.4g} | {whole * wall / n:.4g} |"
        )

    for number in range(1, options.rounds + 1):
        for name, model, n in (("default", ours, whole), ("ensemble", theirs, some)):
            times = judged(counts[:n], model, options.cores)
            lines.append(row(f"{name}, {number}", n, *times))
            print(lines[-1], flush=True)
            sums[name] = [a + b for a, b in zip(sums[name], (n, *times), strict=True)]
    lines += [row(f"{name}, all rounds", int(n), *times) for name, (n, *times) in sums.items()]
    (n, wall, processor), (m, their_wall, their_processor) = sums["default"], sums["ensemble"]
    extrapolated = "" if some == whole else f", extrapolated by its rate from {some:,}"
    return "\n".join(
        [
            *lines,
            "",
            f"**{ours.name} {ours.version} is {n / wall / (m / their_wall):.0f} times as fast** "
            f"({n / processor / (m / their_processor):.0f} times by processor time), and takes "
            f"{wall / options.rounds:.1f} s for the {whole:,} spectra; the ensemble would take "
            f"{whole * their_wall / m / 60:.1f} min{extrapolated}.",
            "",
            f"{theirs.name}: {len(theirs.members)} networks, their weights and arithmetic in "
            "single precision, in ONNX Runtime as every model of the package; the whole of "
            "`coreloss.identify` for both. Records of 800 channels from 400 eV in 0.75 eV; the "
            "published networks compute all 3,072 channels of their input whatever was recorded, "
            "the default model the recorded part. The paper: about a minute for 7,826 on an "
            f"RTX 3060. {options.cores} cores.",
        ]
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of the ensemble, all rounds")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--spectra", type=int, default=43 * 182)
    parser.add_argument("--model", help="another than the default one")
    parser.add_argument("--bundle", type=Path, help="the ensemble's, instead of an untrained one")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    with tempfile.TemporaryDirectory() as folder:
        theirs = load_model(options.bundle or untrained(Path(folder)))
        body = measured(load_model(options.model), theirs, options)
    if options.dry:
        print(body)
    else:
        write("Speed against the published ensemble", "python benchmarks/ensemble_speed.py", body)


if __name__ == "__main__":
    main()
