"""What a newcomer gives and asks for first: odd arguments, odd files, extras, completion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import coreloss
from coreloss.cli import main
from coreloss.evaluate import evaluate_folder

ROOT = Path(__file__).parents[1]


def test_masked_channels_are_not_read(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    beyond = energy > 531.0
    for kind in (float, np.int32, np.uint16):
        given = np.ma.masked_array((counts / counts.max() * 6e4).astype(kind), mask=beyond)
        result = coreloss.identify(given, energy, model=step_bundle)
        assert result.axis.end == 531.5, kind
        assert "O" not in result.found


def test_counts_none_of_which_is_above_zero_are_no_spectrum(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    alone = coreloss.identify(-counts, energy, model=step_bundle)
    assert alone.found == ()
    assert "no channel holds a value above zero" in alone.abstained
    good, bad = coreloss.identify(np.stack([counts, -counts]), energy, model=step_bundle)
    assert "O" in good.found
    assert (bad.found, bad.absent) == ((), ())
    assert bad.abstained == alone.abstained


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"energy": "abc"}, "energies are no real numbers"),
        ({"energy": [1, [2, 3]]}, "energies are no real numbers"),
        ({"energy": 430.0 + np.arange(300.0) * 1j}, "energies are no real numbers"),
        ({"counts": np.array(["a"] * 300)}, r"type <U1; real numbers are needed$"),
        ({"counts": np.ones(300) * 1j}, "take the magnitude of complex data"),
        ({"axis_mode": None}, "axis mode is None; give 'as-recorded', 'auto' or"),
        ({"axis_mode": float("nan")}, "axis mode is nan; give"),
        ({"axis_mode": float("inf")}, "axis mode is inf; give"),
        ({"threshold": "high"}, "threshold is 'high'; give a number"),
    ],
)
def test_arguments_that_make_no_sense(changed, words: str, step_bundle: Path, oxygen) -> None:
    given = {"energy": oxygen[0], "counts": oxygen[1], "model": step_bundle} | changed
    with pytest.raises(coreloss.SpectrumError, match=words):
        coreloss.identify(given.pop("counts"), given.pop("energy"), **given)


def test_spectra_are_not_taken_for_counts(step_bundle: Path, oxygen) -> None:
    spectra = coreloss.Spectra(oxygen[1], coreloss.EnergyAxis.from_energies(oxygen[0]))
    with pytest.raises(coreloss.SpectrumError, match=r"give its \.counts, and its \.axis"):
        coreloss.identify(spectra, spectra.axis, model=step_bundle)


def test_every_error_and_function_is_at_hand() -> None:
    assert set(coreloss.__all__) <= set(dir(coreloss))
    for name in coreloss.__all__:
        assert getattr(coreloss, name) is not None
    for error in (coreloss.ReadError, coreloss.SpectrumError, coreloss.ModelError):
        assert issubclass(error, ValueError)


def test_a_first_line_with_the_number_of_channels(tmp_path: Path, oxygen) -> None:
    rows = "".join(f"{e} {c}\n" for e, c in zip(*oxygen, strict=True))
    (tmp_path / "a.txt").write_text(f"300\n{rows}")
    spectra = coreloss.load(tmp_path / "a.txt")
    np.testing.assert_array_equal(spectra.axis.energies, oxygen[0])
    np.testing.assert_array_equal(spectra.counts, oxygen[1])


@pytest.mark.parametrize("word", ["", ","])
def test_no_symbol_is_no_element(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edges", word]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("coreloss: name elements")


def test_every_extra_that_is_named_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = extras["optional-dependencies"]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("*.py")]
    for page in pages:
        for name in re.findall(r"(?:coreloss|'\.)\[([a-z,]+)\]", page.read_text(encoding="utf-8")):
            assert set(name.split(",")) <= set(known), f"{page.name}: [{name}]"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"file": None}, "m.json: data set 1 has no 'file'"),
        ({"file": 5}, "m.json: one has the file 5; give its name"),
        ({"elements_in_range": "Ti"}, "one has elements_in_range 'Ti'; give a list of symbols"),
        ({"ambiguous": 3}, "one has ambiguous 3; give a list of symbols"),
        ({"valid_energy_range_eV": [500]}, "one has valid_energy_range_eV [500]; give a list of"),
        ({"valid_energy_range_eV": [600, 500]}, "two energies, the lower first"),
        ({"axis_correction_a_b": ["x", 1]}, "one has axis_correction_a_b ['x', 1]; give a list"),
        ({"axis_correction_a_b": [0, -1]}, "eV to add and a positive factor"),
    ],
)
def test_a_manifest_with_a_mistake(
    changed, words: str, tmp_path: Path, step_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were tracebacks, or sentences without the file."""
    entry = {"id": "one", "file": "o.csv", "elements_in_range": ["O"], **changed}
    (tmp_path / "m.json").write_text(json.dumps([entry]))
    command = ["evaluate", str(tmp_path / "m.json"), "--corrected", "--model", str(step_bundle)]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "m.json: " in err
    assert words in err


