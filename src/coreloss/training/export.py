"""From a checkpoint to a model bundle: ONNX network and card, in one directory."""

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.fusion import fuse_linear_bn_eval

from coreloss.networks.compact import Compact
from coreloss.networks.packing import pack
from coreloss.networks.session import open_session, run_network
from coreloss.training import checkpoint
from coreloss.training.calibration import scored
from coreloss.training.loop import build_network
from coreloss.training.recipe import TrainingRecipe, load_training_recipe
from coreloss.training.source import open_source
from coreloss.training.writing import bundle_folder, check_target, write_card

__all__ = ["export_all", "export_bundle"]

_CHECKED = 512  # spectra on which networks are compared
# logits by ONNX Runtime may differ from torch's by this, relative to one or their size; of deep
# networks by so many times what single precision itself does to them …
_ARITHMETIC, _ROUNDING = 1e-3, 4.0
# … and weights stored in half precision may change probabilities by this
_STORAGE = 5e-3


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
    with_weights_of: Sequence[str | Path] = (),
) -> Path:
    """Write the newest checkpoint of a training run as a model bundle.

    The averaged weights go into ``model.onnx``, batch norm folded into the layers before it.
    Calibration and threshold are set on newly simulated spectra, and the scores of the card
    are those on others.

    Parameters
    ----------
    run_dir : path
        Output directory of `train`; that of an ensemble gives the bundle of the ensemble.
    bundle_dir : path
        Directory to write; the last part of the path need not be the model's name.
    name, version : str
    calibration_spectra : int
        Simulated, or of the second half of a data set's validation split; calibration is on
        the first half of them, scores on the second.
    half : bool
        Store weights in half precision if that changes no probability by more than 0.005.
    card_extra : mapping, optional
        Further entries of the card.
    force : bool
        Replace an existing bundle.
    with_weights_of : sequence of path, optional
        Further runs, of which one began with the weights of the other: the weights are the mean
        of all of theirs (Wortsman et al., Proc. Mach. Learn. Res. 162, 23965 (2022)).

    Raises
    ------
    FileNotFoundError
        If the run has no checkpoint, or no ``recipe.toml``.
    FileExistsError
        If the bundle exists and ``force`` is false.
    ValueError
        If the checkpoint is of another network than the recipe's, or damaged, the ONNX network
        does not give the logits of the torch one, or ``card_extra`` would replace an entry of
        the card; an existing bundle then stays as it was.
    """
    run, target = Path(run_dir), Path(bundle_dir)
    if (run / "recipe.toml").is_file():
        ensemble = load_training_recipe(run / "recipe.toml")
        if ensemble.members:
            if with_weights_of:
                raise ValueError(f"{run}: is a run of an ensemble; give runs of one network")
            return _export_members(
                ensemble,
                run,
                target,
                force,
                half,
                {
                    "name": name,
                    "version": version,
                    "calibration_spectra": calibration_spectra,
                    "card_extra": card_extra,
                },
            )
    checkpoints = []
    for each in (*map(Path, with_weights_of), run):
        newest = checkpoint.latest(each)
        if newest is None:
            raise FileNotFoundError(f"{each}: holds no checkpoint; train first")
        checkpoints.append(newest)
    check_target(target, force)
    if not (run / "recipe.toml").is_file():
        raise FileNotFoundError(
            f"{run}: holds no recipe.toml, which tells its network; "
            "'coreloss train' with its recipe and --resume puts it back"
        )
    recipe = load_training_recipe(run / "recipe.toml")
    network = build_network(recipe)
    checkpoint.load_mean(checkpoints, network)
    network.eval()
    states = [checkpoint.state_of(each) for each in checkpoints]

    with bundle_folder(target, force) as partial:
        records = open_source(recipe, "cpu").calibration(calibration_spectra)
        inputs, present = records.inputs(recipe).numpy(), records.present
        storage = _write_checked(network, partial / "model.onnx", inputs[:_CHECKED], half=half)
        logits = _logits(partial / "model.onnx", inputs)
        card = _card(recipe, name, version, states, logits, present)
        write_card(partial, {**card, "storage": storage}, card_extra)
    return target


def export_all(
    sources: Sequence[str | Path],
    bundle_dir: str | Path,
    *,
    name: str = "default",
    version: str = "1",
    calibration_spectra: int = 8192,
    force: bool = False,
    mean_weights: bool = False,
) -> Path:
    """One bundle of a run, or an ensemble's of several runs and bundles.

    With ``mean_weights`` several runs give one network, the last run's recipe with the mean of
    their weights. Other parameters and errors as in `export_bundle` and
    `coreloss.training.combine_bundles`.
    """
    options: dict[str, Any] = {
        "name": name,
        "version": version,
        "calibration_spectra": calibration_spectra,
        "force": force,
    }
    if len(sources) == 1 or mean_weights:
        return export_bundle(sources[-1], bundle_dir, with_weights_of=sources[:-1], **options)
    from coreloss.training.ensemble import combine_bundles

    target = Path(bundle_dir)
    check_target(target, force)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".members-", dir=target.parent) as place:
        members = []
        for number, source in enumerate(map(Path, sources), start=1):
            if (source / "card.json").is_file():
                members.append(source)
            else:
                members.append(Path(place) / str(number))
                export_bundle(source, members[-1], **{**options, "name": f"{name}-{number}"})
        return combine_bundles(members, target, **options)


