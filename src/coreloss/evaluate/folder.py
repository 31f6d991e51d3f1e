"""Scores on real spectra listed in a manifest."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis, Spectra
from coreloss.evaluate.metrics import confusions, scores
from coreloss.evaluate.report import Report
from coreloss.identification import ModelBundle, identify_spectra, load_model
from coreloss.io import load

__all__ = ["evaluate_folder"]


def evaluate_folder(
    manifest: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    corrected: bool = False,
    threshold: float | None = None,
) -> Report:
    """Score a model on the data sets of a manifest.

    Each entry of the JSON list names ``id``, ``file`` (beside the manifest),
    ``elements_in_range`` and may name ``ambiguous`` elements, which count neither way, a
    ``valid_energy_range_eV`` on the axis as recorded, and ``axis_correction_a_b``. Images and
    series count once, as their sum.

    Parameters
    ----------
    manifest : path
    model : str, path or ModelBundle, optional
    corrected : bool
        Take E_true = a + b · E_recorded and the valid range; else the whole record is judged
        as the file has it, as a user would.
    threshold : float, optional

    Raises
    ------
    ValueError
        For a manifest that is none, or a file that cannot be read; nothing is skipped.
    """
    path = Path(manifest)
    bundle = load_model(model)
    entries = _entries(path)
    shape = (len(entries), len(ELEMENTS))
    present, counted = np.zeros(shape, bool), np.ones(shape, bool)
    probability = np.zeros(shape)
    columns = {symbol: i for i, symbol in enumerate(ELEMENTS)}
    sets = []
    limit = bundle.threshold if threshold is None else threshold
    for row, entry in enumerate(entries):
        spectrum = load(path.parent / entry["file"]).summed()
        if corrected:
            spectrum = _corrected(spectrum, entry)
        result = identify_spectra(spectrum, model=bundle, threshold=limit)[0]
        for symbol, value in result.probabilities.items():
            probability[row, columns[symbol]] = value if symbol in result.judged else 0.0
        truth = [s for s in entry["elements_in_range"] if s in columns]
        unsure = [s for s in entry.get("ambiguous", ()) if s in columns]
        present[row, [columns[s] for s in truth]] = True
        counted[row, [columns[s] for s in unsure]] = False
        counted[row, [columns[s] for s in truth]] = True
        sets.append(
            {
                "id": entry["id"],
                "truth": truth,
                "ambiguous": unsure,
                "found": list(result.found),
                "missed": [s for s in truth if s not in result.found],
                "extra": [s for s in result.found if s not in truth and s not in unsure],
            }
        )
    no_carbon = counted.copy()
    no_carbon[:, columns["C"]] = False
    variants = {
        "all elements": {**scores(present, probability, limit, counted=counted)},
        "without C": {**scores(present, probability, limit, counted=no_carbon)},
    }
    for values in variants.values():
        values["threshold"] = limit
    return Report(
        f"{path.parent.name}/{path.name}, axis {'corrected' if corrected else 'as recorded'}",
        f"{bundle.name} {bundle.version}",
        len(entries),
        variants,
        confusions(present & counted, (probability >= limit) & counted, ELEMENTS),
        sets,
    )


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error})") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path}: cannot be read ({reason}); give a manifest.json") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: a manifest is a list with at least one data set")
    for number, entry in enumerate(entries):
        for key in ("id", "file", "elements_in_range"):
            if not isinstance(entry, dict) or key not in entry:
                raise ValueError(f"{path}: data set {number + 1} has no {key!r}")
    return entries


def _corrected(spectrum: Spectra, entry: dict[str, Any]) -> Spectra:
    """The valid range of a record, on its corrected axis."""
    axis = spectrum.axis
    low, high = entry.get("valid_energy_range_eV", (axis.start, axis.end))
    slack = 0.5 * axis.dispersion
    inside = np.nonzero((axis.energies >= low - slack) & (axis.energies <= high + slack))[0]
    first, last = int(inside[0]), int(inside[-1]) + 1
    cropped = EnergyAxis(float(axis.energies[first]), axis.dispersion, last - first)
    shift, stretch = entry.get("axis_correction_a_b", (0.0, 1.0))
    return replace(
        spectrum,
        counts=spectrum.counts[first:last],
        axis=cropped.corrected(float(shift), float(stretch)),
    )
