"""How long axis search and evidence take: one spectrum warm on one core, and batches.

Run: python benchmarks/identification_speed.py [--spectra 60] [--batch 512] [--dry]

One spectrum: records of the recipe 'default' with an element, each by itself and on its own
axis, as the command judges a file. Batches: a scan of one sample on one axis, each of its
spectra with its own counting noise; the axis is searched once, in their sum. Processor time is
what one core computed, whatever else ran on the machine.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is loaded

import numpy as np
from results import write

from coreloss.energy import EnergyAxis, Spectra
from coreloss.identification import identify_spectra, load_model
from coreloss.simulate import load_recipe, simulate, simulate_sample

SEED = 985_000_000
WAYS: tuple[tuple[str, dict[str, object]], ...] = (
    ("network alone", {}),
    ("axis search", {"axis_mode": "auto"}),
    ("evidence", {"evidence": True}),
    ("axis search and evidence", {"axis_mode": "auto", "evidence": True}),
)


def spent(call: Callable[[], object]) -> tuple[float, float]:
    """Processor and wall time of a call [s]."""
    processor, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - processor, time.perf_counter() - wall


def records(n: int) -> list[Spectra]:
    """Simulated records with at least one visible element."""
    batch = simulate(load_recipe("default"), 3 * n, SEED)
    out = []
    for row in np.flatnonzero(batch.present.any(axis=1))[:n]:
        size = int(batch.size[row])
        axis = EnergyAxis(float(batch.offset[row]), float(batch.dispersion[row]), size)
        out.append(Spectra(np.asarray(batch.counts[row, :size], dtype=float), axis))
    return out


def scan(n: int) -> Spectra:
    """Spectra of one sample, whose axis reads 6 eV low."""
    batch = simulate_sample(
        {"Fe": 2, "O": 3, "La": 1}, start_ev=400.0, end_ev=1000.0, counts=2e4, seed=1
    )
    size = int(batch.size[0])
    axis = EnergyAxis(float(batch.offset[0]) - 6.0, float(batch.dispersion[0]), size)
    mean = np.maximum(np.asarray(batch.counts[0, :size], dtype=float), 0.0)
    return Spectra(np.random.default_rng(SEED).poisson(mean, (n, size)).astype(float), axis)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=60)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--model")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    bundle = load_model(options.model)
    single, image = records(options.spectra), scan(options.batch)
    lines = [
        "| one spectrum, one core | processor, median [ms] | 95 % below [ms] | largest [ms] "
        "| wall, median [ms] |",
        "|---|---|---|---|---|",
    ]
    for name, ways in WAYS:

        def judged(spectra: Spectra, ways: dict[str, object] = ways) -> object:
            return identify_spectra(spectra, model=bundle, threads=1, **ways)  # type: ignore[arg-type]

        # the first call reads the network and tabulates edge shapes
        for spectra in single:
            judged(spectra)
        times = 1e3 * np.array([spent(lambda s=spectra: judged(s)) for spectra in single])
        low, high, top = np.quantile(times[:, 0], [0.5, 0.95, 1.0])
        wall = np.median(times[:, 1])
        lines.append(f"| {name} | {low:.1f} | {high:.1f} | {top:.1f} | {wall:.1f} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        f"| batch of {options.batch} on one axis | spectra/s of one core | spectra/s, wall |",
        "|---|---|---|",
    ]
    for name, ways in WAYS:
        call = lambda ways=ways: identify_spectra(image, model=bundle, threads=1, **ways)  # noqa: E731
        processor, wall = spent(call)
        lines.append(f"| {name} | {options.batch / processor:.0f} | {options.batch / wall:.0f} |")
        print(lines[-1], flush=True)
    lines += ["", f"Model {bundle.name} {bundle.version}; everything warm, one thread."]
    if not options.dry:
        command = (
            f"python benchmarks/identification_speed.py --spectra {options.spectra} "
            f"--batch {options.batch}"
        )
        write("Axis search and evidence: speed", command, "\n".join(lines))


if __name__ == "__main__":
    main()
