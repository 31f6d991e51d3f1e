"""``coreloss edges fit`` as laboratories use it, and the sources of the library it adds to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_families import FAMILIES, SOURCES

from coreloss.cli import main
from coreloss.energy import EnergyAxis, Spectra
from coreloss.simulate import load_recipe
from coreloss.simulate.gaussian import EdgeShape, Peak, Step, read_shapes
from coreloss.simulate.gaussian.fit import fit_edge
from coreloss.simulate.gaussian.forward import shape_table
from coreloss.simulate.gaussian.shapes import shipped_shapes

pytest.importorskip("scipy")

SHAPE = EdgeShape(
    "Mn", "L2,3", "two lines", "test", "made up", 740.0,
    (Step(640.0, 0.2, 1.0, 2.5), Step(651.0, 0.1, 1.0, 2.5)),
    (Peak(642.0, 0.9, 2.4), Peak(653.0, 0.5, 3.0)),
)  # fmt: skip
AXIS = EnergyAxis(560.0, 0.4, 500)
MANGANESE = ("--element", "Mn", "--edge", "L2,3", "--window", "630", "720")


def expected(axis: EnergyAxis = AXIS, jump: float = 0.5, moved_ev: float = 0.0) -> np.ndarray:
    """SHAPE on E^-2.4, 1 at 560 eV, without noise."""
    background = (axis.energies / 560.0) ** -2.4
    edge = SHAPE.intensity(axis.energies - moved_ev)
    return background + jump * (640.0 / 560.0) ** -2.4 * edge


def counted(electrons: float, **options) -> np.ndarray:
    return np.random.default_rng(5).poisson(electrons * expected(**options)).astype(float)


def written(path: Path, counts: np.ndarray, axis: EnergyAxis = AXIS) -> Path:
    np.savetxt(path, np.stack([axis.energies, counts], axis=1), delimiter=",")
    return path


# -- what it must refuse -------------------------------------------------------------------

RECORDS = {
    "good": lambda: counted(1e5),
    "noisy": lambda: counted(40),
    "edge-free": lambda: counted(1e4, jump=0.0),
    "off by 32 eV": lambda: counted(1e5, moved_ev=32.0),
    "offset": lambda: counted(1e4) - 7000.0,
    "all negative": lambda: -counted(1e4),
    "falling ever faster": lambda: 1e5 * np.exp(-(((AXIS.energies - 500.0) / 90.0) ** 2)),
}


@pytest.mark.parametrize(
    ("record", "words", "said"),
    [
        ("noisy", "", "the noise of a channel is"),
        ("edge-free", "", "sum more spectra"),
        ("off by 32 eV", "--window 600 720", "give --shift (about -3"),
        ("offset", "", "channels are below zero"),
        ("all negative", "", "no value is above zero"),
        ("good", "--window 500 720", "runs from 560 to 759.6 eV; it does not hold"),
        ("good", "--window 660 720", "does not hold Mn L2,3, whose onset is at 640.3 eV"),
        ("good", "--window 638 643", "at least 24 are needed: widen it"),
        ("good", "--window 720 630", "give the lower energy first"),
        ("good", "--window nan 720", "give the lower energy first"),
        ("good", "--background 620 600", "--background 620 600: give the lower energy first"),
        ("good", "--background 600 700", "reaches into Mn L2,3"),
        ("good", "--background 100 200", "at least 12 are needed"),
        ("falling ever faster", "", "nothing rises above the background"),
        ("good", "--element Xx", "'Xx' is not among the elements"),
        ("good", "--edge L9", "Mn has no edge 'L9'"),
        ("good", "--edge L3", "holds both edges of Mn L2,3; give --edge L2,3"),
        ("good", "--element Xe --edge M4,5 --window 665 755", "counts rise"),
        ("good", "--signal 3", "record.csv"),
        ("good", "--out record.csv", "is to be read"),
        ("good", "--out there.toml --plot there.png", "there.png"),
    ],
)
def test_awkward_input_gets_one_sentence(
    record: str,
    words: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "record.csv", RECORDS[record]())
    Path("there.png").write_text("a picture")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert (
        main(["edges", "fit", "record.csv", *MANGANESE, "--out", "own.toml", *words.split()]) == 2
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# -- what it must get right ----------------------------------------------------------------


def test_a_library_is_read_back_without_loss(tmp_path: Path) -> None:
    result = fit_edge(Spectra(counted(1e5), AXIS), "mn", "L2,3", (630.0, 720.0), name="one")
    assert result.shape.element == "Mn"
    own, again = tmp_path / "own.toml", tmp_path / "again.toml"
    file = written(tmp_path / "one.csv", counted(1e5))
    assert main(["edges", "fit", str(file), *MANGANESE, "--out", str(own)]) == 0
    assert main(["edges", "library", str(own), "--out", str(again)]) == 0
    (shape,) = read_shapes(again)
    assert shape == replace(result.shape, source="one.csv")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[simulation]\nsystem = "gaussian"\nlibraries = ["shipped", "{own.as_posix()}"]\n'
    )
    assert len(shape_table(load_recipe(recipe)).shapes) == len(shipped_shapes()) + 1


def test_a_record_whose_axis_seems_off_is_fitted_with_a_note() -> None:
    result = fit_edge(Spectra(counted(1e5, moved_ev=6.0), AXIS), "Mn", "L2,3", (630.0, 720.0))
    assert any("above its tabulated onset" in note for note in result.notes)
    assert "note: the edge rises" in result.table()
    right = fit_edge(Spectra(counted(1e5), AXIS), "Mn", "L2,3", (630.0, 720.0))
    assert right.notes == ()


def test_a_poor_fit_is_told() -> None:
    """The upper of two edges, from a window that begins on the lower one's line."""
    result = fit_edge(Spectra(counted(1e5), AXIS), "Mn", "L2", (645.0, 720.0))
    assert any("far more than noise" in note for note in result.notes)
    with pytest.raises(ValueError, match="max_peaks is -1"):
        fit_edge(Spectra(counted(1e5), AXIS), "Mn", "L2,3", (630.0, 720.0), max_peaks=-1)


