"""EMSA/MAS files, with the checks that their free-form keywords need."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.energy import Spectra
from coreloss.io.axes import energy_factor, is_blank_unit
from coreloss.io.errors import ReadError, plain, size_text
from coreloss.io.rosetta import load_rosetta
from coreloss.io.text import MAX_TEXT_BYTES, load_text, text_of

__all__ = ["load_msa"]


_KEYWORD = re.compile(r"#\s*([A-Za-z]+)([^:]*):(.*)")


def _parted(text: str) -> tuple[list[tuple[str, str, str]], str]:
    """The keywords above the data as (name in capitals, suffix such as '-kV', value); the data.

    Of a keyword that comes twice the first counts. Lines of '#' that are no keyword, as
    programs write remarks and keywords of their own ('##D2STYLE'), are left out.
    """
    found: dict[str, tuple[str, str, str]] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = _KEYWORD.match(line)
        if match:
            name = match[1].upper()
            unit = re.fullmatch(r"\s*-\s*([A-Za-zµ%]+)\s*", match[2])
            found.setdefault(name, (name, f" -{unit[1]}" if unit else "", match[3].strip()))
            if name == "SPECTRUM":
                return list(found.values()), "\n".join(lines[number + 1 :])
        elif line.strip() and not line.startswith("#"):
            break
    return list(found.values()), ""


def _mended(head: list[tuple[str, str, str]], data: str) -> tuple[str, bool]:
    """The file as the format wants it, and whether its decimals had commas.

    Commas part numbers as a rule of the format, so only those within a number of the axis,
    before an exponent, or beside semicolons say that a program wrote its country's decimals.
    """
    axis = [value for name, _, value in head if name in ("XPERCHAN", "OFFSET")]
    written = any(re.fullmatch(r"[-+\d]*,\d+([eE][-+]?\d+)?", value) for value in axis)
    shown = re.search(r"(?<![eE+\-\d])\d+,\d+([eE][-+]?\d|\s*;)", data)
    commas = written or (shown is not None and not re.search(r"\d\.\d", data))
    point = re.compile(r"(?<=\d),(?=\d)")
    lines = []
    for name, unit, value in head:
        number = commas and re.fullmatch(r"[-+\d\s,eE]*", value)
        shown_value = point.sub(".", value) if number else value
        if name in ("DATATYPE", "SIGNALTYPE"):
            shown_value = shown_value.upper()
        lines.append(f"#{name}{unit} : {shown_value}\n")
    body = (point.sub(".", data) if commas else data).replace(";", ", ")
    return "".join(lines) + body, commas


def _pairs(mended: str) -> NDArray[np.float64] | None:
    """The energies of pairs 'x, y', in the unit of the file; None where a line is none."""
    body = re.split(r"(?m)^#SPECTRUM.*$", mended, maxsplit=1)[1]
    values: list[float] = []
    for line in body.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        fields = line.replace(",", " ").split()
        if len(fields) not in (2, 4):
            return None
        try:
            values += [float(x) for x in fields[::2]]
        except ValueError:
            return None
    return np.array(values) if values else None


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
    head, data = _parted(text_of(path))
    keywords = {name: value for name, _, value in head}
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
    pairs = keywords["DATATYPE"].upper() == "XY"
    if energies is None and not keywords.get("XPERCHAN"):
        if pairs:
            return load_text(path, signal=signal)
        raise ReadError(
            path,
            "is an MSA file without XPERCHAN, so its channels have no energies",
            "add the keywords XPERCHAN and OFFSET or pass energies from Python",
        )
    text, commas = _mended(head, data)
    notes = ["commas were read as decimal points"] if commas else []
    own = None
    factor = energy_factor(keywords.get("XUNITS", ""))
    if pairs and energies is None and (factor or is_blank_unit(keywords.get("XUNITS", ""))):
        own = _pairs(text)
    if energies is None and own is None and not keywords.get("OFFSET"):
        raise ReadError(
            path,
            "is an MSA file without OFFSET, so the energy of its first channel is not known",
            "add the keyword OFFSET or pass energies from Python",
        )
    if own is not None:
        energies = own * (factor or 1.0)
        notes += _disagreement(keywords, own, factor or 1.0)
    with tempfile.TemporaryDirectory() as folder:
        mended = Path(folder) / "mended.msa"
        mended.write_text(text, encoding="latin-1", errors="replace")
        spectra = load_rosetta(path, "msa", signal=signal, energies=energies, mended=mended)
    if own is not None and factor is None:
        notes.append("the energy axis has no unit; eV assumed")
    elif own is not None and factor != 1.0:
        notes.append(f"energy axis converted from {keywords['XUNITS']} to eV")
    declared = keywords.get("NPOINTS", "")
    try:
        points = round(float(declared.replace(",", "."))) if declared else spectra.axis.size
    except (ValueError, OverflowError):
        points = spectra.axis.size
        notes.append(f"NPOINTS is {plain(declared)!r}, which is no number, and was not used")
    # channels of another width are another number of channels
    if points != spectra.axis.size and (own is None or points != own.size):
        notes.append(
            f"NPOINTS declares {points} channels but {spectra.axis.size} are there"
            + (": the file may be cut short" if points > spectra.axis.size else "; all were read")
        )
    return Spectra(spectra.counts, spectra.axis, spectra.metadata, (*notes, *spectra.notes))


def _disagreement(keywords: dict[str, str], own: NDArray[np.float64], factor: float) -> list[str]:
    """A note where the axis of the keywords is another than the energies beside the counts."""
    try:
        step, start = (
            float(keywords.get(k, "").replace(",", ".").split()[0]) for k in ("XPERCHAN", "OFFSET")
        )
    except (ValueError, IndexError):
        return []
    ends = np.array([start, start + step * (own.size - 1)])
    if np.all(np.abs(ends - own[[0, -1]]) <= 1.5 * abs(step)):
        return []
    low, high = sorted(ends * factor)
    return [
        f"XPERCHAN and OFFSET say {low:.4g} to {high:.4g} eV; the energies beside the counts "
        "were taken instead"
    ]
