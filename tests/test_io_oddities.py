"""Odd files that were once read wrongly, or refused with the wrong reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coreloss.io import ReadError, load

ENERGIES = 230.5 + np.arange(300.0)
COUNTS = np.round(2e5 * (ENERGIES / 230) ** -3)
Y = "".join(f"{c:.0f}\n" for c in COUNTS)
XY = "".join(f"{e}, {c:.0f}\n" for e, c in zip(ENERGIES, COUNTS, strict=True))


def msa(data: str = Y, **keywords: str) -> str:
    words = {"XUNITS": "eV", "DATATYPE": "Y", "XPERCHAN": "1.0", "OFFSET": "230.5"} | keywords
    head = "".join(f"#{key:<12}: {value}\n" for key, value in words.items())
    first = "#FORMAT      : EMSA/MAS Spectral Data File\n"
    return f"{first}{head}#SPECTRUM    : here\n{data}#ENDOFDATA   :\n"


def table(separator: str, *, counts=COUNTS, show: Callable[[float], str] = "{:.1f}".format) -> str:
    pairs = zip(ENERGIES, counts, strict=True)
    return "".join(f"{e:.1f}{separator}{show(c)}\n" for e, c in pairs)


def grouped(mark: str) -> Callable[[float], str]:
    return lambda c: f"{c:,.0f}".replace(",", mark)


# what a file holds, and its encoding
READ = {
    "a.msa: byte order mark": ("\ufeff" + msa(), "utf-8"),
    "a.msa: UTF-16": (msa(), "utf-16"),
    "a.msa: UTF-16 without mark": (msa(), "utf-16-le"),
    "a.msa: remarks": (
        "\n\n" + msa().replace("#XUNITS", "#-- as recorded --\n##D2-STYLE-2 : 3\n#XUNITS", 1),
        "utf-8",
    ),
    "a.msa: small letters": (
        msa(DATATYPE="y").replace("#XPERCHAN", "#xperchan").replace("#DATATYPE", "#datatype"),
        "utf-8",
    ),
    "a.msa: no blank after the colon": (msa().replace(": 230.5", ":230.5"), "utf-8"),
    "a.msa: unit behind a label": (msa(XUNITS="Energy Loss eV"), "utf-8"),
    "a.msa: pairs and a wrong axis": (msa(XY, DATATYPE="XY", OFFSET="0", XPERCHAN="0.5"), "utf-8"),
    "a.msa: pairs in keV": (
        msa(
            "".join(f"{e / 1e3:.4f}, {c:.0f}\n" for e, c in zip(ENERGIES, COUNTS, strict=True)),
            DATATYPE="XY",
            XUNITS="keV",
            XPERCHAN="0.001",
            OFFSET="0.2305",
        ),
        "utf-8",
    ),
    "a.msa: pairs running down": (
        msa("\n".join(XY.splitlines()[::-1]) + "\n", DATATYPE="XY", XPERCHAN="-1", OFFSET="529.5"),
        "utf-8",
    ),
    "a.csv: apostrophes in thousands": (table(";", show=grouped("'")), "utf-8"),
    "a.csv: blanks in thousands": (table(";", show=grouped(" ")), "utf-8"),
    "a.csv: narrow blanks in thousands": (table("\t", show=grouped("\u202f")), "utf-8"),
    "a.txt: beam energy in the header": ("# acquired at 300 keV\n" + table("\t"), "utf-8"),
    "a.txt: E0 in the header": ("E = 200 keV, loss in eV\n" + table("\t"), "utf-8"),
    "a.csv: numbered rows": (
        "".join(f"{i},{line}\n" for i, line in enumerate(table(",").splitlines())),
        "utf-8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_read_as_meant(case: str, tmp_path: Path) -> None:
    content, encoding = READ[case]
    path = tmp_path / case.split(":")[0]
    path.write_bytes(content.encode(encoding))
    spectra = load(path)
    np.testing.assert_allclose(spectra.axis.energies, ENERGIES)
    np.testing.assert_allclose(spectra.counts, COUNTS)
    assert any("XPERCHAN and OFFSET say" in n for n in spectra.notes) == ("wrong axis" in case)
    assert not any("NPOINTS" in note for note in spectra.notes)


def test_real_minus_signs_are_read(tmp_path: Path) -> None:
    """They once ended the table, and the record there."""
    counts = COUNTS - 5e4
    text = table(",", counts=counts).replace("-", "\u2212")
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    np.testing.assert_allclose(load(tmp_path / "a.csv").counts, counts)


LOW = -20.0 + np.arange(300.0)
REFUSED = {
    "half of it unreadable": (table(",") + "x,y\n" * 100, "line 301 reads 'x,y'"),
    "low and high loss joined": (
        "".join(f"{e},{1e6 + e}\n" for e in LOW + 0.25) + table(","),
        "run back from 279.25 to 230.5 eV, as where records that overlap are joined; write each",
    ),
    "counts only, in lines": (
        "".join(
            f"{c + (i % 3) * 7e4:.2f}" + ("\n" if i % 5 == 4 else " ") for i, c in enumerate(COUNTS)
        ),
        "eV, as counts do; give a column of energies",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    content, words = REFUSED[case]
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    with pytest.raises(ReadError) as caught:
        load(tmp_path / "a.txt")
    assert words in str(caught.value)


def test_an_msa_file_without_its_first_energy_is_refused(tmp_path: Path) -> None:
    """CHOFFSET, which other programs write in its place, is a channel, not an energy."""
    path = tmp_path / "a.msa"
    path.write_text(msa(OFFSET="", CHOFFSET="-230.5"), encoding="utf-8")
    with pytest.raises(ReadError, match=r"without OFFSET.*; add the keyword OFFSET"):
        load(path)


def test_records_that_follow_in_any_order_are_joined(tmp_path: Path) -> None:
    lines = table(",").splitlines(keepends=True)
    (tmp_path / "a.txt").write_text("".join(lines[150:] + lines[:150]), encoding="utf-8")
    spectra = load(tmp_path / "a.txt")
    np.testing.assert_allclose(spectra.counts, COUNTS)


def test_ends_that_were_not_recorded_are_told_once(tmp_path: Path) -> None:
    counts = COUNTS.copy()
    counts[-5:] = 0.0
    np.save(tmp_path / "a.npy", np.array([ENERGIES, counts]))
    notes = load(tmp_path / "a.npy").notes
    assert len(notes) == 1
    assert notes[0].startswith("5 channels at the ends")


def test_an_hdf5_file_of_another_kind_is_not_called_damaged(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hspy", "w") as store:
        store["x"] = COUNTS
    with pytest.raises(ReadError, match=r"cannot be read as hspy .*: it holds something else"):
        load(tmp_path / "a.hspy")
