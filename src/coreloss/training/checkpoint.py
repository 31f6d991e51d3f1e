"""Checkpoints: safetensors and JSON, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from coreloss.networks.compact import Compact
from coreloss.networks.widen import widened

__all__ = ["clear_partial", "latest", "load", "load_mean", "save", "state_of", "take_weights"]

_KEEP = 2


def latest(folder: Path) -> Path | None:
    """The newest checkpoint of a run, None where there is none."""
    found = sorted(folder.glob("checkpoint-*[0-9]"))
    return found[-1] if found else None


def state_of(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its run: ``spectra`` seen, scores, hash of the recipe, …

    Raises ValueError if that is damaged.
    """
    file = path / "state.json"
    try:
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        state["spectra"] + 0
    except (OSError, ValueError, KeyError, TypeError):
        raise _damaged(file, "it does not tell the state of the run") from None
    return state


def clear_partial(folder: Path) -> None:
    """Remove what a kill in the middle of a checkpoint or a file left behind."""
    for partial in folder.glob(".checkpoint-*"):
        shutil.rmtree(partial)
    for file in (*folder.glob(".recipe.toml.*.partial"), *folder.glob(".log.jsonl.*.partial")):
        file.unlink()


def save(
    folder: Path,
    spectra: int,
    network: nn.Module,
    mean: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    state: dict[str, Any],
) -> Path:
    """Write ``checkpoint-<spectra>`` and drop all but the last two.

    The files go to a temporary folder that is renamed when complete, so a kill at any
    moment leaves the earlier checkpoints as they were.
    """
    target = folder / f"checkpoint-{spectra:012d}"
    partial = folder / f".{target.name}.{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(
        {k: v.contiguous() for k, v in network.state_dict().items()},
        partial / "network.safetensors",
    )
    save_file({k: v.contiguous() for k, v in mean.items()}, partial / "mean.safetensors")
    moments = {
        f"{number}.{key}": torch.as_tensor(value).contiguous()
        for number, slots in optimiser.state_dict()["state"].items()
        for key, value in slots.items()
    }
    save_file(moments, partial / "optimiser.safetensors")
    (partial / "state.json").write_text(json.dumps({**state, "spectra": spectra}), encoding="utf-8")
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)
    for old in sorted(folder.glob("checkpoint-*[0-9]"))[:-_KEEP]:
        shutil.rmtree(old)
    return target


def load(
    path: Path,
    network: nn.Module,
    mean: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> dict[str, Any]:
    """Restore network, running mean and optimiser in place; return the saved state.

    Raises ValueError if the weights are those of another network, or damaged.
    """
    _take_all(path, "network.safetensors", network)
    for key, value in _read(path / "mean.safetensors").items():
        mean[key].copy_(value)
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _read(path / "optimiser.safetensors").items():
        number, key = name.split(".", 1)
        weight = weights[int(number)]
        if value.shape == weight.shape:
            # in the order of the weights in memory, by which fused optimisers go
            value = torch.empty_like(weight, dtype=value.dtype).copy_(value)
        slots.setdefault(int(number), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": slots, "param_groups": groups})
    return state_of(path)


def load_mean(paths: Sequence[Path], network: nn.Module) -> None:
    """Give a network the averaged weights of a checkpoint, or the mean of those of several.

    Raises ValueError as `load` does.
    """
    states = []
    for path in paths:
        _take_all(path, "mean.safetensors", network)
        states.append({k: v.clone() for k, v in network.state_dict().items()})
    network.load_state_dict(
        {
            key: torch.stack([state[key].double() for state in states]).mean(dim=0).to(last.dtype)
            for key, last in states[-1].items()
        }
    )


def _take_all(path: Path, name: str, network: nn.Module) -> None:
    try:
        network.load_state_dict(_read(path / name))
    except RuntimeError:
        raise ValueError(
            f"{path}: holds weights of another network than this version of coreloss builds "
            "from the recipe; train in a new folder"
        ) from None


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except FileNotFoundError:
        raise _damaged(file, "it is missing") from None
    except SafetensorError as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, how: object) -> ValueError:
    return ValueError(
        f"{file}: is damaged ({how}); remove its checkpoint, so that the one before is taken"
    )


def take_weights(path: Path, network: nn.Module, mean: dict[str, Tensor]) -> dict[str, Any]:
    """Start from the averaged weights of another run, as far as the networks are the same.

    Weights of other names or shapes keep their initial values; a compact network may be wider
    than the one it starts from, and begins as its equal (see `coreloss.networks.widen`).

    Returns
    -------
    dict
        ``spectra`` the weights had seen, those of runs before included, and ``kept_new``, the
        number of weight arrays that were not taken over.

    Raises
    ------
    ValueError
        If less than half of the weights fit, or a compact network is narrower, or wider and
        different in more than that, and for damaged files.
    """
    own = network.state_dict()
    found = _read(path / "mean.safetensors")
    # not by its first stage alone: a network may be wider behind the same stem
    convolutions = [k for k, v in own.items() if k.startswith("stages.") and v.ndim == 4]
    if isinstance(network, Compact) and any(
        own[k].shape[:2] != found[k].shape[:2] for k in convolutions if k in found
    ):
        try:
            found = widened(network, found)
        except ValueError as error:
            raise ValueError(
                f"{path}: its network cannot be widened to this one ({error}); start from a "
                "narrower run with the same stages and blocks"
            ) from None
    fitting = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
    if 2 * len(fitting) < len(own):
        raise ValueError(
            f"{path}: holds weights of another network ({len(fitting)} of {len(own)} arrays fit); "
            "start from a run of the same architecture"
        )
    network.load_state_dict(fitting, strict=False)
    for key, value in network.state_dict().items():
        mean[key].copy_(value)
    state = state_of(path)
    spectra = state["spectra"] + state.get("start", {}).get("spectra", 0)
    return {"spectra": spectra, "kept_new": len(own) - len(fitting)}
