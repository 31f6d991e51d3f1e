"""From a checkpoint to a model bundle: ONNX network and card, in one directory."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from coreloss.edges import ELEMENTS
from coreloss.networks.inputs import CHANNELS, network_input
from coreloss.simulate import simulate
from coreloss.training import checkpoint
from coreloss.training.calibration import platt
from coreloss.training.loop import build_network
from coreloss.training.metrics import exact_match_rate, exact_threshold, weighted_scores
from coreloss.training.recipe import TrainingRecipe, load_training_recipe

__all__ = ["export_bundle"]

_CALIBRATION_SEED = 910_000_000
_CHECKED = 512  # spectra on which networks are compared
# logits by ONNX Runtime may differ from torch's by this, relative to one or their size …
_ARITHMETIC = 1e-3
# … and those with weights stored in half precision from the others by this
_STORAGE = 1e-2


def export_bundle(
    run_dir: str | Path,
    bundle_dir: str | Path,
    *,
    name: str = "default",
    version: str = "1",
    calibration_spectra: int = 8192,
    half: bool = True,
    card_extra: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write the newest checkpoint of a training run as a model bundle.

    The averaged weights go into ``model.onnx``, batch norm folded into the convolutions.
    Calibration and threshold are set on newly simulated spectra, and the scores of the card
    are those on others.

    Parameters
    ----------
    run_dir : path
        Output directory of `train`.
    bundle_dir : path
        Directory to write; the last part of the path need not be the model's name.
    name, version : str
    calibration_spectra : int
        Simulated spectra; calibration on the first half, scores on the second.
    half : bool
        Store weights in half precision if that changes no logit by more than 0.01.
    card_extra : mapping, optional
        Further entries of the card.
    force : bool
        Replace an existing bundle.

    Raises
    ------
    FileNotFoundError
        If the run has no checkpoint.
    FileExistsError
        If the bundle exists and ``force`` is false.
    ValueError
        If the ONNX network does not give the logits of the torch one, or ``card_extra``
        would replace an entry of the card; an existing bundle then stays as it was.
    """
    run, target = Path(run_dir), Path(bundle_dir)
    newest = checkpoint.latest(run)
    if newest is None:
        raise FileNotFoundError(f"{run}: holds no checkpoint; train first")
    if target.exists() and not force:
        raise FileExistsError(f"{target}: exists already; give --force to replace it")
    recipe = load_training_recipe(run / "recipe.toml")
    network = build_network(recipe)
    network.load_state_dict(load_file(newest / "mean.safetensors"))
    network.eval()
    state = json.loads((newest / "state.json").read_text(encoding="utf-8"))

    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        inputs, present = _simulated(recipe, calibration_spectra)
        storage = _write_checked(network, partial / "model.onnx", inputs[:_CHECKED], half=half)
        logits = _logits(partial / "model.onnx", inputs)
        card = _card(recipe, name, version, int(state["spectra"]), logits, present)
        card["storage"] = storage
        taken = sorted(set(card_extra or {}) & set(card))
        if taken:
            raise ValueError(f"card_extra holds {', '.join(taken)}, which the card has already")
        card.update(card_extra or {})
        text = json.dumps(card, indent=1, ensure_ascii=False)
        (partial / "card.json").write_text(text + "\n", encoding="utf-8")
        old = target.with_name(f".{target.name}.old.{os.getpid()}")
        if target.exists():
            target.rename(old)
        partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _simulated(recipe: TrainingRecipe, n: int) -> tuple[np.ndarray, np.ndarray]:
    batch = simulate(recipe.simulation, n, _CALIBRATION_SEED)
    inputs = network_input(
        np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size, recipe.grid
    )
    return inputs, batch.present


def _write_checked(
    network: torch.nn.Module, path: Path, inputs: np.ndarray, *, half: bool
) -> dict[str, Any]:
    """Write the network, in half precision if wanted and harmless; how, for the card."""
    _write_onnx(network, path, inputs[:2])
    with torch.no_grad():
        own = network(torch.as_tensor(inputs)).numpy()
    full = _logits(path, inputs)
    worst = float((np.abs(full - own) / np.maximum(np.abs(own), 1.0)).max(initial=0.0))
    if not worst <= _ARITHMETIC:
        raise ValueError(
            f"{path.name}: logits by ONNX Runtime differ from torch's by {worst:.2g}, more than "
            f"{_ARITHMETIC:g}; this network cannot be exported as it is"
        )
    if half:
        small = path.with_name("half.onnx")
        _halve(path, small)
        difference = float(np.abs(_logits(small, inputs) - full).max(initial=0.0))
        if difference <= _STORAGE:
            os.replace(small, path)
            return {"weights": "float16", "largest_logit_difference": difference}
        small.unlink()
    return {"weights": "float32", "largest_logit_difference": 0.0}


def _write_onnx(network: torch.nn.Module, path: Path, example: np.ndarray) -> None:
    with warnings.catch_warnings():
        # the exporter that needs no further package is called legacy
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.as_tensor(example),),
            str(path),
            input_names=["spectrum"],
            output_names=["logits"],
            dynamic_axes={"spectrum": {0: "n"}, "logits": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )


def _halve(path: Path, target: Path) -> None:
    """The network of one file with its weights in half precision, in another.

    They are widened when the session starts, which folds the constants: half the file, the
    arithmetic of single precision.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    kept, casts = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size > 64:
            small = numpy_helper.from_array(values.astype(np.float16), tensor.name + "_half")
            kept.append(small)
            casts.append(
                helper.make_node("Cast", [small.name], [tensor.name], to=TensorProto.FLOAT)
            )
        else:
            kept.append(tensor)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def _logits(path: Path, inputs: np.ndarray) -> np.ndarray:
    """Logits (n, n_elements) by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate(
        [
            session.run(None, {"spectrum": inputs[i : i + 256]})[0]
            for i in range(0, len(inputs), 256)
        ]
    )


def _card(
    recipe: TrainingRecipe,
    name: str,
    version: str,
    spectra: int,
    logits: np.ndarray,
    present: np.ndarray,
) -> dict[str, Any]:
    half = present.shape[0] // 2
    slope, intercept = platt(logits[:half], present[:half])
    probability = 1.0 / (1.0 + np.exp(-(slope * logits + intercept)))
    threshold = exact_threshold(present[:half], probability[:half])
    found = probability[half:] >= threshold
    precision, recall, f1 = weighted_scores(present[half:], found)
    return {
        "format": 1,
        "name": name,
        "version": version,
        "elements": list(ELEMENTS),
        "input": {"grid": recipe.grid.to_dict(), "channels": list(CHANNELS)},
        "threshold": threshold,
        "calibration": {"slope": slope, "intercept": intercept},
        "shift_average_ev": [0.0],
        "training": {
            "recipe": recipe.text,
            "recipe_sha256": recipe.sha256,
            "spectra_seen": spectra,
            "network": recipe.network,
            # every parameter of the forward model, which the recipe names by its base
            "simulation": recipe.simulation.to_dict(),
        },
        "scores": {
            "simulated": {
                "spectra": int(present.shape[0] - half),
                "precision": precision,
                "recall": recall,
                "f1": f1,
                "exact_match": exact_match_rate(present[half:], found),
            }
        },
    }
