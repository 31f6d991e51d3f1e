"""Our own network: a small residual CNN that keeps energy information.

The place of an edge is what tells elements apart, so nothing here averages over energy
before the last layers: a learned code for the place is added behind the stem, and the head
is dense over all positions. The convolutions are two-dimensional with a height of one, in
channels-last order: half again as fast in bf16 on a CPU as the one-dimensional ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coreloss.networks import register

__all__ = ["Compact"]


def _conv(before: int, after: int, kernel: int, *, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(
        before, after, (1, kernel), stride=(1, stride), padding=(0, padding), bias=False
    )


class _Block(nn.Module):
    """Two convolutions with batch norm and a shortcut."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels, kernel, padding=kernel // 2),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            _conv(channels, channels, kernel, padding=kernel // 2),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class _Down(nn.Sequential):
    """Halve the positions, change the channels."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            _conv(before, after, 4, stride=2, padding=1),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )


@register("compact")
class Compact(nn.Module):
    """Residual CNN with a strided stem, a position code and a dense head.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
        Input (n, n_channels_in, n_grid), output logits (n, n_elements); n_grid must be a
        multiple of 32.
    widths : sequence of int
        Channels of the four stages, at n_grid / 4, / 8, / 16 and / 32 positions.
    blocks : sequence of int
        Residual blocks of each stage.
    kernels : sequence of int
    head : (int, int)
        Channels kept per position in the head, and width of its hidden layer.
    dropout : float
    """

    def __init__(
        self,
        *,
        n_channels_in: int,
        n_grid: int,
        n_elements: int,
        widths: tuple[int, ...] = (64, 128, 192, 256),
        blocks: tuple[int, ...] = (1, 2, 2, 2),
        kernels: tuple[int, ...] = (7, 5, 5, 3),
        head: tuple[int, int] = (48, 512),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if n_grid % 32:
            raise ValueError(f"compact network needs a grid of a multiple of 32, not {n_grid}")
        self.stem = nn.Sequential(
            _conv(n_channels_in, widths[0], 16, stride=4, padding=6),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.place = nn.Parameter(0.1 * torch.randn(1, widths[0], 1, n_grid // 4))
        stages: list[nn.Module] = []
        for i, (width, number, kernel) in enumerate(zip(widths, blocks, kernels, strict=True)):
            if i:
                stages.append(_Down(widths[i - 1], width))
            stages.extend(_Block(width, kernel) for _ in range(number))
        self.stages = nn.Sequential(*stages)
        self.reduce = nn.Sequential(
            _conv(widths[-1], head[0], 1), nn.BatchNorm2d(head[0]), nn.ReLU()
        )
        positions = n_grid // 2 ** (1 + len(widths))
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(head[0] * positions, head[1]),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(head[1], n_elements),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        x = x[:, :, None, :].contiguous(memory_format=torch.channels_last)
        x = self.stem(x) + self.place
        x = self.reduce(self.stages(x))
        return self.head(torch.flatten(x, 1))
