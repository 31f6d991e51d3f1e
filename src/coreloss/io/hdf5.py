"""HDF5 files whose extension does not tell which program's layout they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from coreloss.energy import Spectra
from coreloss.io.arrays import spectra_of_arrays
from coreloss.io.assemble import check_bytes
from coreloss.io.errors import ReadError, plain
from coreloss.io.rosetta import load_rosetta

__all__ = ["load_hdf5"]


def load_hdf5(
    path: Path, ext: str, *, signal: str | int | None = None, energies: ArrayLike | None = None
) -> Spectra:
    """Spectra of an HDF5 file by what is in it; see `coreloss.io.load`.

    HyperSpy's, NeXus and EMD files are known by their groups. A file with arrays 'energy' and
    'counts' (or as .npz files may name them) is read as such a one; all others go to the
    readers of their extension.
    """
    layout, arrays = _contents(path)
    if layout:
        return load_rosetta(path, layout, signal=signal, energies=energies)
    try:
        return load_rosetta(path, ext, signal=signal, energies=energies)
    except ReadError:
        if "counts" in arrays or len(arrays) > 1:
            return spectra_of_arrays(path, arrays, signal=signal, energies=energies)
        raise ReadError(
            path,
            "is an HDF5 file of no known layout (it holds "
            f"{plain(', '.join(arrays)) or 'no arrays at its top'})",
            "save it as .hspy, .nxs or .emd, or with arrays 'energy' (in eV) and 'counts'",
        ) from None


def _contents(path: Path) -> tuple[str, dict[str, Any]]:
    """The extension that a file's groups deserve, '' if none, and the arrays at its top."""
    import h5py

    try:
        with h5py.File(path, "r") as store:
            if "Experiments" in store:
                return "hspy", {}
            groups = [store, *(node for node in store.values() if isinstance(node, h5py.Group))]
            if any("NX_class" in group.attrs for group in groups):
                return "nxs", {}
            if "version_major" in store.attrs or {"Data", "Operations"} <= set(store):
                return "emd", {}
            sets = {
                name: node
                for name, node in store.items()
                if isinstance(node, h5py.Dataset) and node.ndim and node.dtype.kind in "fiu"
            }
            if "labels_identification" in sets:
                raise ReadError(
                    path,
                    "is part of a data set, with spectra of many samples",
                    "give its folder to 'coreloss evaluate', or spectra of one sample",
                )
            check_bytes(path, sum(node.nbytes for node in sets.values()), path.stat().st_size)
            return "", {name: node[()] for name, node in sets.items()}
    except ReadError:
        raise
    except Exception:  # damage; the reader of the extension says what it finds
        return "", {}
