"""Files and signals in: the only room that knows a file format.

`load` reads any file RosettaSciIO reads, text, CSV and NumPy arrays; `from_signal` takes
HyperSpy and eXSpy signals. Both give `coreloss.energy.Spectra` or raise `ReadError`.
"""

from __future__ import annotations

import os
from pathlib import Path

from numpy.typing import ArrayLike

from coreloss.energy import Spectra
from coreloss.io.errors import ReadError, extension, plain
from coreloss.io.signals import from_signal
from coreloss.io.sniff import (
    ARCHIVE_DIRECTORIES,
    HDF5_EXTENSIONS,
    expected_kind,
    first_bytes,
    kind_of,
)

__all__ = ["ReadError", "from_signal", "load"]

_TEXT = {"txt", "dat", "xy", "tsv", "csv", "asc"}
_MSA = {"msa", "emsa", "mas", "ems"}
_OFFICE = {"xlsx", "xlsm", "ods", "odt", "docx", "pptx"}
_PROMISES = {
    "dm3": "a DigitalMicrograph file",
    "npy": "a NumPy array",
    "ser": "a TIA series",
    "zip": "a zip archive",
    "hdf5": "an HDF5 file",
    "msa": "an MSA file",
}


def load(
    path: str | os.PathLike[str],
    *,
    signal: str | int | None = None,
    energies: ArrayLike | None = None,
) -> Spectra:
    """Read the core-loss spectrum or spectrum image of a file.

    The format is told from the content where that is certain, else from the extension. Of
    several data sets the core-loss EELS one is taken and named in ``notes``.

    Parameters
    ----------
    path : str or path
        Any file RosettaSciIO reads (dm3, dm4, msa, ser, emi, emd, hspy, zspy, nxs, …); text or
        CSV with a column of energies and one of counts; .npy with two rows or columns (energy,
        counts) or with ``energies``; .npz and HDF5 with arrays 'energy' and 'counts'.
    signal : str or int, optional
        Title or number (from 0) of the data set to read, in files that hold several.
    energies : array_like, (n_energy,) [eV], optional
        Energy loss of each channel, in place of what the file says.

    Returns
    -------
    Spectra
        Counts (..., n_energy) [electrons or detector units] on a uniform ascending axis; NaN
        where nothing was measured. ``metadata`` has ``file``, ``title``, ``signal``,
        ``beam_energy_kev``, ``alpha_mrad`` and ``beta_mrad`` as far as the file says them, and
        ``notes`` everything that was decided on the way.

    Raises
    ------
    ReadError
        If there is no usable spectrum; one sentence with the file, what was found and what to
        do.
    """
    file = Path(os.fsdecode(path))
    ext = extension(file)
    from coreloss.io.rosetta import load_rosetta, plugins_for

    if ext in ARCHIVE_DIRECTORIES and file.is_dir():
        return load_rosetta(file, "zspy", signal=signal, energies=energies)
    kind = kind_of(file, first_bytes(file))
    promised = expected_kind(file)
    notes: tuple[str, ...] = ()
    if promised is not None and kind != promised:
        if kind == "binary" or (kind == "zip" and promised != "zip"):
            raise ReadError(
                file,
                f"does not begin as {_PROMISES[promised]} does",
                "copy it again, or give it the extension of the format it is in",
            )
        notes = (f"the file is named {plain(file.name)!r} but holds {_PROMISES.get(kind, 'text')}",)
    if kind == "zip" and ext in _TEXT | _MSA | _OFFICE:
        raise ReadError(
            file,
            "is a zip archive, as office documents are",
            "export the sheet as CSV, or unpack the archive",
        )
    if kind == "npy":
        spectra = _arrays(file, "npy", signal, energies)
    elif ext == "npz" or (kind == "zip" and not plugins_for(ext)):
        spectra = _arrays(file, "npz", signal, energies)
    elif kind in ("dm3", "ser", "msa"):
        own = {"dm3": {"dm3", "dm4"}, "ser": {"ser"}, "msa": _MSA | _TEXT}[kind]
        if ext not in own:
            notes = (f"the file is named {plain(file.name)!r} but holds {_PROMISES[kind]}",)
        if kind == "msa":
            spectra = _msa(file, signal, energies)
        else:
            spectra = load_rosetta(file, kind, signal=signal, energies=energies)
    elif kind == "hdf5":
        if ext in HDF5_EXTENSIONS - {"h5", "hdf5"}:
            spectra = load_rosetta(file, ext, signal=signal, energies=energies)
        else:
            from coreloss.io.hdf5 import load_hdf5

            spectra = load_hdf5(file, ext or "h5", signal=signal, energies=energies)
    elif kind == "text" and (promised or ext in _TEXT | _MSA or not plugins_for(ext)):
        spectra = _text(file, signal, energies)
    elif plugins_for(ext) and ext not in _TEXT | _MSA:
        spectra = load_rosetta(file, ext, signal=signal, energies=energies)
    elif ext == "raw":
        raise ReadError(
            file,
            "holds bare numbers, without their size, type or axis",
            f"give the header that belongs to it, {plain(file.stem)}.rpl",
        )
    else:
        raise ReadError(
            file,
            "holds binary data, not text"
            if ext in _TEXT | _MSA
            else f"is in no known format (extension {plain('.' + ext) if ext else 'missing'})",
            "give a spectrum as dm3, dm4, msa, emd, hspy, ser, npy or as columns of text",
        )
    if not notes:
        return spectra
    return Spectra(spectra.counts, spectra.axis, spectra.metadata, (*notes, *spectra.notes))


def _text(file: Path, signal: str | int | None, energies: ArrayLike | None) -> Spectra:
    from coreloss.io.text import load_text

    return load_text(file, signal=signal, energies=energies)


def _arrays(file: Path, kind: str, signal: str | int | None, energies: ArrayLike | None) -> Spectra:
    from coreloss.io.arrays import load_npy, load_npz

    if kind == "npz":
        return load_npz(file, signal=signal, energies=energies)
    return load_npy(file, signal=signal, energies=energies)


def _msa(file: Path, signal: str | int | None, energies: ArrayLike | None) -> Spectra:
    from coreloss.io.msa import load_msa

    return load_msa(file, signal=signal, energies=energies)
