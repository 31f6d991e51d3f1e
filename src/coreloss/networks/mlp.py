"""The multilayer perceptron of Annys, Jannis & Verbeeck, Sci. Rep. 13, 13724 (2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coreloss.networks import register
from coreloss.networks.layers import dense, he

__all__ = ["MLP"]


@register("mlp")
class MLP(nn.Module):
    """Dense layers 6144-3072-3072-1536-1536-768-384 with batch norm, ReLU and dropout.

    55.8 million parameters at 3,072 channels of one kind and 80 elements.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
    widths : sequence of int
    dropout : float
    """

    def __init__(
        self,
        *,
        n_channels_in: int,
        n_grid: int,
        n_elements: int,
        widths: tuple[int, ...] = (6144, 3072, 3072, 1536, 1536, 768, 384),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.body = dense((n_channels_in * n_grid, *widths), dropout)
        self.head = nn.Linear(widths[-1], n_elements)
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        return self.head(self.body(torch.flatten(x, 1)))
