"""Scores and reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coreloss.cli import main
from coreloss.edges import ELEMENTS
from coreloss.evaluate import evaluate_folder, evaluate_simulated
from coreloss.evaluate.metrics import by_element, confusions, rmse, scores
from coreloss.evaluate.simulated import TEST_SEED, _predicted, oracle
from coreloss.identification import load_model
from coreloss.simulate import load_recipe
from coreloss.simulate.dataset import PUBLISHED_ELEMENTS

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


def test_scores_of_each_element_by_hand() -> None:
    rows = by_element(PRESENT, SAID >= 0.5, ("A", "B", "C"))
    assert rows[0] == {"symbol": "C", "spectra": 1, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert {r["symbol"]: r["f1"] for r in rows[1:]} == {"A": 1.0, "B": 1.0}
    assert [r["symbol"] for r in by_element(PRESENT[1:2], SAID[1:2] >= 0.5, ("A", "B", "C"))] == [
        "B"
    ]


def test_oracle_errs_as_often_as_gaussian_noise_does() -> None:
    snr = np.full((1, 100_000), 8.0)
    measured = oracle(snr, np.ones(snr.shape, bool), np.random.default_rng(0))
    assert (measured >= 8.0).mean() == pytest.approx(0.5, abs=0.01)
    assert (measured >= 7.0).mean() == pytest.approx(0.841, abs=0.01)
    # it is not told what is absent: 5 % of the absent elements in range pass 1.64
    judged = np.arange(100_000)[None, :] < 50_000
    measured = oracle(np.zeros(snr.shape), judged, np.random.default_rng(0))
    assert (measured[judged] >= 1.645).mean() == pytest.approx(0.05, abs=0.005)
    assert not (measured[~judged] >= -100.0).any()


def test_oracle_of_all_labels_has_false_alarms_and_misses(step_bundle: Path) -> None:
    report = evaluate_simulated(load_recipe("annys2023"), 400, 0, model=step_bundle)
    ceiling = report.scores["oracle"]
    assert 0.65 < ceiling["exact_match"] < 0.88
    assert ceiling["precision"] < 1.0
    assert ceiling["recall"] < 1.0


def test_weighted_scores_are_those_of_scikit_learn() -> None:
    reference = pytest.importorskip("sklearn.metrics").precision_recall_fscore_support
    rng = np.random.default_rng(1)
    for share in (0.05, 0.3):
        present, said = rng.random((40, 12)) < share, rng.random((40, 12))
        values = scores(present, said, 0.7)
        expected = reference(present, said >= 0.7, average="weighted", zero_division=0)[:3]
        assert [values[k] for k in ("precision", "recall", "f1")] == pytest.approx(expected)


def test_false_alarms_of_elements_that_never_occur_cost_the_micro_score() -> None:
    present = np.array([[True, False], [True, False]])
    said = np.array([[0.9, 0.9], [0.9, 0.1]])
    values = scores(present, said, 0.5)
    assert values["f1"] == 1.0
    assert values["micro_f1"] == pytest.approx(0.8)


def test_rmse_leaves_uncounted_elements_out() -> None:
    counted = np.array([[True, False]])
    values = scores(np.array([[True, True]]), np.array([[0.5, 0.0]]), 0.5, counted=counted)
    assert values["rmse"] == pytest.approx(0.5)


def test_rmse_is_over_the_elements_that_a_recipe_may_hold(step_bundle: Path) -> None:
    recipe = load_recipe("annys2023")
    report = evaluate_simulated(recipe, 60, 0, model=step_bundle)
    present, probability = _predicted(recipe, 60, TEST_SEED, load_model(step_bundle))[:2]
    published = np.array([symbol in PUBLISHED_ELEMENTS for symbol in ELEMENTS])
    assert published.sum() == 80
    for variant, shown in (("model", published), ("without C", published.copy())):
        if variant == "without C":
            shown[ELEMENTS.index("C")] = False
        expected = rmse(present[:, shown], probability[:, shown])
        assert report.scores[variant]["rmse"] == pytest.approx(expected, rel=1e-9)
    # what is found of the others is a false alarm all the same
    said = np.array([[0.9, 0.9], [0.1, 0.9]])
    values = scores(said > [1.0, 0.5], said, 0.5, averaged=np.array([False, True]))
    assert values["rmse"] == pytest.approx(0.1)
    assert values["exact_match"] == 0.5


def test_simulated_evaluation(step_bundle: Path, tmp_path: Path) -> None:
    report = evaluate_simulated(load_recipe("default"), 200, 0, model=step_bundle)
    assert set(report.scores) == {"model", "without C", "oracle", "own threshold", "clear"}
    own = load_model(step_bundle).threshold
    assert report.scores["own threshold"]["threshold"] == own
    # what is asked for is the only one
    asked = evaluate_simulated(load_recipe("default"), 50, 0, model=step_bundle, threshold=own)
    assert set(asked.scores) == {"model", "without C", "oracle", "clear"}
    assert asked.scores["model"]["threshold"] == own
    # what is hardly detectable, and hardly not, is left out
    assert report.scores["clear"]["exact_match"] > report.scores["model"]["exact_match"]
    assert report.scores["oracle"]["f1"] > 0.9
    assert report.scores["oracle"]["f1"] > report.scores["model"]["f1"] > 0.0
    again = evaluate_simulated(load_recipe("default"), 200, 0, model=step_bundle)
    assert again == report
    first, second = again.to_dict(), report.to_dict()
    assert first.pop("inference_seconds") > 0.0
    assert f"inference {second.pop('inference_seconds'):.3g} s" in report.table()
    assert first == second
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


def test_the_elements_of_real_sets_are_drawn(
    manifest: Path, step_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coreloss import plot_simulation

    drawn, occurrence = [], plot_simulation.occurrence

    def kept(counts, path):
        drawn.append(counts)
        return occurrence(counts, path)

    monkeypatch.setattr(plot_simulation, "occurrence", kept)
    picture = tmp_path / "elements.png"
    words = ["evaluate", str(manifest), "--model", str(step_bundle), "--occurrence", str(picture)]
    assert main(words) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [list(counts.values()) for counts in drawn] == [[{"O": 2}]]


def test_a_folder_with_a_manifest_is_as_good(
    manifest: Path, step_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(manifest.parent), "--corrected", "--model", str(step_bundle)]) == 0
    out = capsys.readouterr().out
    assert "axis corrected: 2 spectra" in out
    # what a data set has in its folder is no manifest of records
    (manifest.parent / "testset").mkdir()
    assert main(["evaluate", str(manifest.parent), "--model", str(step_bundle)]) == 2
    assert "holds no testset/TEST_" in capsys.readouterr().err
    (manifest.parent / "testset").rmdir()
    (manifest.parent / "trainingset").mkdir()
    assert main(["evaluate", str(manifest.parent), "--model", str(step_bundle)]) == 2
    assert "holds no testset/TEST_" in capsys.readouterr().err


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


def test_unknown_elements_and_empty_ranges_get_a_sentence(
    manifest: Path, step_bundle: Path
) -> None:
    entries = json.loads(manifest.read_text())
    entries[1]["valid_energy_range_eV"] = [3000.0, 3100.0]
    manifest.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="holds no channel"):
        evaluate_folder(manifest, model=step_bundle, corrected=True)
    entries[0]["elements_in_range"] = ["o"]
    manifest.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="lists 'o', expected"):
        evaluate_folder(manifest, model=step_bundle)
    manifest.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        evaluate_folder(manifest, model=step_bundle)


@pytest.mark.real
def test_real_sets_are_right_but_for_five(real_folder: Path) -> None:
    """Axis corrected, the default model is exactly right on all real sets but these."""
    report = evaluate_folder(real_folder / "manifest.json", corrected=True)
    wrong = {s["id"] for s in report.sets if s["missed"] or s["extra"]}
    assert len(report.sets) == 23
    assert wrong <= {
        "hs_AuNP_ser",  # nearly nothing but noise
        "em_CaFeO_C3_r2",  # thick: waves above Ca L2,3 look like Ag M4,5
        "rsciio_SiO_SI",  # rises over 160 eV, as W M4,5 does
        # thick: waves from 230 to 290 eV above B K, where scattering has filled up its tail, and a
        # tail that falls faster than the atom's, are like Ar L2,3 (245 eV, highest 40 eV behind)
        "em_BN_multi",
        "em_BN_A3_r1",
    }
    assert set(ELEMENTS) >= {s for entry in report.sets for s in entry["found"]}
