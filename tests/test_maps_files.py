"""Maps from files to folders: survey images, both formats, stops, clusters and bad input."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
from spectrum_images import (
    AXIS,
    LOW_AXIS,
    MICROSCOPE,
    SHAPE,
    image_counts,
    low_loss_counts,
    tem,
    write_hspy,
)

import coreloss.maps.output as output
import coreloss.maps.source as source
from coreloss.cli import main
from coreloss.energy import EnergyAxis, Spectra
from coreloss.io import ReadError
from coreloss.maps import element_maps, open_image, quantify
from coreloss.maps.blocks import Store, _sent
from coreloss.maps.elements import _Identify
from coreloss.maps.output import check_folder
from coreloss.maps.pixel_fit import PixelFit


def test_a_survey_image_and_one_scale_bar_are_drawn(tmp_path: Path, step_bundle: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = write_hspy(tmp_path / "si.hspy", image_counts(), AXIS, **tem())
    picture = np.random.default_rng(0).random((24, 30)).astype(np.float32)
    other = write_hspy(tmp_path / "p.hspy", picture, EnergyAxis(0.0, 1.0, 30))
    with h5py.File(path, "a") as store, h5py.File(other) as second:
        second.copy("Experiments/area", store["Experiments"], "survey")
        entry = store["Experiments/survey/axis-1"]
        entry.attrs["units"], entry.attrs["name"] = "nm", "x"
        store["Experiments/survey/metadata/Signal"].attrs["signal_type"] = ""
    maps = element_maps(path, model=step_bundle, clusters=1)
    assert maps.survey is not None
    assert maps.survey == pytest.approx(picture)
    figure = maps.plot()
    titles = [place.get_title(loc="left") for place in figure.axes]
    assert "survey" in titles
    assert any(title.startswith("Ti") for title in titles)
    bars = [t.get_text() for place in figure.axes for t in place.texts if t.get_text()[-2:] == "nm"]
    assert len(bars) == 1
    # of 12 pixels of 0.5 nm
    assert 0.5 <= float(bars[0].split()[0]) <= 2.0


@pytest.mark.parametrize("kind", ["hspy", "zspy"])
def test_maps_are_written_with_axes_and_microscope(
    kind: str, image_file: Path, step_bundle: Path, tmp_path: Path
) -> None:
    try:
        check_folder(tmp_path / "out", force=False, kind=kind)
    except ValueError as error:
        pytest.skip(str(error))
    maps = element_maps(image_file, model=step_bundle, clusters=1)
    maps.save(tmp_path / "out", kind=kind)
    result = quantify(image_file, ["O", "Ti"], near_edge="none", thickness=0.0)
    result.save(tmp_path / "amounts", kind=kind)
    if kind == "zspy":
        from rsciio.zspy import file_reader
    else:
        from rsciio.hspy import file_reader
    for path, values in (
        (tmp_path / "out" / f"probabilities.{kind}", maps.probabilities),
        (tmp_path / "amounts" / f"residual.{kind}", result.residual),
        (tmp_path / "amounts" / f"likelihood_ratio.{kind}", result.likelihood_ratio),
    ):
        signal = file_reader(str(path))[0]
        assert np.moveaxis(signal["data"], 0, -1) == pytest.approx(values)
        assert [(a["units"], a["scale"]) for a in signal["axes"]][1:] == [("nm", 0.5)] * 2
        microscope = signal["metadata"]["Acquisition_instrument"]["TEM"]
        assert microscope["beam_energy"] == 200.0
        assert microscope["Detector"]["EELS"]["collection_angle"] == 20.0


def test_a_zarr_that_cannot_write_is_found_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise AttributeError("module 'zarr.storage' has no such store")

    monkeypatch.setattr(output, "_write_signal", fails)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(ValueError, match=r"no such store\); install another with .*zarr<3"):
        check_folder(tmp_path / "out", force=False, kind="zspy")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"need zarr; install it with"):
        check_folder(tmp_path / "out", force=False, kind="zspy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["map", "quantify"])
def test_a_command_that_was_stopped_goes_on(
    what: str,
    image_file: Path,
    step_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = open_image(image_file).blocks

    def small(self: source.SpectrumImage, bytes_at_once: int = 0) -> list[source.Block]:
        return blocks(20_000)

    monkeypatch.setattr(source.SpectrumImage, "blocks", small)
    work = _Identify if what == "map" else PixelFit
    done, limit = [], [2]
    call = work.__call__

    def counted(self: object, counts: np.ndarray, block: source.Block) -> dict:
        if len(done) == limit[0]:
            raise KeyboardInterrupt
        done.append(block)
        return call(self, counts, block)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "__call__", counted)
    words = [what, str(image_file), "--model", str(step_bundle), "--axis", "as-recorded"]
    words += ["--clusters", "0"] if what == "map" else ["--elements", "O", "Ti"]
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert main([*words, "--out", str(out)]) == 130
    assert not out.exists()
    assert (tmp_path / "out.partial").is_dir()
    limit[0] = 10**6
    assert main([*words, "--out", str(out)]) == 0
    number = len(blocks(20_000))
    assert number > 4
    assert len(done) == number
    assert not (tmp_path / "out.partial").exists()
    assert main([*words, "--out", str(whole)]) == 0
    capsys.readouterr()
    name = "elements.csv" if what == "map" else "composition.csv"
    assert (out / name).read_text() == (whole / name).read_text()
    assert json.loads((out / "summary.json").read_text())["shape"] == list(SHAPE)


def same(one: object, other: object) -> bool:
    """Whether two results agree to the last bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    if is_dataclass(one) and type(one) is type(other):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or one != one != other != other


