"""Muon: orthogonalised momentum for matrices, AdamW for everything else.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); the step
is scaled as by J. Liu et al., "Muon is scalable for LLM training" (2025), so that learning
rates and weight decay of AdamW carry over. PyTorch's own takes no convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Muon"]

# Newton–Schulz polynomial that brings singular values to about 1 in five steps
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_STEPS = 5


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix with all singular values near 1, float32."""
    a, b, c = _POLYNOMIAL
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Muon for the inner matrices and convolutions of a network, AdamW for the rest.

    A convolution's weight counts as a matrix of its output channels against all else. The
    first convolution and the last layer are left to AdamW, as the method's authors advise, and
    so are recurrent layers and whatever else is no weight of a convolution or dense layer.

    Parameters
    ----------
    network : Module
    lr, weight_decay : float
    momentum : float
        Of the matrices.
    betas : (float, float)
        Of AdamW.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        layers = [
            m.weight for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)
        ]
        inner = {id(weight) for weight in layers[1:-1]}
        matrices = [p for p in network.parameters() if id(p) in inner]
        others = [p for p in network.parameters() if id(p) not in inner]
        groups = [{"params": matrices, "muon": True}, {"params": others, "muon": False}]
        super().__init__(
            groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step; raises TypeError for a closure, which this method has no use for."""
        if closure is not None:
            raise TypeError("Muon takes no closure; compute the loss before the step")
        for group in self.param_groups:
            update = self._matrix if group["muon"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                    update(parameter, parameter.grad, self.state[parameter], group)

    @staticmethod
    def _matrix(parameter: Tensor, grad: Tensor, state: dict[str, Any], group: Any) -> None:
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        mean = state["momentum_buffer"].lerp_(grad, 1.0 - group["momentum"])
        ahead = grad.lerp(mean, group["momentum"]).flatten(1)  # Nesterov's
        # the root mean square of an AdamW step
        size = 0.2 * max(ahead.shape) ** 0.5
        step = orthogonalised(ahead).view_as(parameter)
        parameter.add_(step, alpha=-group["lr"] * size)

    @staticmethod
    def _adam(parameter: Tensor, grad: Tensor, state: dict[str, Any], group: Any) -> None:
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        first, second = group["betas"]
        state["step"] += 1
        count = float(state["step"])
        mean = state["exp_avg"].lerp_(grad, 1.0 - first)
        square = state["exp_avg_sq"].lerp_(grad * grad, 1.0 - second)
        root = (square / (1.0 - second**count)).sqrt_().add_(1e-8)
        parameter.addcdiv_(mean / (1.0 - first**count), root, value=-group["lr"])
