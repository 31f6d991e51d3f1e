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
from typing import Any

import numpy as np
from results import ROOT, write

import coreloss
from coreloss.edges import ELEMENTS
from coreloss.identification import load_model
from coreloss.networks.inputs import network_input
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


def training_rate(network: Any, inputs: Any, batch: int, bf16: bool) -> float:
    """Spectra a second through forward, backward and update, simulation left out."""
    import torch

    optimiser = torch.optim.AdamW(network.parameters())
    y = (torch.rand(len(inputs), len(ELEMENTS)) < 0.03).float()

    def steps() -> None:
        for begin in range(0, len(inputs), batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = network(inputs[begin : begin + batch])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits.float(), y[begin : begin + batch]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return len(inputs) / timed(steps, 3)


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

        from coreloss.networks import build
        from coreloss.training.loop import build_network
        from coreloss.training.recipe import load_training_recipe

        unet = build("unet", n_channels_in=1, n_grid=3072, n_elements=len(ELEMENTS))
        training = load_training_recipe("default")
        # as recorded: most cover a part of the grid; the model may be of another recipe
        seen = torch.as_tensor(
            network_input(
                np.asarray(batch.counts)[:1024],
                batch.offset[:1024],
                batch.dispersion[:1024],
                batch.size[:1024],
                training.grid,
                training.channels,
            )
        )
        rows += [
            (
                "simulation, torch",
                2048 / timed(lambda: simulate(recipe, 2048, 2, xp=torch)),
                "spectra/s",
            ),
        ]
        for name, network, given, size in (
            ("default recipe", build_network(training), seen, 256),
            ("published U-Net", unet, torch.randn(128, 1, 3072), 64),
        ):
            for bf16, precision in ((True, "bf16"), (False, "fp32")):
                rate = training_rate(network, given, size, bf16)
                rows.append((f"training step, {name}, {precision}", rate, "spectra/s"))
    lines = ["| what | measured | |", "|---|---|---|"]
    lines += [f"| {name} | {value:.3g} | {unit} |" for name, value, unit in rows]
    lines += ["", "Medians on a shared machine, one run; compare rows with each other only."]
    write("Speed and size", "python benchmarks/speed.py", "\n".join(lines))
    print(json.dumps({name: value for name, value, _ in rows}), sysconfig.get_python_version())


if __name__ == "__main__":
    main()
