"""Weights of a compact network for a wider one, which then says the same.

Each new channel is a copy of an old one, and what a channel and its copies send on is shared
among them (T. Chen, I. Goodfellow, J. Shlens, Net2Net, ICLR 2016). A little noise on the copies
lets training tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from coreloss.networks.compact import Compact

__all__ = ["widened"]


def widened(
    network: Compact, found: Mapping[str, Tensor], *, noise: float = 0.05, seed: int = 0
) -> dict[str, Tensor]:
    """What a compact network starts with from the weights of a narrower one.

    Parameters
    ----------
    network : Compact
        The wider network, of as many stages, blocks and kernels.
    found : mapping of str to Tensor
        The narrower network's state.
    noise : float
        Standard deviation of what is added to the weights of copies, over that of the weights.
    seed : int

    Raises
    ------
    ValueError
        If the other network is no narrower one of the same kind.
    """
    own = network.state_dict()
    if own.keys() != found.keys():
        raise ValueError("has other layers")
    random = torch.Generator().manual_seed(seed)

    def copies(name: str) -> Tensor:
        """Which old channel each new one of a layer's output repeats."""
        old, new = found[name].shape[0], own[name].shape[0]
        if new < old:
            raise ValueError(f"{name} has {old} channels, more than {new}")
        more = torch.randint(old, (new - old,), generator=random)
        return torch.cat([torch.arange(old), more])

    out: dict[str, Tensor] = {}

    def convolution(name: str, after: Tensor, before: Tensor | None) -> None:
        weight = found[name][after]
        if before is not None:
            weight = weight[:, before] / torch.bincount(before)[before][None, :, None, None]
        size = noise * found[name].std() * torch.randn(weight.shape, generator=random)
        copied = torch.arange(after.numel()) >= found[name].shape[0]
        out[name] = weight + size * copied[:, None, None, None]

    def norm(name: str, after: Tensor) -> None:
        for key in ("weight", "bias", "running_mean", "running_var"):
            out[f"{name}.{key}"] = found[f"{name}.{key}"][after]

    stream = copies("stem.0.weight")
    convolution("stem.0.weight", stream, None)
    norm("stem.1", stream)
    out["place"] = found["place"][:, stream]
    for number in range(len(network.stages)):
        stage = f"stages.{number}"
        if f"{stage}.body.0.weight" in own:
            inner = copies(f"{stage}.body.0.weight")
            convolution(f"{stage}.body.0.weight", inner, stream)
            norm(f"{stage}.body.1", inner)
            convolution(f"{stage}.body.3.weight", stream, inner)
            norm(f"{stage}.body.4", stream)
        else:
            after = copies(f"{stage}.0.weight")
            convolution(f"{stage}.0.weight", after, stream)
            norm(f"{stage}.1", after)
            stream = after
    kept = torch.arange(found["reduce.0.weight"].shape[0])
    convolution("reduce.0.weight", kept, stream)
    for key, value in found.items():  # counters, and all that is as wide as before
        out.setdefault(key, value)
    for key, value in out.items():
        if value.shape != own[key].shape:
            raise ValueError(f"{key} has the shape {tuple(found[key].shape)}, which does not fit")
    return out
