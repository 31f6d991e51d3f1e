"""The U-Net of Annys, Jannis & Verbeeck, Sci. Rep. 13, 13724 (2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coreloss.networks import register
from coreloss.networks.layers import Reduction, as_image, dense, he, same_conv

__all__ = ["UNet"]


def _step(before: int, after: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(same_conv(before, after, kernel), nn.ReLU(inplace=True))


@register("unet")
class UNet(nn.Module):
    """U-Net with a 1×1-convolution reduction and a dense head.

    Convolutions of kernel 32 with 16-32-64-128-256 channels, max-pooling by 2, concatenated
    skips, a 1×1 convolution to one channel, dense layers 3072-1536-768-384 with batch norm
    and dropout. One convolution at each level, one after each doubling of the length and one
    after each skip but the last give the published 19.8 million parameters at 3,072 channels
    and 80 elements.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
        n_grid must be a multiple of 16.
    widths : sequence of int
    kernel : int
    reduction : str
        'convolution', 'flatten', 'average' or 'sequence'; see `Reduction`.
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
        reduction: str = "convolution",
        head: tuple[int, ...] = (3072, 1536, 768, 384),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        factor = 2 ** (len(widths) - 1)
        if n_grid % factor:
            raise ValueError(f"U-Net needs a grid of a multiple of {factor}, not {n_grid}")
        before = (n_channels_in, *widths[:-1])
        self.down = nn.ModuleList(_step(a, b, kernel) for a, b in zip(before, widths, strict=True))
        self.pool = nn.MaxPool2d((1, 2))
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=(1, 2)), _step(deep, shallow, kernel))
            for deep, shallow in steps
        )
        self.merge = nn.ModuleList(_step(2 * width, width, kernel) for _, width in steps[:-1])
        self.reduce = Reduction(reduction, n_grid, 2 * widths[0], positive=True)
        self.head = nn.Sequential(
            nn.ReLU(),
            dense((self.reduce.size, *head), dropout),
            nn.Linear(head[-1], n_elements),
        )
        he(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        x = as_image(x)
        skips: list[Tensor] = []
        for i, step in enumerate(self.down):
            x = step(self.pool(x) if i else x)
            skips.append(x)
        for i, up in enumerate(self.up):
            x = torch.cat([skips[-2 - i], up(x)], dim=1)
            if i < len(self.merge):
                x = self.merge[i](x)
        return self.head(self.reduce(x[:, :, 0].transpose(1, 2)))
