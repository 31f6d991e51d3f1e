"""Detection limits, and the scores of each spectrum."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coreloss.cli import main
from coreloss.energy import EnergyAxis
from coreloss.evaluate import evaluate_sensitivity, sensitivity
from coreloss.evaluate.edge_curves import gaussian_curves, gos_curves, major_edges
from coreloss.evaluate.sensitivity import PUBLISHED, _least
from coreloss.evaluate.spectrum_metrics import spectrum_scores
from coreloss.identification import ModelBundle
from coreloss.simulate import load_recipe

PRESENT = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
FOUND = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 0]], dtype=bool)


def test_scores_of_spectra_by_hand() -> None:
    each = spectrum_scores(PRESENT, FOUND)
    assert each.precision == pytest.approx([1, 1, 1, 2 / 3, 0])
    assert each.recall == pytest.approx([0.5, 1, 1, 1, 1])
    assert each.f1 == pytest.approx([2 / 3, 1, 1, 0.8, 0])
    assert each.exact.tolist() == [False, True, True, False, False]
    assert each.recognised.tolist() == [False, True, True, True, True]
    box = each.summary()["f1"]
    assert box["mean"] == pytest.approx(each.f1.mean())
    assert (box["quartile_1"], box["median"], box["quartile_3"]) == pytest.approx((2 / 3, 0.8, 1))
    assert box["whisker_low"] == pytest.approx(2 / 3)
    assert box["outliers"] == pytest.approx(0.2)


def test_halving_finds_the_limit_of_each() -> None:
    limits = np.array([0.01, 0.2, 1.4, 9.0])
    least, possible = _least(lambda x: x >= limits, (0.003, 1.5), 4)
    assert least[:3] == pytest.approx(limits[:3], rel=0.02)
    assert (least[:3] >= limits[:3]).all()
    assert possible.tolist() == [True, True, True, False]


def test_curves_have_jump_ratio_one() -> None:
    for curves in gaussian_curves(load_recipe("kong2022"), ("Si L2,3", "C K", "Cu L2,3"), 1):
        inside = np.abs(curves.axis.energies - curves.onset_ev) < 90.0
        heights = curves.curves[:, inside].max(axis=1)
        assert heights == pytest.approx(curves.at_onset, rel=0.01), curves.label
        assert curves.curves.shape[0] >= 20


def test_atomic_curves_have_jump_ratio_one_above_their_onset() -> None:
    edges = major_edges(("Fe", "O", "B"))
    assert [label for label, _ in edges] == ["Fe L2,3", "O K", "B K"]
    for curves in gos_curves(load_recipe("default"), edges[:2], 1, n_shapes=3):
        assert curves.curves.shape == (3, curves.axis.size)
        before = curves.curves[:, curves.axis.index(curves.onset_ev - 8.0)]
        height = curves.curves.max(axis=1) - before
        assert height == pytest.approx(curves.at_onset, rel=0.3)


def test_limits_are_where_a_model_changes_its_mind(
    step_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that says Fe where the mean at the L3 line is 1.05 times that before it."""

    def judge(records: np.ndarray, axis: EnergyAxis, bundle: ModelBundle) -> np.ndarray:
        energies = axis.energies
        line = (energies > 706.0) & (energies < 712.0)
        before = (energies > 680.0) & (energies < 700.0)
        ratio = records[:, line].mean(axis=1) / np.maximum(records[:, before].mean(axis=1), 1e-12)
        said = np.zeros((len(records), len(bundle.elements)))
        said[:, bundle.elements.index("Fe")] = ratio > 1.05
        return said

    monkeypatch.setattr(sensitivity, "probabilities", judge)
    recipe = load_recipe("kong2022")
    limits = {"model": step_bundle, "repeats": 4, "edges": ["Fe L2,3"], "name": "kong2022"}
    result = evaluate_sensitivity(recipe, **limits)
    (limit,) = result.limits
    assert limit.element == "Fe"
    assert limit.recognised == 1.0
    # the background falls by 5 % from 690 to 709 eV, and the mean is below the peak
    assert 0.1 < limit.jump_ratio < 0.6
    # PSNR: jump ratio times the background at the onset over a tenth of the least background
    ratio = limit.psnr / limit.jump_ratio
    assert ratio == pytest.approx(10.0 * (limit.onset_ev / 1100.0) ** -1.88, rel=0.01)
    # at any dose 0.1 is too faint for it; fainter edges take more electrons
    assert np.isnan(limit.doses[0.1])
    assert limit.doses[0.3] > limit.doses[1.0]
    assert evaluate_sensitivity(recipe, **limits).table() == result.table()
    assert "0.116" in result.table()
    assert "jump ratio as low as the paper's or lower: 0 of 1" in result.table()
    assert result.to_dict()["limits"][0]["doses"]["0.1"] is None
    assert len(PUBLISHED) == 20


def test_sensitivity_command(
    step_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edge = major_edges(("O",))
    monkeypatch.setattr(sensitivity, "major_edges", lambda elements: edge)
    report, picture = tmp_path / "limits.json", tmp_path / "limits.png"
    words = ["evaluate", "default", "--sensitivity", "--model", str(step_bundle)]
    words += ["--repeats", "2", "--out", str(report), "--plot", str(picture)]
    assert main(words) == 0
    assert "O K" in capsys.readouterr().out
    stored = json.loads(report.read_text())
    assert [limit["edge"] for limit in stored["limits"]] == ["O K"]
    assert set(stored["limits"][0]["doses"]) == {"0.1", "0.3", "1"}
    assert picture.stat().st_size > 5000
    assert main(words) == 2
    assert "--force" in capsys.readouterr().err


def test_wrong_requests_get_a_sentence(step_bundle: Path) -> None:
    recipe = load_recipe("kong2022")
    with pytest.raises(ValueError, match="at least one"):
        evaluate_sensitivity(recipe, model=step_bundle, repeats=0)
    with pytest.raises(ValueError, match="none of the elements"):
        evaluate_sensitivity(recipe, model=step_bundle, repeats=1, edges=["U M4,5"])
