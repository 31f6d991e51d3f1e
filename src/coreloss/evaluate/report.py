"""The outcome of an evaluation."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from coreloss.whole import json_text, whole

__all__ = ["Report", "write_json"]

_NAMES = {
    "f1": "F1 (weighted)",
    "precision": "precision (weighted)",
    "recall": "recall (weighted)",
    "micro_f1": "F1 (all decisions)",
    "exact_match": "exact match rate",
    "rmse": "RMSE",
    "spectrum_precision": "precision (of spectra)",
    "spectrum_recall": "recall (of spectra)",
    "spectrum_f1": "F1 (mean over spectra)",
    "recognition": "recognition accuracy",
}

_BOX = ("mean", "whisker_low", "quartile_1", "median", "quartile_3", "outliers")


@dataclass(frozen=True)
class Report:
    """Scores by variant, confusions, and, for real sets, each set's answer.

    Attributes
    ----------
    title : str
    model : str
    n_spectra : int
    scores : dict of str to dict
        'all elements', 'without C', 'own threshold', … to the numbers of `metrics.scores` and the
        ``threshold`` they were taken at.
    confusions : list of (true, said, times)
    by_element : list of dict
        Entries of `metrics.by_element`.
    sets : list of dict
        ``id``, ``truth``, ``found``, ``missed``, ``extra`` of each real set.
    spectrum_scores : dict of str to dict
        Box-plot numbers of each spectrum's precision, recall and F1; see
        `spectrum_metrics.SpectrumScores.summary`.
    seconds : float
        Wall time of inference, from the counts of these spectra to probabilities.
    """

    title: str
    model: str
    n_spectra: int
    scores: dict[str, dict[str, float]]
    confusions: list[tuple[str, str, int]] = field(default_factory=list)
    sets: list[dict[str, Any]] = field(default_factory=list)
    by_element: list[dict[str, Any]] = field(default_factory=list)
    spectrum_scores: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "title": self.title,
            "model": self.model,
            "spectra": self.n_spectra,
            "scores": self.scores,
            "confusions": [list(entry) for entry in self.confusions],
            "by_element": self.by_element,
            "sets": self.sets,
            "spectrum_scores": self.spectrum_scores,
            "inference_seconds": self.seconds,
        }

    def table(self) -> str:
        """A text table."""
        lines = [f"{self.title}: {self.n_spectra:,} spectra, model {self.model}", ""]
        names = list(self.scores)
        lines.append(f"{'':<26}" + "".join(f"{name:>16}" for name in names))
        for key, label in (*_NAMES.items(), ("threshold", "threshold")):
            cells = "".join(
                f"{self.scores[n][key]:>16.3f}" if key in self.scores[n] else f"{'':>16}"
                for n in names
            )
            lines.append(f"{label:<26}{cells}")
        if self.seconds:
            rate = self.n_spectra / self.seconds
            lines += ["", f"inference {self.seconds:.3g} s, {rate:,.0f} spectra/s"]
        if self.spectrum_scores:
            lines += ["", f"{'each spectrum':<14}" + "".join(f"{n:>13}" for n in _BOX)]
            for name, box in self.spectrum_scores.items():
                lines.append(f"  {name:<12}" + "".join(f"{box[n]:>13.3f}" for n in _BOX))
        if self.sets:
            lines += ["", *(_set_line(entry) for entry in self.sets)]
        if self.by_element:
            lines += ["", "weakest elements: F1 (spectra)"]
            weak = (f"{e['symbol']} {e['f1']:.2f} ({e['spectra']})" for e in self.by_element[:16])
            lines.append("  " + ", ".join(weak))
        if self.confusions:
            lines += ["", "true → said (times)"]
            said = (f"{true} → {what} ({times})" for true, what, times in self.confusions[:24])
            lines.append("  " + ", ".join(said))
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON, whole or not at all."""
        write_json(path, self.to_dict())


def write_json(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    with whole(path) as partial:
        partial.write_text(json_text(content, indent=1), encoding="utf-8")


def _set_line(entry: dict[str, Any]) -> str:
    right = not entry["missed"] and not entry["extra"]
    text = f"  {'right' if right else 'WRONG'}  {entry['id']:<22} {' '.join(entry['truth']) or '-'}"
    if entry["missed"]:
        text += f"   missed {' '.join(entry['missed'])}"
    if entry["extra"]:
        text += f"   wrongly {' '.join(entry['extra'])}"
    return text
