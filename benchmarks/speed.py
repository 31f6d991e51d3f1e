"""Speed of identification, simulation and import, and the size of an installation.

Run: python benchmarks/speed.py   (training's rates only where torch is installed)
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from results import ROOT, write

import coreloss
from coreloss.edges import ELEMENTS
from coreloss.grid import DEFAULT_GRID
from coreloss.identification import load_model
from coreloss.networks.inputs import CHANNELS, network_input
from coreloss.simulate import load_recipe, simulate

EXAMPLE = ROOT / "examples" / "lanthanum_manganite.csv"


def timed(call: Callable[[], object], repeats: int = 5) -> float:
    """Median time of a call [s], after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return median(times)


def command(*words: str) -> float:
    """Median time of a whole process [s]."""
    return timed(lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True))


def installed_megabytes() -> float:
    """Size of coreloss and of the packages it needs."""
    names = {"coreloss"}
    queue = ["coreloss"]
    from importlib.metadata import PackageNotFoundError, distribution

    total = 0.0
    while queue:
        try:
            package = distribution(queue.pop())
        except PackageNotFoundError:
            continue
        for file in package.files or ():
            path = Path(str(package.locate_file(file)))
            total += path.stat().st_size if path.is_file() else 0
        for need in package.requires or ():
            name = need.split(";")[0].strip().split(" ")[0]
            for mark in "[<>=!~(":
                name = name.split(mark)[0]
            if "extra ==" not in need and name not in names:
                names.add(name)
                queue.append(name)
    return total / 1e6


def training_rate(network_name: str, bf16: bool) -> float:
    """Spectra a second through forward, backward and update, simulation left out."""
    import torch

    from coreloss.networks import build

    size = 3072 if network_name == "unet" else DEFAULT_GRID.size
    options = {"widths": (64, 96, 160, 256)} if network_name == "compact" else {}
    network = build(
        network_name, n_channels_in=len(CHANNELS), n_grid=size, n_elements=len(ELEMENTS), **options
    )
    optimiser = torch.optim.AdamW(network.parameters())
    batch = 256 if network_name == "compact" else 64
    x = torch.randn(batch, len(CHANNELS), size)
    y = (torch.rand(batch, len(ELEMENTS)) < 0.03).float()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return batch / timed(step, 3)


def main() -> None:
    """Measure and write."""
    model = load_model()
    spectra = coreloss.load(EXAMPLE)
    recipe = load_recipe("default")
    batch = simulate(recipe, 2048, 1)
    inputs = network_input(
        np.asarray(batch.counts),
        batch.offset,
        batch.dispersion,
        batch.size,
        model.grid,
        model.channels,
    )
    image = np.tile(spectra.counts, (2048, 1))
    rows = [
        (
            "cold command, one spectrum",
            command("-m", "coreloss.cli", "identify", str(EXAMPLE)),
            "s",
        ),
        ("import coreloss", command("-c", "import coreloss") - command("-c", "pass"), "s"),
        (
            "one spectrum, warm call",
            1e3 * timed(lambda: coreloss.identify(spectra.counts, spectra.axis), 50),
            "ms",
        ),
        (
            "batch of 2,048",
            2048 / timed(lambda: coreloss.identify(image, spectra.axis)),
            "spectra/s",
        ),
        ("its network alone", 2048 / timed(lambda: model.logits(inputs)), "spectra/s"),
        ("simulation, NumPy", 2048 / timed(lambda: simulate(recipe, 2048, 2)), "spectra/s"),
        ("installation without torch", installed_megabytes(), "MB"),
    ]
    if importlib.util.find_spec("torch"):
        import torch

        rows += [
            (
                "simulation, torch",
                2048 / timed(lambda: simulate(recipe, 2048, 2, xp=torch)),
                "spectra/s",
            ),
            ("training step, compact, bf16", training_rate("compact", True), "spectra/s"),
            ("training step, compact, fp32", training_rate("compact", False), "spectra/s"),
            ("training step, published U-Net, bf16", training_rate("unet", True), "spectra/s"),
            ("training step, published U-Net, fp32", training_rate("unet", False), "spectra/s"),
        ]
    lines = ["| what | measured | |", "|---|---|---|"]
    lines += [f"| {name} | {value:.3g} | {unit} |" for name, value, unit in rows]
    lines += ["", "Medians on a shared machine, one run; compare rows with each other only."]
    write("Speed and size", "python benchmarks/speed.py", "\n".join(lines))
    print(json.dumps({name: value for name, value, _ in rows}), sysconfig.get_python_version())


if __name__ == "__main__":
    main()
