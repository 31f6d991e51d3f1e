"""The table of Annys et al. 2023: six networks and the ensemble with one equal budget.

Run: python benchmarks/architectures.py --out DIR [--spectra 300000] [--test 20000]
     [--networks unet vit …] [--device cuda] [--real FOLDER] [--minutes M]

Trains what is missing in DIR (a killed run goes on), exports each network and the ensemble
2xViT+3xU-Net, and scores them, beside the default model, on the simulated test set of
recipe `annys2023` and on the real development set. The attention of the transformers is
trained without dropout, which the paper has; that is several times faster on a CPU.
"""

from __future__ import annotations

import argparse
import re
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
from results import ROOT, write

from coreloss.evaluate import evaluate_folder, evaluate_simulated
from coreloss.identification import ModelBundle, load_model
from coreloss.simulate import load_recipe, simulate
from coreloss.training import export_bundle, train

NETWORKS = ("mlp", "cnn", "resnet", "unet", "vit", "cct", "ensemble")
KEYS = ("f1", "precision", "recall", "exact_match", "rmse", "threshold")
_CHUNK = 3200


def recipe_text(network: str, spectra: int, bf16: bool) -> str:
    """The shipped recipe of a network with another budget."""
    shipped = files("coreloss.data") / "recipes" / f"annys2023-{network}.toml"
    text = shipped.read_text(encoding="utf-8")
    changes = {
        "spectra": -(-spectra // _CHUNK) * _CHUNK,
        "attention_dropout": 0.0,
        "bf16": str(bf16).lower(),
    }
    for key, value in changes.items():
        text = re.sub(rf"^{key} = \S+", f"{key} = {value}", text, flags=re.MULTILINE)
    return text


def bundle_of(network: str, options: argparse.Namespace) -> ModelBundle | None:
    """Train, export and open a network; None where the time was not enough."""
    folder = options.out / network
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "bundle"
    if not target.is_dir():
        recipe = folder / "recipe.toml"
        recipe.write_text(recipe_text(network, options.spectra, not options.fp32))
        outcome = train(
            recipe,
            folder / "run",
            resume=True,
            max_minutes=options.minutes,
            device=options.device,
        )
        if not outcome["finished"]:
            print(f"{network}: stopped at {outcome['spectra']:,} spectra; run again to go on")
            return None
        export_bundle(folder / "run", target, name=network, half=False)
    return load_model(target)


def rate(bundle: ModelBundle, n: int) -> float:
    """Spectra a second from counts to probabilities, best of three, after a warm-up."""
    batch = simulate(load_recipe("annys2023"), n, 77)
    given = (np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size)
    bundle.predict(*(a[:16] for a in given))
    best = np.inf
    for _ in range(3):
        begun = time.perf_counter()
        bundle.predict(*given)
        best = min(best, time.perf_counter() - begun)
    return n / best


def weights(bundle: ModelBundle) -> float:
    """Millions of weights, as the ONNX files store them."""
    import onnx
    from onnx import numpy_helper

    total = 0
    for path in bundle.path.rglob("*.onnx"):
        graph = onnx.load(str(path)).graph
        total += sum(numpy_helper.to_array(t).size for t in graph.initializer)
    return total / 1e6


def main() -> None:
    """Train, evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--spectra", type=int, default=300_000)
    parser.add_argument("--test", type=int, default=20_000)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, help="for each network in this run")
    parser.add_argument("--fp32", action="store_true", help="train in single precision")
    parser.add_argument("--real", type=Path, default=ROOT / ".." / "shared" / "real")
    options = parser.parse_args()
    head = ["F1", "precision", "recall", "exact match", "RMSE", "threshold"]
    manifest = options.real / "manifest.json"
    sets = ["simulated"]
    if manifest.is_file():
        sets += ["real, axis corrected", "real, as recorded"]
    tables: dict[str, list[str]] = {name: [] for name in sets}
    models = {network: bundle_of(network, options) for network in options.networks}
    models["default"] = load_model("default")
    for name, bundle in models.items():
        if bundle is None:
            continue
        seen = bundle.card["training"].get("spectra_seen", 0)
        simulated = evaluate_simulated(
            load_recipe("annys2023"), options.test, 0, model=bundle, name="annys2023"
        )
        found = {"simulated": simulated.scores["model"]}
        for corrected in (True, False) if manifest.is_file() else ():
            report = evaluate_folder(manifest, model=bundle, corrected=corrected)
            key = "real, axis corrected" if corrected else "real, as recorded"
            found[key] = report.scores["without C"]
        speed, size = rate(bundle, 128), weights(bundle)
        for key, values in found.items():
            cells = " | ".join(f"{values[k]:.3f}" for k in KEYS)
            tables[key].append(f"| {name} | {size:.1f} | {seen:,} | {cells} | {speed:.0f} |")
    lines: list[str] = []
    for name, rows in tables.items():
        lines += [
            f"**{name}**",
            "",
            f"| model | weights [million] | spectra seen | {' | '.join(head)} | spectra/s |",
            "|---" * (len(head) + 4) + "|",
            *rows,
            "",
        ]
    lines.append(
        f"Trained on up to {options.spectra:,} simulated spectra each (the paper: 1,120,000; the "
        "ensemble's networks have as many each), the default model as it ships. Simulated: "
        f"{options.test:,} spectra of recipe `annys2023`, threshold at precision = recall on a "
        "tenth as many others. Real: carbon not counted, the model's own threshold. Speed: ONNX "
        "Runtime, from counts to probabilities. Attention was trained without dropout."
    )
    write(
        "Architectures of Annys et al. 2023", "python benchmarks/architectures.py", "\n".join(lines)
    )


if __name__ == "__main__":
    main()
