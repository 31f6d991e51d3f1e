"""The vision transformer of Annys, Jannis & Verbeeck, Sci. Rep. 13, 13724 (2023)."""

from __future__ import annotations

from torch import Tensor, nn

from coreloss.networks import register
from coreloss.networks.layers import Dropout
from coreloss.networks.transformer import Transformer, glorot

__all__ = ["ViT"]


@register("vit")
class ViT(nn.Module):
    """Transformer over overlapping patches of a spectrum.

    Patches of 16 channels, one every 8, are projected to a width of 128; eight blocks of 16
    heads of 16; a 1×1 convolution over the width leaves one number a patch; dense layers
    512-256-128: 2.0 million parameters at 3,072 channels and 80 elements.

    Parameters
    ----------
    n_channels_in, n_grid, n_elements : int
    patch, stride : int
        Channels of a patch, and from one patch to the next.
    width, blocks, heads, head_size, hidden : int
        ``hidden`` is the width inside the dense part of a block.
    reduction : str
        'convolution', 'flatten', 'average', 'sequence' or 'token'; see `Transformer`.
    head : sequence of int
        Widths of the dense layers.
    dropout, attention_dropout : float
        See `Transformer`: training on a CPU is up to twice as fast without the second.
    """

    def __init__(
        self,
        *,
        n_channels_in: int,
        n_grid: int,
        n_elements: int,
        patch: int = 16,
        stride: int = 8,
        width: int = 128,
        blocks: int = 8,
        heads: int = 16,
        head_size: int = 16,
        hidden: int = 256,
        reduction: str = "convolution",
        head: tuple[int, ...] = (512, 256, 128),
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if n_grid < patch:
            raise ValueError(f"ViT has patches of {patch} channels, the grid only {n_grid}")
        self.patches = nn.Conv1d(n_channels_in, width, patch, stride=stride)
        self.body = Transformer(
            (n_grid - patch) // stride + 1,
            width,
            blocks=blocks,
            heads=heads,
            head_size=head_size,
            hidden=hidden,
            dropout=dropout,
            attention_dropout=attention_dropout,
            reduction=reduction,
        )
        sizes = (self.body.size, *head)
        layers: list[nn.Module] = []
        for a, b in zip(sizes, head, strict=False):
            layers += [Dropout(dropout), nn.Linear(a, b), nn.GELU()]
        self.head = nn.Sequential(*layers, nn.Linear(sizes[-1], n_elements))
        glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (n, n_elements)."""
        return self.head(self.body(self.patches(x).transpose(1, 2)))
