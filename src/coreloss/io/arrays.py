"""NumPy files: .npy and .npz, never unpickled, sizes checked before anything is allocated."""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import ArrayLike, NDArray

from coreloss.energy import Spectra
from coreloss.io.assemble import assemble, check_bytes, given_energies
from coreloss.io.errors import ReadError, plain, size_text

__all__ = ["load_npy", "load_npz", "spectra_of_arrays"]

_ENERGY_NAMES = ("energy", "energies", "energy_loss", "energy_ev", "eloss", "e", "ev", "x", "axis")
# numbers of which an array may be another spectrum
_FEWEST = 8
_COUNTS_NAMES = ("counts", "spectrum", "intensity", "intensities", "data", "signal", "y", "spectra")


def _read_array(path: Path, handle: IO[bytes], available: int) -> NDArray[Any]:
    """One array after its header is found sound; ``available`` bytes lie in the stream."""
    damaged = ReadError(path, "has a damaged NumPy header", "save the array again with numpy.save")
    try:
        # NumPy parses the header as Python text, so damage raises anything down to SyntaxError,
        # and headers of Python 2 warn.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = npy_format.read_magic(handle)
            reader = (
                npy_format.read_array_header_1_0
                if version == (1, 0)
                else npy_format.read_array_header_2_0
            )
            shape, _, dtype = reader(handle)
    except Exception:
        raise damaged from None
    if dtype.hasobject:
        raise ReadError(
            path,
            "holds pickled Python objects, which could run code and are never unpickled",
            "save plain numbers with numpy.save(..., allow_pickle=False)",
        )
    needed = math.prod(shape) * dtype.itemsize
    check_bytes(path, needed, path.stat().st_size)
    available -= handle.tell()
    if needed > available:
        raise ReadError(
            path,
            f"declares {size_text(needed)} of numbers but holds {size_text(available)}",
            "copy it again, as its end is missing",
        )
    handle.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return npy_format.read_array(handle, allow_pickle=False)
    except zipfile.BadZipFile:
        raise
    except (ValueError, TypeError, OSError):
        raise damaged from None


def load_npy(
    path: Path, *, signal: str | int | None = None, energies: ArrayLike | None = None
) -> Spectra:
    """Spectra from a .npy file; see `coreloss.io.load`."""
    if signal not in (None, 0, -1):
        raise ReadError(
            path, f"holds one array, and no {plain(signal)!r}", "leave the choice of a signal out"
        )
    with open(path, "rb") as handle:
        array = _read_array(path, handle, path.stat().st_size)
    if array.dtype.names:
        fields = {name: array[name] for name in array.dtype.names}
        axis, counts, notes = _named(path, fields, "field")
        if energies is None and axis is not None:
            return _placed(path, counts, axis, notes)
        array = counts
    return _alone(path, array, energies)


def load_npz(
    path: Path, *, signal: str | int | None = None, energies: ArrayLike | None = None
) -> Spectra:
    """Spectra from a .npz file; see `coreloss.io.load`."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            check_bytes(path, sum(e.file_size for e in entries), path.stat().st_size)
            for entry in entries:
                with archive.open(entry) as handle:
                    arrays[entry.filename[:-4]] = _read_array(path, handle, entry.file_size)
    except ReadError:
        raise
    except Exception:  # damage shows as BadZipFile, zlib.error, UnicodeDecodeError and more
        raise ReadError(
            path, "is a damaged zip archive", "save it again with numpy.savez"
        ) from None
    if not arrays:
        raise ReadError(
            path,
            "is a zip archive without NumPy arrays",
            "give an archive with 'energy' and 'counts', or unpack it",
        )
    return spectra_of_arrays(path, arrays, signal=signal, energies=energies)


def spectra_of_arrays(
    path: Path,
    arrays: dict[str, NDArray[Any]],
    *,
    signal: str | int | None,
    energies: ArrayLike | None,
) -> Spectra:
    """Spectra of a file's named arrays; see `coreloss.io.load`."""
    if isinstance(signal, str) and signal in arrays:
        energy = _energy_of(signal, arrays)
        arrays = {n: arrays[n] for n in (energy, signal) if n is not None}
    elif signal is not None:
        raise ReadError(
            path,
            f"has no array {plain(signal)!r} among {plain(', '.join(arrays)) or 'its entries'}",
            "give the name of one of its arrays",
        )
    if len(arrays) == 1:
        (only,) = arrays.values()
        return _alone(path, only, energies)
    found, counts, notes = _named(path, arrays, "array", signal)
    if energies is not None:
        found = given_energies(path, energies)
    if found is None:
        raise ReadError(
            path,
            f"has no energies among its arrays {plain(', '.join(arrays))}",
            "save the energy loss in eV under the name 'energy', or pass energies from Python",
        )
    return _placed(path, counts, found, notes)


