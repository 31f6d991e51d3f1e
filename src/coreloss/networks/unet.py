"""The U-Net of Annys, Jannis & Verbeeck, Sci. Rep. 13, 13724 (2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coreloss.networks import register

__all__ = ["UNet"]


def _conv(before: int, after: int, kernel: int) -> nn.Sequential:
    """Convolution with batch norm and ReLU; the length stays."""
    return nn.Sequential(
        # an even kernel needs one more channel of padding on one side
        nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0)),
        nn.Conv2d(before, after, (1, kernel), bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


@register("unet")
class UNet(nn.Module):
    """U-Net with a 1×1-convolution reduction and a dense head.

    Convolutions of kernel 32 with 16-32-64-128-256 channels, max-pooling by 2, concatenated
    skips, a 1×1 convolution to one channel, dense layers 3072-1536-768-384 with dropout.
    One convolution at each level, one after each doubling of the length and one after each
    skip give the published 19.8 million parameters at 3,072 channels and 80 elements.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
        n_grid must be a multiple of 16.
    widths : sequence of int
    kernel : int
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
        widths: tuple[int, ...] = (16, 32, 64, 128, 256),
        kernel: int = 32,
        head: tuple[int, ...] = (3072, 1536, 768, 384),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        factor = 2 ** (len(widths) - 1)
        if n_grid % factor:
            raise ValueError(f"U-Net needs a grid of a multiple of {factor}, not {n_grid}")
        before = (n_channels_in, *widths[:-1])
        self.down = nn.ModuleList(_conv(a, b, kernel) for a, b in zip(before, widths, strict=True))
        self.pool = nn.MaxPool2d((1, 2))
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=(1, 2)), _conv(deep, shallow, kernel))
            for deep, shallow in steps
        )
        self.merge = nn.ModuleList(_conv(2 * shallow, shallow, kernel) for _, shallow in steps)
        self.reduce = nn.Conv2d(widths[0], 1, 1)
        sizes = (n_grid, *head)
        layers: list[nn.Module] = []
        for a, b in zip(sizes, head, strict=False):
            layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(sizes[-1], n_elements))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        x = x[:, :, None, :].contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for i, step in enumerate(self.down):
            x = step(self.pool(x) if i else x)
            skips.append(x)
        for i, (up, merge) in enumerate(zip(self.up, self.merge, strict=True)):
            x = merge(torch.cat([skips[-2 - i], up(x)], dim=1))
        return self.head(torch.flatten(self.reduce(x), 1))
