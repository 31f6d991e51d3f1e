"""The shipped model kong2022: what it knows, by name, by command, on real records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import coreloss
from coreloss.cli import main
from coreloss.evaluate import evaluate_folder, evaluate_simulated
from coreloss.identification import load_model
from coreloss.simulate import load_recipe
from coreloss.simulate.gaussian import simulate_gaussian
from coreloss.simulate.gaussian.recipe import EDGES


def test_its_card_says_what_it_was_made_of() -> None:
    model = load_model("kong2022")
    assert model.elements == tuple(label.split()[0] for label in EDGES)
    assert model.grid.start_ev == 90.0
    assert model.grid.size == 4550
    trained = model.card["training"]
    assert trained["network"] == "cnn_bilstm"
    assert trained["simulation"]["system"] == "gaussian"
    # the recipe that ships is the one it was trained with
    assert trained["simulation"] == json.loads(json.dumps(load_recipe("kong2022-real").to_dict()))


def test_it_knows_records_of_any_channel_width_and_window() -> None:
    bright = replace(load_recipe("kong2022-real"), dose_fraction=1.0, dose=(1e5, 1e7))
    report = evaluate_simulated(bright, 300, 1, model="kong2022")
    assert report.scores["model"]["f1"] > 0.9


def test_it_knows_the_papers_own_spectra() -> None:
    report = evaluate_simulated(load_recipe("kong2022"), 200, 1, model="kong2022")
    # the paper's validation, which takes 50,000 spectra
    assert report.spectrum_scores["f1"]["mean"] > 0.98
    assert report.scores["model"]["exact_match"] > 0.9


def test_a_record_of_another_simulator() -> None:
    from coreloss.simulate import simulate_sample

    for composition, window in (({"Ti": 1, "O": 2}, (380, 680)), ({"Fe": 2, "O": 3}, (450, 850))):
        batch = simulate_sample(
            composition, start_ev=window[0], end_ev=window[1], counts=3e7, n=12, seed=3
        )
        axis = coreloss.EnergyAxis(
            float(batch.offset[0]), float(batch.dispersion[0]), int(batch.size[0])
        )
        results = coreloss.identify(np.asarray(batch.counts), axis, model="kong2022")
        named = sum(set(composition) <= set(result.found) for result in results)
        assert named >= 9, composition


def test_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = replace(load_recipe("kong2022"), shift_ev=0.0, stretch=0.0, edge_counts=(0.0, 1.0))
    batch = simulate_gaussian(recipe, 1, 11)
    energies = batch.offset[0] + batch.dispersion[0] * np.arange(batch.size[0])
    file = tmp_path / "one.csv"
    np.savetxt(file, np.stack([energies, batch.counts[0]], axis=1), delimiter=",")
    assert main(["identify", "--model", "kong2022", "--json", str(file)]) == 0
    answer = json.loads(capsys.readouterr().out)
    text = json.dumps(answer)
    assert "kong2022" in text
    present = [s for s, p in zip(batch.elements, batch.present[0], strict=True) if p]
    assert all(f'"{symbol}"' in text for symbol in present)
    assert main(["models"]) == 0
    assert "kong2022 4   20 elements" in capsys.readouterr().out


@pytest.mark.real
def test_real_sets_of_its_elements(real_folder: Path) -> None:
    report = evaluate_folder(real_folder / "manifest.json", model="kong2022", corrected=True)
    assert report.n_spectra >= 15
    assert report.scores["all elements"]["exact_match"] >= 0.85
