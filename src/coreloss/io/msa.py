"""EMSA/MAS files, with the checks that their free-form keywords need."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from numpy.typing import ArrayLike

from coreloss.energy import Spectra
from coreloss.io.errors import ReadError, plain, size_text
from coreloss.io.rosetta import load_rosetta
from coreloss.io.text import MAX_TEXT_BYTES, load_text

__all__ = ["load_msa"]


def _keywords(path: Path) -> dict[str, str]:
    """The keywords above the data, upper case, without unit suffixes (BEAMKV -kV)."""
    found: dict[str, str] = {}
    with open(path, encoding="latin-1") as handle:
        for line in handle:
            match = re.match(r"#\s*([A-Za-z]+)[^:]*:(.*)", line)
            if match:
                key = match.group(1).upper()
                found.setdefault(key, match.group(2).strip())
                if key == "SPECTRUM":
                    break
            elif line.strip() and not line.startswith("#"):
                break
    return found


def _with_points(path: Path, keywords: dict[str, str], folder: Path) -> Path | None:
    """A copy with points where decimals have commas, None where they have none.

    Commas part numbers as a rule of the format, so only those within a number of the axis,
    before an exponent, or beside semicolons say that a program wrote its country's decimals.
    """
    text = path.read_text(encoding="latin-1")
    head, mark, data = re.split(r"(?im)^(#\s*SPECTRUM.*)$", text, maxsplit=1)
    axis = [keywords.get(key, "") for key in ("XPERCHAN", "OFFSET")]
    written = any(re.fullmatch(r"[-+\d]*,\d+([eE][-+]?\d+)?", value) for value in axis)
    shown = re.search(r"(?<![eE+\-\d])\d+,\d+([eE][-+]?\d|\s*;)", data)
    if not written and (shown is None or re.search(r"\d\.\d", data)):
        return None
    point = re.compile(r"(?<=\d),(?=\d)")
    head = "\n".join(
        point.sub(".", line) if re.match(r"#[^:]*:[-+\d\s,eE]*$", line) else line
        for line in head.split("\n")
    )
    mended = folder / "mended.msa"
    mended.write_text(head + mark + point.sub(".", data).replace(";", ", "), encoding="latin-1")
    return mended


def load_msa(
    path: Path, *, signal: str | int | None = None, energies: ArrayLike | None = None
) -> Spectra:
    """A spectrum from an EMSA/MAS file; see `coreloss.io.load`."""
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise ReadError(
            path,
            f"is an MSA file of {size_text(size)}",
            f"MSA files of at most {size_text(MAX_TEXT_BYTES)} are read, so use a binary format",
        )
    keywords = _keywords(path)
    if "SPECTRUM" not in keywords:
        raise ReadError(
            path,
            "is an MSA file without a #SPECTRUM line, so its data are missing",
            "copy or export it again",
        )
    if keywords.get("DATATYPE", "").upper() not in ("Y", "XY"):
        raise ReadError(
            path,
            f"is an MSA file with DATATYPE {plain(keywords.get('DATATYPE', ''))!r}",
            "write Y or XY there, whichever its data are",
        )
    if energies is None and not keywords.get("XPERCHAN"):
        if keywords.get("DATATYPE", "").upper() == "XY":
            return load_text(path, signal=signal)
        raise ReadError(
            path,
            "is an MSA file without XPERCHAN, so its channels have no energies",
            "add the keywords XPERCHAN and OFFSET or pass energies from Python",
        )
    notes = []
    with tempfile.TemporaryDirectory() as folder:
        mended = _with_points(path, keywords, Path(folder))
        spectra = load_rosetta(path, "msa", signal=signal, energies=energies, mended=mended)
    if mended is not None:
        notes.append("commas were read as decimal points")
    declared = keywords.get("NPOINTS", "")
    try:
        points = round(float(declared))
    except (ValueError, OverflowError):
        points = spectra.axis.size
        notes.append(f"NPOINTS is {plain(declared)!r}, which is no number, and was not used")
    if points != spectra.axis.size:
        notes.append(
            f"NPOINTS declares {points} channels but {spectra.axis.size} are there"
            + (": the file may be cut short" if points > spectra.axis.size else "; all were read")
        )
    return Spectra(spectra.counts, spectra.axis, spectra.metadata, (*notes, *spectra.notes))
