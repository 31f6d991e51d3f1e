"""coreloss: which elements are in a core-loss EELS spectrum.

>>> import coreloss
>>> spectra = coreloss.load("my.dm3")                      # doctest: +SKIP
>>> result = coreloss.identify(spectra.counts, spectra.axis)   # doctest: +SKIP
>>> print(result.table())                                  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "EnergyAxis",
    "Identification",
    "ModelError",
    "ReadError",
    "Spectra",
    "SpectrumError",
    "__version__",
    "identify",
    "load",
]

if TYPE_CHECKING:
    from coreloss.energy import EnergyAxis, Spectra
    from coreloss.identification import Identification, ModelError, SpectrumError, identify
    from coreloss.io import ReadError, load

_HOMES = {
    "EnergyAxis": "coreloss.energy",
    "Spectra": "coreloss.energy",
    "Identification": "coreloss.identification",
    "ModelError": "coreloss.identification",
    "SpectrumError": "coreloss.identification",
    "ReadError": "coreloss.io",
    "identify": "coreloss.identification",
    "load": "coreloss.io",
}


def __getattr__(name: str) -> Any:
    # so that importing the package costs nothing but its name
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'coreloss' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]  # what is loaded on first use shows in completion, too
