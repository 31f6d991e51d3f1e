"""The convolutional network of Annys, Jannis & Verbeeck, Sci. Rep. 13, 13724 (2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coreloss.networks import register
from coreloss.networks.layers import Dropout, Reduction, as_image, he, same_conv

__all__ = ["CNN"]


@register("cnn")
class CNN(nn.Module):
    """VGG-11 (Simonyan & Zisserman 2015) in one dimension, with kernel 32.

    Eight convolutions of 64-128-256-256-512-512-512-512 channels, a max-pooling by 2 after
    the first, second, fourth, sixth and eighth, flattened into two dense layers of 256 with
    dropout: 45.5 million parameters at 3,072 channels and 80 elements. The paper normalises
    in every network, its public code not in this one; ``batch_norm`` chooses.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
        n_grid must be a multiple of 32 (2 to the number of stages).
    widths : sequence of sequences of int
        Channels of the convolutions of each stage, which a max-pooling ends.
    kernel : int
    batch_norm : bool
    reduction : str
        'flatten', 'convolution', 'average' or 'sequence'; see `Reduction`.
    head : sequence of int
        Widths of the dense layers.
    dropout : float
    """

    def __init__(
        self,
        *,
        n_channels_in: int,
        n_grid: int,
        n_elements: int,
        widths: tuple[tuple[int, ...], ...] = ((64,), (128,), (256, 256), (512, 512), (512, 512)),
        kernel: int = 32,
        batch_norm: bool = True,
        reduction: str = "flatten",
        head: tuple[int, ...] = (256, 256),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        factor = 2 ** len(widths)
        if n_grid % factor:
            raise ValueError(f"CNN needs a grid of a multiple of {factor}, not {n_grid}")
        layers: list[nn.Module] = []
        before = n_channels_in
        for stage in widths:
            for width in stage:
                layers += [
                    same_conv(before, width, kernel, norm=batch_norm),
                    nn.ReLU(inplace=True),
                ]
                before = width
            layers.append(nn.MaxPool2d((1, 2)))
        self.body = nn.Sequential(*layers)
        self.reduce = Reduction(reduction, n_grid // factor, before)
        sizes = (self.reduce.size, *head)
        ends: list[nn.Module] = []
        for a, b in zip(sizes, head, strict=False):
            ends += [Dropout(dropout), nn.Linear(a, b), nn.ReLU(inplace=True)]
        self.head = nn.Sequential(*ends, nn.Linear(sizes[-1], n_elements))
        he(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        x = self.body(as_image(x))
        return self.head(self.reduce(x[:, :, 0].transpose(1, 2)))
