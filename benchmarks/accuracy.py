"""Scores of the default model: simulated sets, and real spectra where they are at hand.

Run: python benchmarks/accuracy.py [--spectra 20000] [--real FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from results import ROOT, write

from coreloss.evaluate import Report, evaluate_folder, evaluate_simulated
from coreloss.simulate import load_recipe

KEYS = ("f1", "micro_f1", "precision", "recall", "exact_match", "rmse", "recognition", "threshold")
NAMES = (
    "F1",
    "F1 all decisions",
    "precision",
    "recall",
    "exact match",
    "RMSE",
    "recognition",
    "threshold",
)


def rows(report: Report, label: str, variants: tuple[str, ...]) -> list[str]:
    """Table rows of some of a report's variants."""
    return [
        f"| {label}, {variant} | "
        + " | ".join(
            f"{report.scores[variant][k]:.3f}" if k in report.scores[variant] else "" for k in KEYS
        )
        + " |"
        for variant in variants
    ]


def main() -> None:
    """Evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=20_000)
    parser.add_argument("--real", type=Path, default=ROOT / ".." / "shared" / "real")
    options = parser.parse_args()
    head = ["| set | " + " | ".join(NAMES) + " |", "|---" * (len(NAMES) + 1) + "|"]

    lines = list(head)
    for name in ("default", "annys2023"):
        report = evaluate_simulated(load_recipe(name), options.spectra, 0)
        variants = [v for v in ("model", "without C", "clear", "oracle") if v in report.scores]
        lines += rows(report, f"recipe `{name}`", tuple(variants))
    lines += [
        "",
        f"{options.spectra:,} spectra each, seeds that training, validation and calibration do "
        "not use; threshold at precision = recall on a tenth as many further spectra. Clear: "
        "elements within a factor two of the limit of detection count neither way. The oracle "
        "knows every edge's shape and decides by its measured signal-to-noise ratio, with the "
        "false alarms and misses of its noise.",
    ]
    write("Accuracy, simulated", "python benchmarks/accuracy.py", "\n".join(lines))

    manifest = options.real / "manifest.json"
    if manifest.is_file():
        lines, wrong = list(head), []
        whole = {"axis_mode": "auto", "evidence": True}
        for label, how in (
            ("network, axis corrected by hand", {"corrected": True}),
            ("network, as recorded", {}),
            ("as the command answers, as recorded", whole),
        ):
            report = evaluate_folder(manifest, **how)
            lines += rows(report, label, ("all elements", "without C"))
            for entry in report.sets:
                if entry["missed"] or entry["extra"]:
                    missed, extra = " ".join(entry["missed"]), " ".join(entry["extra"])
                    wrong.append(
                        f"- {label}: {entry['id']} ({' '.join(entry['truth']) or 'none'})"
                        + (f", missed {missed}" if missed else "")
                        + (f", wrongly {extra}" if extra else "")
                    )
        lines += ["", f"{report.n_spectra} data sets of 14 elements; wrong are:", "", *wrong]
        write("Accuracy, real development set", "python benchmarks/accuracy.py", "\n".join(lines))


if __name__ == "__main__":
    main()
