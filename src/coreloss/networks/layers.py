"""What several architectures are made of: convolutions, dense layers, reductions."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["REDUCTIONS", "Reduction", "as_image", "dense", "same_conv"]

#: Ways from features at every place to one vector, compared by Annys et al. 2023; the class
#: token of transformers is the fifth.
REDUCTIONS = ("convolution", "flatten", "average", "sequence")


def as_image(x: Tensor) -> Tensor:
    """(n, channels, grid) as (n, channels, 1, grid) in channels-last order.

    Convolutions over it are half again as fast in bf16 on a CPU as one-dimensional ones.
    """
    return x[:, :, None, :].contiguous(memory_format=torch.channels_last)


def same_conv(
    before: int, after: int, kernel: int, *, stride: int = 1, norm: bool = True
) -> nn.Sequential:
    """Convolution along the grid that keeps its length (over ``stride``), with batch norm."""
    layers: list[nn.Module] = [
        # an even kernel needs one more channel of padding on one side
        nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0)),
        nn.Conv2d(before, after, (1, kernel), stride=(1, stride), bias=not norm),
    ]
    if norm:
        layers.append(nn.BatchNorm2d(after))
    return nn.Sequential(*layers)


def dense(sizes: tuple[int, ...], dropout: float) -> nn.Sequential:
    """Dense layers with batch norm and ReLU, dropout between them; the last stays without."""
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        if i:
            layers.append(nn.Dropout(dropout))
        layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Reduction(nn.Module):
    """Features (n, places, width) to one vector (n, ``size``).

    Parameters
    ----------
    kind : str
        'convolution' (1×1, width to one: a vector of places), 'flatten', 'average' over the
        places, 'sequence' (sequence pooling: a weighted sum over the places, weights by
        softmax; Hassani et al. 2021).
    places, width : int
    positive : bool
        Begin with positive weights: behind features that are not negative and before a ReLU,
        half of all random beginnings of 'convolution' would give zeros and never learn.

    Raises
    ------
    ValueError
        For another kind.
    """

    def __init__(self, kind: str, places: int, width: int, *, positive: bool = False) -> None:
        super().__init__()
        if kind not in REDUCTIONS:
            raise ValueError(f"reduction is {kind!r}; choose one of {', '.join(REDUCTIONS)}")
        self.kind = kind
        self.size = {"convolution": places, "flatten": places * width}.get(kind, width)
        if kind in ("convolution", "sequence"):
            self.weigh = nn.Linear(width, 1)
            if positive:
                with torch.no_grad():
                    self.weigh.weight.abs_()
                    self.weigh.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "convolution":
            return torch.flatten(self.weigh(x), 1)
        if self.kind == "flatten":
            return torch.flatten(x, 1)
        if self.kind == "average":
            return x.mean(dim=1)
        weight = torch.softmax(self.weigh(x), dim=1)
        return (weight * x).sum(dim=1)
