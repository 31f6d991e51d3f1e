"""Scores and reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coreloss.edges import ELEMENTS
from coreloss.evaluate import evaluate_folder, evaluate_simulated
from coreloss.evaluate.metrics import confusions, rmse, scores
from coreloss.evaluate.simulated import oracle
from coreloss.simulate import load_recipe

PRESENT = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0]], dtype=bool)
SAID = np.array([[0.9, 0.1, 0.2], [0.1, 0.8, 0.1], [0.1, 0.0, 0.1], [0.9, 0.9, 0.7]])


def test_scores_by_hand() -> None:
    values = scores(PRESENT, SAID, 0.5)
    # found: A; B; -; A B C. Elements: A 2 of 2, B 2 of 2, C 0 of 1 with one false
    assert values["precision"] == pytest.approx(0.8)
    assert values["recall"] == pytest.approx(0.8)
    assert values["f1"] == pytest.approx(0.8)
    assert values["exact_match"] == 0.5
    assert values["recognition"] == 0.75
    assert values["spectrum_f1"] == pytest.approx((2 / 3 + 1 + 1 + 0.8) / 4)
    assert values["rmse"] == pytest.approx(rmse(PRESENT, SAID))


def test_uncounted_elements_count_neither_way() -> None:
    counted = np.ones_like(PRESENT)
    counted[:, 2] = False
    values = scores(PRESENT, SAID, 0.5, counted=counted)
    assert values["exact_match"] == 1.0
    assert values["f1"] == 1.0


def test_confusions_pair_misses_with_false_alarms() -> None:
    found = SAID >= 0.5
    assert confusions(PRESENT, found, ("A", "B", "C")) == [("C", "-", 1), ("-", "C", 1)]
    swapped = PRESENT[:, [1, 0, 2]]
    assert ("A", "B", 1) in confusions(PRESENT, swapped, ("A", "B", "C"))


def test_oracle_errs_as_often_as_gaussian_noise_does() -> None:
    snr = np.full((1, 100_000), 8.0)
    assert oracle(snr, 8.0, np.random.default_rng(0)).mean() == pytest.approx(0.5, abs=0.01)
    assert oracle(snr, 7.0, np.random.default_rng(0)).mean() == pytest.approx(0.841, abs=0.01)
    assert not oracle(np.zeros((1, 1000)), 0.5, np.random.default_rng(0)).any()


def test_simulated_evaluation(step_bundle: Path, tmp_path: Path) -> None:
    report = evaluate_simulated(load_recipe("default"), 200, 0, model=step_bundle)
    assert set(report.scores) == {"model", "without C", "oracle"}
    assert report.scores["oracle"]["f1"] > 0.9
    assert report.scores["oracle"]["f1"] > report.scores["model"]["f1"] > 0.0
    again = evaluate_simulated(load_recipe("default"), 200, 0, model=step_bundle)
    assert again.to_dict() == report.to_dict()
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["spectra"] == 200
    assert "exact match" in report.table()
    with pytest.raises(ValueError, match="at least 10"):
        evaluate_simulated(load_recipe("default"), 3, 0, model=step_bundle)


@pytest.fixture
def manifest(tmp_path: Path, oxygen) -> Path:
    energy, counts = oxygen
    np.savetxt(tmp_path / "right.csv", np.stack(oxygen, axis=1), delimiter=",")
    np.savetxt(tmp_path / "off.csv", np.stack([energy + 40, counts], axis=1), delimiter=",")
    entries = [
        {"id": "right", "file": "right.csv", "elements_in_range": ["O"], "ambiguous": []},
        {
            "id": "off",
            "file": "off.csv",
            "elements_in_range": ["O"],
            "axis_correction_a_b": [-40.0, 1.0],
            "valid_energy_range_eV": [475.0, 765.0],
        },
    ]
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(entries))
    return path


def test_folder_as_recorded_and_corrected(manifest: Path, step_bundle: Path) -> None:
    recorded = evaluate_folder(manifest, model=step_bundle)
    corrected = evaluate_folder(manifest, model=step_bundle, corrected=True)
    assert recorded.sets[0]["missed"] == []
    assert recorded.sets[1]["missed"] == ["O"]
    assert corrected.sets[1]["missed"] == []
    assert corrected.scores["all elements"]["recall"] == 1.0
    assert "WRONG" in recorded.table()


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not valid JSON"), ("[]", "at least one"), ('[{"id": "a"}]', "has no 'file'")],
)
def test_bad_manifests_get_a_sentence(
    tmp_path: Path, step_bundle: Path, text: str, words: str
) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        evaluate_folder(path, model=step_bundle)


@pytest.mark.real
def test_clean_real_sets_are_right(real_folder: Path) -> None:
    """Axis corrected, the default model is exactly right on most of the real sets."""
    report = evaluate_folder(real_folder / "manifest.json", corrected=True)
    right = [s["id"] for s in report.sets if not s["missed"] and not s["extra"]]
    assert len(report.sets) == 23
    assert len(right) >= 16
    assert set(ELEMENTS) >= {s for entry in report.sets for s in entry["found"]}
