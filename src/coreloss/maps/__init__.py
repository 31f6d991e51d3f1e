"""Spectrum images: element maps and model-based quantification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "ElementMaps",
    "NavigationAxis",
    "Quantification",
    "SpectrumImage",
    "element_maps",
    "open_image",
    "quantify",
]

if TYPE_CHECKING:
    from coreloss.maps.amounts import Quantification
    from coreloss.maps.elements import ElementMaps, element_maps
    from coreloss.maps.quantification import quantify
    from coreloss.maps.source import NavigationAxis, SpectrumImage, open_image

_HOMES = {
    "ElementMaps": "coreloss.maps.elements",
    "NavigationAxis": "coreloss.maps.source",
    "Quantification": "coreloss.maps.amounts",
    "SpectrumImage": "coreloss.maps.source",
    "element_maps": "coreloss.maps.elements",
    "open_image": "coreloss.maps.source",
    "quantify": "coreloss.maps.quantification",
}


def __getattr__(name: str) -> Any:
    # the command line asks for the parser alone, which must not cost the readers
    if name in _HOMES:
        import importlib

        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'coreloss.maps' has no attribute {name!r}")
