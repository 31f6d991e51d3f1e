"""Write examples/lanthanum_manganite.csv: a simulated LaMnO3 spectrum on a carbon film.

Run: python tools/make_example.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from coreloss.simulate import load_recipe, simulate_sample

quiet = replace(
    load_recipe("default"), offset_fraction=0.0, baseline_fraction=0.0, gain_step_fraction=0.0,
    smoothed_fraction=0.0, gain_noise=(0.001, 0.002),
)  # fmt: skip
batch = simulate_sample(
    {"Mn": 1, "La": 1, "O": 3, "C": 1.5}, start_ev=230, end_ev=1010, counts=2e5, jump_ratio=0.35,
    seed=14, recipe=quiet,
)  # fmt: skip
energy = batch.offset[0] + batch.dispersion[0] * np.arange(batch.size[0])
out = Path(__file__).parents[1] / "examples" / "lanthanum_manganite.csv"
with out.open("w", encoding="utf-8") as stream:
    stream.write("# simulated LaMnO3 on carbon film (tools/make_example.py)\n")
    stream.write("energy loss [eV],counts\n")
    for e, c in zip(energy, np.asarray(batch.counts)[0], strict=False):
        stream.write(f"{e:.1f},{c:.0f}\n")
print(f"{out.name}: {energy.size} channels")