def test_an_image_counts_as_its_sum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cube = np.random.default_rng(2).poisson(3e3 * expected(), (3, 4, AXIS.size))
    np.savez(tmp_path / "cube.npz", energy=AXIS.energies, counts=cube)
    assert main(["edges", "fit", str(tmp_path / "cube.npz"), *MANGANESE]) == 0
    assert "note: sum of 12 spectra" in capsys.readouterr().out


def test_a_picture_that_fails_leaves_the_library_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device", "fit.png")

    monkeypatch.setattr("coreloss.plot_edges.edge_fit", fails)
    record, library = written(tmp_path / "mn.csv", counted(1e5)), tmp_path / "own.toml"
    words = ["edges", "fit", str(record), *MANGANESE, "--out", str(library)]
    assert main([*words, "--plot", str(tmp_path / "fit.png")]) == 2
    assert "fit.png: no space left" in capsys.readouterr().err
    assert not library.exists()


def test_a_cosmic_ray_is_no_peak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = counted(1e5)
    counts[270] += 3e6
    library = tmp_path / "own.toml"
    file = written(tmp_path / "hit.csv", counts)
    assert main(["edges", "fit", str(file), *MANGANESE, "--out", str(library)]) == 0
    assert "single channels far too high were bridged: 668.0 eV" in capsys.readouterr().out
    (shape,) = read_shapes(library)
    assert max(shape.peaks, key=lambda peak: peak.height).centre_ev == pytest.approx(642, abs=0.3)


def test_coarse_channels_get_no_peak_finer_than_they_are() -> None:
    axis = EnergyAxis(400.0, 8.0, 80)
    result = fit_edge(Spectra(counted(1e6, axis=axis), axis), "Mn", "L2,3", (560.0, 900.0))
    assert all(peak.fwhm_ev >= 16.0 for peak in result.shape.peaks)
    # twelve channels of background although a tenth of the window's start holds seven
    assert result.before[0] <= 560.0 - 12 * 8.0


def test_noise_that_neighbours_share_is_no_structure() -> None:
    """A detector's point spread makes bumps three channels wide; there are two lines."""
    rng = np.random.default_rng(8)
    noise = np.convolve(rng.standard_normal(AXIS.size + 4), [1, 2, 3, 2, 1], mode="valid")
    counts = 1e5 * (expected() + 0.003 * noise)
    result = fit_edge(Spectra(counts, AXIS), "Mn", "L2,3", (630.0, 720.0))
    assert 2 <= len(result.shape.peaks) <= 4
    strong = sorted(result.shape.peaks, key=lambda peak: -peak.height)[:2]
    assert sorted(peak.centre_ev for peak in strong) == pytest.approx([642.0, 653.0], abs=0.4)


def test_a_quiet_record_has_no_more_peaks_than_are_there() -> None:
    result = fit_edge(Spectra(counted(1e9), AXIS), "Mn", "L2,3", (630.0, 720.0))
    assert 2 <= len(result.shape.peaks) <= 4
    assert all(1.0 <= step.exponent <= 5.0 for step in result.shape.steps)


# -- the shipped library's sources ---------------------------------------------------------


def test_every_family_has_the_source_that_the_page_lists() -> None:
    sources = {
        (*label, family[0]): SOURCES[family[1]]
        for label, families in FAMILIES.items()
        for family in families
    }
    shipped = {(s.element, s.edge, s.family): s.source for s in shipped_shapes()}
    assert shipped == sources
    assert set(SOURCES.values()) == set(sources.values())
    page = Path(__file__).parents[1] / "docs" / "edge_library.md"
    plain = page.read_text(encoding="utf-8").replace("*", "")
    assert [source for source in SOURCES.values() if source not in plain] == []
