"""Training and inference rates of the six published networks, and which attention is faster.

Run: python benchmarks/architecture_rates.py [--networks mlp …] [--device cuda] [--seconds 1.5]

A training step is forward, the paper's loss, backward and Adam's update on batches at hand;
simulation is measured by itself. Each figure is that of as many steps as fit into the time
given, at least one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from results import write

from coreloss.edges import ELEMENTS
from coreloss.networks import build, transformer
from coreloss.networks.long_convolution import LongConv
from coreloss.simulate import load_recipe, simulate
from coreloss.training.allocation import keep_freed_memory
from coreloss.training.loss import multilabel_loss

NETWORKS = ("mlp", "cnn", "resnet", "unet", "vit", "cct")
CONVOLUTIONAL = ("cnn", "resnet", "unet")
TRANSFORMERS = ("vit", "cct")
BATCHES = (32, 256)
BUDGETS = (300_000, 1_120_000)
_LIMIT = 10.0  # seconds of the longest batch that is measured
# the arithmetic in which attention is not fused
_FUSED, _PLAIN = frozenset(), frozenset({torch.float32, torch.bfloat16})


def timed(call: Callable[[int], Any], batch: int, seconds: float, device: str) -> float:
    """Spectra a second; NaN where one batch would take longer than ``_LIMIT``."""

    def took(n: int) -> float:
        begun = time.perf_counter()
        call(n)
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    # weights cost the same at any batch, spectra each their own
    took(8)
    few, more = took(2), took(8)
    needed = more + (more - few) / 6 * (batch - 8)
    if needed > _LIMIT:
        return float("nan")
    if needed < seconds:
        took(batch)  # the first call of a size chooses kernels
    spent, steps = took(batch), 1
    while spent < seconds:
        spent += took(batch)
        steps += 1
    return steps * batch / spent


class Rates:
    """Measures one network."""

    def __init__(self, name: str, device: str, seconds: float, **options: Any) -> None:
        self.device, self.seconds = device, seconds
        torch.manual_seed(1)
        self.network = build(
            name, n_channels_in=1, n_grid=3072, n_elements=len(ELEMENTS), **options
        ).to(device)
        self.x = torch.rand(max(BATCHES), 1, 3072, device=device)
        self.y = (torch.rand(max(BATCHES), len(ELEMENTS), device=device) < 0.03).float()
        self.weight = torch.ones_like(self.y)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=1e-6, fused=True)

    def training(self, batch: int, bf16: bool) -> float:
        """Spectra a second of training."""
        self.network.train()

        def step(n: int) -> None:
            with torch.autocast(self.device, torch.bfloat16, enabled=bf16):
                logits = self.network(self.x[:n])
            loss = multilabel_loss(logits.float(), self.y[:n], self.weight[:n], 1.0)
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()

        return timed(step, batch, self.seconds, self.device)

    @torch.no_grad()
    def inference(self, batch: int, bf16: bool) -> float:
        """Spectra a second of torch's forward pass."""
        self.network.eval()

        def step(n: int) -> None:
            with torch.autocast(self.device, torch.bfloat16, enabled=bf16):
                self.network(self.x[:n])

        return timed(step, batch, self.seconds, self.device)


def number(value: float) -> str:
    """Three digits, or a dash."""
    return "—" if np.isnan(value) else f"{value:.3g}"


def simulation(device: str) -> float:
    """Spectra a second of the recipe's simulator."""
    recipe = load_recipe("annys2023")
    simulate(recipe, 16, 1, xp=torch, device=device)
    begun = time.perf_counter()
    simulate(recipe, 1600, 2, xp=torch, device=device)
    return 1600 / (time.perf_counter() - begun)


def rates(names: list[str], device: str, seconds: float, made: float) -> list[str]:
    """The table of rates, and the hours that follow from the faster arithmetic."""
    kinds = [(bf16, batch) for batch in BATCHES for bf16 in (True, False)]
    heads = [f"{'bf16' if bf16 else 'fp32'} {batch}" for bf16, batch in kinds]
    hours = [f"{budget / 1e6:g} M, batch {b} [h]" for b in BATCHES for budget in BUDGETS]
    lines = [
        f"| network | {' | '.join(f'training {h}' for h in heads)} "
        f"| inference bf16 | inference fp32 | {' | '.join(hours)} |",
        "|---" * (len(heads) + len(hours) + 3) + "|",
    ]
    for name in names:
        options = {"attention_dropout": 0.0} if name in TRANSFORMERS else {}
        run = Rates(name, device, seconds, **options)
        found = [run.training(batch, bf16) for bf16, batch in kinds]
        best = [np.fmax(*found[2 * i : 2 * i + 2]) for i in range(len(BATCHES))]
        took = [budget * (1 / rate + 1 / made) / 3600 for rate in best for budget in BUDGETS]
        said = [run.inference(32, True), run.inference(32, False)]
        lines.append(f"| {name} | {' | '.join(number(v) for v in [*found, *said, *took])} |")
        print(lines[-1], flush=True)
    return lines