def test_a_cluster_that_loses_workers_maps_and_quantifies_as_this_process_does(
    image_file: Path, step_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two worker processes; one is killed while it works on a map, both in the midst of amounts."""
    distributed = pytest.importorskip("distributed")
    # read lazily, so that each worker opens the files by itself
    monkeypatch.setattr(source, "SMALL_BYTES", 10)
    blocks = source.SpectrumImage.blocks
    monkeypatch.setattr(source.SpectrumImage, "blocks", lambda image, _=0: blocks(image, 9_000))
    number = len(open_image(image_file).blocks())
    assert number > 12
    drift = np.linspace(-2.0, 2.0, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    counts = low_loss_counts()
    low = np.stack([[np.interp(LOW_AXIS.energies - d, LOW_AXIS.energies, counts) for d in row]
                    for row in drift])  # fmt: skip
    beside = write_hspy(tmp_path / "low.hspy", low, LOW_AXIS, **tem())
    put, done, victims = Store.put, [], []

    def kills(self: Store, place: int, block: source.Block, result: dict) -> None:
        put(self, place, block, result)
        done.append(place)
        if len(done) == 2:
            while victims:
                process = victims.pop().process.process
                assert process.is_alive()
                process.kill()

    def mapped(where: str | None) -> object:
        return element_maps(
            image_file, model=step_bundle, clusters=2, low_loss=beside, scheduler=where
        )

    def quantified(where: str | None) -> object:
        return quantify(image_file, ["O", "Ti"], near_edge="none", scheduler=where)

    work = (mapped, quantified)
    local = [call(None) for call in work]
    assert any("axis of every pixel" in note for note in local[0].notes)
    monkeypatch.setattr(Store, "put", kills)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        nannies = list(cluster.workers.values())
        for call, here, killed in zip(work, local, (nannies[:1], nannies), strict=True):
            cluster.wait_for_workers(2)
            done.clear()
            victims += killed
            there = call(cluster.scheduler_address)
            assert not victims
            assert sorted(done) == list(range(number))
            assert same(here, there)


def test_a_cluster_without_workers_is_one_sentence() -> None:
    class Empty:
        def scatter(self, *_: object, **__: object) -> None:
            raise TimeoutError("No valid workers found")

    with pytest.raises(OSError, match="tcp://here:1 has no workers; start some with 'dask worker"):
        _sent(Empty(), "tcp://here:1", 1)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("fault", "words", "message"),
    [
        ("dispersion", ["quantify"], "8 eV/channel, too coarse to tell plasmons"),
        ("shape", ["map"], "its axes say 9 × 12 spectra but its data hold 8 × 12"),
        ("shape", ["quantify"], "its axes say 9 × 12 spectra but its data hold 8 × 12"),
        ("area", ["quantify"], "12 × 8 spectra and the core loss 8 × 12"),
        ("dead", ["map"], "every value is 0; give a recorded spectrum"),
        ("dead", ["quantify"], "every value is 0; give a recorded spectrum"),
        ("nan", ["map"], "none of its values is a finite number"),
        ("nan", ["quantify"], "none of its values is a finite number"),
        ("saturated", ["map"], "96 saturated among 96 looked at); record it with a shorter"),
        ("saturated", ["quantify"], "96 saturated among 96 looked at); record it with a shorter"),
        ("complex", ["quantify"], "complex"),
        ("alpha", ["quantify"], "convergence semi-angle α"),
    ],
)
def test_faults_get_one_sentence_and_leave_nothing(
    fault: str,
    words: list[str],
    message: str,
    lazy: bool,
    step_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if lazy:  # as files of 200 MB and more are read
        monkeypatch.setattr("coreloss.maps.source.SMALL_BYTES", 0)
        if fault in ("dead", "nan"):
            message = "96 without counts, 0 saturated among 96 looked at); give an image with"
    counts, instrument = image_counts(), tem()
    low: Path | None = None
    if fault == "dispersion":
        axis = EnergyAxis(-80.0, 8.0, LOW_AXIS.size)
        low = write_hspy(tmp_path / "low.hspy", low_loss_counts((8, 12)), axis, **tem())
    elif fault == "area":
        low = write_hspy(tmp_path / "low.hspy", low_loss_counts((12, 8)), LOW_AXIS, **tem())
    elif fault == "dead":
        counts = np.zeros_like(counts)
    elif fault == "nan":
        counts = np.full_like(counts, np.nan)
    elif fault == "saturated":
        counts = counts.astype(np.uint16)
        counts[..., :30] = np.iinfo(np.uint16).max
    elif fault == "complex":
        counts = counts * 1j
    elif fault == "alpha":
        del instrument["convergence_angle"]
    path = write_hspy(tmp_path / "si.hspy", counts, AXIS, **instrument)
    if fault == "shape":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "a") as store:
            store["Experiments/area/axis-0"].attrs["size"] = 9
    arguments = [*words, str(path), "--model", str(step_bundle), "--out", str(tmp_path / "out")]
    arguments += ["--axis", "as-recorded"]
    if words == ["quantify"]:
        arguments += ["--elements", "O"]
    if low is not None:
        arguments += ["--low-loss", str(low)]
    before = {p.name for p in tmp_path.iterdir()}
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == before


def test_an_image_of_one_pixel_of_integers_is_quantified(
    tmp_path: Path, step_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = image_counts((1, 1), dose=4e4).astype(np.uint32)
    path = write_hspy(tmp_path / "one.hspy", counts, AXIS, **tem())
    words = ["quantify", str(path), "--elements", "O", "--out", str(tmp_path / "out"), "--json"]
    assert main([*words, "--model", str(step_bundle), "--near-edge", "none"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["elements"]["O"]["significant"]
    many = quantify(
        Spectra(image_counts((1, 1), dose=4e4), AXIS), ["O"], near_edge="none", **MICROSCOPE
    )
    assert told["elements"]["O"]["amount"] == pytest.approx(many.total["O"]["amount"], rel=1e-5)


def test_infinite_counts_of_a_large_file_are_no_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coreloss.maps.source.SMALL_BYTES", 0)
    counts = image_counts((2, 4))
    counts[:, :, 60] = np.inf
    image = open_image(write_hspy(tmp_path / "si.hspy", counts, AXIS, **tem()))
    whole = image.read(image.blocks()[0])
    assert np.isnan(whole[:, 60]).all()
    assert np.isfinite(np.delete(whole, 60, axis=1)).all()


@pytest.mark.parametrize("small", [0, 1_000_000])  # read a block at a time, and at once
def test_unsigned_counts_that_were_declared_signed_are_mended(
    small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coreloss.maps.source.SMALL_BYTES", small)

    def written(dose: float, kind: str) -> tuple[np.ndarray, Path]:
        counts = image_counts((4, 6), dose)
        stored = (counts.astype(np.int64) % 2**16).astype(np.uint16).view(kind)
        return counts, write_hspy(tmp_path / f"{dose:g}{kind}.hspy", stored, AXIS, **tem())

    counts, path = written(4e4, "int16")
    assert 2**15 < counts.max() < 2**16
    image = open_image(path)
    np.testing.assert_array_equal(image.read(image.blocks()[0]), counts.reshape(24, -1))
    assert "read as unsigned" in " ".join(image.notes)
    # those that are sound stay, and what ran over is refused
    for dose, sound in ((1e4, "int16"), (4e4, "uint16")):
        counts, path = written(dose, sound)
        image = open_image(path)
        np.testing.assert_array_equal(image.read(image.blocks()[0]), counts.reshape(24, -1))
        assert "unsigned" not in " ".join(image.notes)
    with pytest.raises(ReadError, match="beyond what its 16 bits hold, and jump by 65,536"):
        open_image(written(8e4, "int16")[1])


def test_a_large_file_of_few_channels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coreloss.maps.source.SMALL_BYTES", 0)
    path = write_hspy(
        tmp_path / "si.hspy", image_counts((2, 4))[..., :5], EnergyAxis(400.0, 1.0, 5), **tem()
    )
    with pytest.raises(ReadError, match="its spectra have 5 channels; give spectra of at least 8"):
        open_image(path)
