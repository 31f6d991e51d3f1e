"""Scores on real spectra listed in a manifest."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis, Spectra
from coreloss.evaluate.metrics import by_element, confusions, scores
from coreloss.evaluate.report import Report
from coreloss.evaluate.spectrum_metrics import spectrum_scores
from coreloss.identification import ModelBundle, identify_spectra, load_model
from coreloss.io import load

__all__ = ["evaluate_folder"]


def evaluate_folder(
    manifest: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    corrected: bool = False,
    threshold: float | None = None,
    elements: Sequence[str] | None = None,
    axis_mode: str | float = "as-recorded",
    evidence: bool = False,
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
    elements : sequence of str, optional
        Sets with another element in range are left out, and their number said; the model's
        own elements without it.
    axis_mode, evidence
        As `coreloss.identify` takes them.

    Raises
    ------
    ValueError
        For a manifest that is none, or a file that cannot be read; nothing else is skipped.
        For a manifest without any set of these elements alone.
    """
    path = Path(manifest)
    bundle = load_model(model)
    everything = entries_of(path)
    allowed = set(bundle.elements) & set(elements if elements is not None else bundle.elements)
    outside = set(ELEMENTS) - allowed
    entries = [e for e in everything if not outside & set(e["elements_in_range"])]
    if not entries:
        raise ValueError(
            f"{path}: every data set holds an element beyond {' '.join(sorted(allowed))}"
        )
    left_out = len(everything) - len(entries)
    shape = (len(entries), len(ELEMENTS))
    present, counted, named = (np.full(shape, value) for value in (False, True, False))
    probability = np.zeros(shape)
    columns = {symbol: i for i, symbol in enumerate(ELEMENTS)}
    sets = []
    seconds = 0.0
    limit = bundle.threshold if threshold is None else threshold
    for row, entry in enumerate(entries):
        spectrum = load(path.parent / entry["file"]).summed()
        if corrected:
            spectrum = on_corrected_axis(spectrum, entry)
        begun = time.perf_counter()
        result = identify_spectra(
            spectrum, model=bundle, threshold=limit, axis_mode=axis_mode, evidence=evidence
        )[0]
        seconds += time.perf_counter() - begun
        estimate = result.axis_estimate
        for symbol, value in result.probabilities.items():
            probability[row, columns[symbol]] = value if symbol in result.judged else 0.0
        named[row, [columns[symbol] for symbol in result.found]] = True
        truth, unsure = list(entry["elements_in_range"]), list(entry.get("ambiguous", ()))
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
                **({"axis": estimate.to_dict()} if estimate is not None else {}),
            }
        )
    no_carbon = counted.copy()
    no_carbon[:, columns["C"]] = False
    variants = {
        "all elements": scores(present, probability, limit, counted=counted, found=named),
        "without C": scores(present, probability, limit, counted=no_carbon, found=named),
    }
    for values in variants.values():
        values["threshold"] = limit
    found = named & counted
    return Report(
        f"{Path(*path.parts[-2:])}, axis {'corrected' if corrected else 'as recorded'}"
        + (f", {axis_mode}" if axis_mode != "as-recorded" else "")
        + (f", {left_out} sets of other elements left out" if left_out else ""),
        f"{bundle.name} {bundle.version}",
        len(entries),
        variants,
        confusions(present & counted, found, ELEMENTS),
        sets,
        by_element(present & counted, found, ELEMENTS),
        spectrum_scores(present & counted, found).summary(),
        seconds,
    )


def entries_of(path: Path) -> list[dict[str, Any]]:
    """The data sets of a manifest; raises ValueError naming it and what is wrong."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text; give a manifest.json") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path}: cannot be read ({reason}); give a manifest.json") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: a manifest is a list with at least one data set")
    return [_checked(path, number, entry) for number, entry in enumerate(entries, start=1)]


def _checked(path: Path, number: int, entry: Any) -> dict[str, Any]:
    """An entry as the docstring of `evaluate_folder` has it; null is as good as left out."""
    entry = {k: v for k, v in entry.items() if v is not None} if isinstance(entry, dict) else {}
    for key in ("id", "file", "elements_in_range"):
        if key not in entry:
            raise ValueError(f"{path}: data set {number} has no {key!r}")
    what = f"{path}: {entry['id']}"
    if not isinstance(entry["file"], str):
        raise ValueError(f"{what} has the file {entry['file']!r}; give its name")
    for key in ("elements_in_range", "ambiguous"):
        if not isinstance(entry.get(key, []), list):
            raise ValueError(f"{what} has {key} {entry[key]!r}; give a list of symbols")
        for symbol in entry.get(key, ()):
            if symbol not in ELEMENTS:
                raise ValueError(
                    f"{what} lists {symbol!r}, expected one of the {len(ELEMENTS)} elements that "
                    "can be identified (`coreloss edges`)"
                )
    for key, allowed, words in (
        ("valid_energy_range_eV", lambda low, high: low < high, "two energies, the lower first"),
        ("axis_correction_a_b", lambda _, stretch: stretch > 0, "eV to add and a positive factor"),
    ):
        given = entry.get(key)
        if given is None:
            continue
        numbers = isinstance(given, list) and all(type(v) in (int, float) for v in given)
        if not numbers or len(given) != 2 or not np.isfinite(given).all() or not allowed(*given):
            raise ValueError(f"{what} has {key} {given!r}; give a list of {words}")
    return entry


def on_corrected_axis(spectrum: Spectra, entry: dict[str, Any]) -> Spectra:
    """The valid range of a record, on its corrected axis."""
    axis = spectrum.axis
    low, high = entry.get("valid_energy_range_eV", (axis.start, axis.end))
    slack = 0.5 * axis.dispersion
    inside = np.nonzero((axis.energies >= low - slack) & (axis.energies <= high + slack))[0]
    if inside.size == 0:
        raise ValueError(
            f"{entry['file']}: valid_energy_range_eV {low:g}–{high:g} eV holds no channel of the "
            f"record, {axis.start:g}–{axis.end:g} eV; give a range on the axis as recorded"
        )
    first, last = int(inside[0]), int(inside[-1]) + 1
    cropped = EnergyAxis(float(axis.energies[first]), axis.dispersion, last - first)
    shift, stretch = entry.get("axis_correction_a_b", (0.0, 1.0))
    return replace(
        spectrum,
        counts=spectrum.counts[first:last],
        axis=cropped.corrected(float(shift), float(stretch)),
    )
