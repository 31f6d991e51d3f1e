"""Convolutions with long kernels by way of their discrete Fourier transforms.

A kernel of 32 makes 32 products for every output and pair of channels. Cut into blocks of four
kernels' length that overlap by one ("overlap-save"; Stockham 1966), transformed, multiplied
frequency by frequency and transformed back, the same convolution needs less than a tenth of
them, and everything, the transforms included, is a product of matrices, which is what
processors are fastest at. A training step of such a layer takes two thirds (16
channels) to a sixth (hundreds) of its time on a CPU.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

__all__ = ["LongConv"]

# longer blocks save products, shorter ones padding and memory (measured: 64, 128, 256 for 32)
_BLOCK = 4
# below these the transforms cost more than they save (measured)
_LEAST_KERNEL, _LEAST_PAIRS = 16, 256


@lru_cache(maxsize=8)
def _transforms(kernel: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices for blocks, for kernels, and (transposed) for the way back.

    Rows are the cosines of all frequencies, then their sines: (2 f, block), (2 f, kernel),
    (2 f, outputs of a block). The kernel's is conjugate, since networks correlate.
    """
    block = _BLOCK * kernel
    angle = (2 * math.pi / block) * torch.outer(
        torch.arange(block // 2 + 1, dtype=torch.float64), torch.arange(block, dtype=torch.float64)
    )
    forth = torch.cat([angle.cos(), -angle.sin()]) / math.sqrt(block)
    # all but the first and the last frequency stand for their negatives, too
    twice = torch.full((block // 2 + 1, 1), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1.0
    back = (forth * twice.repeat(2, 1))[:, : block - kernel + 1]
    of_kernel = torch.cat([angle.cos(), angle.sin()])[:, :kernel]
    return forth.to(dtype), of_kernel.to(dtype).contiguous(), back.to(dtype).contiguous()


def _product(a: Tensor, b: Tensor, *, conjugate: bool = False) -> Tensor:
    """a b, or a times the conjugate of b: (2, f, rows, k) and (2, f, k, columns), complex."""
    sign = 1 if conjugate else -1
    out = a.new_empty(2, a.shape[1], a.shape[2], b.shape[3])
    torch.bmm(a[0], b[0], out=out[0])
    torch.baddbmm(out[0], a[1], b[1], alpha=sign, out=out[0])
    torch.bmm(a[1], b[0], out=out[1])
    torch.baddbmm(out[1], a[0], b[1], alpha=-sign, out=out[1])
    return out


class _Convolved(torch.autograd.Function):
    """x (n, before, 1, places), kernels (after, before, 1, kernel), as `torch.conv2d` has them.

    Inside, blocks stand as (place in the block, sample and block, channel) and transforms as
    (2, frequency, sample and block, channel), so that transforms are one product each.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        n, before, _, places = x.shape
        after, _, _, kernel = weight.shape
        block = _BLOCK * kernel
        step, kept = block - kernel + 1, places - kernel + 1
        number = -(-kept // step)
        forth, of_kernel, back = _transforms(kernel, x.dtype)
        whole = pad(x[:, :, 0].transpose(1, 2), (0, 0, 0, number * step + kernel - 1 - places))
        blocks = whole.unfold(1, block, step).permute(3, 0, 1, 2)
        x_f = (forth @ blocks.reshape(block, -1)).view(2, -1, n * number, before)
        weight_f = (of_kernel @ weight[:, :, 0].permute(2, 0, 1).reshape(kernel, -1)).view(
            2, -1, after, before
        )
        y_f = _product(x_f, weight_f.transpose(2, 3))
        y = (back.t() @ y_f.view(len(back), -1)).view(step, n * number, after)
        ctx.save_for_backward(x_f, weight_f)
        ctx.shape = (n, places, kernel)
        # a tensor of its own, no view: what follows may write into it
        out = torch.empty((n, after, 1, kept), dtype=x.dtype, memory_format=torch.channels_last)
        out[:, :, 0] = y.transpose(0, 1).reshape(n, -1, after)[:, :kept].transpose(1, 2)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x_f, weight_f = ctx.saved_tensors
        n, places, kernel = ctx.shape
        before, after = x_f.shape[3], weight_f.shape[2]
        block = _BLOCK * kernel
        step, number = block - kernel + 1, x_f.shape[2] // n
        forth, of_kernel, back = _transforms(kernel, x_f.dtype)
        whole = pad(grad[:, :, 0].transpose(1, 2), (0, 0, 0, number * step - grad.shape[3]))
        given = whole.reshape(-1, step, after).transpose(0, 1).reshape(step, -1)
        grad_f = (back @ given).view(2, -1, n * number, after)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            x_grad = _product(grad_f, weight_f, conjugate=True).view(len(back), -1)
            blocks = (forth.t() @ x_grad).view(block, n, number, before).permute(1, 2, 0, 3)
            # what a block has beyond its step lies in the next one
            sums = blocks.new_zeros(n, number + 1, step, before)
            sums[:, :-1] = blocks[:, :, :step]
            sums[:, 1:, : kernel - 1] += blocks[:, :, step:]
            of_x = sums.view(n, -1, before)[:, :places].transpose(1, 2)[:, :, None]
        if ctx.needs_input_grad[1]:
            weight_grad = _product(grad_f.transpose(2, 3), x_f, conjugate=True)
            of_weight = (of_kernel.t() @ weight_grad.view(len(back), -1)).view(
                kernel, after, before
            )
            of_weight = of_weight.permute(1, 2, 0)[:, :, None]
        return of_x, of_weight


def _unstrided(x: Tensor, weight: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Neighbouring places as channels of one place, so that a stride becomes a step of one."""
    n, before, _, places = x.shape
    x = x[:, :, 0, : places - places % stride].transpose(1, 2)
    x = x.reshape(n, -1, stride * before).transpose(1, 2)[:, :, None]
    # the same order of place, then channel
    weight = weight[:, :, 0].transpose(1, 2).reshape(len(weight), -1, stride * before)
    return x, weight.transpose(1, 2)[:, :, None]


class LongConv(nn.Conv2d):
    """Convolution of (n, before, 1, places), kernel (1, ``kernel``), without padding.

    The same numbers as `torch.nn.Conv2d` gives, to rounding, and the same weights in a
    checkpoint; through Fourier transforms where that is faster, which is on a CPU with a long
    kernel and more than a few channels.
    """

    def __init__(
        self, before: int, after: int, kernel: int, *, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__(before, after, (1, kernel), stride=(1, stride), bias=bias)
        long = kernel % stride == 0 and kernel // stride >= _LEAST_KERNEL
        self.fast = long and before * stride * after >= _LEAST_PAIRS

    def forward(self, x: Tensor) -> Tensor:
        """(n, after, 1, (places - kernel) // stride + 1)."""
        autocast = torch.is_autocast_enabled("cpu")
        # what is exported, and what that is checked against, is the plain convolution
        wanted = self.training or autocast
        if not (self.fast and wanted and x.device.type == "cpu") or torch.jit.is_tracing():
            return super().forward(x)
        dtype = torch.get_autocast_dtype("cpu") if autocast else x.dtype
        with torch.autocast("cpu", enabled=False):
            weight, x = self.weight.to(dtype), x.to(dtype)
            if self.stride[1] > 1:
                x, weight = _unstrided(x, weight, self.stride[1])
            y = _Convolved.apply(x, weight)
            return y if self.bias is None else y + self.bias.to(dtype)[:, None, None]
