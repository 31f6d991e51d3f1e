"""What the edge physics is worth: one network, one budget, interim edges and our own.

Run: python benchmarks/physics_accuracy.py --out DIR [--spectra 102400] [--test 4096]
     [--real FOLDER] [--device cuda]

Before our tables of generalised oscillator strengths, edge shapes came from xraylib's
photo-ionisation cross sections, white lines and resonances from estimates. Those of commit
86398da, read from the repository's history, take the place of today's in today's simulator;
everything else is the same. Each network is scored on both simulators and on the real
development set. Runs in DIR go on where they were killed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
from results import ROOT, write

BEFORE = "86398da"
_DUMP = """
import json, sys
import numpy as np
from coreloss.simulate.library import edge_library
from coreloss.simulate.near_edge import GIANT_RESONANCES, WHITE_LINES
library = vars(edge_library())
np.savez(sys.argv[1], **{k: v for k, v in library.items() if isinstance(v, np.ndarray)})
lines = [[*k, v.area_ev, v.first_share, v.fwhm_ev] for k, v in WHITE_LINES.items()]
giant = [[*k, v] for k, v in GIANT_RESONANCES.items()]
print(json.dumps({"name": library["name"], "lines": lines, "giant": giant}))
"""


def interim_edges(out: Path) -> Path:
    """The interim library in ``out``, from the code of its day."""
    target = out / "interim"
    if not (target / "tables.json").exists():
        target.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["git", "archive", BEFORE, "src"], cwd=ROOT, check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(target, filter="data")
        printed = subprocess.run(
            [sys.executable, "-c", _DUMP, str(target / "library.npz")],
            env={"PYTHONPATH": str(target / "src")},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        (target / "tables.json").write_text(printed, encoding="utf-8")
    return target


def use_interim(folder: Path) -> None:
    """Put the interim edges into this process's simulator."""
    from coreloss.simulate import gos, library, near_edge, shapes, structure

    tables = json.loads((folder / "tables.json").read_text(encoding="utf-8"))
    today = library.edge_library()
    with np.load(folder / "library.npz") as data:
        arrays = {key: data[key] for key in data.files}
    collected = np.ones((today.reach.size, len(tables["name"]), today.excess_ev.size))
    arrays.setdefault("shallow", np.zeros_like(today.shallow))  # the interim edges had none
    interim = library.EdgeLibrary(
        **arrays,
        name=tuple(tables["name"]),
        reach=today.reach,
        excess_ev=today.excess_ev,
        collected=collected,
    )
    lines = {
        (symbol, shell): near_edge.WhiteLines(tuple(area), tuple(share), tuple(fwhm))
        for symbol, shell, area, share, fwhm in tables["lines"]
    }
    giant = {(symbol, shell): tuple(value) for symbol, shell, value in tables["giant"]}
    gos.edge_library = lambda *_: interim  # type: ignore[assignment]
    structure.WHITE_LINES = lines
    structure.GIANT_RESONANCES = shapes.GIANT_RESONANCES = giant


def recipe_text(spectra: int) -> str:
    """The default model's recipe with another budget."""
    text = (files("coreloss.data") / "recipes" / "default.toml").read_text(encoding="utf-8")
    changes = {"spectra": spectra, "warm_up": spectra // 16, "validate_every": spectra}
    for key, value in changes.items():
        text = re.sub(rf"^{key} = \S+", f"{key} = {value}", text, flags=re.MULTILINE)
    return text


def scored(options: argparse.Namespace, physics: str, test: str) -> dict[str, list[float]]:
    """F1 and exact match of the network trained on one physics, on a test by the other too."""
    from coreloss.evaluate import evaluate_folder, evaluate_simulated
    from coreloss.simulate import load_recipe
    from coreloss.training import export_bundle, train

    interim = interim_edges(options.out)
    folder = options.out / physics
    if test == "train":
        if physics == "before":
            use_interim(interim)
        folder.mkdir(parents=True, exist_ok=True)
        recipe = folder / "recipe.toml"
        recipe.write_text(recipe_text(options.spectra), encoding="utf-8")
        train(recipe, folder / "run", resume=True, device=options.device)
        export_bundle(folder / "run", folder / "bundle", name=physics, half=False, force=True)
        return {}
    if test == "real":
        out = {}
        for corrected in (True, False):
            report = evaluate_folder(
                options.real / "manifest.json", model=folder / "bundle", corrected=corrected
            )
            row = report.scores["all elements"]
            out["corrected" if corrected else "as recorded"] = [row["f1"], row["exact_match"]]
        return out
    if test == "before":
        use_interim(interim)
    report = evaluate_simulated(load_recipe("default"), options.test, 3, model=folder / "bundle")
    row = report.scores["model"]
    return {test: [row["f1"], row["exact_match"]]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--spectra", type=int, default=102_400)
    parser.add_argument("--test", type=int, default=4096)
    parser.add_argument("--real", type=Path, default=ROOT.parent / "shared" / "real")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(scored(options, *options.one)))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for physics in ("before", "after"):
        cells: dict[str, list[float]] = {}
        for test in ("train", "before", "after", "real"):
            if test == "real" and not options.real.is_dir():
                continue
            # each in a process of its own: the interim edges replace module attributes
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--one", physics, test],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            cells |= json.loads(done.stdout.splitlines()[-1])
        named = ("before", "after", "corrected", "as recorded")
        shown = ["{:.3f} / {:.3f}".format(*cells[key]) if key in cells else "–" for key in named]
        rows.append(f"| {physics} | " + " | ".join(shown) + " |")
    head = (
        f"Trained on {options.spectra:,} spectra each, scored on {options.test:,}: F1 / exact.\n\n"
        "| trained with edges | simulated with edges before | … after | real, corrected "
        "| real, as recorded |\n|---|---|---|---|---|\n"
    )
    command = "python benchmarks/physics_accuracy.py --out DIR"
    write("Edge physics before and after", command, head + "\n".join(rows))


if __name__ == "__main__":
    main()
