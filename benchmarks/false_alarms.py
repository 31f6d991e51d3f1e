"""How often elements are found where there are none: edge-free backgrounds.

Run: python benchmarks/false_alarms.py [--spectra 10000] [--model BUNDLE] [--threshold P]
     [--axis MODE] [--dry]

Backgrounds of the recipe 'default' without any element, in five groups of equal size: as they
come, and each fault of the detector on every spectrum: offsets, baselines and shaded ends;
gain steps; smoothed records of few counts; remains of subtracted backgrounds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from results import write

from coreloss.energy import EnergyAxis
from coreloss.identification import identify, load_model
from coreloss.identification.axis import parse_axis
from coreloss.simulate import load_recipe, simulate

SEED = 970_000_000
GROUPS: dict[str, dict[str, object]] = {
    "as they come": {},
    "offset, baseline, shaded ends": {
        "offset_fraction": 1.0,
        "baseline_fraction": 1.0,
        "shading_fraction": 1.0,
    },
    "gain step": {"gain_step_fraction": 1.0},
    "smoothed, few counts": {
        "smoothed_fraction": 1.0,
        "framed_fraction": 0.0,
        "log_counts": (1.5, 3.0),
        "readout_noise": (2.0, 8.0),
    },
    "background subtracted": {"subtracted_fraction": 1.0},
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=10_000)
    parser.add_argument("--model")
    parser.add_argument(
        "--threshold", type=float, help="another than the model's own; RESULTS.md stays"
    )
    parser.add_argument(
        "--axis", type=parse_axis, default="auto", help="auto, as in the command, or as-recorded"
    )
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    bundle = load_model(options.model)
    limit = bundle.threshold if options.threshold is None else options.threshold
    each = max(1, options.spectra // len(GROUPS))
    lines = [
        "| backgrounds | spectra | network finds something | network and fit do | abstained |",
        "|---|---|---|---|---|",
    ]
    total = np.zeros(3, dtype=int)
    for number, (name, changes) in enumerate(GROUPS.items()):
        recipe = replace(
            load_recipe("default"),
            empty_fraction=1.0,
            unlisted_fraction=0.0,
            **changes,  # type: ignore[arg-type]
        )
        batch = simulate(recipe, each, SEED + number)
        count = np.zeros(3, dtype=int)
        for row in range(each):
            size = int(batch.size[row])
            axis = EnergyAxis(float(batch.offset[row]), float(batch.dispersion[row]), size)
            counts = np.asarray(batch.counts[row, :size], dtype=float)
            result = identify(
                counts,
                axis,
                model=bundle,
                axis_mode=options.axis,
                evidence=True,
                threads=1,
                threshold=options.threshold,
            )
            alone = result.evidence.elements.values() if result.evidence else ()
            count[0] += any(element.network >= limit for element in alone)
            count[1] += bool(result.found)
            count[2] += bool(result.abstained)
        total += count
        lines.append(
            f"| {name} | {each:,} | " + " | ".join(f"{c / each:.4f}" for c in count) + " |"
        )
        print(lines[-1], flush=True)
    n = each * len(GROUPS)
    lines.append(f"| all | {n:,} | " + " | ".join(f"{c / n:.4f}" for c in total) + " |")
    lines += [
        "",
        f"Model {bundle.name} {bundle.version}; shares of spectra; axis mode {options.axis}. The "
        "network's are those on the axis that was taken.",
    ]
    print("\n".join(lines[-3:]))
    if not options.dry and options.threshold is None and options.axis == "auto":
        command = f"python benchmarks/false_alarms.py --spectra {options.spectra}"
        write("False alarms", command, "\n".join(lines))


if __name__ == "__main__":
    main()
