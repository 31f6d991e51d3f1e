"""Network architectures by name. Importing this package does not import torch."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build", "list_networks", "register"]

C = TypeVar("C", bound=type)

_MODULES = {"compact": "compact", "unet": "unet"}
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