def plan(lines: list[str]) -> list[str]:
    """The hours of all six at batch 32, and of the ensemble, from the table's rows."""
    cells = {c[0]: [float("nan") if v == "—" else float(v) for v in c[1:]] for c in rows(lines)}
    if not {*NETWORKS} <= {*cells}:
        return []
    said = []
    for column, budget in ((6, BUDGETS[0]), (7, BUDGETS[1])):
        every = sum(cells[name][column] for name in NETWORKS)
        five = 2 * cells["vit"][column] + 3 * cells["unet"][column]
        said.append(f"{every:.0f} h and {five:.0f} h for {budget:,} spectra each")
    return ["", f"All six one after the other, and 2xViT+3xU-Net: {'; '.join(said)}."]


def rows(lines: list[str]) -> list[list[str]]:
    """Cells of the rows below a table's head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def convolutions(device: str, seconds: float) -> list[str]:
    """Training with convolutions by Fourier transforms, and with torch's."""
    lines = [
        "| convolutions | transforms bf16 | torch's bf16 | transforms fp32 | torch's fp32 |",
        "|---" * 5 + "|",
    ]
    for name in CONVOLUTIONAL:
        run = Rates(name, device, seconds)
        layers = [m for m in run.network.modules() if isinstance(m, LongConv) and m.fast]
        found = []
        for bf16 in (True, False):
            for fast in (True, False):
                for layer in layers:
                    layer.fast = fast
                found.append(run.training(32, bf16))
        lines.append(f"| {name} | {' | '.join(number(v) for v in found)} |")
        print(lines[-1], flush=True)
    return lines


def attention(device: str, seconds: float) -> list[str]:
    """Fused against plain attention, in training and in inference."""
    chosen = transformer._PLAIN_ON_CPU
    kinds = [("training", True), ("training", False), ("inference", True), ("inference", False)]
    heads = [f"{kind} {'bf16' if bf16 else 'fp32'}" for kind, bf16 in kinds]
    lines = [f"| attention | {' | '.join(heads)} |", "|---" * 5 + "|"]
    try:
        for name in TRANSFORMERS:
            for plain, dropout, label in (
                (_FUSED, 0.0, "fused"), (_PLAIN, 0.0, "plain"), (_PLAIN, 0.1, "plain, dropout"),
            ):  # fmt: skip
                transformer._PLAIN_ON_CPU = plain
                run = Rates(name, device, seconds, attention_dropout=dropout)
                found = [
                    run.training(32, bf16) if kind == "training" else run.inference(32, bf16)
                    for kind, bf16 in kinds
                    if kind == "training" or not dropout
                ]
                found += [float("nan")] * (4 - len(found))
                cells = " | ".join(number(v) for v in found)
                lines.append(f"| {name}, {label} | {cells} |")
                print(lines[-1], flush=True)
    finally:
        transformer._PLAIN_ON_CPU = chosen
    return lines


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=1.5)
    options = parser.parse_args()
    keep_freed_memory()  # as training does
    made = simulation(options.device)
    lines = rates(list(options.networks), options.device, options.seconds, made)
    lines += plan(lines)
    if options.device == "cpu":
        lines += ["", *convolutions(options.device, options.seconds)]
    lines += ["", *attention(options.device, options.seconds)]
    where = "" if options.device == "cpu" else f" on {torch.cuda.get_device_name()}"
    lines += [
        "",
        f"Spectra a second{where}; bf16 is autocast. Transformers of the first table without "
        "dropout of the attention, with the attention that the package chooses; the others have "
        "batches of 32, as inference has in the first. A dash: a batch takes longer than "
        f"{_LIMIT:g} s, or inference, which has no dropout. Hours: with the faster "
        f"arithmetic, and simulation at {made:.0f} spectra/s before each step.",
    ]
    write(
        "Rates of the architectures of Annys et al. 2023",
        f"python benchmarks/architecture_rates.py --seconds {options.seconds:g}",
        "\n".join(lines),
    )


if __name__ == "__main__":
    main()
