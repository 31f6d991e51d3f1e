"""Wrong options and odd surroundings: one sentence, code 2, and nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from coreloss.cli import main


@pytest.fixture
def place(tmp_path: Path, oxygen, monkeypatch: pytest.MonkeyPatch) -> Path:
    np.savetxt(tmp_path / "o.csv", np.stack(oxygen, axis=1), delimiter=",")
    (tmp_path / "n.png").write_bytes((tmp_path / "o.csv").read_bytes())
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "none.toml").write_text('[simulation]\nbase = "default"\n')
    (tmp_path / "manifest.json").write_text("[]")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


MISTAKES = {
    "identify o.csv --threshold 2": "--threshold 2.0: give a probability between 0 and 1",
    "identify o.csv --threshold nan": "--threshold nan: give a probability",
    "identify o.csv --threads -1": "--threads -1: give a number of threads",
    "identify o.csv --plot o.doc": "o.doc: cannot write a picture as .doc; use .png, .pdf or .svg",
    "identify o.csv --plot gone/o.png": "gone: no such folder; make it first",
    "identify o.csv --plot folder --force": "folder: is a folder; give the name of a file",
    "identify n.png --plot n.png": "n.png: exists already; give --force",
    "identify n.png --plot folder/../n.png --force": "n.png: is to be read; give the output",
    "edges fit n.png --element O --edge K --window 500 600 --plot n.png --force": "is to be read",
    "edges Fe --near 532": "give one of them",
    "edges Fe L2,3": "'L2' is a subshell; give the element alone",
    "edges --near 0.532": "energies are in eV",
    "edges --near nan": "--near nan: give an energy loss in eV",
    "edges --near 532 --within -3": "--within -3.0: give a distance in eV",
    "evaluate manifest.json --out manifest.json --force": "manifest.json: is the manifest itself",
    "edges --near 5 --between 1 2": "give one of them",
    "edges fit o.csv --element O --edge K --window 500 600 --out gone/a.toml": "no such folder",
    "edges fit o.csv --element O --edge K --window 500 600 --plot a.doc": "cannot write a picture",
    "evaluate default --threshold 2": "--threshold 2.0: give a probability",
    "evaluate default --seed -1": "--seed -1: give a whole number from 0 on",
    "evaluate default --out gone/a.json": "gone: no such folder; make it first",
    "evaluate default --confusion gone/a.png": "gone: no such folder; make it first",
    "evaluate default --occurrence a.doc": "cannot write a picture as .doc",
    "evaluate default --plot a.png": "give --sensitivity too",
    "evaluate default --corrected": "are for a manifest of records",
    "evaluate default --elements Fe": "are for a manifest of records",
    "evaluate default --sensitivity --confusion a.png": "without --sensitivity",
    "evaluate default --sensitivity --occurrence a.png": "goes without --sensitivity",
    "evaluate manifest.json --confusion a.png": "--confusion takes a simulation recipe",
    "evaluate binary.toml": "binary.toml: is no text in UTF-8",
    "simulate binary.toml --out new": "binary.toml: is no text in UTF-8",
    "simulate none.toml --out new --per-element 0 0 0 0": "would have no spectra",
    "simulate none.toml --out new --workers 2 --scheduler tcp://h:1": "a cluster has its own",
    "simulate none.toml --out o.csv": "o.csv: is a file; give the name of a folder",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_wrong_option_gets_one_sentence(
    words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(place.rglob("*"))
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert MISTAKES[words] in err
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train binary.toml --out new", "binary.toml: is no text in UTF-8"),
        ("train tiny --out o.csv", "o.csv: is a file; give the name of a folder"),
        ("train tiny --out new --device abacus", "device 'abacus' cannot be used here"),
        ("train tiny --out new --device xpu:7", "device 'xpu:7' cannot be used here"),
        ("train tiny --out new --threads -1", "--threads -1: give a number of threads"),
        ("train tiny --out new --max-minutes -1", "--max-minutes -1.0: give a time in minutes"),
    ],
)
def test_wrong_options_of_training(
    words: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    assert main(words.split()) == 2
    assert said in capsys.readouterr().err
    assert not (place / "new").exists()


def test_a_name_of_two_lines_is_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "two\nlines.csv").write_text("nothing")
    assert main(["identify", "two\nlines.csv"]) == 2
    assert capsys.readouterr().err.startswith("coreloss: two lines.csv: holds text without")
    assert main(["identify", "--json", "two\nlines.csv"]) == 2
    assert json.loads(capsys.readouterr().out)["file"] == "two\nlines.csv"


def test_a_file_too_large_for_memory_does_not_stop_the_others(
    place: Path,
    step_bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import coreloss.io

    load = coreloss.io.load

    def full(file, **options):
        if file == "large.csv":
            raise MemoryError
        return load(file, **options)

    monkeypatch.setattr(coreloss.io, "load", full)
    command = ["identify", "--json", "--model", str(step_bundle), "large.csv", "o.csv"]
    assert main(command) == 2
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["error"].startswith("large.csv: there is not enough memory")
    assert second["elements"][0]["symbol"] == "O"


@pytest.mark.skipif(os.name == "nt", reason="the shell here is POSIX")
def test_closed_and_full_outputs(place: Path) -> None:
    """As cron jobs and full disks have them."""
    run = f'"{sys.executable}" -m coreloss.cli edges Fe'
    for redirection, code, words in (
        (">&-", 0, ""),
        ("<&-", 0, ""),
        (">/dev/full", 2, "coreloss: the output: no space left on device\n"),
    ):
        if redirection == ">/dev/full" and not Path("/dev/full").exists():
            continue
        done = subprocess.run(
            f"{run} {redirection}", shell=True, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (code, words)


@pytest.mark.parametrize("words", ["folder folder", "folder/run folder", "o.csv folder/run folder"])
def test_a_bundle_does_not_take_the_place_of_its_run(
    words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    (place / "folder" / "run").mkdir()
    assert main(["export", *words.split(), "--force"]) == 2
    assert "itself; give the bundle a name" in capsys.readouterr().err
    assert (place / "folder" / "run").is_dir()


@pytest.mark.parametrize(
    "words",
    [
        "identify o.csv --plot folder/a.png",
        "edges fit o.csv --element O --edge K --window 500 600 --out folder/a.toml",
        "quantify o.csv --out folder/results",
    ],
)
def test_a_folder_that_takes_no_files_is_told_before_work_is_done(
    words: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # the permissions of a folder do not hold for root, as whom tests may run
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: Path(p).name != "folder" and allowed(p, mode))
    assert main(words.split()) == 2
    assert "folder: may not be written to; give another folder" in capsys.readouterr().err
    assert list((place / "folder").iterdir()) == []
