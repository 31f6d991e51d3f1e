"""Checkpoints: safetensors and JSON, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

__all__ = ["clear_partial", "latest", "load", "save", "take_weights"]

_KEEP = 2


def latest(folder: Path) -> Path | None:
    """The newest checkpoint of a run, None where there is none."""
    found = sorted(folder.glob("checkpoint-*[0-9]"))
    return found[-1] if found else None


def clear_partial(folder: Path) -> None:
    """Remove what a kill in the middle of `save` left behind."""
    for partial in folder.glob(".checkpoint-*"):
        shutil.rmtree(partial)


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

    Raises ValueError if the weights are those of another network.
    """
    try:
        network.load_state_dict(load_file(path / "network.safetensors"))
    except RuntimeError:
        raise ValueError(
            f"{path}: holds weights of another network than this version of coreloss builds "
            "from the recipe; train in a new folder"
        ) from None
    for key, value in load_file(path / "mean.safetensors").items():
        mean[key].copy_(value)
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in load_file(path / "optimiser.safetensors").items():
        number, key = name.split(".", 1)
        slots.setdefault(int(number), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": slots, "param_groups": groups})
    state: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    return state


def take_weights(path: Path, network: nn.Module, mean: dict[str, Tensor]) -> dict[str, Any]:
    """Start from the averaged weights of another run, as far as the networks are the same.

    Weights of other names or shapes keep their initial values.

    Returns
    -------
    dict
        ``spectra`` the weights had seen, those of runs before included, and ``kept_new``, the
        number of weight arrays that were not taken over.

    Raises
    ------
    ValueError
        If less than half of the weights fit.
    """
    own = network.state_dict()
    found = load_file(path / "mean.safetensors")
    fitting = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
    if 2 * len(fitting) < len(own):
        raise ValueError(
            f"{path}: holds weights of another network ({len(fitting)} of {len(own)} arrays fit); "
            "start from a run of the same architecture"
        )
    network.load_state_dict(fitting, strict=False)
    for key, value in network.state_dict().items():
        mean[key].copy_(value)
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    spectra = state["spectra"] + state.get("start", {}).get("spectra", 0)
    return {"spectra": spectra, "kept_new": len(own) - len(fitting)}
