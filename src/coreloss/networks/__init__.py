"""Network architectures by name. Importing this package does not import torch."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build", "list_networks", "members_of", "register"]

C = TypeVar("C", bound=type)

_MODULES = {
    name: name for name in ("cct", "cnn", "cnn_bilstm", "compact", "mlp", "resnet", "unet", "vit")
}
_CLASSES: dict[str, type] = {}
# given by the recipe's input and the element list, not options of its own
_SHAPE = ("n_channels_in", "n_grid", "n_elements")


def register(name: str) -> Callable[[C], C]:
    """Class decorator: the network can be built by this name."""

    def add(cls: C) -> C:
        _CLASSES[name] = cls
        return cls

    return add


def list_networks() -> tuple[str, ...]:
    """Names that ``build`` knows."""
    return tuple(sorted(_MODULES))


def members_of(text: str) -> tuple[str, ...]:
    """The networks that a recipe's name asks for: one, or those of an ensemble.

    '2xViT+3xU-Net' is two of one and three of the other; case and hyphens do not count.
    Raises ValueError for an unknown network.
    """
    known = {_bare(name): name for name in _MODULES}
    members: list[str] = []
    for part in text.split("+"):
        found = re.fullmatch(r"\s*(?:(\d+)\s*[x×]\s*)?(\S+)\s*", part)
        name = known.get(_bare(found[2])) if found else None
        if found is None or name is None or found[1] in ("0", "00"):
            raise ValueError(
                f"no network {part.strip()!r}; there are {', '.join(list_networks())}, "
                "and ensembles such as '2xvit+3xunet'"
            )
        members += [name] * int(found[1] or 1)
    return tuple(members)


def _bare(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def build(
    name: str, *, n_channels_in: int, n_grid: int, n_elements: int, **options: Any
) -> nn.Module:
    """A network that maps (n, n_channels_in, n_grid) to logits (n, n_elements).

    Raises ValueError for an unknown name or option, and ImportError where torch is not
    installed.
    """
    if name not in _MODULES:
        raise ValueError(f"no network {name!r}; there are {', '.join(list_networks())}")
    try:
        importlib.import_module(f"coreloss.networks.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise ImportError(
                "networks need torch; install it with: pip install 'coreloss[train]'"
            ) from None
        raise
    known = [k for k in inspect.signature(_CLASSES[name]).parameters if k not in _SHAPE]
    for key in options:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"network {name!r} has no option {key!r}; {hint}")
    return _CLASSES[name](
        n_channels_in=n_channels_in, n_grid=n_grid, n_elements=n_elements, **options
    )
