"""Transformer blocks (Vaswani et al. 2017), normalised before each part."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from coreloss.networks.layers import REDUCTIONS, Dropout, Reduction, dropped

__all__ = ["Transformer", "glorot"]


# on a CPU, plain products are faster than the fused kernel in these (a training step of ViT or
# CCT takes half as long, measured with freed memory kept), but not in fp32
_PLAIN_ON_CPU = frozenset({torch.bfloat16})
# a softmax over so many places more is faster than one that ends within a vector register
_REGISTER = 32


def _plain(query: Tensor, key: Tensor, value: Tensor, dropout_p: float) -> Tensor:
    """Attention, (n, heads, places, size), by products."""
    places = query.shape[-2]
    short = -places % _REGISTER
    key, value = pad(key, (0, 0, 0, short)), pad(value, (0, 0, 0, short))
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    scores[..., places:] = -torch.inf
    return dropped(torch.softmax(scores, dim=-1), dropout_p) @ value


class _Attention(nn.Module):
    """Multi-head self-attention; heads of a size of their own."""

    def __init__(self, width: int, heads: int, head_size: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_size, self.dropout = heads, head_size, dropout
        self.inwards = nn.Linear(width, 3 * heads * head_size)
        self.outwards = nn.Linear(heads * head_size, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inwards(x)
        # on a CPU the fused kernel knows no dropout and falls back to something slower
        dropout = self.dropout if self.training else 0.0
        if x.is_cuda or not (dropout or x.dtype in _PLAIN_ON_CPU):
            return self.outwards(self._mixed(x, scaled_dot_product_attention, dropout))
        # one spectrum at a time: all its weights stay in a core's cache
        return self.outwards(torch.cat([self._mixed(one, _plain, dropout) for one in x.split(1)]))

    def first_weights(self) -> None:
        """Uniform first weights within the limits of Keras's attention."""
        width, units = self.outwards.out_features, self.outwards.in_features
        size = units // self.heads
        for layer, inputs, outputs in (
            (self.inwards, self.heads * width, size * width),
            (self.outwards, units, self.heads * width),
        ):
            limit = math.sqrt(6.0 / (inputs + outputs))
            nn.init.uniform_(layer.weight, -limit, limit)

    def _mixed(self, x: Tensor, attention: Callable[..., Tensor], dropout: float) -> Tensor:
        n, places, _ = x.shape
        parts = x.view(n, places, 3, self.heads, self.head_size)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attention(query, key, value, dropout_p=dropout)
        return mixed.transpose(1, 2).reshape(n, places, -1)


def glorot(network: nn.Module) -> None:
    """Random first weights of a transformer by Glorot & Bengio 2010, uniform; no biases.

    As in the public code of Annys et al.: Keras counts the units of attention's weights, which
    have three axes there, as those of a convolution, so that they begin smaller.
    """
    for layer in network.modules():
        # patches are a dense layer, written as a convolution with one output each
        if isinstance(layer, (nn.Linear, nn.Conv1d)):
            nn.init.xavier_uniform_(layer.weight.flatten(1))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in network.modules():
        if isinstance(layer, _Attention):
            layer.first_weights()


class _Block(nn.Module):
    def __init__(
        self,
        width: int,
        heads: int,
        head_size: int,
        hidden: int,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6), _Attention(width, heads, head_size, attention_dropout)
        )
        self.dense = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, hidden),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(hidden, width),
            nn.GELU(),
            Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.dense(x)


class Transformer(nn.Module):
    """Tokens (n, places, width) to one vector (n, ``size``): positions, blocks, reduction.

    Parameters
    ----------
    places, width, blocks, heads, head_size, hidden : int
    dropout, attention_dropout : float
        Of the dense parts and of the attention's weights; the second rules out the fused
        kernel on a CPU.
    reduction : str
        Of `Reduction`, or 'token': a learned token goes through the blocks with the others,
        and is what is kept.
    """

    def __init__(
        self,
        places: int,
        width: int,
        *,
        blocks: int,
        heads: int,
        head_size: int,
        hidden: int,
        dropout: float,
        attention_dropout: float,
        reduction: str,
    ) -> None:
        super().__init__()
        if reduction not in (*REDUCTIONS, "token"):
            raise ValueError(
                f"reduction is {reduction!r}; choose one of {', '.join(REDUCTIONS)}, token"
            )
        token = reduction == "token"
        # as small as in the public code of Annys et al.: faint counts are smaller still
        self.place = nn.Parameter(torch.empty(1, places + token, width).uniform_(-0.05, 0.05))
        self.blocks = nn.Sequential(
            *(
                _Block(width, heads, head_size, hidden, dropout, attention_dropout)
                for _ in range(blocks)
            )
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.token = nn.Parameter(torch.zeros(1, 1, width)) if token else None
        self.reduce = None if token else Reduction(reduction, places, width)
        self.size = width if self.reduce is None else self.reduce.size

    def forward(self, x: Tensor) -> Tensor:
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        x = self.norm(self.blocks(x + self.place))
        return x[:, 0] if self.reduce is None else self.reduce(x)