def test_null_in_a_manifest_is_as_good_as_left_out(
    tmp_path: Path, step_bundle: Path, oxygen, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savetxt(tmp_path / "o.csv", np.stack(oxygen, axis=1), delimiter=",")
    entry = {"id": "one", "file": "o.csv", "elements_in_range": ["O"]}
    nothing = dict.fromkeys(["ambiguous", "valid_energy_range_eV", "axis_correction_a_b"])
    (tmp_path / "m.json").write_text(json.dumps([{**entry, **nothing}]))
    monkeypatch.chdir(tmp_path)
    report = evaluate_folder("m.json", model=step_bundle, corrected=True)
    assert report.n_spectra == 1
    assert report.title == "m.json, axis corrected"  # was "/m.json"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_json_is_json_whatever_the_output_is_encoded_as(
    encoding: str, tmp_path: Path, step_bundle: Path, oxygen
) -> None:
    """Sentences on the axis hold '±', which ascii lacks and UTF-8 spells in another way."""
    np.savetxt(tmp_path / "größe.csv", np.stack(oxygen, axis=1), delimiter=",")
    command = ["identify", "--json", "--no-evidence", "--model", str(step_bundle), "größe.csv"]
    done = subprocess.run(
        [sys.executable, "-m", "coreloss.cli", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    (line,) = done.stdout.decode("utf-8").splitlines()
    record = json.loads(line)
    assert record["file"] == "größe.csv"
    assert "±" in record["axis"]["sentence"]


@pytest.mark.parametrize("make", [np.array, lambda pair: np.array(pair).T])
def test_given_energies_replace_those_of_a_pair(make, tmp_path: Path, oxygen) -> None:
    """The energies in the file were once a second spectrum."""
    np.save(tmp_path / "a.npy", make(oxygen))
    np.savez(tmp_path / "a.npz", make(oxygen))
    np.save(tmp_path / "two.npy", make([oxygen[1], oxygen[1]]))
    for name, shape in (("a.npy", (300,)), ("a.npz", (300,)), ("two.npy", (2, 300))):
        spectra = coreloss.load(tmp_path / name, energies=oxygen[0] + 3.0)
        assert spectra.counts.shape == shape
        assert spectra.axis.offset == oxygen[0][0] + 3.0
        np.testing.assert_array_equal(np.atleast_2d(spectra.counts)[-1], oxygen[1])


def test_of_several_arrays_it_is_said_which_was_taken(tmp_path: Path, oxygen) -> None:
    """A low loss lies beside, each with energies of its own."""
    energy, counts = oxygen
    low = {"energy_ll": energy - 430.0, "counts_ll": 2.0 * counts}
    np.savez(tmp_path / "a.npz", energy=energy, counts=counts, beam_kev=200.0, **low)
    spectra = coreloss.load(tmp_path / "a.npz")
    assert spectra.axis.offset == energy[0]
    assert spectra.notes == ("array 'counts' was taken; beside it: energy_ll, counts_ll",)
    asked = coreloss.load(tmp_path / "a.npz", signal="counts_ll")
    assert asked.axis.offset == 0.0
    np.testing.assert_array_equal(asked.counts, low["counts_ll"])
    assert asked.notes == ()
    np.savez(tmp_path / "b.npz", energy=energy, first=counts, hl_energy=energy + 5.0, hl=counts)
    for name, offset in (("first", 430.0), ("hl", 435.0)):
        assert coreloss.load(tmp_path / "b.npz", signal=name).axis.offset == offset


def test_spectra_in_lines_below_their_energies(tmp_path: Path, oxygen) -> None:
    energy, counts = oxygen
    lines = [energy, counts, 2 * counts, counts]
    np.savetxt(tmp_path / "a.csv", lines, delimiter=",")
    for signal, times in ((None, 1), (1, 2)):
        spectra = coreloss.load(tmp_path / "a.csv", signal=signal)
        assert spectra.axis.offset == energy[0]
        np.testing.assert_array_equal(spectra.counts, times * counts)
        assert "its lines were taken as columns" in " ".join(spectra.notes)
    # two spectra, the second brighter, are no column of energies
    np.savetxt(tmp_path / "c.csv", [energy, energy + 1e4, energy + 2e4], delimiter=",")
    np.testing.assert_array_equal(coreloss.load(tmp_path / "c.csv").counts, energy + 1e4)
    # energies that go down the first column stay there, whatever its first line holds
    np.savetxt(tmp_path / "b.csv", np.transpose([energy, *[energy + k for k in range(1, 9)]]))
    assert coreloss.load(tmp_path / "b.csv").axis.offset == energy[0]


def test_rounded_energies_are_taken_as_files_are(step_bundle: Path, oxygen) -> None:
    """Every fourth of an electronvolt with one digit after the point."""
    fine = 430.0 + 0.25 * np.arange(1196)
    counts = np.interp(fine, *oxygen)
    for way in (slice(None), slice(None, None, -1)):
        result = coreloss.identify(counts[way], np.round(fine, 1)[way], model=step_bundle)
        assert "O" in result.found
        assert result.axis.dispersion == pytest.approx(0.25, abs=1e-5)
        assert "energies are rounded" in result.notes[0]
    with pytest.raises(coreloss.SpectrumError, match="not evenly spaced"):
        coreloss.identify(counts, fine**1.01, model=step_bundle)


def test_results_and_spectra_can_be_compared(step_bundle: Path, oxygen) -> None:
    """As 'in' does; comparing their arrays raised an error."""
    energy, counts = oxygen
    one, two = (coreloss.identify(counts, energy, model=step_bundle) for _ in range(2))
    assert one in [two, one]
    assert one != two
    spectra = coreloss.Spectra(counts, one.axis)
    assert spectra in [coreloss.Spectra(counts.copy(), one.axis), spectra]
    assert len({one, two, spectra}) == 3


def test_frames_that_hold_nothing_are_not_counted(oxygen) -> None:
    energy, counts = oxygen
    frames = np.stack([counts, counts * np.nan, counts])
    total = coreloss.Spectra(frames, coreloss.EnergyAxis.from_energies(energy)).summed()
    np.testing.assert_allclose(total.counts, 2.0 * counts)
    assert total.notes == ("sum of 2 spectra; 1 more without numbers",)
