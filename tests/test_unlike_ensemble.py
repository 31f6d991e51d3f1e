"""An ensemble of networks with other inputs, grids and axes shifts, and what a student hears."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from conftest import write_bundle  # noqa: E402
from tiny_training import tiny_recipe  # noqa: E402

import coreloss  # noqa: E402
from coreloss.edges import ELEMENTS  # noqa: E402
from coreloss.grid import ANNYS_GRID  # noqa: E402
from coreloss.identification import ModelBundle, load_model  # noqa: E402
from coreloss.networks import build  # noqa: E402
from coreloss.networks.inputs import PLAIN  # noqa: E402
from coreloss.networks.session import open_session, run_network  # noqa: E402
from coreloss.simulate import load_recipe  # noqa: E402
from coreloss.training import combine_bundles  # noqa: E402
from coreloss.training.distill import Teacher  # noqa: E402
from coreloss.training.export import _write_onnx  # noqa: E402
from coreloss.training.recipe import load_training_recipe  # noqa: E402
from coreloss.training.source import open_source  # noqa: E402


def vit(path: Path) -> torch.nn.Module:
    """A small vision transformer on the grid of Annys et al., also as an ONNX file."""
    torch.manual_seed(1)
    network = build(
        "vit", n_channels_in=1, n_grid=ANNYS_GRID.size, n_elements=len(ELEMENTS), stride=64,
        width=8, blocks=1, heads=1, head_size=8, hidden=8, head=(8,),
    ).eval()  # fmt: skip
    _write_onnx(network, path, np.ones((2, 1, ANNYS_GRID.size), np.float32))
    return network


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """The looker for steps, on our grid, and a transformer that sees counts over their maximum."""
    folder = tmp_path_factory.mktemp("unlike")
    training = {
        "network": "steps",
        "spectra_seen": 7,
        "simulation": load_recipe("annys2023").to_dict(),
    }
    ours = write_bundle(folder / "ours", training=training)
    theirs = write_bundle(
        folder / "theirs",
        input={"grid": ANNYS_GRID.to_dict(), "channels": list(PLAIN)},
        shift_average_ev=[-1.0, 1.0],
        calibration={"slope": 0.5, "intercept": 0.25},
        training={"network": "vit", "spectra_seen": 5},
    )
    vit(theirs / "model.onnx")
    return load_model(combine_bundles([ours, theirs], folder / "both", calibration_spectra=64))


def test_each_member_has_its_own_input_shifts_and_calibration(
    both: ModelBundle, oxygen: tuple[np.ndarray, np.ndarray]
) -> None:
    energy, counts = oxygen
    axis = (energy[:1], np.ones(1), np.array([counts.size]))
    ours, theirs = both.members
    assert (ours.grid.size, theirs.grid.size) == (1600, 3072)
    assert theirs.shifts_ev == (-1.0, 1.0)
    mean = 0.5 * (ours.predict(counts[None], *axis) + theirs.predict(counts[None], *axis))
    expected = both.probabilities(np.log(mean / (1.0 - mean)))[0]
    found = coreloss.identify(counts, energy, model=both)
    np.testing.assert_allclose(list(found.probabilities.values()), expected, rtol=1e-6)
    assert both.card["training"]["networks"] == ["steps", "vit"]
    assert both.card["training"]["spectra_seen"] == 12
    assert json.loads((both.path / "card.json").read_text())["scores"]["simulated"]["spectra"] == 32


def test_an_ensemble_is_a_teacher(both: ModelBundle, tmp_path: Path) -> None:
    path = tmp_path / "student.toml"
    tiny = tiny_recipe("annys2023", 32, 32, 32)
    path.write_text(f'{tiny}\n[distillation]\nteacher = "{both.path}"\nweight = 1.0\n')
    recipe = load_training_recipe(path)
    records = open_source(recipe, "cpu").validation(5)
    said = both.predict(records.counts.numpy(), records.offset, records.dispersion, records.size)
    np.testing.assert_allclose(Teacher(recipe).target(records).numpy(), said, rtol=1e-6)


def test_many_spectra_at_once_are_judged_a_few_at_a_time(tmp_path: Path) -> None:
    network = vit(tmp_path / "vit.onnx")
    session = open_session(tmp_path / "vit.onnx", 1)
    sizes = []

    class Noted:
        """The session, and how many spectra each call had."""

        get_inputs = staticmethod(session.get_inputs)

        @staticmethod
        def run(names: object, given: dict[str, np.ndarray]) -> list[np.ndarray]:
            sizes.append(len(given["spectrum"]))
            return list(session.run(names, given))

    inputs = np.random.default_rng(1).random((37, 1, ANNYS_GRID.size), dtype=np.float32)
    said = run_network(Noted(), inputs)
    assert sum(sizes) == 37
    assert max(sizes) <= 16
    with torch.no_grad():
        np.testing.assert_allclose(said, network(torch.as_tensor(inputs)).numpy(), atol=1e-4)
