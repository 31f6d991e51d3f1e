"""The weights of a model bundle for more training, where its training run is not at hand.

A bundle has batch norm folded into the convolutions before it. A network gets them back with
norms that change nothing at first: their means and variances are those of spectra of the recipe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coreloss.identification import ModelBundle
from coreloss.networks.compact import Compact
from coreloss.training.recipe import TrainingRecipe

__all__ = ["take_bundle"]

_BATCH = 256


def take_bundle(
    bundle: ModelBundle,
    recipe: TrainingRecipe,
    network: nn.Module,
    mean: dict[str, Tensor],
    inputs: Tensor,
) -> dict[str, Any]:
    """Give a compact network, and its running mean, the weights of a model bundle.

    Parameters
    ----------
    bundle : ModelBundle
    recipe : TrainingRecipe
        Of the network.
    network : Module
    mean : dict of str to Tensor
        A state of the network.
    inputs : Tensor, (n, n_channels_in, n_grid)
        Spectra of the recipe as the network sees them.

    Returns
    -------
    dict
        ``spectra`` that the weights had seen, and ``kept_new``, as of
        `coreloss.training.checkpoint.take_weights`.

    Raises
    ------
    ValueError
        If the bundle is an ensemble or of another network, grid, channels or elements.
    """
    where = f"{bundle.path}: its weights cannot be trained on"
    if bundle.members or not isinstance(network, Compact):
        raise ValueError(f"{where}; only those of one compact network can; start from a run")
    for what, theirs, ours in (
        ("grid", bundle.grid, recipe.grid),
        ("input channels", bundle.channels, tuple(recipe.channels)),
        ("elements", bundle.elements, tuple(recipe.simulation.elements)),
    ):
        if theirs != ours:
            raise ValueError(f"{where} by this recipe, which has other {what}; give it the same")
    convolutions, dense, place = _stored(bundle.path / "model.onnx")
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    heads = [m for m in network.modules() if isinstance(m, nn.Linear)]
    units, channels, each = place.shape
    pairs = [
        *((m.weight, w) for m, (w, _) in zip(layers, convolutions, strict=False)),
        *((m.weight, w) for m, (w, _) in zip(heads, dense, strict=False)),
        (network.place, place.transpose(1, 0, 2).reshape(1, channels, 1, units * each)),
    ]
    counts = (len(convolutions), len(dense)) == (len(layers), len(heads))
    if not counts or any(tuple(p.shape) != w.shape for p, w in pairs):
        raise ValueError(
            f"{where} by this recipe, whose network has other layers; give it the [network] of the "
            "recipe in the bundle's card.json"
        )
    with torch.no_grad():
        for parameter, weight in pairs:
            parameter.copy_(torch.as_tensor(weight))
        for head, (_, bias) in zip(heads, dense, strict=True):
            head.bias.copy_(torch.as_tensor(bias))
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm, (_, bias) in zip(norms, convolutions, strict=True):
            norm.bias.copy_(torch.as_tensor(bias))
        _normalise(network, norms, inputs)
        # what is trained the same way has about the same size; the norms take it out again
        _resize(layers[0], norms[0], heads[-1])
        for layer, norm in zip(layers[1:], norms[1:], strict=True):
            _resize(layer, norm, heads[0])
        for key, value in network.state_dict().items():
            mean[key].copy_(value)
    seen = bundle.card.get("training", {}).get("spectra_seen", 0)
    return {"spectra": int(seen), "kept_new": 0}


def _stored(
    path: Path,
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Weight and bias of the convolutions and of the dense layers, and the code of places.

    That is (units, channels, positions of a unit); all are float32, in the network's order.
    """
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf's own, which it names no base of
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"{path}: cannot be read ({reason}); export the model again") from None
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    # weights in half precision are widened by a node each
    values |= {
        n.output[0]: values[n.input[0]]
        for n in graph.node
        if n.op_type == "Cast" and n.input[0] in values
    }

    def of(kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
        found = [n.input for n in graph.node if n.op_type == kind]
        return [
            (values[i[1]].astype(np.float32), values[i[2]].astype(np.float32))
            for i in found
            if len(i) == 3 and i[1] in values and i[2] in values
        ]

    places = [
        values[n.input[0]]
        for n in graph.node
        if n.op_type == "Gather" and n.input[0] in values and values[n.input[0]].ndim == 3
    ]
    if len(places) != 1:
        places = [np.zeros((0, 0, 0))]  # another network, which no shape fits
    return of("Conv"), of("Gemm"), places[0].astype(np.float32)


def _normalise(network: Compact, norms: list[nn.BatchNorm2d], inputs: Tensor) -> None:
    """Means and variances of what the norms are given, which then leave it as it is."""
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}

    def add(norm: nn.BatchNorm2d, given: tuple[Tensor, ...]) -> None:
        x = given[0].double().transpose(0, 1).flatten(1)
        sums[norm] += torch.stack([torch.ones_like(x).sum(1), x.sum(1), (x * x).sum(1)]).cpu()

    for norm in norms:
        _set(norm, torch.zeros(norm.num_features), torch.ones(norm.num_features))
    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    network.eval()
    for begin in range(0, len(inputs), _BATCH):
        network(inputs[begin : begin + _BATCH])
    for hook in hooks:
        hook.remove()
    for norm in norms:
        number, total, squares = sums[norm]
        average = total / number
        _set(norm, average, (squares / number - average**2).clamp_min(1e-6))
        norm.bias.add_(average.to(norm.bias))


def _set(norm: nn.BatchNorm2d, average: Tensor, variance: Tensor) -> None:
    """The statistics of a norm, and the weight that undoes its division."""
    state = norm.state_dict()  # shares the norm's memory
    state["running_mean"].copy_(average)
    state["running_var"].copy_(variance)
    state["weight"].copy_((variance + norm.eps).sqrt())


def _resize(layer: nn.Conv2d, norm: nn.BatchNorm2d, like: nn.Linear) -> None:
    """Filters as large as the weights of a dense layer; the network says the same.

    What a step of training changes is measured against the size of the weights, which folding
    has taken from the convolutions.
    """
    size = layer.weight.pow(2).mean(dim=(1, 2, 3)).sqrt()
    factor = like.weight.pow(2).mean().sqrt() / size.clamp_min(1e-12)
    layer.weight.mul_(factor[:, None, None, None])
    state = norm.state_dict()
    state["running_mean"].mul_(factor)
    # eps stays what it is beside the variance, so the weight takes up what it changes
    before = (state["running_var"] + norm.eps).sqrt()
    state["running_var"].mul_(factor**2)
    state["weight"].mul_((state["running_var"] + norm.eps).sqrt() / (before * factor))
