"""What runs that were stopped or failed leave behind, and who may take it up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cluster_work import dies, one_frail_worker
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

from coreloss.cli import main
from coreloss.energy import Spectra
from coreloss.maps import element_maps, open_image, quantify
from coreloss.maps.blocks import Source, Store, half_done, run_blocks


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "nothing to quantify"), (["--window", "900", "950"], "leaves nothing of the record")],
)
def test_a_quantification_that_fails_after_its_maps_leaves_nothing(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = np.random.default_rng(0).poisson(4e3 * (AXIS.energies / 400.0) ** -3, (4, 6, 360))
    path = write_hspy(tmp_path / "si.hspy", counts.astype(np.float32), AXIS, **tem())
    for _ in range(2):  # the second is not told of the first
        assert main(["quantify", str(path), "--out", str(tmp_path / "out"), *words]) == 2
        assert message in capsys.readouterr().err
        assert [p.name for p in tmp_path.iterdir()] == ["si.hspy"]


def test_what_is_half_done_is_told(tmp_path: Path) -> None:
    image = open_image(Spectra(image_counts(), AXIS))
    blocks = image.blocks(20_000)
    store = Store(tmp_path / "work", {}, SHAPE, len(blocks))
    assert half_done(tmp_path)

    def pair(counts: np.ndarray, block: object) -> dict[str, np.ndarray]:
        return {"pair": np.stack([counts[:, 0], counts[:, 1]], axis=1)}

    run_blocks(pair, image, store, blocks)
    assert not half_done(tmp_path)
    assert not half_done(tmp_path / "nowhere")


def test_a_column_of_an_array_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coreloss.maps.blocks._PART_BYTES", 300)
    image = open_image(Spectra(image_counts(), AXIS))
    blocks = image.blocks(20_000)
    for folder in (None, tmp_path / "work"):
        store = Store(folder, {}, SHAPE, len(blocks))
        run_blocks(lambda counts, block: {"all": counts}, image, store, blocks)
        for place in (0, 7):
            assert (store.column("all", place) == image.data[..., place]).all()


def test_another_exposure_ratio_takes_up_no_run(tmp_path: Path) -> None:
    def run(ratio: float | None, low: np.ndarray) -> None:
        quantify(
            Spectra(image_counts(), AXIS), ["O"], low_loss=Spectra(low, LOW_AXIS),
            exposure_ratio=ratio, work_folder=tmp_path / "work", **MICROSCOPE,
        )  # fmt: skip

    low = low_loss_counts()
    run(100.0, low)
    run(100.0, low)
    for ratio, other in ((200.0, low), (None, low), (100.0, 1.5 * low)):
        with pytest.raises(ValueError, match="with other settings"):
            run(ratio, other)


def test_a_worker_elsewhere_finds_the_file(
    image_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coreloss.maps.source.SMALL_BYTES", 0)
    monkeypatch.chdir(image_file.parent)
    source = Source.of(open_image(image_file.name))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert source.image is None
    assert source.open().shape == SHAPE


def test_workers_that_die_of_their_work_are_one_sentence() -> None:
    image = open_image(Spectra(image_counts(), AXIS))
    store = Store(None, {}, SHAPE, 1)
    with one_frail_worker() as address, pytest.raises(OSError, match="workers died several times"):
        run_blocks(dies, image, store, image.blocks(), scheduler=address)


def test_elements_found_on_the_way_are_saved_whole(
    image_file: Path, step_bundle: Path, tmp_path: Path
) -> None:
    quantify(image_file, model=step_bundle, near_edge="none").save(tmp_path / "out")
    element_maps(image_file, model=step_bundle).save(tmp_path / "maps")
    maps = {p.name for p in (tmp_path / "maps").iterdir()}
    assert maps <= {p.name for p in (tmp_path / "out").iterdir()}


def test_a_line_scan_is_shown_beside_its_survey(step_bundle: Path) -> None:
    from dataclasses import replace

    line = element_maps(Spectra(image_counts()[0], AXIS), model=step_bundle, clusters=1)
    figure = replace(line, survey=np.ones((9, 9), dtype=np.float32)).plot()
    assert [len(place.images) for place in figure.axes] == [1, 0]
    assert len(figure.axes[1].lines) == len(line.elements)
