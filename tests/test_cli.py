"""The command line, run as users run it."""

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
def spectrum(tmp_path: Path, oxygen) -> Path:
    path = tmp_path / "messung äö.csv"
    np.savetxt(path, np.stack(oxygen, axis=1), delimiter=",")
    return path


def test_json_is_one_object_a_line_and_file(
    spectrum: Path, step_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.dm3"
    broken.write_bytes(b"\x00\x00\x00\x03 nothing")
    files = [str(spectrum), str(broken), str(tmp_path / "missing.msa"), str(spectrum)]
    code = main(["identify", "--json", "--model", str(step_bundle), *files])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 2
    assert [line["file"] for line in lines] == files
    for good in (lines[0], lines[3]):
        assert {"elements", "probabilities", "model", "not_judged", "threshold"} <= good.keys()
        oxygen_entry = next(e for e in good["elements"] if e["symbol"] == "O")
        assert oxygen_entry["edges"][0]["label"] == "O K"
        assert 0.8 < oxygen_entry["probability"] <= 1
    for bad in (lines[1], lines[2]):
        assert set(bad) == {"file", "error"}
        assert Path(bad["file"]).name in bad["error"]


def test_a_column_may_have_an_odd_name(
    spectrum: Path, step_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which once was taken for a number."""
    for name in ("²", "--5"):
        assert main(["identify", str(spectrum), f"--signal={name}", "--model", str(step_bundle)])
        assert f"no column of counts '{name}'" in capsys.readouterr().err


def test_plain_output_and_picture(
    spectrum: Path, step_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "out.png"
    arguments = ["identify", str(spectrum), "--model", str(step_bundle), "--plot", str(picture)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "O " in out
    assert str(picture) in out
    assert picture.stat().st_size > 5000
    assert main(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0


def test_pictures_of_several_files_are_numbered(
    spectrum: Path, step_bundle: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "all.png"
    assert main(["identify", str(spectrum), str(spectrum), "--model", str(step_bundle),
                 "--plot", str(picture)]) == 0  # fmt: skip
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["all-1.png", "all-2.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["identify", "nothing.msa"], "nothing.msa"),
        (["identify", "x.msa", "--model", "nonesuch"], "nonesuch"),
        (["identify", "x.msa", "--plot", "no/such/folder/a.png"], "no such folder"),
        (["identify", ".//nothing.msa"], "coreloss: nothing.msa: does not exist; check"),
        (["edges", "Xx"], "'Xx'"),
        (["edges"], "--near 532"),
        (["edges", "--near", "20"], "--within"),
        (["evaluate", "nonesuch"], "annys2023"),
        (["evaluate", "missing.json"], "missing.json"),
        (["train", "missing.toml", "--out", "run"], "missing.toml"),
        (["export", "missing", "bundle"], "missing"),
    ],
)
def test_mistakes_get_one_sentence_and_code_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.err.startswith("coreloss: ")
    assert words in captured.err
    assert not list(tmp_path.iterdir())


def test_edges_lists_majors_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edges", "--near", "532"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "O K" in lines[1]
    assert main(["edges", "fe", "O"]) == 0
    out = capsys.readouterr().out
    assert "Fe L3" in out
    assert "O K" in out


def test_elements_may_be_parted_by_commas_and_are_listed_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["edges", "Fe,o", "Fe"]) == 0
    rows = capsys.readouterr().out
    assert rows.count("Fe L3") == 1
    assert rows.count("O K") == 1


def test_models_lists_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert capsys.readouterr().out.startswith("default")


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "identify" in capsys.readouterr().out


def test_reader_that_goes_away_is_no_error(spectrum: Path, step_bundle: Path) -> None:
    command = [sys.executable, "-m", "coreloss.cli", "identify", "--json", "--model",
               str(step_bundle), *[str(spectrum)] * 40]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        error = process.stderr.read()
    assert b"Traceback" not in error


def test_training_without_torch_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["train", "tiny", "--out", str(tmp_path / "run")]) == 2
    assert "coreloss[train]" in capsys.readouterr().err


def test_edges_between_two_energies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edges", "--between", "525", "535"]) == 0
    assert "O K" in capsys.readouterr().out
    assert main(["edges", "--between", "535", "525"]) == 2
    assert "lower energy first" in capsys.readouterr().err


def test_terminal_without_unicode_still_gets_the_answer(spectrum: Path, step_bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coreloss.cli", "identify", str(spectrum), "--model", step_bundle],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert b"not judged" in done.stdout


def test_the_command_starts_without_numpy() -> None:
    """So that help comes at once, and Ctrl-C is heeded from the beginning."""
    code = "import sys, coreloss.cli; coreloss.cli._parser(); sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
