"""The published U-Net and our compact network after equal training time.

Run: python benchmarks/equal_time.py --out DIR [--minutes 60] [--test 8192] [--real FOLDER]

Both train from nothing on recipe `annys2023`, at the same time, each in a process with one
thread, until each has had the same processor time; a short run of each tells how many
spectra that is. The U-Net has its published input, loss, optimiser and batches, the compact
network what its shipped recipe says; the learning rate of both falls to zero over the run, which
the published schedule of 1.12 million spectra would not. A killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
from results import ROOT, write

from coreloss.evaluate import evaluate_folder, evaluate_simulated
from coreloss.identification import load_model
from coreloss.simulate import load_recipe
from coreloss.training import export_bundle, train

NETWORKS = {"unet": 3200, "compact": 4096}  # and the spectra of a chunk of training
KEYS = ("f1", "precision", "recall", "exact_match", "rmse", "threshold")
_SLICE_MINUTES = 4.0  # after each, the processor time is written down


def recipe_text(network: str, spectra: int) -> str:
    """The shipped recipe with another budget, and a learning rate that ends with it."""
    shipped = files("coreloss.data") / "recipes" / f"annys2023-{network}.toml"
    text = shipped.read_text(encoding="utf-8")
    changes = {
        "spectra": spectra,
        "schedule": '"cosine"',
        "warm_up": min(20_000, spectra // 10),
        "validate_every": max(spectra // 8 // NETWORKS[network], 1) * NETWORKS[network],
        # only where a slice ends, so that what a kill loses is neither learnt nor counted
        "checkpoint_seconds": 1e9,
    }
    for key, value in changes.items():
        if re.search(rf"^{key} = ", text, flags=re.MULTILINE):
            text = re.sub(rf"^{key} = \S+", f"{key} = {value}", text, flags=re.MULTILINE)
        else:
            text = text.replace("[training]\n", f"[training]\n{key} = {value}\n")
    return text


def seconds_a_chunk(network: str) -> float:
    """Processor time of a chunk, from a short run; with it that of the start, some seconds."""
    text = recipe_text(network, NETWORKS[network])
    text = re.sub(r"^validation_spectra = \S+", "validation_spectra = 32", text, flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.toml"
        recipe.write_text(text)
        begun = time.process_time()
        train(recipe, Path(folder) / "run", threads=1, quiet=True)
        return time.process_time() - begun


def trained(network: str, folder: Path, minutes: float) -> None:
    """Train one network for so many minutes of processor time, in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe, spent = folder / "recipe.toml", folder / "spent.json"
    if not recipe.is_file():
        chunks = int(60.0 * minutes / seconds_a_chunk(network))
        recipe.write_text(recipe_text(network, max(chunks, 1) * NETWORKS[network]))
        spent.write_text("0.0")
    finished = False
    while not finished:
        begun = time.process_time()
        outcome = train(
            recipe, folder / "run", resume=True, threads=1, max_minutes=_SLICE_MINUTES, quiet=True
        )
        finished = outcome["finished"]
        total = json.loads(spent.read_text()) + time.process_time() - begun
        spent.write_text(json.dumps(total))
        print(f"{network}: {outcome['spectra']:,} spectra, {total / 60:.1f} minutes", flush=True)


def main() -> None:
    """Train, evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--test", type=int, default=8192)
    parser.add_argument("--real", type=Path, default=ROOT / ".." / "shared" / "real")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=trained, args=(name, options.out / name, options.minutes))
        for name in NETWORKS
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise SystemExit("a network was not trained; what is above says why. Run again")
    head = ["F1", "precision", "recall", "exact match", "RMSE", "threshold"]
    lines = [
        f"| network | minutes | spectra seen | {' | '.join(head)} | real: F1 | exact |",
        "|---" * (len(head) + 5) + "|",
    ]
    curves: list[str] = []
    manifest = options.real / "manifest.json"
    for name in NETWORKS:
        folder = options.out / name
        if not (folder / "bundle").is_dir():
            export_bundle(folder / "run", folder / "bundle", name=name, half=False)
        bundle = load_model(folder / "bundle")
        seen = bundle.card["training"]["spectra_seen"]
        scores = evaluate_simulated(
            load_recipe("annys2023"), options.test, 0, model=bundle, name="annys2023"
        ).scores["model"]
        real = ["–", "–"]
        if manifest.is_file():
            found = evaluate_folder(manifest, model=bundle, corrected=True).scores["without C"]
            real = [f"{found['f1']:.3f}", f"{found['exact_match']:.3f}"]
        minutes = json.loads((folder / "spent.json").read_text()) / 60.0
        cells = [f"{minutes:.1f}", f"{seen:,}", *(f"{scores[k]:.3f}" for k in KEYS), *real]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        log = [json.loads(x) for x in (folder / "run" / "log.jsonl").read_text().splitlines()]
        share = np.array([entry["spectra"] for entry in log]) / seen
        curve = [f"{s:.0%} {e['f1']:.2f}" for s, e in zip(share, log, strict=True)]
        curves.append(f"{name} {', '.join(curve)}")
    lines += [
        "",
        "Recipe `annys2023`, both from nothing, side by side in processes of one thread each; "
        "minutes are of processor time, validations and checkpoints included. The U-Net with its "
        "published input, loss, optimiser and batches, the compact network by recipe "
        "`annys2023-compact`; learning rates fall to zero. Scores: weighted, "
        f"{options.test:,} spectra, threshold at precision = recall on others. Real: axes "
        "corrected by hand, carbon not counted. Validation F1 by the share of the run: "
        f"{'; '.join(curves)}.",
    ]
    write(
        "Equal training time",
        f"python benchmarks/equal_time.py --minutes {options.minutes:g}",
        "\n".join(lines),
    )


if __name__ == "__main__":
    main()
