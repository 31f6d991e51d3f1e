"""Training that goes on from a model bundle, whose run is not at hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tiny_training import tiny_recipe, weights  # noqa: E402

from coreloss.cli import main  # noqa: E402
from coreloss.identification import load_model  # noqa: E402
from coreloss.training import checkpoint, export_bundle, train  # noqa: E402
from coreloss.training.export import export_all  # noqa: E402
from coreloss.training.loop import build_network  # noqa: E402
from coreloss.training.recipe import load_training_recipe  # noqa: E402
from coreloss.training.source import open_source  # noqa: E402
from coreloss.training.unfold import take_bundle  # noqa: E402

TINY = tiny_recipe("default", 512, 64, 512)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, its run and the bundle of that."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.toml").write_text(TINY)
    train(folder / "tiny.toml", folder / "run", threads=1, quiet=True)
    export_bundle(folder / "run", folder / "bundle", calibration_spectra=256)
    return folder


def test_the_network_of_a_bundle_is_given_back(trained: Path) -> None:
    """It says what the bundle says; filters are as large as what is trained beside them."""
    recipe = load_training_recipe(trained / "tiny.toml")
    network = build_network(recipe)
    mean = {k: torch.zeros_like(v) for k, v in network.state_dict().items()}
    inputs = open_source(recipe, "cpu").validation(192).inputs(recipe)
    bundle = load_model(trained / "bundle")
    assert take_bundle(bundle, recipe, network, mean, inputs) == {"spectra": 512, "kept_new": 0}
    assert all(torch.equal(mean[k], v) for k, v in network.state_dict().items())
    said = bundle.logits(inputs.numpy())
    network.eval()
    with torch.no_grad():
        assert np.allclose(network(inputs).numpy(), said, atol=1e-3 * np.abs(said).max())
        # with the statistics of a batch as well, as far as dropout lets it
        network.stages.train()
        again = network(inputs).numpy()
    assert np.corrcoef(again.ravel(), said.ravel())[0, 1] > 0.99
    first, dense = network.stages[0].body[0].weight, network.head[1].weight
    size = first.pow(2).mean(dim=(1, 2, 3)).sqrt() / dense.pow(2).mean().sqrt()
    assert torch.allclose(size, torch.ones_like(size), atol=1e-4)


def test_a_run_goes_on_from_a_bundle(trained: Path, tmp_path: Path) -> None:
    """At a vanishing rate the outcome is the bundle's; the card counts what it had seen."""
    still = tmp_path / "still.toml"
    still.write_text(
        TINY.replace("spectra = 512", "spectra = 64\nlearning_rate = 1e-9\nweight_decay = 0.0")
    )
    run = tmp_path / "run"
    words = ["train", str(still), "--out", str(run), "--start-from", str(trained / "bundle")]
    assert main([*words, "--threads", "1"]) == 0
    state = json.loads((checkpoint.latest(run) / "state.json").read_text())
    assert state["start"] == {"spectra": 512, "kept_new": 0}
    export_bundle(run, tmp_path / "again", calibration_spectra=256)
    before, after = load_model(trained / "bundle"), load_model(tmp_path / "again")
    recipe = load_training_recipe(still)
    inputs = open_source(recipe, "cpu").validation(64).inputs(recipe).numpy()
    there, here = before.logits(inputs), after.logits(inputs)
    # norms have moved a little towards the statistics of one batch
    assert np.corrcoef(there.ravel(), here.ravel())[0, 1] > 0.99
    assert after.card["training"]["spectra_seen"] == 576
    # resumed, it does not begin with the bundle again
    done = weights(run)
    train(still, run, threads=1, quiet=True, resume=True, start_from=trained / "bundle")
    assert all(torch.equal(value, done[key]) for key, value in weights(run).items())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("head = [4, 16]", "head = [4, 24]", "other layers"),
        ("blocks = [1, 1, 1, 1]", "blocks = [1, 2, 1, 1]", "other layers"),
        ("[network]", '[input]\nchannels = "features and steps"\n\n[network]', "input channels"),
        ('base = "default"', 'base = "kong2022"', "other elements"),
    ],
)
def test_another_network_is_refused(
    trained: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace(old, new))
    with pytest.raises(ValueError, match=f"cannot be trained on.*{said}"):
        train(other, tmp_path / "run", quiet=True, start_from=trained / "bundle")
    assert not (tmp_path / "run").exists()


def test_a_damaged_bundle_is_one_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "bundle", tmp_path / "bundle")
    network = tmp_path / "bundle" / "model.onnx"
    network.write_bytes(network.read_bytes()[:2000])
    words = ["train", str(trained / "tiny.toml"), "--out", str(tmp_path / "run")]
    assert main([*words, "--start-from", str(tmp_path / "bundle")]) == 2
    said = capsys.readouterr().err
    assert "model.onnx: cannot be read" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_ensembles_and_what_is_no_model_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = export_all(
        [trained / "bundle", trained / "bundle"], tmp_path / "both", calibration_spectra=256
    )
    recipe = trained / "tiny.toml"
    with pytest.raises(ValueError, match="one compact network"):
        train(recipe, tmp_path / "run", quiet=True, start_from=both)
    words = ["train", str(recipe), "--out", str(tmp_path / "run"), "--start-from"]
    assert main([*words, "no-such-model"]) == 2
    said = capsys.readouterr().err
    assert "no-such-model: holds no checkpoint of a training run, and is no model" in said
    assert not (tmp_path / "run").exists()