def _export_members(
    recipe: TrainingRecipe,
    run: Path,
    target: Path,
    force: bool,
    half: bool,
    options: dict[str, Any],
) -> Path:
    """The bundle of an ensemble's run: each member exported by itself, then combined."""
    from coreloss.training.ensemble import combine_bundles, member_folders

    check_target(target, force)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".members-", dir=target.parent) as place:
        members = []
        for folder in member_folders(recipe, run):
            members.append(Path(place) / folder.name)
            export_bundle(
                folder,
                members[-1],
                name=f"{options['name']}-{folder.name}",
                version=options["version"],
                calibration_spectra=options["calibration_spectra"],
                half=half,
            )
        # of a run on files the mean is calibrated on them, as its members are
        source = open_source(recipe, "cpu") if recipe.data.folder else None
        return combine_bundles(members, target, force=force, source=source, **options)


def _difference(logits: np.ndarray, expected: np.ndarray) -> float:
    """The largest, relative to one or the size of what is expected."""
    return float((np.abs(logits - expected) / np.maximum(np.abs(expected), 1.0)).max(initial=0.0))


def _write_checked(
    network: torch.nn.Module, path: Path, inputs: np.ndarray, *, half: bool
) -> dict[str, Any]:
    """Write the network, in half precision if wanted and harmless; how, for the card."""
    _write_onnx(network, path, inputs[:2])
    with torch.no_grad():
        own = network(torch.as_tensor(inputs)).numpy()
    full = _logits(path, inputs)
    worst, most = _difference(full, own), _ARITHMETIC
    if not worst <= most:
        # one spectrum at a time: long convolutions in double precision take gigabytes
        with torch.no_grad():
            double, spectra = copy.deepcopy(network).double(), torch.as_tensor(inputs).double()
            exact = np.concatenate([double(one).numpy() for one in spectra.split(1)])
        most = max(most, _ROUNDING * _difference(own, exact))
    if not worst <= most:
        raise ValueError(
            f"{path.name}: logits by ONNX Runtime differ from torch's by {worst:.2g}, more than "
            f"{most:.2g}; this network cannot be exported as it is"
        )
    if half:
        small = path.with_name("half.onnx")
        _halve(path, small)
        change = np.abs(_sigmoid(_logits(small, inputs)) - _sigmoid(full))
        difference = float(change.max(initial=0.0))
        if difference <= _STORAGE:
            os.replace(small, path)
            return {"weights": "float16", "largest_probability_difference": difference}
        small.unlink()
    return {"weights": "float32", "largest_probability_difference": 0.0}


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0))))


def _folded(network: torch.nn.Module) -> torch.nn.Module:
    """A copy with batch norm behind dense layers folded into them; the exporter folds that
    behind convolutions itself."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, torch.nn.Sequential):
            for i, (layer, norm) in enumerate(list(pairwise(module))):
                if isinstance(layer, torch.nn.Linear) and isinstance(norm, torch.nn.BatchNorm1d):
                    module[i] = fuse_linear_bn_eval(layer, norm)
                    module[i + 1] = torch.nn.Identity()
    return network


def _write_onnx(network: torch.nn.Module, path: Path, example: np.ndarray) -> None:
    network = _folded(network)
    given: tuple[torch.Tensor, ...] = (torch.as_tensor(example),)
    axes = {"spectrum": {0: "n"}}
    if isinstance(network, Compact):
        # it computes what was recorded, in rows that records share
        plan = pack(np.ones((len(example), network.units), dtype=bool))
        network = network.for_export()
        given = (*given, torch.as_tensor(plan.unit), torch.as_tensor(plan.source))
        axes = {
            "spectrum": {0: "rows", 2: "length"},
            "unit": {0: "units"},
            "source": {0: "sources"},
        }
    with warnings.catch_warnings():
        # the exporter that needs no further package is called legacy
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            given,
            str(path),
            input_names=list(axes),
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "n"}},
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
    session = open_session(path)
    return np.concatenate(
        [run_network(session, inputs[i : i + 256]) for i in range(0, len(inputs), 256)]
    )


def _card(
    recipe: TrainingRecipe,
    name: str,
    version: str,
    states: list[dict[str, Any]],
    logits: np.ndarray,
    present: np.ndarray,
) -> dict[str, Any]:
    state = max(states, key=_seen)  # of a mean, that which went farthest
    before = int(state.get("start", {}).get("spectra", 0))
    several = {"mean_of_weights_at": [_seen(s) for s in states]} if len(states) > 1 else {}
    other = recipe.mixture.simulation
    mixture = {"share": recipe.mixture.share, "simulation": other.to_dict()} if other else {}
    return {
        "format": 1,
        "name": name,
        "version": version,
        "elements": list(recipe.simulation.elements),
        "input": {"grid": recipe.grid.to_dict(), "channels": list(recipe.channels)},
        **scored(logits, present),
        "shift_average_ev": [0.0],
        "training": {
            "recipe": recipe.text,
            "recipe_sha256": recipe.sha256,
            "spectra_seen": _seen(state),
            # of which with earlier runs, whose weights the last run began with
            "spectra_of_earlier_runs": before,
            **several,
            "network": recipe.network,
            # every parameter of the forward models, which the recipe names by their base
            "simulation": recipe.simulation.to_dict(),
            **({"mixture": mixture} if mixture else {}),
        },
    }


def _seen(state: dict[str, Any]) -> int:
    """Spectra of a run and of those before it."""
    return int(state["spectra"]) + int(state.get("start", {}).get("spectra", 0))
