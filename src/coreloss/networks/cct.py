"""The compact convolutional transformer of Annys et al., Sci. Rep. 13, 13724 (2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coreloss.networks import register
from coreloss.networks.layers import as_image, he
from coreloss.networks.long_convolution import LongConv
from coreloss.networks.transformer import Transformer, glorot

__all__ = ["CCT"]


@register("cct")
class CCT(nn.Module):
    """Transformer (Hassani et al. 2021) over what three convolutions make of a spectrum.

    Convolutions of 32, 64 and 128 channels with kernel 32, each with ReLU and a max-pooling
    by 2; learned positions; eight blocks of 8 heads of 128; sequence pooling: 5.1 million
    parameters at 3,072 channels and 80 elements.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
    widths : sequence of int
        Channels of the convolutions; the last is the width of the transformer.
    kernel : int
    blocks, heads, head_size, hidden : int
        ``hidden`` is the width inside the dense part of a block.
    reduction : str
        'sequence', 'convolution', 'flatten', 'average' or 'token'; see `Transformer`.
    dropout, attention_dropout : float
        See `Transformer`: training on a CPU is up to twice as fast without the second.
    """

    def __init__(
        self,
        *,
        n_channels_in: int,
        n_grid: int,
        n_elements: int,
        widths: tuple[int, ...] = (32, 64, 128),
        kernel: int = 32,
        blocks: int = 8,
        heads: int = 8,
        head_size: int = 128,
        hidden: int = 256,
        reduction: str = "sequence",
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, places = n_channels_in, n_grid
        for width in widths:
            # no padding: each convolution shortens the record by its kernel less one
            layers += [
                LongConv(before, width, kernel, bias=False),
                nn.ReLU(inplace=True),
                nn.MaxPool2d((1, 2)),
            ]
            before, places = width, (places - kernel + 1) // 2
        if places < 1:
            raise ValueError(
                f"CCT has {len(widths)} convolutions of kernel {kernel}, too many for a grid of "
                f"{n_grid} channels"
            )
        self.tokens = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.body = Transformer(
            places,
            before,
            blocks=blocks,
            heads=heads,
            head_size=head_size,
            hidden=hidden,
            dropout=dropout,
            attention_dropout=attention_dropout,
            reduction=reduction,
        )
        self.head = nn.Linear(self.body.size, n_elements)
        he(self.tokens)
        glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        x = self.tokens(as_image(x))
        return self.head(self.body(x[:, :, 0].transpose(1, 2)))
