"""Broken and odd files: each gets one clear sentence, and none a traceback, noise or a crash."""

from __future__ import annotations

import builtins
import errno
import gzip
import os
import pickle
import random
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from dm3_file import dm3_image, write_dm3

import coreloss.io.assemble
from coreloss.io import ReadError, load

REAL = Path(
    os.environ.get("CORELOSS_REAL", Path(__file__).resolve().parents[1] / ".." / "shared" / "real")
)
ENERGIES = 400.0 + 0.5 * np.arange(200)
COUNTS = 1000.0 * (ENERGIES / 400) ** -3
EELS = [(400.0, 0.5, "eV")]
AXIS = {"size": 200, "scale": 0.5, "offset": 400.0, "units": "eV"}
MAP = {"size": 0, "scale": 1.0, "offset": 0.0, "units": "nm", "navigate": True}


def sentence(path, **options) -> str:
    """The message of the ReadError, checked to be one sentence that names the file."""
    with pytest.raises(ReadError) as caught:
        load(path, **options)
    message = str(caught.value)
    name = os.fspath(path).encode("utf-8", "replace").decode()
    assert message.startswith(name.split("\x00")[0][:60].split("\n")[0])
    body = message[len(name) :]
    assert "\n" not in message
    assert "Traceback" not in message
    assert "site-packages" not in message
    assert ": " in message
    assert "; " in body, f"no remedy in {message!r}"
    assert not re.search(r"[.!?] +[A-Z]", body), f"more than one sentence: {message!r}"
    assert not message.endswith(".")
    assert len(body) < 400
    # What was raised first would be printed under the sentence if it were chained.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def table(energies=ENERGIES, counts=COUNTS, head="") -> str:
    return head + "".join(f"{e},{c}\n" for e, c in zip(energies, counts, strict=True))