def _alone(path: Path, array: NDArray[Any], energies: ArrayLike | None) -> Spectra:
    """Spectra of an array that has nothing beside it but the energies given, if any."""
    if energies is None:
        axis, counts = _paired(path, array)
        return _placed(path, counts, axis)
    given = given_energies(path, energies)
    if array.ndim == 2 and given.size > 2 and array.shape in ((2, given.size), (given.size, 2)):
        rows = array if array.shape[0] == 2 else array.T
        if _even(rows[0]):  # energies of its own, which are no spectrum
            array = rows[1]
    return _placed(path, array, given)


def _even(values: NDArray[Any]) -> bool:
    """Whether numbers (n,) follow a straight line, as energies do and counts do not."""
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        return False
    index = np.arange(values.size)
    slope, start = np.polyfit(index, values.astype(float), 1)
    return bool(np.abs(values - (start + slope * index)).max() < 0.5 * abs(slope))


def _energy_of(counts: str, arrays: Iterable[str]) -> str | None:
    """The name of the energies of some counts: 'energy_2' of 'counts_2', else plain 'energy'."""
    low = {name.lower(): name for name in arrays if name != counts}
    wanted = counts.lower()
    alike = [
        re.sub(rf"(?<![a-z]){word}(?![a-z])", energy, wanted)
        for word in _COUNTS_NAMES
        for energy in _ENERGY_NAMES
    ]
    beside = [
        name for energy in _ENERGY_NAMES for name in (f"{energy}_{wanted}", f"{wanted}_{energy}")
    ]
    names = (name for name in (*alike, *beside, *_ENERGY_NAMES) if name != wanted)
    return next((low[name] for name in names if name in low), None)


def _named(
    path: Path, arrays: dict[str, NDArray[Any]], what: str, signal: str | int | None = None
) -> tuple[NDArray[np.float64] | None, NDArray[Any], list[str]]:
    """Energies and counts by their names, and which of several arrays were taken."""
    low = {name.lower(): name for name in arrays}
    counts = str(signal) if signal is not None else None
    counts = counts or next((low[name] for name in _COUNTS_NAMES if name in low), None)
    energy = _energy_of(counts or "", arrays)
    if counts is None:
        raise ReadError(
            path,
            f"has the {what}s {plain(', '.join(arrays))} and none is called 'counts'",
            f"name the {what}s 'energy' (in eV) and 'counts'"
            + (", or ask for one by its name" if energy is not None and what == "array" else ""),
        )
    others = [
        name
        for name, array in arrays.items()
        if name not in (energy, counts) and array.dtype.kind in "fiu" and array.size >= _FEWEST
    ]
    notes = [f"{what} {plain(counts)!r} was taken; beside it: {plain(', '.join(others))}"]
    notes = notes if others else []
    if energy is None:
        return None, arrays[counts], notes
    return given_energies(path, arrays[energy]), arrays[counts], notes


def _paired(path: Path, array: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Energies and counts of a (2, n) or (n, 2) array."""
    if array.ndim == 2 and 2 in array.shape and array.dtype.kind in "fiu":
        rows = array if array.shape[0] == 2 else array.T
        energies = rows[0].astype(float)
        steps = np.diff(energies)
        if steps.size and (np.all(steps > 0) or np.all(steps < 0)):
            return energies, rows[1]
    shape = " × ".join(str(n) for n in array.shape) or "a single number"
    if array.dtype.kind == "c":
        raise ReadError(
            path,
            f"is an array ({shape}) of complex numbers, as a Fourier transform is",
            "save energy loss and measured counts as real numbers",
        )
    raise ReadError(
        path,
        f"is an array ({shape}) without an energy axis",
        "pass energies from Python, or save an array of two rows, energy loss in eV and counts",
    )


def _placed(
    path: Path, counts: NDArray[Any], energies: NDArray[np.float64], notes: Sequence[str] = ()
) -> Spectra:
    """Counts with the axis that has as many channels as there are energies moved last."""
    fits = [i for i, n in enumerate(counts.shape) if n == energies.size]
    if not fits:
        shape = " × ".join(str(n) for n in counts.shape) or "a single number"
        raise ReadError(
            path,
            f"its counts ({shape}) do not fit {energies.size} energies",
            "give one energy in eV for each channel",
        )
    notes = list(notes)
    if fits[-1] != counts.ndim - 1:
        notes.append(f"axis {fits[-1] + 1} of {counts.ndim} is energy and was moved last")
    data = np.moveaxis(counts, fits[-1], -1)
    return assemble(path, data, energies, metadata={"file": str(path)}, notes=notes)
