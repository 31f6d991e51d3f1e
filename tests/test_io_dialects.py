"""Text, MSA, NumPy and HDF5 files as laboratories write them; all of one spectrum."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from coreloss.io import ReadError, load

ENERGIES = 400.0 + 1.5 * np.arange(200)
COUNTS = np.round(2e5 * (ENERGIES / 400) ** -3) + 0.5
#: that neither rises nor falls
WAVY = COUNTS * (1 + 0.1 * (ENERGIES % 2))
HEAD = "Energieverlust [eV];Intensität [Zähler]\n"


def rows(between: str, end: str = "\n", *, comma: bool = False, quote: str = "", counts=COUNTS):
    lines = []
    for energy, count in zip(ENERGIES, counts, strict=True):
        fields = [f"{energy:.2f}", f"{count:.2f}"]
        fields = [f.replace(".", ",") for f in fields] if comma else fields
        lines.append(between.join(f"{quote}{f}{quote}" for f in fields) + end)
    return "".join(lines)


def german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


TEXTS = {
    "semicolons and decimal commas": (HEAD + rows(";", comma=True), "utf-8"),
    "Latin-1": (HEAD + rows(";", comma=True), "latin-1"),
    "UTF-16, no mark": (HEAD.replace(";", "\t") + rows("\t"), "utf-16-le"),
    "UTF-16, other order, no mark": (rows(","), "utf-16-be"),
    "UTF-16": (HEAD.replace(";", "\t") + rows("\t"), "utf-16"),
    "byte order mark": ("\ufeff" + HEAD + rows(";"), "utf-8"),
    "tabs and decimal commas": (rows("\t", comma=True), "utf-8"),
    "blanks and decimal commas": (rows("   ", comma=True), "utf-8"),
    "comma, blank and decimal commas": (rows(", ", comma=True), "utf-8"),
    "quoted decimal commas": (rows(",", comma=True, quote='"'), "utf-8"),
    "quoted decimal points": ('"Energy","Counts"\n' + rows(",", quote='"'), "utf-8"),
    "Windows line ends": (rows(",", "\r\n"), "utf-8"),
    "old Macintosh line ends": (rows(",", "\r"), "utf-8"),
    "grouped thousands": (
        "".join(f'{e};"{c:,.2f}"\n' for e, c in zip(ENERGIES, COUNTS, strict=True)),
        "utf-8",
    ),
    "grouped thousands, German": (
        "".join(f"{german(e)};{german(c)}\n" for e, c in zip(ENERGIES, COUNTS, strict=True)),
        "utf-8",
    ),
    "a line of units": ("Energy,Counts\neV,arb. u.\n" + rows(","), "utf-8"),
    "lines of energies and counts": (
        ",".join(map(str, ENERGIES)) + "\n" + ",".join(map(str, COUNTS)) + "\n",
        "utf-8",
    ),
    "counts before energies": (
        "".join(f"{c},{e}\n" for e, c in zip(ENERGIES, WAVY, strict=True)),
        "utf-8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS)
def test_text(kind: str, tmp_path: Path) -> None:
    content, encoding = TEXTS[kind]
    (tmp_path / "a.csv").write_bytes(content.encode(encoding))
    spectra = load(tmp_path / "a.csv")
    np.testing.assert_allclose(spectra.axis.energies, ENERGIES)
    wanted = WAVY if kind.startswith("counts") else COUNTS
    np.testing.assert_allclose(spectra.counts, wanted)


def test_commas_for_columns_and_decimals_are_refused(tmp_path: Path) -> None:
    """Else the tenths would be taken for counts."""
    path = tmp_path / "a.csv"
    for counts in (COUNTS, COUNTS + np.arange(200) % 7 / 10):
        path.write_text(rows(",", comma=True, counts=counts))
        with pytest.raises(ReadError, match=r"as in '400,00,200000,50'; write it with semicolons"):
            load(path)
    path.write_text("".join(f"{400 + i},{c:.0f},7\n" for i, c in enumerate(COUNTS)))
    np.testing.assert_allclose(load(path).counts, [float(f"{c:.0f}") for c in COUNTS])


def test_cells_without_numbers_are_gaps(tmp_path: Path) -> None:
    lines = rows(";", comma=True).splitlines()
    lines[20] = lines[20].split(";")[0] + ";#NV"
    lines[21] = lines[21].split(";")[0] + ";#DIV/0!"
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert list(np.flatnonzero(np.isnan(load(tmp_path / "a.csv").counts))) == [20, 21]


def msa(path: Path, data: str, **keywords: str) -> Path:
    words = {
        "XUNITS": "eV",
        "DATATYPE": "Y",
        "XPERCHAN": "1.5",
        "OFFSET": "400.0",
        "BEAMKV -kV": "200.0",
    }
    head = "".join(f"#{key:<12}: {value}\n" for key, value in (words | keywords).items())
    path.write_text(
        f"#FORMAT      : EMSA/MAS Spectral Data File\n#TITLE : 1,5 nm, spot 2\n{head}"
        f"#SPECTRUM    : here\n{data}#ENDOFDATA   :\n",
        encoding="utf-8",
    )
    return path


Y = "".join(f"{c:.6e}\n" for c in COUNTS)
MSA = {
    "points": (Y, {}),
    "commas after": (Y.replace("\n", ",\n"), {}),
    "decimal commas": (Y.replace(".", ","), {"XPERCHAN": "1,5", "OFFSET": "400,0"}),
    "decimal commas, BEAMKV too": (Y.replace(".", ","), {"BEAMKV -kV": "200,0"}),
    "decimal commas in pairs": (
        "".join(f"{e};{c:.6e}\n" for e, c in zip(ENERGIES, COUNTS, strict=True)).replace(".", ","),
        {"DATATYPE": "XY"},
    ),
    "a label for a unit": (Y, {"XUNITS": "Energy Loss (eV)"}),
    "no unit": (Y, {"XUNITS": ""}),
    "a position": (Y, {"XPOSITION mm": "n/a"}),
    "kilovolts": (Y, {"XUNITS": "keV", "XPERCHAN": "0.0015", "OFFSET": "0.4"}),
    "whole numbers in lines": (
        "".join(
            ",".join(f"{c:.0f}" for c in COUNTS[i : i + 4] * 2) + "\n" for i in range(0, 200, 4)
        ),
        {"NCOLUMNS": "4"},
    ),
}


@pytest.mark.parametrize("kind", MSA)
def test_msa(kind: str, tmp_path: Path) -> None:
    data, keywords = MSA[kind]
    spectra = load(msa(tmp_path / "a.msa", data, **keywords))
    np.testing.assert_allclose(spectra.axis.energies, ENERGIES)
    scale = 2 if kind.startswith("whole") else 1
    np.testing.assert_allclose(spectra.counts, scale * COUNTS, rtol=1e-6)
    assert spectra.metadata["file"] == str(tmp_path / "a.msa")
    assert spectra.metadata["beam_energy_kev"] == 200.0


def test_msa_with_a_wrong_number_of_points(tmp_path: Path) -> None:
    for points, words in ((230, "may be cut short"), (170, "all were read")):
        spectra = load(msa(tmp_path / "a.msa", Y, NPOINTS=f"{points}."))
        assert spectra.axis.size == 200
        assert any(words in note for note in spectra.notes)


@pytest.mark.parametrize("name", ["a.h5", "a.hdf5", "a"])
def test_hdf5_is_read_by_what_is_in_it(name: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / name
    with h5py.File(path, "w") as store:
        store["energy"], store["counts"] = ENERGIES, COUNTS
        store["note"] = "text"
    np.testing.assert_allclose(load(path).counts, COUNTS)
    with h5py.File(path, "w") as store:
        entry = store.create_group("entry")
        data = entry.create_group("data")
        entry.attrs["NX_class"], data.attrs["NX_class"] = "NXentry", "NXdata"
        data.attrs["signal"], data.attrs["axes"] = "counts", ["energy"]
        data["counts"], data["energy"] = COUNTS, ENERGIES
        data["energy"].attrs["units"] = "eV"
    np.testing.assert_allclose(load(path).counts, COUNTS)
    with h5py.File(path, "w") as store:
        store.create_group("settings")
    with pytest.raises(ReadError, match=r"no known layout .it holds no arrays.*; save it as .hspy"):
        load(path)
    with h5py.File(path, "w") as store:
        store.create_dataset("counts", (10**6, 10**6), chunks=(100, 100), dtype="f4")
    with pytest.raises(ReadError, match=r"declares 4.0 TB of data"):
        load(path)


def test_hyperspys_file_of_another_name(tmp_path: Path) -> None:
    from spectrum_images import AXIS, image_counts, write_hspy

    whole = write_hspy(tmp_path / "a.hspy", image_counts(), AXIS)
    for name in ("b.h5", "c"):
        (tmp_path / name).write_bytes(whole.read_bytes())
        assert load(tmp_path / name).counts.shape == load(whole).counts.shape


@pytest.mark.parametrize("factor", [1e-300, 1e80])
def test_numbers_that_nothing_counts_are_refused(factor: float, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([ENERGIES, COUNTS * factor]))
    with pytest.raises(ReadError, match=r"its values reach .*, which nothing counts; multiply"):
        load(tmp_path / "a.npy")


def test_an_array_has_no_other_signals(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([ENERGIES, COUNTS]))
    assert load(tmp_path / "a.npy", signal=0).axis.size == 200
    with pytest.raises(ReadError, match=re.escape("holds one array, and no 'HAADF'")):
        load(tmp_path / "a.npy", signal="HAADF")


@pytest.mark.parametrize(("between", "mark"), [("\t", ","), (";", ","), (";", "."), (",", '"')])
def test_thousands_are_parted_where_counts_fall_below_a_thousand(
    between: str, mark: str, tmp_path: Path
) -> None:
    counts = np.round(1002.5 - 0.5 * np.arange(200)) * 20 - 18000
    texts = [f"{int(count):,}" for count in counts]
    if mark == ".":
        texts = [text.replace(",", ".") for text in texts]
    if mark == '"':
        texts = [f'"{text}"' for text in texts]
    lines = [f"{400 + 2 * i}{between}{text}" for i, text in enumerate(texts)]
    (tmp_path / "a.txt").write_text("Energy loss (eV)" + between + "Counts\n" + "\n".join(lines))
    assert counts.max() > 1000 > counts.min() > 0
    np.testing.assert_array_equal(load(tmp_path / "a.txt").counts, counts)


def test_three_decimals_are_no_thousands(tmp_path: Path) -> None:
    values = np.round(900.0 - 1.377 * np.arange(200), 3)
    values[50] = 831.0
    lines = [f"{400 + 2 * i};{v:g}".replace(".", ",") for i, v in enumerate(values)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    np.testing.assert_allclose(load(tmp_path / "a.txt").counts, values)


@pytest.mark.parametrize(
    "remark",
    [
        "# energy loss spectrum, exposure 100 ms",
        "# energy loss, probe size 0.1 nm",
        "# Beam energy: 0.3 MeV, energy loss axis",
        "# energy resolution 15 meV",
    ],
)
def test_units_of_other_things_in_a_remark(remark: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(remark + "\n" + rows(" "))
    assert load(tmp_path / "a.txt").axis.offset == pytest.approx(400.0)


@pytest.mark.parametrize("name", ["Bkg", "Subtracted", "Background fit", "Model", "Residual"])
def test_what_a_program_has_computed_is_not_the_spectrum(name: str, tmp_path: Path) -> None:
    lines = [f"{e:.2f},{0.5 * c:.2f},{c:.2f}" for e, c in zip(ENERGIES, COUNTS, strict=True)]
    (tmp_path / "a.csv").write_text(f"Energy (eV),{name},Spectrum\n" + "\n".join(lines))
    np.testing.assert_allclose(load(tmp_path / "a.csv").counts, COUNTS)


@pytest.mark.parametrize("missing", [(), (130,), (130, 131, 300), tuple(range(400, 430))])
@pytest.mark.parametrize(("step", "digits"), [(1.5, 0), (0.25, 1), (0.15, 1), (1.03, 0), (2.3, 0)])
def test_rounded_energies_that_lack_channels_keep_their_counts(
    step: float, digits: int, missing: tuple[int, ...], tmp_path: Path
) -> None:
    counts = np.round(1e8 / (400.0 + np.arange(900)))
    counts[list(missing)] = np.nan
    lines = [
        f"{440 + step * i:.{digits}f} {count:.0f}"
        for i, count in enumerate(counts)
        if i not in missing
    ]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    spectra = load(tmp_path / "a.txt")
    assert spectra.axis.dispersion == pytest.approx(step, rel=1e-3)
    assert spectra.axis.offset == pytest.approx(440.0, abs=0.6 * 10.0**-digits)
    np.testing.assert_array_equal(spectra.counts, counts)


@pytest.mark.parametrize(("step", "digits"), [(0.97, 0), (0.09, 1)])
def test_rounded_energies_that_seldom_repeat(step: float, digits: int, tmp_path: Path) -> None:
    lines = [f"{440 + step * i:.{digits}f} {1e6 / (400 + i):.0f}" for i in range(780)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    assert load(tmp_path / "a.txt").axis.dispersion == pytest.approx(step, rel=1e-3)
