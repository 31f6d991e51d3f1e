"""One training run on several processes (``torchrun``), with the result of one process.

Every batch is the batch that one process would take; each rank has its share of the rows.
Batch norm takes the statistics of the whole batch, the loss is that of the whole batch, and
gradients are summed. Only dropout differs: its masks are drawn rank by rank. The compact network,
whose records share rows sixteen by sixteen, has the same rows where each rank's share of a batch is
a multiple of 16.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["Ranks", "share_batch_norm", "start"]


class Ranks:
    """The processes of a run; without torchrun there is one.

    Attributes
    ----------
    rank, number : int
    """

    def __init__(self, rank: int = 0, number: int = 1) -> None:
        self.rank, self.number = rank, number

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """The rows of a batch that are this process's."""
        part = batch // self.number
        return slice(self.rank * part, (self.rank + 1) * part)

    def check(self, batch: int) -> None:
        """Raise ValueError where a batch cannot be shared evenly."""
        if batch % self.number:
            raise ValueError(
                f"batch_size is {batch}; it must be a multiple of the {self.number} processes"
            )

    def agreed(self, value: Any) -> Any:
        """The first process's value, in all of them."""
        if self.number == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def dealt(
        self, make: Callable[[int], tuple[Tensor, Tensor]], number: int, chunks: int, batch: int
    ) -> list[tuple[Tensor, Tensor]]:
        """Up to one chunk a process from chunk ``number`` on, made at the same time.

        ``make(i)`` gives network inputs (n, …) and labels (n, …) of chunk i. Of the inputs
        each process gets its rows of every batch, of the labels everything.
        """
        count = min(self.number, chunks - number)
        if self.number == 1:
            return [make(number)]
        mine = make(number + self.rank) if self.rank < count else make(number)
        out = []
        for source in range(count):
            inputs, labels = mine if source == self.rank else (None, torch.empty_like(mine[1]))
            rows = mine[0].shape[0] // self.number
            piece = mine[0].new_empty((rows, *mine[0].shape[1:]))
            pieces = None
            if inputs is not None:
                whole = inputs.reshape(-1, self.number, batch // self.number, *inputs.shape[1:])
                pieces = [whole[:, r].flatten(0, 1).contiguous() for r in range(self.number)]
            dist.scatter(piece, pieces, src=source)
            labels = labels.contiguous()
            dist.broadcast(labels, src=source)
            out.append((piece, labels))
        return out

    def whole(self, logits: Tensor) -> Tensor:
        """Logits of the whole batch, of which this process's own have gradients."""
        if self.number == 1:
            return logits
        parts = [torch.empty_like(logits) for _ in range(self.number)]
        dist.all_gather(parts, logits.detach().contiguous())
        parts[self.rank] = logits
        return torch.cat(parts)

    def sum_gradients(self, network: nn.Module) -> None:
        """Add the gradients of all processes."""
        if self.number == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        begin = 0
        for gradient in gradients:
            gradient.copy_(flat[begin : begin + gradient.numel()].view_as(gradient))
            begin += gradient.numel()

    def end(self) -> None:
        """Leave the process group."""
        if self.number > 1:
            dist.destroy_process_group()


def start(device: str) -> tuple[Ranks, str]:
    """The processes that torchrun started, and this one's device: its own of several GPUs.

    Raises
    ------
    ValueError
        Where torchrun started more processes on a machine than it has GPUs.
    """
    number = int(os.environ.get("WORLD_SIZE", "1"))
    if number == 1:
        return Ranks(), device
    if device == "cuda":
        local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= there:
            raise ValueError(
                f"torchrun started process {local + 1} on a machine of {there} GPUs; "
                f"give --nproc-per-node {there}"
            )
        device = f"cuda:{local}"
        torch.cuda.set_device(device)
    # Optimisers import this module, in which functions have the group of the moment as a default.
    # Imported later than the group it keeps the group's threads alive until after the interpreter
    # has ended, and one that then lets go of a tensor aborts the process.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Ranks(dist.get_rank(), dist.get_world_size()), device


class _Sum(torch.autograd.Function):
    """Sum over all processes; so are the gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _summed(x: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(x)
    return total


class _Shared:
    """Batch norm, mixed in before torch's: statistics of the batches of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        norm: Any = self
        if not norm.training:
            return super().forward(x)  # type: ignore[misc]
        axes = [i for i in range(x.dim()) if i != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        values = x.float()
        # records that share rows need not be as many rows in every process
        count = _summed(values.new_tensor(values.numel() // values.shape[1]))
        mean = _summed(values.sum(dim=axes)) / count
        centred = values - mean.view(shape)
        variance = _summed((centred * centred).sum(dim=axes)) / count
        with torch.no_grad():
            norm.num_batches_tracked += 1
            unbiased = variance * (count / (count - 1))
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(unbiased, norm.momentum)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        return (centred * scale.view(shape) + norm.bias.view(shape)).to(x.dtype)


class _Shared1d(_Shared, nn.BatchNorm1d):
    pass


class _Shared2d(_Shared, nn.BatchNorm2d):
    pass


def share_batch_norm(network: nn.Module) -> None:
    """Let every batch norm of a network take the statistics of all processes' rows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.__class__ = _Shared1d
        elif isinstance(module, nn.BatchNorm2d):
            module.__class__ = _Shared2d
