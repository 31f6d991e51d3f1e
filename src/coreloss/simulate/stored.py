"""Reading spectra from HDF5 files of the structure of Annys et al. 2023.

The public data set (Zenodo 8004912) and what ``coreloss simulate`` writes read alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.simulate.dataset import PUBLISHED_ELEMENTS, SPLITS

__all__ = ["SpectrumFile", "StoredSpectra", "read_rows", "split_files"]


@dataclass
class StoredSpectra:
    """Spectra with their truth, as `coreloss.grid.rebin` takes them.

    Attributes
    ----------
    counts : ndarray, (n, n_energy) float32, over their maximum
    offset, dispersion : ndarray, (n,) [eV], [eV/channel]
    size : ndarray, (n,)
    present : ndarray, (n, n_elements) bool
        In the order of ``coreloss.edges.ELEMENTS``.
    snr : ndarray, (n, n_elements), or None where the files have none
    """

    counts: NDArray[np.float32]
    offset: NDArray[np.float64]
    dispersion: NDArray[np.float64]
    size: NDArray[np.int64]
    present: NDArray[np.bool_]
    snr: NDArray[np.float32] | None


@dataclass(frozen=True)
class SpectrumFile:
    """One file of a data set: where it is, how many spectra, which elements its labels name."""

    path: Path
    n_spectra: int
    columns: NDArray[np.int64]


def split_files(folder: Path, split: str) -> list[SpectrumFile]:
    """The files of a split ('training', 'validation', 'test', 'single').

    Raises FileNotFoundError where there is none, ValueError for a file of another kind.
    """
    import h5py

    name, prefix = SPLITS[split]
    found = []
    for path in sorted((folder / name).glob(f"{prefix}_*.hdf5")):
        try:
            with h5py.File(path) as file:
                shape = file["spectra"].shape
                labels = file["labels_identification"].shape
                elements = [str(s) for s in file.attrs.get("elements", PUBLISHED_ELEMENTS)]
        except (OSError, KeyError) as error:
            raise ValueError(
                f"{path}: is no HDF5 file with 'spectra' and 'labels_identification' ({error})"
            ) from None
        unknown = sorted(set(elements) - set(ELEMENTS))
        if unknown or len(shape) != 2 or labels != (shape[0], len(elements)):
            raise ValueError(
                f"{path}: spectra {shape} and labels {labels} for {len(elements)} elements do "
                "not belong together"
            )
        columns = np.array([ELEMENTS.index(symbol) for symbol in elements])
        found.append(SpectrumFile(path, int(shape[0]), columns))
    if not found:
        raise FileNotFoundError(
            f"{folder}: holds no {name}/{prefix}_*.hdf5; give the folder of a data set that "
            "'coreloss simulate' wrote, or of the public one"
        )
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A file to read from; what is wrong with its contents is told with its name."""
    import h5py

    try:
        with h5py.File(path) as file:
            yield file
    except OSError as error:
        raise OSError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); get or make it anew"
        ) from None


def read_rows(files: list[SpectrumFile], blocks: NDArray[np.int64]) -> StoredSpectra:
    """Spectra of blocks (n_blocks, 3) of (file, first row, rows), in their order.

    A spectrum begins at its first channel that is not zero. The files' channels are those of
    their ``energies``; 1 eV from 0 eV where they name none. Raises OSError, naming the file,
    where one is damaged.
    """
    total = int(blocks[:, 2].sum())
    spectra: NDArray[np.float32] | None = None
    present = np.zeros((total, len(ELEMENTS)), dtype=bool)
    snr = np.zeros((total, len(ELEMENTS)), dtype=np.float32)
    known = True
    start, step = 0.0, 1.0
    begins = np.cumsum(blocks[:, 2]) - blocks[:, 2]
    order = np.argsort(blocks[:, 0], kind="stable")  # each file is opened once
    for number in np.unique(blocks[:, 0]):
        entry = files[number]
        with _opened(entry.path) as file:
            width = file["spectra"].shape[1]
            # the published files are on 0 … 3071 eV, and do not say so
            own = np.asarray(file["energies"]) if "energies" in file else np.arange(width)
            if spectra is None:
                spectra = np.zeros((total, width), dtype=np.float32)
                energies = own
                start = float(energies[0])
                step = float(energies[-1] - start) / (energies.size - 1)
            elif own.shape != energies.shape or not np.allclose(own, energies):
                raise ValueError(
                    f"{entry.path}: has another energy axis than {files[blocks[0, 0]].path}; "
                    "keep spectra of one axis in a folder"
                )
            for i in order[blocks[order, 0] == number]:
                first, rows = int(blocks[i, 1]), int(blocks[i, 2])
                to, of = slice(begins[i], begins[i] + rows), slice(first, first + rows)
                spectra[to] = file["spectra"][of]
                present[to][:, entry.columns] = file["labels_identification"][of] > 0.5
                known = known and "snr" in file
                if known:
                    snr[to][:, entry.columns] = file["snr"][of]
    if spectra is None:
        raise ValueError("asked for no rows")
    filled = spectra != 0
    first_channel = np.argmax(filled, axis=1)
    size = spectra.shape[1] - np.argmax(filled[:, ::-1], axis=1) - first_channel
    index = first_channel[:, None] + np.arange(spectra.shape[1])
    moved = np.take_along_axis(spectra, np.minimum(index, spectra.shape[1] - 1), axis=1)
    moved[np.arange(spectra.shape[1]) >= size[:, None]] = 0.0
    return StoredSpectra(
        moved,
        start + step * first_channel,
        np.full(total, step),
        size.astype(np.int64),
        present,
        snr if known else None,
    )
