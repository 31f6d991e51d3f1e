"""The CNN-BiLSTM of Kong, Ji & Xin, Sci. Rep. 12, 22183 (2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coreloss.networks import register
from coreloss.networks.inputs import CHANNELS
from coreloss.networks.layers import Dropout

__all__ = ["CNNBiLSTM"]


@register("cnn_bilstm")
class CNNBiLSTM(nn.Module):
    """Convolutions, a bidirectional LSTM along the energy axis, dense layers.

    From the paper's text: filters of size 11, batch norm after every convolution, ReLU and
    LeakyReLU of slope 0.01, one BiLSTM of 100 hidden units, 20 % dropout after each dense
    layer. Chosen here, as only its figure shows them: the number of convolutions and their
    widths; ReLU and LeakyReLU in turn; a first stride of 5 (to 1 eV) and max-pooling by 2, so
    that the recurrence runs over about a hundred steps instead of 4,550; all of its outputs,
    reduced to a few numbers a step, go to the dense layers, so that place stays explicit.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
    inputs : sequence of str
        Input channels (of ``coreloss.networks.inputs.CHANNELS``) that the network sees; all
        of them without it.
    widths : sequence of int
        Channels of the convolutions; each but the first is followed by max-pooling by 2.
    stride : int
        Of the first convolution.
    kernel : int
        Odd.
    hidden : int
        Hidden units of the LSTM, in each direction.
    reduced : int
        Numbers kept of each step's output.
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
        inputs: tuple[str, ...] = (),
        widths: tuple[int, ...] = (32, 64, 96, 128),
        stride: int = 5,
        kernel: int = 11,
        hidden: int = 100,
        reduced: int = 16,
        head: tuple[int, ...] = (256, 128),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if any(name not in CHANNELS for name in inputs):
            raise ValueError(f"inputs is {inputs}; choose from {', '.join(CHANNELS)}")
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; it must be odd")
        named = [CHANNELS.index(name) for name in inputs]
        self.rows = named or list(range(n_channels_in))
        layers: list[nn.Module] = []
        before, length = len(self.rows), n_grid
        for i, width in enumerate(widths):
            step = stride if i == 0 else 1
            layers += [
                nn.Conv2d(before, width, (1, kernel), (1, step), (0, kernel // 2), bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.01) if i % 2 else nn.ReLU(),
            ]
            length = (length - 1) // step + 1
            if i:
                layers.append(nn.MaxPool2d((1, 2)))
                length //= 2
            before = width
        if length < 1:
            raise ValueError(
                f"{len(widths)} convolutions leave nothing of a grid of {n_grid} channels"
            )
        self.convolutions = nn.Sequential(*layers)
        self.recurrence = nn.LSTM(before, hidden, batch_first=True, bidirectional=True)
        self.reduce = nn.Linear(2 * hidden, reduced)
        dense: list[nn.Module] = []
        before = reduced * length
        for i, width in enumerate(head):
            activation: nn.Module = nn.LeakyReLU(0.01) if i % 2 else nn.ReLU()
            dense += [nn.Linear(before, width), activation, Dropout(dropout)]
            before = width
        self.head = nn.Sequential(*dense, nn.Linear(before, n_elements))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        x = x[:, self.rows][:, :, None, :].contiguous(memory_format=torch.channels_last)
        steps = self.convolutions(x)[:, :, 0, :].transpose(1, 2)
        # single precision: the recurrence gains nothing from bfloat16 on a processor
        with torch.autocast(x.device.type, enabled=False):
            states, _ = self.recurrence(steps.float().contiguous())
        return self.head(torch.flatten(self.reduce(states), 1))
