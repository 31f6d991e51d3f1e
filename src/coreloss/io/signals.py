"""HyperSpy and eXSpy signals in memory, without importing either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from coreloss.energy import Spectra
from coreloss.io.axes import DeclaredAxis
from coreloss.io.datasets import DataSet, spectra_from
from coreloss.io.errors import ReadError, plain
from coreloss.io.rosetta import microscope_values

__all__ = ["declared_axis", "described", "from_signal"]


def from_signal(signal: Any, *, energies: ArrayLike | None = None) -> Spectra:
    """Spectra from a HyperSpy or eXSpy signal.

    Parameters
    ----------
    signal : object with ``data`` and ``axes_manager``
        ``hyperspy.api.signals.Signal1D``, ``exspy.signals.EELSSpectrum`` or alike; a lazy
        signal is computed.
    energies : array_like, (n_energy,) [eV], optional
        Replaces the signal's own energy axis.

    Returns
    -------
    Spectra
        Counts (..., n_energy), the energy axis last.

    Raises
    ------
    ReadError
        If it is no signal, has no energy axis or holds no energy-loss counts.
    """
    return spectra_from(*described(signal), energies=energies)


def described(signal: Any) -> tuple[str, DataSet]:
    """What a signal is called in messages, and its data with all that is declared of them.

    Raises ReadError as `from_signal`.
    """
    data = getattr(signal, "data", None)
    manager = getattr(signal, "axes_manager", None)
    if manager is None or not hasattr(data, "shape"):
        raise ReadError(
            f"the {plain(type(signal).__name__)} object",
            "is not a HyperSpy signal (it has no data and axes_manager)",
            "give a signal, or counts and energies as arrays",
        )
    metadata = _tree(getattr(signal, "metadata", None))
    title = str((metadata.get("General") or {}).get("title") or "")
    kind = str((metadata.get("Signal") or {}).get("signal_type") or "")
    source = f"the signal {plain(title)!r}" if title else "the signal"
    axes = [(axis, True) for axis in manager.navigation_axes]
    axes += [(axis, False) for axis in manager.signal_axes]
    axes.sort(key=lambda pair: pair[0].index_in_array)
    told: dict[str, Any] = dict(microscope_values(metadata))
    if title:
        told.update(title=title, signal=title)
    item = DataSet(
        data=data,
        axes=tuple(declared_axis(axis, navigate) for axis, navigate in axes),
        title=title,
        signal_type=kind,
        metadata=told,
    )
    return source, item


def _tree(metadata: Any) -> Mapping[str, Any]:
    if hasattr(metadata, "as_dictionary"):
        metadata = metadata.as_dictionary()
    return metadata if isinstance(metadata, Mapping) else {}


def declared_axis(axis: Any, navigate: bool) -> DeclaredAxis:
    """A HyperSpy axis as the readers declare theirs."""
    # HyperSpy keeps an object, not None, where a name or unit was never set.
    name, unit = (v if isinstance(v, str) else "" for v in (axis.name, axis.units))
    if getattr(axis, "is_uniform", hasattr(axis, "scale")):
        return DeclaredAxis(
            name, unit, float(axis.scale), float(axis.offset), int(axis.size), navigate
        )
    values = np.asarray(axis.axis, dtype=float)
    return DeclaredAxis(name, unit, 1.0, 0.0, values.size, navigate, values)
