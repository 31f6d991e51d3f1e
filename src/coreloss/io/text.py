"""Two-column text and CSV."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.energy import Spectra
from coreloss.io.assemble import MIN_CHANNELS, assemble, given_energies
from coreloss.io.axes import MOST_LOSS, energy_factor
from coreloss.io.errors import ReadError, plain, size_text
from coreloss.io.sniff import HEAD, unmarked_utf16

__all__ = ["MAX_TEXT_BYTES", "load_text", "read_table", "text_of"]

MAX_TEXT_BYTES = 64_000_000
MAX_LINE = 100_000
_COMMENT = ("#", "%", "//", "!", "*")
_MISSING = {"", "nan", "na", "n/a", "--", "-", "null", "none"}
# how spreadsheets print a cell without a number, in English and German
_MISSING |= {"#n/a", "#nv", "#num!", "#zahl!", "#value!", "#wert!", "#div/0!", "#ref!", "#bezug!"}
# thousands parted by blanks, also narrow and unbreakable ones, or apostrophes
_BLANK_GROUPED = re.compile(r"[-+]?\d{1,3}([ '’\u00a0\u2009\u202f]\d{3})+([.,]\d*)?")
_GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")
_GROUPED_BY_POINTS = re.compile(r"[-+]?\d{1,3}(\.\d{3})+(,\d*)?")
_UNIT = re.compile(
    r"(?<![A-Za-z])(keV|meV|MeV|eV|nm|µm|um|Å|ms|s|px|pixels?|channels?)(?![A-Za-z])", re.I
)
_ENERGY = re.compile(r"energy|loss|\be\b|\bev\b|\bkev\b|Δe", re.I)
_NOT_COUNTS = re.compile(
    r"err|sigma|std|uncert|backgr|bkg|\bbg\b|subtr|\bfit|model|resid|index|channel|pixel", re.I
)
# what else than the axis is told in these units
_NOT_THE_AXIS = re.compile(r"resol|fwhm|beam|primary|accelerat", re.I)


def text_of(path: Path) -> str:
    """A file as text: UTF-8 or UTF-16, with or without their marks, else Latin-1.

    Raises ReadError for more than `MAX_TEXT_BYTES`.
    """
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise ReadError(
            path,
            f"is a text file of {size_text(size)}",
            f"text of at most {size_text(MAX_TEXT_BYTES)} is read, so give one spectrum a file "
            "or use a binary format",
        )
    raw = path.read_bytes()
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    unmarked = unmarked_utf16(raw[:HEAD])
    if unmarked is not None:
        return raw.decode(unmarked, "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter is not None and len(delimiter) == 1 and '"' in line:
        parts = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    else:
        parts = line.split(delimiter)
    fields = [field.strip().strip("\"'") for field in parts]
    # A trailing delimiter is habit, not an empty last column.
    return fields[:-1] if delimiter is not None and len(fields) > 2 and not fields[-1] else fields


def _number(field: str, decimal_comma: bool) -> float | None:
    """The number a field shows, NaN for an empty one, None for text."""
    if field.lower() in _MISSING:
        return math.nan
    field = field.replace("\u2212", "-")  # a real minus sign
    if _BLANK_GROUPED.fullmatch(field):
        field = re.sub(r"[ '’\u00a0\u2009\u202f]", "", field)
    if decimal_comma:
        text = field.replace(".", "") if _GROUPED_BY_POINTS.fullmatch(field) else field
        text = text.replace(",", ".")
    else:
        text = field.replace(",", "") if _GROUPED.fullmatch(field) else field
    try:
        return float(re.sub(r"(?<=[\d.])[dD](?=[+-]?\d)", "e", text))
    except ValueError:
        return None


def _delimiter_of(lines: list[str]) -> tuple[str | None, bool]:
    """The delimiter of a table (None: white space) and whether its decimals have commas."""
    sample = [line for line in lines if re.match(r"\s*[-+.,\d\"']*\d", line)][:200]
    joined = "\n".join(sample)
    delimiter: str | None = None
    for mark in (";", "\t"):
        if sample and sum(mark in line for line in sample) > len(sample) // 2:
            delimiter = mark
            break
    else:
        spaced = sum(bool(re.search(r"\d\s+[-+]?\.?\d", line.strip())) for line in sample)
        if "," in joined and (spaced <= len(sample) // 2 or re.search(r",\s", joined)):
            if "." in joined:
                return ",", False
            if all(re.search(r"\d,\d", line) and ", " in line for line in sample):
                return ", ", True
            return ",", any("," in field for line in sample for field in _split(line, ","))
    grouped = re.search(r"\d\.\d{3},\d", joined)  # 199.870,5
    decimal = bool(re.search(r"\d,\d", joined)) and (
        grouped is not None or not re.search(r"\d\.\d", joined)
    )
    return delimiter, decimal


def _parts_thousands(column: Sequence[str], mark: str) -> bool:
    """Whether ``mark`` parts thousands in whole numbers: '1,002' before '998'.

    Read as decimals such numbers would fall to a thousandth where a count has four digits.
    """
    marked = [mark in field for field in column]
    if not any(marked) or all(marked):
        return False
    grouped = re.compile(rf"\d{{1,3}}(\{mark}\d{{3}})+")
    if not all(
        grouped.fullmatch(field) if has else re.fullmatch(r"\d{1,3}", field)
        for field, has in zip(column, marked, strict=True)
    ):
        return False
    whole = np.array([float(field.replace(mark, "")) for field in column])
    halves = [field.partition(mark) for field in column]
    parts = np.array([float(f"{head}.{tail.replace(mark, '')}") for head, _, tail in halves])
    rough = [float(np.abs(np.diff(np.log(values + 1e-3))).sum()) for values in (whole, parts)]
    return rough[0] < rough[1]


def _dialect_of(lines: list[str]) -> tuple[str | None, bool]:
    """The delimiter of a table (None: white space) and whether its decimals have commas."""
    delimiter, decimal = _delimiter_of(lines)
    rows = [_split(line, delimiter) for line in lines if re.match(r"\s*[\d\"']", line)]
    rows = [row for row in rows if len(row) == len(rows[-1])]
    for mark in (",", "."):
        if any(_parts_thousands(column, mark) for column in zip(*rows, strict=True)):
            return delimiter, mark == "."
    return delimiter, decimal


def read_table(path: Path) -> tuple[NDArray[np.float64], list[str], list[str], list[str]]:
    """The numbers of a text file.

    Returns
    -------
    table : (n_rows, n_columns), NaN where a field is empty
    names : the column names, or [] if no header line fits
    header : every line before the first number
    notes : what was skipped

    Raises
    ------
    ReadError
        If there are no numbers, or a line among them is not numbers.
    """
    text = text_of(path)
    lines = text.splitlines()
    longest = max((len(line) for line in lines), default=0)
    if longest > MAX_LINE:
        raise ReadError(
            path,
            f"has a line of {size_text(longest)}",
            "write the spectrum one channel a line: energy loss in eV, then counts",
        )
    delimiter, decimal = _dialect_of(lines)
    rows: list[list[float]] = []
    header: list[str] = []
    notes: list[str] = []
    width = 0
    odd: tuple[int, str] | None = None
    skipped = 0
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        if not bare:
            continue
        if bare.startswith(_COMMENT):
            if not rows:
                header.append(bare)
            continue
        values = [_number(field, decimal) for field in _split(bare, delimiter)]
        good = None not in values and any(v is not None and math.isfinite(v) for v in values)
        if not rows and (not good or (width == 0 and values[0] is None)):
            header.append(bare)
        elif None in values:
            odd = odd or (number, bare)
            skipped += 1
        elif not good:
            continue
        else:
            if len(rows) == width == 1 and odd is None and len(values) > 1:
                # how many channels follow, as some programs begin
                header.append(f"{rows.pop()[0]:g}")
                width = 0
            if odd is not None or (width and len(values) != width):
                _refuse_line(path, odd or (number, bare), width)
            width = width or len(values)
            rows.append([math.nan if v is None else v for v in values])
    if not rows:
        first = plain(next((line for line in lines if line.strip()), ""), 40)
        begins = f"it begins {first!r}" if first else "it is blank"
        raise ReadError(
            path,
            f"holds text without columns of numbers ({begins})",
            "give a table with energy loss in eV and counts, one channel a line",
        )
    if odd is not None and skipped > max(20, 0.1 * len(rows)):
        _refuse_line(path, odd, width)  # too much to be remarks
    if odd is not None:
        notes.append(f"text after the table was skipped (from line {odd[0]} on)")
    table, names = np.array(rows, dtype=float), _names(header, width, delimiter)
    if delimiter == "," and not decimal and width in (3, 4) and not names:
        _refuse_commas_for_everything(path, lines, table)
    return table, names, header, notes


def _refuse_commas_for_everything(path: Path, lines: list[str], table: NDArray) -> None:
    """'230,5,199870,0' is 230.5 and 199870.0 where columns one and two together step evenly."""
    fields = [_split(line, ",") for line in lines]
    second = [row[1] for row in fields if len(row) == table.shape[1] and row[1].isdigit()]
    if len(table) < 3 or len(second) < len(table) or len(set(map(len, second))) > 1:
        return
    steps = np.diff(table[:, 0] + table[:, 1] * 10.0 ** -len(second[0]))
    if np.ptp(steps) <= 1e-6 * abs(steps[0]):
        line = next(line for line, row in zip(lines, fields, strict=True) if len(row) > 2)
        raise ReadError(
            path,
            f"its commas seem to part columns and to mark decimals too, as in {plain(line, 40)!r}",
            "write it with semicolons or tabs between the columns",
        )


def _refuse_line(path: Path, line: tuple[int, str], width: int) -> None:
    raise ReadError(
        path,
        f"line {line[0]} reads {plain(line[1], 40)!r} within a table of {width} "
        f"column{'s' * (width != 1)} of numbers",
        "mend or remove that line",
    )


def _names(header: list[str], width: int, delimiter: str | None) -> list[str]:
    for line in reversed(header):
        fields = _split(line.lstrip("#%/!* "), delimiter)
        if len(fields) == width:
            return fields
        if delimiter is None and width > 1:
            fields = [field.strip() for field in re.split(r"\t|\s{2,}", line.lstrip("#%/!* "))]
            if len(fields) == width:
                return fields
    return []


def _energy_column(table: NDArray[np.float64], names: list[str]) -> int:
    """The column named energy, else the first, or the first even one where that is not even."""
    named = [i for i, name in enumerate(names) if _ENERGY.search(name)]
    if named:
        return named[0]
    with np.errstate(invalid="ignore"):  # counts may be infinite
        steps = np.diff(table, axis=0)
        even = [i for i, s in enumerate(steps.T) if s.size > 1 and np.ptp(s) < 0.1 * abs(s.mean())]
    ordered = np.all(steps[:, 0] > 0) or np.all(steps[:, 0] < 0)
    numbered = table.shape[1] > 2 and table[0, 0] in (0, 1) and np.all(steps[:, 0] == 1)
    if numbered and len(even) > 1:
        return even[1]
    return even[0] if even and not ordered else 0


def _in_lines(table: NDArray[np.float64]) -> bool:
    """Whether the first line of a table holds even energies, and the first column holds none."""
    if table.shape[0] < 3 or table.shape[1] < MIN_CHANNELS or not np.isfinite(table).all():
        return False
    along, down = np.diff(table[0]), np.diff(table[:, 0])
    even = np.ptp(along) < 0.1 * abs(along.mean())
    # a column of energies has channels enough for a spectrum
    column = len(table) >= MIN_CHANNELS and (np.all(down > 0) or np.all(down < 0))
    return bool(even and not column)


def _columns(
    path: Path, table: NDArray[np.float64], names: list[str], signal: str | int | None
) -> tuple[int, int]:
    """The energy and the counts column of a table."""
    width, energy = table.shape[1], _energy_column(table, names)
    others = [i for i in range(width) if i != energy]
    if signal is not None:
        if isinstance(signal, int) and -len(others) <= signal < len(others):
            return energy, others[signal]
        if isinstance(signal, str) and signal in names and names.index(signal) != energy:
            return energy, names.index(signal)
        raise ReadError(
            path,
            f"has no column of counts {plain(signal)!r} among its {width} columns",
            f"give a name of its header line or a number from 0 to {len(others) - 1}",
        )
    usable = [i for i in others if i >= len(names) or not _NOT_COUNTS.search(names[i])]
    after = [i for i in usable if i > energy]
    return energy, (after or usable or others)[0]


def _unit(names: list[str], header: list[str], energy: int) -> str | None:
    """The unit of the energy column as the header states it."""
    if names:
        found = _UNIT.search(names[energy])
        return found.group(0) if found else None
    for line in header:
        # a remark tells of much else as well: of exposures, probes, the beam
        if _ENERGY.search(line) and not _NOT_THE_AXIS.search(line):
            units = [unit for unit in _UNIT.findall(line) if energy_factor(unit) is not None]
            if units:
                return str(units[0])
    return None


def _most(unit: str) -> float:
    """The largest energy loss that is measured, in ``unit``."""
    return MOST_LOSS / (energy_factor(unit) or 1.0)


def load_text(
    path: Path, *, signal: str | int | None = None, energies: ArrayLike | None = None
) -> Spectra:
    """A spectrum from columns of text; see `coreloss.io.load`."""
    table, names, header, notes = read_table(path)
    metadata: dict[str, Any] = {"file": str(path)}
    if table.shape[0] == 2 and table.shape[1] >= MIN_CHANNELS:
        table, names = table.T, []
        notes.append("its two lines were taken as energies and counts")
    elif not names and _in_lines(table):
        table = table.T
        notes.append("its lines were taken as columns: the first holds the energies")
    if energies is not None:
        axis = given_energies(path, energies)
        if axis.size != table.shape[0]:
            raise ReadError(
                path,
                f"has {table.shape[0]} rows, but {axis.size} energies were given with it",
                "give one energy in eV for each row",
            )
        width = table.shape[1]
        column = 0 if width == 1 else _columns(path, table, names, signal)[1]
        return assemble(path, table[:, column], axis, metadata=metadata, notes=notes)
    if table.shape[1] < 2:
        raise ReadError(
            path,
            f"has one column of {table.shape[0]} numbers and no energies",
            "add a column with the energy loss in eV, or pass energies from Python",
        )
    energy, column = _columns(path, table, names, signal)
    unit = _unit(names, header, energy)
    if unit is not None and not names and np.nanmax(table[:, energy], initial=0.0) > _most(unit):
        unit = None  # a line of the header that tells the beam energy
    factor = 1.0 if unit is None else energy_factor(unit)
    if factor is None:
        raise ReadError(
            path,
            f"its energy column is in {unit!r} according to the header",
            "give a spectrum whose axis is energy loss in eV, keV or meV",
        )
    if unit is None:
        notes.append("no unit is stated for the energy column; eV assumed")
    elif factor != 1.0:
        notes.append(f"energy axis converted from {unit} to eV")
    values, counts = table[:, energy], table[:, column]
    if table.shape[1] > 2 or energy:
        label = f" ({plain(names[column])})" if names and names[column] else ""
        notes.append(
            f"the file has {table.shape[1]} columns; column {energy + 1} was taken as energy and "
            f"column {column + 1}{label} as counts"
        )
        metadata["signal"] = plain(names[column]) if label else f"column {column + 1}"
    placed = np.isfinite(values)
    if not placed.all():
        notes.append(f"{np.count_nonzero(~placed)} rows without an energy were left out")
        values, counts = values[placed], counts[placed]
    if unit is None and values.size >= 3 and np.all(np.diff(values) == 1) and values[0] in (0, 1):
        raise ReadError(
            path,
            f"its first column only numbers the channels from {values[0]:g} to {values[-1]:g}",
            "replace it with the energy loss, or state its unit in a header if it is energy loss",
        )
    return assemble(path, counts, values * factor, metadata=metadata, notes=notes)
