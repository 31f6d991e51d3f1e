"""The residual network of Annys, Jannis & Verbeeck, Sci. Rep. 13, 13724 (2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from coreloss.networks import register
from coreloss.networks.layers import Reduction, as_image, he, same_conv

__all__ = ["ResNet"]


class _Block(nn.Module):
    """Two convolutions with a shortcut that has no weights.

    Where the channels double, the shortcut takes every second place and zeros for the
    channels that are new, as many on either side (option A of He et al. 2016).
    """

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        self.stride = 1 if before == after else 2
        self.new = after - before
        self.body = nn.Sequential(
            same_conv(before, after, kernel, stride=self.stride),
            nn.ReLU(inplace=True),
            same_conv(after, after, kernel),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.stride > 1:
            x = pad(x[..., ::2], (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))
        return torch.relu(x + y)


@register("resnet")
class ResNet(nn.Module):
    """Sixteen residual blocks of 16 to 512 channels with kernel 32.

    40.6 million parameters at 3,072 channels and 80 elements.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
        n_grid must be a multiple of 32 (2 to the number of doublings).
    widths, blocks : sequence of int
        Channels of each stage and its residual blocks; ascending.
    kernel : int
    reduction : str
        'convolution', 'flatten', 'average' or 'sequence'; see `Reduction`.
    """

    def __init__(
        self,
        *,
        n_channels_in: int,
        n_grid: int,
        n_elements: int,
        widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512),
        blocks: tuple[int, ...] = (2, 3, 4, 3, 2, 2),
        kernel: int = 32,
        reduction: str = "convolution",
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks) or list(widths) != sorted(set(widths)):
            raise ValueError(
                f"ResNet has widths {widths} and blocks {blocks}; as many of both are needed, "
                "the widths ascending"
            )
        factor = 2 ** (len(widths) - 1)
        if n_grid % factor:
            raise ValueError(f"ResNet needs a grid of a multiple of {factor}, not {n_grid}")
        self.stem = nn.Sequential(same_conv(n_channels_in, widths[0], kernel), nn.ReLU())
        layers: list[nn.Module] = []
        before = widths[0]
        for width, number in zip(widths, blocks, strict=True):
            for _ in range(number):
                layers.append(_Block(before, width, kernel))
                before = width
        self.body = nn.Sequential(*layers)
        self.reduce = Reduction(reduction, n_grid // factor, before, positive=True)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(self.reduce.size, n_elements))
        he(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        x = self.body(self.stem(as_image(x)))
        return self.head(self.reduce(x[:, :, 0].transpose(1, 2)))