def raw(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def dm3(path: Path, data=COUNTS, axes=EELS, kind="EELS", **more) -> Path:
    return write_dm3(path, dm3_image(np.asarray(data, "<f4"), axes, kind=kind, **more))


def msa(path: Path, keywords: str, data: str | None = None) -> Path:
    data = "".join(f"{c}\n" for c in COUNTS) if data is None else data
    return text(path, f"#FORMAT : EMSA/MAS Spectral Data File\n{keywords}\n{data}#ENDOFDATA :\n")


def random_bytes(n: int) -> bytes:
    return random.Random(4).randbytes(n)


CALIBRATED = "#XUNITS : eV\n#XPERCHAN : 0.5\n#OFFSET : 400\n"

# name of the file, what writes it, what the sentence must say
FILES = {
    "empty": ("a.dm3", lambda p: raw(p, b""), "is empty (0 bytes)"),
    "empty text": ("a.txt", lambda p: raw(p, b""), "is empty"),
    "blank text": ("a.txt", lambda p: raw(p, b" \n\n"), "of numbers (it is blank)"),
    "zero bytes": ("a.dm3", lambda p: raw(p, bytes(5000)), "only zero bytes"),
    "random dm3": ("a.dm3", lambda p: raw(p, random_bytes(9000)), "does not begin as a Digital"),
    "random dm4": ("a.dm4", lambda p: raw(p, random_bytes(9000)), "does not begin as a Digital"),
    "random ser": ("a.ser", lambda p: raw(p, random_bytes(900)), "does not begin as a TIA"),
    "random hspy": ("a.hspy", lambda p: raw(p, random_bytes(900)), "does not begin as an HDF5"),
    "random npy": ("a.npy", lambda p: raw(p, random_bytes(900)), "does not begin as a NumPy"),
    "random unknown": ("a.qqq", lambda p: raw(p, random_bytes(900)), "in no known format"),
    "random nameless": ("a", lambda p: raw(p, random_bytes(900)), "extension missing"),
    "binary text": ("a.txt", lambda p: raw(p, random_bytes(900)), "holds binary data, not text"),
    "dm3 header then noise": (
        "a.dm3",
        lambda p: raw(p, struct.pack(">lll", 3, 999, 1) + random_bytes(9000)),
        "cannot be read as dm3",
    ),
    "dm3 of a future version": (
        "a.dm3",
        lambda p: raw(p, struct.pack(">lll", 5, 999, 1) + bytes(400)),
        "does not begin as a DigitalMicrograph file",
    ),
    "dm3 cut in half": (
        "a.dm3",
        lambda p: raw(p, dm3(p).read_bytes()[:700]),
        "cannot be read as dm3 (700 bytes): its end is missing",
    ),
    "dm3 of impossible size": (
        "a.dm3",
        lambda p: dm3(p, dimensions=(2_000_000_000,)),
        "cannot be read as dm3",
    ),
    "dm3 picture": (
        "a.dm3",
        lambda p: dm3(p, np.ones((30, 40)), [(0, 0.1, "nm"), (0, 0.1, "nm")], ""),
        "two-dimensional image (30 × 40; units nm, nm) and no energy axis",
    ),
    "dm3 pictures": (
        "a.dm3",
        lambda p: write_dm3(
            p,
            *(
                dm3_image(np.ones((9, 8), "<f4"), [(0, 0.1, "nm"), (0, 0.1, "nm")], title=t)
                for t in ("one", "two")
            ),
        ),
        "2 data sets and none has an energy axis: 'one' (9 × 8), 'two' (9 × 8)",
    ),
    "dm3 of X-rays": (
        "a.dm3",
        lambda p: dm3(p, axes=[(0.0, 0.01, "keV")], kind="X-ray"),
        "holds an X-ray (EDS) spectrum, not EELS",
    ),
    "dm3 without calibration": (
        "a.dm3",
        lambda p: dm3(p, axes=[(0.0, 1.0, "")]),
        "its 200 channels are only numbered and have no energies; calibrate",
    ),
    "dm3 in channels": (
        "a.dm3",
        lambda p: dm3(p, axes=[(0.0, 2.0, "channels")]),
        "only numbered",
    ),
    "dm3 in nm": ("a.dm3", lambda p: dm3(p, axes=[(400.0, 0.5, "nm")]), "its axis is in 'nm'"),
    "dm3 in s": ("a.dm3", lambda p: dm3(p, axes=[(0.0, 0.5, "s")]), "its axis is in 's'"),
    "dm3 with counts as unit": (
        "a.dm3",
        lambda p: dm3(p, axes=[(0.0, 0.5, "counts")]),
        "its axis is in 'counts', not in an energy unit",
    ),
    "dm3 in MeV": ("a.dm3", lambda p: dm3(p, axes=[(0.0, 0.5, "MeV")]), "its axis is in 'MeV'"),
    "dm3 beyond all energies": (
        "a.dm3",
        lambda p: dm3(p, axes=[(0.0, 1e30, "keV")]),
        "its energy axis reaches",
    ),
    "dm3 with an infinite axis": (
        "a.dm3",
        lambda p: dm3(p, axes=[(float("inf"), 0.5, "eV")]),
        "are NaN or infinite",
    ),
    "dm3 with dispersion NaN": (
        "a.dm3",
        lambda p: dm3(p, axes=[(400.0, float("nan"), "eV")]),
        "has a dispersion of nan",
    ),
    "all zeros": ("a.dm3", lambda p: dm3(p, 0 * COUNTS), "every value is 0"),
    "constant": ("a.txt", lambda p: text(p, table(counts=0 * COUNTS + 7)), "every value is 7"),
    "all NaN": ("a.dm3", lambda p: dm3(p, COUNTS * np.nan), "none of its values is a finite"),
    "all negative": ("a.dm3", lambda p: dm3(p, -COUNTS), "no value is above zero"),
    "one channel": ("a.dm3", lambda p: dm3(p, [3.0]), "its spectrum has 1 channel;"),
    "two channels": ("a.txt", lambda p: text(p, "400,7\n401,8\n"), "has 2 channels; a spectrum of"),
    "text garbage": (
        "a.txt",
        lambda p: text(p, "lorem ipsum\ndolor sit\n"),
        "begins 'lorem ipsum'",
    ),
    "source code": ("a.dat", lambda p: text(p, "import os\nprint(1)\n"), "begins 'import os'"),
    "garbage in the table": (
        "a.txt",
        lambda p: text(p, table() + "oops, again\n" + table()),
        "line 201 reads 'oops, again' within a table of 2 columns",
    ),
    "ragged table": (
        "a.csv",
        lambda p: text(p, table() + "500,1,2,3\n"),
        "line 201 reads '500,1,2,3'",
    ),
    "one column": ("a.txt", lambda p: text(p, "1\n2\n3\n" * 9), "one column of 27 numbers"),
    "numbered channels": (
        "a.txt",
        lambda p: text(p, table(np.arange(200))),
        "only numbers the channels from 0 to 199",
    ),
    "wavelengths": (
        "a.csv",
        lambda p: text(p, table(head="wavelength (nm),counts\n")),
        "in 'nm' according to the header",
    ),
    "seconds": ("a.csv", lambda p: text(p, table(head="t (s),counts\n")), "in 's' according"),
    "repeated energies": (
        "a.txt",
        lambda p: text(p, table() + table()),
        "200 of its 400 channel energies repeat",
    ),
    "one energy": (
        "a.txt",
        lambda p: text(p, table(0 * ENERGIES + 400)),
        "all its 200 channels have the same energy, 400 eV",
    ),
    "wild steps": (
        "a.txt",
        lambda p: text(p, table(np.r_[400 + 1e-6 * np.arange(199), 2000])),
        "in steps of 1e-06 to",
    ),
    "counts missing": (
        "a.csv",
        lambda p: text(p, "eV,counts,dark\n" + "".join(f"{e},,1\n" for e in ENERGIES)),
        "none of its values is a finite number",
    ),
    "very long line": ("a.txt", lambda p: text(p, "1 " * 200_000), "has a line of 400 kB"),
    "jpeg": ("a.jpg", lambda p: raw(p, b"\xff\xd8\xff\xe0" + random_bytes(99)), "a JPEG picture"),
    "png named dm3": ("a.dm3", lambda p: raw(p, b"\x89PNG\r\n\x1a\n" + bytes(99)), "a PNG picture"),
    "pdf": ("a.txt", lambda p: raw(p, b"%PDF-1.7\n" + random_bytes(99)), "a PDF document"),
    "gzip": ("a.csv", lambda p: raw(p, gzip.compress(b"1,2\n")), "gzip-compressed data"),
    "pickle": ("a.pkl", lambda p: raw(p, pickle.dumps([1, 2, 3], 4)), "a Python pickle"),
    "web page": ("a.msa", lambda p: text(p, "<!DOCTYPE html><p>Sign in"), "is a web page"),
    "Git LFS pointer": (
        "a.dm3",
        lambda p: text(p, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "is a Git LFS pointer",
    ),
    "office workbook": ("a.xlsx", lambda p: workbook(p), "as office documents are; export"),
    "office workbook named csv": ("a.csv", lambda p: workbook(p), "as office documents are"),
    "npz without arrays": ("a.npz", lambda p: workbook(p), "without NumPy arrays"),
    "zip named dm3": ("a.dm3", lambda p: workbook(p), "does not begin as a DigitalMicrograph"),
    "msa without data": ("a.msa", lambda p: msa(p, CALIBRATED), "without a #SPECTRUM line"),
    "msa with nothing in it": (
        "a.msa",
        lambda p: msa(p, CALIBRATED + "#DATATYPE : Y\n#SPECTRUM : x", ""),
        "its spectrum has 0 channels",
    ),
    "msa without calibration": (
        "a.msa",
        lambda p: msa(p, "#XUNITS : eV\n#DATATYPE : Y\n#SPECTRUM : x"),
        "without XPERCHAN",
    ),
    "msa without data type": (
        "a.msa",
        lambda p: msa(p, CALIBRATED + "#SPECTRUM : x"),
        "with DATATYPE ''",
    ),
    "msa of X-rays": (
        "a.msa",
        lambda p: msa(p, CALIBRATED + "#SIGNALTYPE : EDS\n#DATATYPE : Y\n#SPECTRUM : x"),
        "holds an X-ray (EDS) spectrum, not EELS",
    ),
    "msa in wavelengths": (
        "a.msa",
        lambda p: msa(p, CALIBRATED.replace("eV", "nm") + "#DATATYPE : Y\n#SPECTRUM : x"),
        "its axis is in 'nm'",
    ),
    "msa with dispersion zero": (
        "a.msa",
        lambda p: msa(p, CALIBRATED.replace("0.5", "0.0") + "#DATATYPE : Y\n#SPECTRUM : x"),
        "has a dispersion of 0 eV/channel",
    ),
    "emi alone": ("a.emi", lambda p: raw(p, random_bytes(900)), "has no .ser file beside it"),
    "raw file of a ripple": (
        "a.raw",
        lambda p: raw(p, random_bytes(900)),
        "without their size, type or axis; give the header that belongs to it, a.rpl",
    ),
    "ripple without its raw file": (
        "a.rpl",
        lambda p: text(p, "key\tvalue\nwidth\t3\nheight\t3\ndepth\t9\noffset\t0\n"),
        "a.rpl",
    ),
    "complex npy": ("a.npy", lambda p: save(p, COUNTS + 1j), "of complex numbers"),
    "three-dimensional npy": (
        "a.npy",
        lambda p: save(p, np.ones((3, 4, 5))),
        "is an array (3 × 4 × 5) without an energy axis; pass energies",
    ),
    "pickled npy": (
        "a.npy",
        lambda p: np.save(p, np.array([{}, 1], dtype=object), allow_pickle=True),
        "never unpickled",
    ),
    "npy that claims too much": (
        "a.npy",
        lambda p: raw(p, npy_header((10**9, 10**9))),
        "declares 8000 PB of data in a file of",
    ),
    "npy cut short": (
        "a.npy",
        lambda p: raw(p, npy_header((2, 5000)) + bytes(800)),
        "declares 80.0 kB of numbers but holds 800 bytes",
    ),
    "npy with a broken header": (
        "a.npy",
        lambda p: raw(p, b"\x93NUMPY\x01\x00\x10\x00not a dictionary"),
        "damaged NumPy header",
    ),
    "npz without energies": (
        "a.npz",
        lambda p: np.savez(p, counts=COUNTS, other=COUNTS),
        "has no energies among its arrays counts, other",
    ),
    "npz without names": (
        "a.npz",
        lambda p: np.savez(p, COUNTS, ENERGIES),
        "none is called 'counts'",
    ),
    "zip bomb": ("a.npz", lambda p: zip_bomb(p), "declares 9.0 GB of data in a file of 5"),
    "cut zip": ("a.npz", lambda p: cut_zip(p), "damaged zip archive"),
}


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def npy_header(shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def workbook(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return path


def zip_bomb(path: Path) -> Path:
    """Entries that declare 3 GB each; the sizes in the directory are forged, not the data."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("energy.npy", "counts.npy", "more.npy"):
            archive.writestr(name, npy_header((375_000_000,)))
        for entry in archive.infolist():
            entry.file_size = 3_000_000_000
    return path


def cut_zip(path: Path) -> Path:
    np.savez(path, energy=ENERGIES, counts=COUNTS)
    return raw(path, path.read_bytes()[:900])


@pytest.mark.parametrize("kind", FILES)
def test_a_bad_file_gets_one_sentence(kind, tmp_path, capfd):
    name, make, words = FILES[kind]
    path = tmp_path / name
    make(path)
    assert words in sentence(path)
    assert capfd.readouterr() == ("", "")


# --- things that are not readable files --------------------------------------------------------


def test_missing_file_folder_and_links(tmp_path):
    assert "does not exist" in sentence(tmp_path / "none.dm3")
    assert "is a folder, not a file" in sentence(tmp_path)
    (tmp_path / "x.dm3").mkdir()
    assert "is a folder, not a file" in sentence(tmp_path / "x.dm3")
    loop = tmp_path / "loop.dm3"
    loop.symlink_to(loop)
    assert "leads back to itself" in sentence(loop)
    dangling = tmp_path / "dangling.dm3"
    dangling.symlink_to(tmp_path / "gone")
    assert "link to a file that does not exist" in sentence(dangling)
    file = text(tmp_path / "f", "x")
    assert "below something that is not a folder" in sentence(file / "a.dm3")
    assert "too long" in sentence(tmp_path / ("a" * 300 + ".dm3"))
    assert "no file can have" in sentence(str(tmp_path / "a\x00b.dm3"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "a.dm3")
    assert "is a device, pipe or socket" in sentence(tmp_path / "a.dm3")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "may not be read by this user"), (errno.EIO, "cannot be opened (")],
)
def test_an_unreadable_file(tmp_path, monkeypatch, number, words):
    path = text(tmp_path / "a.txt", table())
    real_open = builtins.open

    def refuse(file, *args, **kwargs):
        if os.fspath(file) == os.fspath(path):
            raise OSError(number, os.strerror(number), file)
        return real_open(file, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    assert words in sentence(path)


def test_names_with_any_characters_work(tmp_path):
    for name in ("Ωμέγα 日本 ß.txt", "quote'\" $(x).txt", "tab\tnew\nline.txt", ".txt", "-.txt"):
        assert load(text(tmp_path / name, table())).axis.size == 200
    path = text(tmp_path / "two\nlines.txt", "nothing")
    with pytest.raises(ReadError, match=r"two lines\.txt: holds text without"):
        load(path)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode on this system")
def test_names_that_are_not_unicode_work(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    with open(path, "w", encoding="ascii") as handle:
        handle.write(table())
    assert load(path).axis.size == 200
    with open(path, "w", encoding="ascii") as handle:
        handle.write("nothing")
    with pytest.raises(ReadError) as caught:
        load(path)
    str(caught.value).encode("utf-8")  # can be printed


# --- sizes -------------------------------------------------------------------------------------


def test_a_huge_text_file_is_refused_unread(tmp_path):
    path = text(tmp_path / "a.txt", "1 2 3\n")
    os.truncate(path, 200_000_000)
    assert "is a text file of 200 MB" in sentence(path) or "binary" in sentence(path)
    with open(path, "wb") as handle:
        handle.write(b"1 " * 3000)
        handle.truncate(200_000_000)
    assert "is a text file of 200 MB" in sentence(path)


def test_a_huge_file_is_refused_unread(tmp_path):
    path = dm3(tmp_path / "a.dm3")
    os.truncate(path, 9_000_000_000)
    assert "is 9.0 GB long" in sentence(path)


def test_a_spectrum_image_over_the_limit_is_refused(tmp_path, monkeypatch):
    cube = np.random.default_rng(0).poisson(9, (5, 200))
    path = dm3(tmp_path / "a.dm3", cube, [(0.0, 1.0, "nm"), *EELS])
    assert load(path).counts.shape == (5, 200)
    monkeypatch.setattr(coreloss.io.assemble, "MAX_BYTES", 3000)
    assert "declares 4.0 kB of data" in sentence(path)


def test_a_zip_of_nothing_but_zeros_is_refused_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", energy=ENERGIES, counts=np.zeros(9_000_000))
    assert "declares 72.0 MB of data in a file of" in sentence(tmp_path / "a.npz")


def test_an_hdf5_file_that_claims_too_much(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.hspy"
    with h5py.File(path, "w") as store:
        store.create_dataset("Experiments/x/data", (10**7, 10**7), chunks=(100, 100), dtype="f4")
    assert "declares 400 TB of data in a file of" in sentence(path)
    with h5py.File(path, "w") as store:
        store.create_dataset("Experiments/x/data", (10**5, 10**3), chunks=(100, 100), dtype="f4")
    assert "declares 400 MB of data in a file of" in sentence(path)
    with h5py.File(path, "w") as store:
        store["nothing"] = 1
    assert "cannot be read as hspy" in sentence(path)
    path.write_bytes(path.read_bytes()[:600])
    assert "cannot be read as hspy" in sentence(path)


def test_a_zspy_folder_that_claims_too_much(tmp_path):
    folder = tmp_path / "a.zspy"
    folder.mkdir()
    text(folder / ".zarray", '{"shape": [10000000, 10000000], "dtype": "<f4"}')
    assert "declares 100 TB of data in a file of" in sentence(folder)


# --- readers that misbehave --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (RuntimeError("bad. Very bad.\nTraceback (most recent call last):"), "(bad)"),
        (Exception(), "(Exception)"),
        (MemoryError(), "more data than fit in memory"),
        (RecursionError("deep"), "nested without end"),
        (ImportError("No module named 'x'", name="zarr"), "needs the package 'zarr'"),
        (AttributeError("module 'zarr' has no attribute 'N'"), "version of zarr"),
        (FileNotFoundError(2, "none", "/d/a_1.ser"), "needs 'a_1.ser' beside it"),
        (AssertionError(), "of an unknown variant"),
    ],
)
def test_whatever_a_reader_raises_or_prints_is_one_sentence(
    tmp_path, monkeypatch, capfd, problem, words
):
    import logging
    import warnings

    import rsciio.digitalmicrograph

    def reader(_path):
        print("debugging")
        warnings.warn("odd", stacklevel=1)
        logging.getLogger("rsciio.digitalmicrograph").error("odd")
        raise problem

    path = dm3(tmp_path / "a.dm3")
    monkeypatch.setattr(rsciio.digitalmicrograph, "file_reader", reader)
    assert words in sentence(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"data": COUNTS + 0j}, "holds complex numbers"),
        ({"data": np.full(200, "x")}, "holds values of type <U1"),
        ({"data": np.zeros(200, [("R", "u1"), ("G", "u1")])}, "records with the fields R, G"),
        ({"data": COUNTS[:90]}, "has 200 channels but its data 90"),
        ({"data": np.ones((3, 200))}, "declares 1 axes for data of 2 dimensions"),
        ({"data": np.empty((0, 200)), "axes": [MAP, AXIS]}, "its data are empty (0 × 200)"),
        ({"axes": []}, "holds a single number"),
        ({"axes": None}, "cannot be read as dm3"),
        ({"metadata": {"Signal": {"signal_type": "CL"}}}, "holds a cathodoluminescence"),
    ],
)
def test_odd_data_of_a_reader(tmp_path, monkeypatch, entry, words):
    import rsciio.digitalmicrograph

    whole = {"data": COUNTS, "axes": [AXIS], "metadata": {}} | entry
    path = dm3(tmp_path / "a.dm3")
    monkeypatch.setattr(rsciio.digitalmicrograph, "file_reader", lambda _path: [whole])
    assert words in sentence(path)
    monkeypatch.setattr(rsciio.digitalmicrograph, "file_reader", lambda _path: [])
    assert "holds no data" in sentence(path)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.dm3", dm3),
        ("a.npy", lambda p: np.save(p, np.array([ENERGIES, COUNTS]))),
        ("a.npz", lambda p: np.savez_compressed(p, energy=ENERGIES, counts=COUNTS)),
        ("a.csv", lambda p: text(p, table())),
    ],
)
def test_damage_never_hangs_or_raises_anything_else(tmp_path, name, make):
    path = tmp_path / name
    make(path)
    whole = path.read_bytes()
    rng = random.Random(11)
    refused = []
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 4, 16))):
            damaged[rng.randrange(min(len(damaged), 900))] = rng.choice((0, 127, 128, 255))
        path.write_bytes(damaged[: rng.choice((len(whole), rng.randrange(1, len(whole))))])
        try:
            load(path)
        except ReadError as problem:
            refused.append(str(problem))
    assert len(refused) > 50
    assert not any("\n" in message for message in refused)


@pytest.mark.real
@pytest.mark.skipif(
    not (REAL / "files").is_dir(), reason="the real spectra are not beside the checkout"
)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_a_real_dm3_cut_short(tmp_path, share):
    content = (REAL / "files" / "SrTiO3_pyTEMlib.dm3").read_bytes()
    path = raw(tmp_path / "cut.dm3", content[: int(share * len(content))])
    assert "cannot be read as dm3" in sentence(path)


# --- what the caller gives ---------------------------------------------------------------------


def test_energies_that_do_not_fit(tmp_path):
    path = dm3(tmp_path / "a.dm3")
    assert "(200) do not fit the 3 energies" in sentence(path, energies=[1, 2, 3])
    assert "not a one-dimensional list" in sentence(path, energies=[[1, 2], [3, 4]])
    assert "not a one-dimensional list" in sentence(path, energies=["a", "b"])
    assert "are NaN or infinite" in sentence(path, energies=np.full(200, np.nan))
    columns = text(tmp_path / "a.txt", table())
    assert "has 200 rows, but 3 energies" in sentence(columns, energies=[1, 2, 3])
    assert "do not fit 3 energies" in sentence(save(tmp_path / "a.npy", COUNTS), energies=[1, 2, 3])
    assert "holds complex numbers" in sentence(
        save(tmp_path / "c.npy", COUNTS + 1j), energies=ENERGIES
    )
