"""Every format that RosettaSciIO reads."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import math
import os
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from coreloss.energy import Spectra
from coreloss.io.assemble import check_bytes
from coreloss.io.axes import DeclaredAxis
from coreloss.io.datasets import DataSet, choose, spectra_from
from coreloss.io.errors import ReadError, plain, size_text

__all__ = ["load_rosetta", "microscope_values", "plugins_for"]

# Where HyperSpy's metadata tree keeps what later rooms need.
_VALUES = {
    "beam_energy_kev": ("beam_energy",),
    "alpha_mrad": ("convergence_angle",),
    "beta_mrad": ("Detector", "EELS", "collection_angle"),
}


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Readers warn, log and print; a library that calls them stays quiet."""
    logger = logging.getLogger("rsciio")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with (
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def plugins_for(ext: str) -> list[Mapping[str, Any]]:
    """The RosettaSciIO plug-ins for an extension, without those for pictures."""
    from rsciio import IO_PLUGINS

    return [
        plugin
        for plugin in IO_PLUGINS
        if plugin["name"] != "Image" and ext in {e.lower() for e in plugin["file_extensions"]}
    ]


def load_rosetta(
    path: Path,
    ext: str,
    *,
    signal: str | int | None = None,
    energies: ArrayLike | None = None,
    mended: Path | None = None,
) -> Spectra:
    """Spectra through RosettaSciIO; ``ext`` says which format. See `coreloss.io.load`.

    ``mended`` is read in place of ``path``, which stays the name of the file.
    """
    _check_declared_sizes(path)
    failure: Exception | None = None
    for plugin in plugins_for(ext):
        try:
            with _silence():
                reader = importlib.import_module(plugin["api"]).file_reader
                raw = reader(str(mended or path))
                items = [_data_set(path, entry, number) for number, entry in enumerate(raw)]
        except RecursionError:
            failure = failure or ValueError("its tags are nested without end")
        except Exception as problem:  # readers raise anything, down to bare Exception
            failure = failure or problem
        else:
            if not items and ext == "emi":
                raise ReadError(
                    path,
                    "has no .ser file beside it, and the data are in that",
                    f"put {plain(path.stem)}_1.ser into the same folder",
                )
            item, said = choose(path, items, signal)
            size = path.stat().st_size
            return spectra_from(path, item, energies=energies, notes=said, on_disk=size)
    assert failure is not None
    raise ReadError(path, *_reader_sentence(path, ext, failure)) from None


def _reader_sentence(path: Path, ext: str, problem: Exception) -> tuple[str, str]:
    if isinstance(problem, ImportError):
        module = plain(problem.name or "a reader")
        return (
            f"needs the package {module!r} to be read, which is not installed",
            f"install it with 'pip install {module}' or 'pip install rosettasciio[all]'",
        )
    if isinstance(problem, AttributeError) and "zarr" in str(problem):
        return (
            "cannot be read with the version of zarr that is installed",
            "install one that RosettaSciIO supports, as with \"pip install 'zarr<3'\"",
        )
    if isinstance(problem, MemoryError):
        return "declares more data than fit in memory", "copy it again, as it may be damaged"
    if isinstance(problem, (FileNotFoundError, IsADirectoryError)) and ext != "zspy":
        beside = plain(Path(getattr(problem, "filename", None) or "a file").name)
        return f"needs {beside!r} beside it, which is missing", "put its files side by side again"
    if isinstance(problem, (struct.error, EOFError)):
        cause = "its end is missing"
    elif re.search(r"is not a (valid|supported)", str(problem)):
        cause = "it holds something else"
    elif isinstance(problem, (OSError, ValueError, IndexError)):
        cause = "its end may be missing or it is damaged"
    else:
        cause = "it is damaged or of an unknown variant"
    reason = plain(re.split(r"\.\s|\n|: line ", str(problem).strip())[0], 70)
    reason = reason or type(problem).__name__
    on_disk = size_text(path.stat().st_size) if path.is_file() else "a folder"
    return (
        f"cannot be read as {ext} ({on_disk}): {cause} ({reason.rstrip('.')})",
        "copy it again or export it as .msa or text",
    )


def _text(value: Any) -> str:
    """A tag as text; programs leave undefined objects, bytes and empty lists in such places."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _data_set(path: Path, entry: Mapping[str, Any], number: int) -> DataSet:
    metadata = entry.get("metadata") or {}
    title = _text(_at(metadata, ("General", "title")))
    values = {
        **microscope_values(_mapped(entry)),
        **microscope_values(metadata),
    }
    told = {"file": str(path), **values}
    if title:
        told["title"] = title
    told["signal"] = title or f"data set {number}"
    axes = sorted(entry["axes"], key=lambda axis: axis.get("index_in_array", 0))
    return DataSet(
        data=entry["data"],
        axes=tuple(_declared(axis) for axis in axes),
        title=title,
        signal_type=_text(_at(metadata, ("Signal", "signal_type"))),
        metadata=told,
    )


def _declared(axis: Mapping[str, Any]) -> DeclaredAxis:
    values = axis.get("axis")
    uneven = None if values is None else np.asarray(values, dtype=float)
    if uneven is None and "expression" in axis:
        raise ValueError("its axis is given by a formula")
    size = int(axis["size"]) if uneven is None else uneven.size
    return DeclaredAxis(
        name=_text(axis.get("name")),
        unit=_text(axis.get("units")),
        scale=float(axis.get("scale", 1.0)),
        offset=float(axis.get("offset", 0.0)),
        size=size,
        navigate=bool(axis.get("navigate", False)),
        values=uneven,
    )


def _at(tree: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree


def _mapped(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a plug-in's 'mapping' from a vendor's tags to metadata that is used here."""
    tree: dict[str, Any] = {}
    wanted = {keys[-1] for keys in _VALUES.values()}
    for origin, (target, change) in (entry.get("mapping") or {}).items():
        places = target.split(".") if isinstance(target, str) else list(target)
        if places[-1] not in wanted:
            continue
        value = _at(entry.get("original_metadata") or {}, tuple(origin.split(".")))
        if value is None:
            continue
        with contextlib.suppress(Exception):
            value = value if change is None else change(value)
            branch = tree
            for place in places[:-1]:
                branch = branch.setdefault(place, {})
            branch[places[-1]] = value
    return tree


def microscope_values(metadata: Mapping[str, Any]) -> dict[str, float]:
    """beam_energy_kev, alpha_mrad and beta_mrad where a HyperSpy metadata tree has them."""
    found: dict[str, float] = {}
    for instrument in ("TEM", "SEM"):
        for name, keys in _VALUES.items():
            value = _at(metadata, ("Acquisition_instrument", instrument, *keys))
            try:
                number = float(value)
            except (TypeError, ValueError):
                continue
            # Zero is what programs store where nothing was entered.
            if math.isfinite(number) and number > 0:
                found.setdefault(name, number)
    return found


def _check_declared_sizes(path: Path) -> None:
    """Refuse containers that declare far more than they can hold, before they are unpacked."""
    declared = 0
    if path.is_dir():
        on_disk = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        for name in (".zarray", "zarr.json"):
            for header in path.rglob(name):
                with contextlib.suppress(ValueError, OSError, TypeError):
                    shape = json.loads(header.read_text(encoding="utf-8")).get("shape") or [0]
                    declared = max(declared, math.prod(int(n) for n in shape))
    elif zipfile.is_zipfile(path):
        on_disk = path.stat().st_size
        with contextlib.suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
            declared = sum(entry.file_size for entry in archive.infolist())
    else:
        on_disk = path.stat().st_size
        declared = _hdf5_bytes(path)
    check_bytes(path, declared, max(on_disk, 1))


def _hdf5_bytes(path: Path) -> int:
    """Bytes of the largest data set of an HDF5 file, 0 for other files or without h5py."""
    with open(path, "rb") as handle:
        if handle.read(8) != b"\x89HDF\r\n\x1a\n":
            return 0
    largest = 0
    # A file that h5py cannot walk is left to the reader, whose complaint is then translated.
    with contextlib.suppress(Exception):
        h5py = importlib.import_module("h5py")

        def weigh(_name: str, node: Any) -> None:
            nonlocal largest
            if isinstance(node, h5py.Dataset) and node.shape is not None:
                largest = max(largest, math.prod(node.shape) * node.dtype.itemsize)

        with h5py.File(os.fspath(path), "r") as store:
            store.visititems(weigh)
    return largest
