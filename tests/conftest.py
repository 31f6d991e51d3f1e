"""Inputs that tests share; all of them are synthesised."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from coreloss.edges import ELEMENTS, edges_of
from coreloss.grid import DEFAULT_GRID
from coreloss.networks.inputs import CHANNELS


@pytest.fixture(autouse=True)
def allocation_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands for training change how a whole process gets its memory; the tests share one."""
    monkeypatch.setattr("coreloss.training.allocation.keep_freed_memory", lambda: True)


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """The folder of real spectra beside the checkout; tests skip where it is missing."""
    default = Path(__file__).parents[1] / ".." / "shared" / "real"
    folder = Path(os.environ.get("CORELOSS_REAL", default)).resolve()
    if not (folder / "manifest.json").is_file():
        pytest.skip("the real spectra are not on this machine (CORELOSS_REAL names their folder)")
    return folder


def write_bundle(folder: Path, **changes: object) -> Path:
    """A working model bundle without training: it looks for steps at the lowest major onset.

    Its logit for an element is six times the step significance at that onset, less six.
    """
    from onnx import TensorProto, checker, helper, numpy_helper, save

    size = DEFAULT_GRID.size
    weights = np.zeros((len(CHANNELS) * size, len(ELEMENTS)), dtype=np.float32)
    step = CHANNELS.index("step significance")
    for column, symbol in enumerate(ELEMENTS):
        onsets = [e.onset_ev for e in edges_of(symbol) if e.major and e.onset_ev > 60]
        if onsets:
            row = int(np.searchsorted(DEFAULT_GRID.boundaries, onsets[0])) - 1
            weights[step * size + row, column] = 6.0
    bias = np.full(len(ELEMENTS), -6.0, dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["spectrum"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
        ],
        "steps",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["n", len(CHANNELS), size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(ELEMENTS)])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    save(model, str(folder / "model.onnx"))
    card = {
        "format": 1,
        "name": "steps",
        "version": "1",
        "elements": list(ELEMENTS),
        "input": {"grid": DEFAULT_GRID.to_dict(), "channels": list(CHANNELS)},
        "threshold": 0.5,
        "calibration": {"slope": 1.0, "intercept": 0.0},
        "shift_average_ev": [0.0],
        "training": {"spectra_seen": 0},
    }
    (folder / "card.json").write_text(json.dumps({**card, **changes}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def step_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as `write_bundle` makes it."""
    return write_bundle(tmp_path_factory.mktemp("models") / "steps")


@pytest.fixture
def oxygen() -> tuple[np.ndarray, np.ndarray]:
    """Energies (300,) [eV] and counts of a record with one step at 532 eV."""
    energy = 430.0 + np.arange(300.0)
    rng = np.random.default_rng(3)
    clean = 4e5 * (energy / 430.0) ** -3 + 6e4 * (energy > 532) * (energy / 532.0) ** -3
    return energy, rng.poisson(clean).astype(float)


@pytest.fixture(scope="session")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spectrum image of O, with Ti in its left half, as HyperSpy writes one."""
    from spectrum_images import AXIS, image_counts, tem, write_hspy

    return write_hspy(tmp_path_factory.mktemp("si") / "si.hspy", image_counts(), AXIS, **tem())
