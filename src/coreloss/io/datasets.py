"""Choosing the core-loss data set among those of a file, and finding its energy axis."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from coreloss.energy import Spectra
from coreloss.io.assemble import assemble, check_bytes, given_energies
from coreloss.io.axes import DeclaredAxis, energy_factor, is_blank_unit
from coreloss.io.errors import ReadError, plain

__all__ = ["DataSet", "choose", "spectra_from"]

_OTHER_KINDS = {
    "EDS": "an X-ray (EDS) spectrum",
    "WDS": "an X-ray (WDS) spectrum",
    "XRF": "an X-ray fluorescence spectrum",
    "CL": "a cathodoluminescence spectrum",
    "LUM": "a luminescence spectrum",
    "PES": "a photoelectron spectrum",
    "AES": "an Auger spectrum",
    "GAM": "a gamma-ray spectrum",
}
_ENERGY_WORDS = ("energy", "eloss", "e-loss", "eels", "loss")


@dataclass(frozen=True)
class DataSet:
    """One data set of a file: its array, its axes in array order and what is said of it."""

    data: Any
    axes: tuple[DeclaredAxis, ...]
    title: str = ""
    signal_type: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.data.shape)

    @property
    def label(self) -> str:
        """How it is named in notes and messages."""
        sizes = " × ".join(str(n) for n in self.shape)
        return f"'{plain(self.title)}' ({sizes})" if self.title else f"untitled ({sizes})"

    def energy_axis(self) -> tuple[int, float, str] | None:
        """Index of the energy axis, eV per its unit, and a note ('' if none is due)."""
        known = [i for i, a in enumerate(self.axes) if energy_factor(a.unit) is not None]
        if known:
            # The signal axis where there are several (an energy-against-energy map).
            best = max(known, key=lambda i: (not self.axes[i].navigate, self.axes[i].size))
            factor = energy_factor(self.axes[best].unit)
            assert factor is not None
            unit = self.axes[best].unit.strip()
            return best, factor, "" if factor == 1 else f"energy axis converted from {unit} to eV"
        guess = "the energy axis has no unit; eV assumed"
        blank = [
            i
            for i, a in enumerate(self.axes)
            if is_blank_unit(a.unit) and not a.counts_pixels and a.size > 1
        ]
        named = [i for i in blank if any(w in self.axes[i].name.lower() for w in _ENERGY_WORDS)]
        if named:
            return named[-1], 1.0, guess
        signal = [i for i in blank if not self.axes[i].navigate]
        if len(signal) == 1 and (self.signal_type == "EELS" or len(self._long_axes()) == 1):
            return signal[0], 1.0, guess
        return None

    def _long_axes(self) -> list[DeclaredAxis]:
        return [axis for axis in self.axes if axis.size > 1]

    def other_kind(self) -> str | None:
        """What it is if it is a spectrum of something else than energy loss."""
        kind = self.signal_type.upper()
        return next((text for k, text in _OTHER_KINDS.items() if kind.startswith(k)), None)


def _rank(item: DataSet) -> tuple[bool, bool, int, int]:
    """Sorting key: core loss before low loss, EELS before unnamed, more spectra first."""
    found = item.energy_axis()
    assert found is not None
    index, factor, _ = found
    axis = item.axes[index]
    ends = sorted(
        (float(axis.values[0]) * factor, float(axis.values[-1]) * factor)
        if axis.values is not None
        else (axis.offset * factor, (axis.offset + axis.scale * (axis.size - 1)) * factor)
    )
    low_loss = ends[0] <= 0 <= ends[1]
    spectra = math.prod(item.shape) // max(axis.size, 1)
    return (not low_loss, item.signal_type == "EELS", spectra, axis.size)


def _listed(items: Sequence[DataSet]) -> str:
    shown = ", ".join(item.label for item in items[:6])
    return shown + (f" and {len(items) - 6} more" if len(items) > 6 else "")


def choose(
    source: str | os.PathLike[str], items: Sequence[DataSet], signal: str | int | None
) -> tuple[DataSet, list[str]]:
    """The data set to use, and notes on which one it is.

    Raises
    ------
    ReadError
        If none was asked for that exists, or none is an energy-loss spectrum.
    """
    if not items:
        raise ReadError(source, "holds no data", "give a file with a spectrum in it")
    if signal is not None:
        return _asked_for(source, items, signal), []
    usable = [i for i in items if i.energy_axis() is not None and i.other_kind() is None]
    if not usable:
        if len(items) == 1:
            return items[0], []
        kinds = {i.other_kind() for i in items} - {None}
        if kinds:
            what = f"holds {' and '.join(sorted(k for k in kinds if k))} and no EELS"
        else:
            what = f"holds {len(items)} data sets and none has an energy axis: {_listed(items)}"
        raise ReadError(source, what, "give a file with a core-loss spectrum, its axis in eV")
    best = max(usable, key=_rank)
    if len(items) == 1:
        return best, []
    others = [item for item in items if item is not best]
    number = next(k for k, item in enumerate(items) if item is best)
    return best, [
        f"data set {number} of 0–{len(items) - 1}, {best.label}, was taken; "
        f"beside it: {_listed(others)}"
    ]


def _asked_for(
    source: str | os.PathLike[str], items: Sequence[DataSet], signal: str | int
) -> DataSet:
    if isinstance(signal, int):
        if -len(items) <= signal < len(items):
            return items[signal]
    else:
        wanted = signal.strip().lower()
        exact = [i for i in items if i.title.strip().lower() == wanted]
        partly = [i for i in items if wanted and wanted in i.title.lower()]
        for found in (exact, partly):
            if len(found) == 1:
                return found[0]
    raise ReadError(
        source,
        f"has no single data set {plain(signal)!r} among {_listed(items)}",
        f"give one title or a number from 0 to {len(items) - 1}",
    )


def spectra_from(
    source: str | os.PathLike[str],
    item: DataSet,
    *,
    energies: ArrayLike | None = None,
    notes: Sequence[str] = (),
    on_disk: int = 0,
) -> Spectra:
    """Spectra of one data set, the energy axis last.

    Raises
    ------
    ReadError
        If it has no usable energy axis or holds no energy-loss counts.
    """
    other = item.other_kind()
    if other is not None:
        raise ReadError(source, f"holds {other}, not EELS", "give an energy-loss spectrum")
    told = list(notes)
    if item.axes and len(item.axes) != len(item.shape):
        raise ReadError(
            source,
            f"declares {len(item.axes)} axes for data of {len(item.shape)} dimensions",
            "save it again from the program that wrote it",
        )
    if energies is not None:
        values = given_energies(source, energies)
        index = _axis_of_size(source, item, values.size)
    else:
        found = item.energy_axis()
        if found is None:
            raise ReadError(source, *_no_axis(item))
        index, factor, said = found
        axis = item.axes[index]
        if axis.values is None and not (np.isfinite(axis.scale) and axis.scale != 0):
            raise ReadError(
                source,
                f"its energy axis has a dispersion of {axis.scale:g} {axis.unit}/channel",
                "calibrate it or pass energies from Python",
            )
        values = axis.energies(factor)
        told += [said] if said else []
        if values.size != item.shape[index]:
            raise ReadError(
                source,
                f"its energy axis has {values.size} channels but its data {item.shape[index]}",
                "save it again from the program that wrote it, or pass energies from Python",
            )
    itemsize = getattr(getattr(item.data, "dtype", None), "itemsize", 8)
    check_bytes(source, math.prod(item.shape) * itemsize, on_disk)
    data = item.data.compute() if hasattr(item.data, "compute") else item.data
    if index != len(item.shape) - 1:
        told.append(f"axis {index + 1} of {len(item.shape)} is energy and was moved last")
        data = np.moveaxis(data, index, -1)
    return assemble(source, data, values, metadata=item.metadata, notes=told)


def _axis_of_size(source: str | os.PathLike[str], item: DataSet, size: int) -> int:
    found = item.energy_axis()
    if found is not None and item.shape[found[0]] == size:
        return found[0]
    fits = [i for i, n in enumerate(item.shape) if n == size]
    if fits:
        return fits[-1]
    shape = " × ".join(str(n) for n in item.shape)
    raise ReadError(
        source,
        f"its data ({shape}) do not fit the {size} energies given with it",
        "give one energy in eV for each channel",
    )


def _no_axis(item: DataSet) -> tuple[str, str]:
    """What is wrong with axes of which none is energy, and the remedy."""
    remedy = "calibrate its axis in the acquisition program or pass energies from Python"
    shape = " × ".join(str(n) for n in item.shape)
    long = [axis for axis in item.axes if axis.size > 1] or list(item.axes)
    signal = [axis for axis in long if not axis.navigate]
    spectral = len(long) == 1 or item.signal_type == "EELS" or len(signal) == 1
    if not long:
        return "holds a single number", "give a spectrum"
    if spectral:
        axis = signal[-1] if signal else long[-1]
        if axis.counts_pixels:
            return f"its {axis.size} channels are only numbered and have no energies", remedy
        if not is_blank_unit(axis.unit):
            return (
                f"its axis is in {plain(axis.unit)!r}, not in an energy unit",
                "give a spectrum whose axis is energy loss in eV, keV or meV",
            )
    units = ", ".join(plain(axis.unit) or "no unit" for axis in item.axes)
    what = "a two-dimensional image" if len(long) == 2 else f"{len(long)}-dimensional data"
    return (
        f"holds {what} ({shape}; units {units}) and no energy axis",
        "give a spectrum or spectrum image with an axis in eV, or pass energies from Python",
    )
