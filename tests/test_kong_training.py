"""From the recipe of Kong et al. to a bundle that identifies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from coreloss.cli import main  # noqa: E402
from coreloss.evaluate import evaluate_folder, evaluate_simulated  # noqa: E402
from coreloss.identification import load_model  # noqa: E402
from coreloss.networks import build  # noqa: E402
from coreloss.networks.inputs import CHANNELS  # noqa: E402
from coreloss.simulate import load_recipe  # noqa: E402
from coreloss.training import export_bundle, train  # noqa: E402
from coreloss.training.recipe import load_training_recipe  # noqa: E402

TINY = """
[simulation]
base = "kong2022"
window_fraction = 0.3

[input]
grid = "kong2022"

[network]
name = "cnn_bilstm"
inputs = ["detrended log counts", "mask"]
widths = [4, 6, 8]
hidden = 5
reduced = 2
head = [16]

[training]
spectra = 128
batch_size = 32
chunk = 64
optimiser = "adam"
warm_up = 32
gradient_clip = 1.0
ema = 0.5
bf16 = false
validation_spectra = 32
validate_every = 64
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network of no use, as a bundle."""
    folder = tmp_path_factory.mktemp("kong")
    (folder / "tiny.toml").write_text(TINY)
    outcome = train(folder / "tiny.toml", folder / "run", threads=1, quiet=True)
    assert outcome["finished"]
    return export_bundle(
        folder / "run", folder / "bundle", name="kong-tiny", calibration_spectra=96
    )


def test_the_bundle_knows_twenty_elements(bundle: Path) -> None:
    model = load_model(bundle)
    assert model.elements == load_recipe("kong2022").elements
    assert model.grid.size == 4550
    assert model.grid.start_ev == 90.0
    assert model.card["training"]["simulation"]["system"] == "gaussian"


def test_it_identifies_records_of_any_axis(
    bundle: Path, tmp_path: Path, oxygen, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "oxygen.csv"
    np.savetxt(file, np.stack(oxygen, axis=1), delimiter=",")
    assert main(["identify", str(file), "--model", str(bundle), "--threshold", "0.001"]) == 0
    out = capsys.readouterr().out
    assert "O " in out
    # nothing is said of elements whose only edges here lie outside the network's input
    assert "not judged" in out


def test_one_or_many_spectra_give_the_same_logits(bundle: Path) -> None:
    model = load_model(bundle)
    inputs = np.random.default_rng(0).normal(size=(3, len(CHANNELS), 4550)).astype(np.float32)
    together = model.logits(inputs)
    apart = np.concatenate([model.logits(inputs[i : i + 1]) for i in range(3)])
    assert np.allclose(together, apart, atol=1e-4)


def test_each_system_is_scored_on_the_other(bundle: Path, step_bundle: Path) -> None:
    own = evaluate_simulated(load_recipe("kong2022"), 20, 0, model=bundle)
    assert own.n_spectra == 20
    assert set(own.scores) == {"model", "without C", "oracle", "own threshold"}
    assert set(own.spectrum_scores) == {"precision", "recall", "f1"}
    assert "each spectrum" in own.table()
    # spectra with elements that the model does not know are left out
    other = evaluate_simulated(load_recipe("default"), 300, 0, model=bundle)
    assert 10 <= other.n_spectra < 300
    assert "300" in other.title
    # the other way round every spectrum counts, and so does every false alarm
    crossed = evaluate_simulated(load_recipe("kong2022"), 20, 0, model=step_bundle)
    assert crossed.n_spectra == 20
    assert crossed.scores["in common"]["exact_match"] >= crossed.scores["model"]["exact_match"]


def test_real_sets_of_other_elements_are_left_out(
    bundle: Path, step_bundle: Path, tmp_path: Path, oxygen
) -> None:
    np.savetxt(tmp_path / "o.csv", np.stack(oxygen, axis=1), delimiter=",")
    manifest = tmp_path / "manifest.json"
    manifest.write_text(
        '[{"id": "o", "file": "o.csv", "elements_in_range": ["O"]},'
        ' {"id": "te", "file": "o.csv", "elements_in_range": ["Te", "O"]}]'
    )
    report = evaluate_folder(manifest, model=bundle)
    assert [entry["id"] for entry in report.sets] == ["o"]
    assert "1 sets of other elements left out" in report.title
    assert len(evaluate_folder(manifest, model=step_bundle).sets) == 2
    kept = evaluate_folder(manifest, model=step_bundle, elements=["O", "C"])
    assert [entry["id"] for entry in kept.sets] == ["o"]
    with pytest.raises(ValueError, match="beyond"):
        evaluate_folder(manifest, model=step_bundle, elements=["C"])


def test_the_shipped_recipe_builds_the_papers_network() -> None:
    recipe = load_training_recipe("kong2022")
    assert (recipe.grid.size, recipe.grid.step_ev) == (4550, 0.2)
    assert recipe.schedule.spectra == 250_000
    assert recipe.schedule.gradient_clip == 1.0
    assert recipe.schedule.learning_rate == 1e-3
    network = build(recipe.network, n_channels_in=5, n_grid=4550, n_elements=20, **recipe.options)
    kinds = [type(m).__name__ for m in network.modules()]
    assert kinds.count("LSTM") == 1
    assert kinds.count("BatchNorm2d") == kinds.count("Conv2d") == 4
    assert {m.kernel_size for m in network.modules() if isinstance(m, torch.nn.Conv2d)} == {(1, 11)}
    assert network.recurrence.hidden_size == 100
    assert {m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)} == {0.2}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": ("counts",)}, "choose from"),
        ({"kernel": 10}, "odd"),
        ({"widths": (4,) * 12}, "leave nothing"),
    ],
)
def test_networks_that_cannot_be_built_say_why(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build("cnn_bilstm", n_channels_in=5, n_grid=4550, n_elements=20, **options)
