"""Element maps and quantification of spectrum images."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreloss.cli import main
from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit import design_matrix
from coreloss.maps import element_maps, open_image, quantify
from coreloss.maps.blocks import Progress, Store, run_blocks
from coreloss.maps.coherence import morans_z
from coreloss.maps.microscope import microscope_of
from coreloss.maps.output import check_folder, signal_dictionary
from coreloss.maps.quantification import atomic_percent
from coreloss.maps.source import Block, NavigationAxis

AXIS = EnergyAxis(400.0, 1.0, 360)
LOW_AXIS = EnergyAxis(-20.0, 1.0, 120)
MICROSCOPE = {"beam_energy_kev": 200.0, "alpha_mrad": 10.0, "beta_mrad": 20.0}
SHAPE = (8, 12)


def image_counts(shape: tuple[int, ...] = SHAPE, dose: float = 4000.0, seed: int = 0) -> np.ndarray:
    """O everywhere and Ti in the left half, twice as much O as Ti."""
    rng = np.random.default_rng(seed)
    design = design_matrix(["O", "Ti"], AXIS, near_edge="none", **MICROSCOPE)
    oxygen, titanium = design.matrix[:, design.amplitude].T
    left = np.zeros(shape)
    left[..., : shape[-1] // 2] = 1.0
    edges = 2.0 * oxygen + left[..., None] * titanium
    clean = dose * ((AXIS.energies / 400.0) ** -3 + 0.8 * edges / edges.max())
    return rng.poisson(clean).astype(np.float32)


def low_loss_counts(shape: tuple[int, ...] = (), thickness: float = 0.5) -> np.ndarray:
    energy = LOW_AXIS.energies
    single = np.exp(-0.5 * (energy / 1.0) ** 2)
    single += 0.06 * thickness * np.exp(-0.5 * ((energy - 22.0) / 4.0) ** 2)
    return np.broadcast_to(1e5 * single, (*shape, energy.size)).copy()


def write_hspy(path: Path, data: np.ndarray, axis: EnergyAxis, **tem: Any) -> Path:
    """A spectrum image as HyperSpy writes one, with calibrated axes."""
    from rsciio.hspy import file_writer

    shape = data.shape[:-1]
    told = signal_dictionary(data, [NavigationAxis(n, 0.5, 0.0, "nm") for n in shape], title="area")
    told["axes"] = told["axes"][: len(shape)]
    for entry in told["axes"]:
        entry["navigate"] = True
    told["axes"].append(
        {
            "_type": "UniformDataAxis",
            "size": axis.size,
            "scale": axis.dispersion,
            "offset": axis.offset,
            "units": "eV",
            "name": "Energy loss",
            "navigate": False,
            "index_in_array": len(shape),
        }
    )
    told["metadata"]["Signal"]["signal_type"] = "EELS"
    told["metadata"]["Acquisition_instrument"] = {"TEM": tem}
    file_writer(str(path), told, show_progressbar=False)
    return path


def tem(**changes: Any) -> dict[str, Any]:
    return {
        "beam_energy": 200.0,
        "convergence_angle": 10.0,
        "Detector": {"EELS": {"collection_angle": 20.0}},
        **changes,
    }


@pytest.fixture(scope="module")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hspy(tmp_path_factory.mktemp("si") / "si.hspy", image_counts(), AXIS, **tem())


# ---------------------------------------------------------------- reading


def test_a_file_becomes_an_image_with_calibrated_axes(image_file: Path) -> None:
    image = open_image(image_file)
    assert image.shape == SHAPE
    assert [a.unit for a in image.axes] == ["nm", "nm"]
    assert image.axes[0].scale == 0.5
    whole = np.concatenate([image.read(b) for b in image.blocks()])
    assert (whole == image_counts().reshape(-1, AXIS.size)).all()


def test_large_files_are_read_lazily_in_the_same_order(
    image_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import coreloss.maps.source as source

    monkeypatch.setattr(source, "SMALL_BYTES", 10)
    image = open_image(image_file)
    assert hasattr(image.data, "compute")
    assert image.metadata["beta_mrad"] == 20.0
    blocks = image.blocks(20_000)
    assert len(blocks) > 4
    whole = np.zeros((*SHAPE, AXIS.size))
    for block in blocks:
        whole[block.slices] = image.read(block).reshape(*block.shape, -1)
    assert (whole == image_counts()).all()
    assert image.sample(30).shape[1] == AXIS.size


def test_energy_first_and_descending_data_and_binning() -> None:
    counts = image_counts()
    image = open_image(Spectra(counts, AXIS))
    turned = replace(
        image, data=np.moveaxis(counts[..., ::-1], -1, 0), energy_index=0, reversed=True
    )
    block = Block(((2, 4), (0, 12)))
    assert (turned.read(block) == image.read(block)).all()
    binned = turned.binned(5)
    assert binned.shape == (1, 2)
    total = counts[:5, :10].reshape(5, 2, 5, -1).sum(axis=(0, 2))
    assert binned.read(Block(((0, 1), (0, 2)))) == pytest.approx(total)
    assert binned.axes[0].scale == 5.0
    with pytest.raises(ValueError, match="cannot bin by 20"):
        image.binned(20)


# ---------------------------------------------------------------- maps


def test_moran_tells_patterns_from_scatter() -> None:
    rng = np.random.default_rng(1)
    scattered = [morans_z(rng.random((40, 50)) < 0.05) for _ in range(20)]
    assert abs(np.mean(scattered)) < 1.0
    assert max(scattered) < 4.0
    patch = np.zeros((40, 50))
    patch[3:8, 4:9] = 1.0
    assert morans_z(patch) > 10
    assert morans_z(np.arange(30) > 14) > 3
    assert np.isnan(morans_z(np.ones((5, 5))))


def test_maps_show_where_elements_are(image_file: Path, step_bundle: Path) -> None:
    maps = element_maps(image_file, model=step_bundle, clusters=2)
    assert {"O", "Ti"} <= set(maps.elements)
    left = np.zeros(SHAPE, dtype=bool)
    left[:, :6] = True
    assert (maps.present[..., maps.elements.index("Ti")] == left).mean() > 0.95
    assert maps.map("O").min() > 0.5
    rows = {row["symbol"]: row for row in maps.candidates}
    assert rows["Ti"]["coherence"] > 4
    assert rows["Ti"]["found_in"][0] == "pixels"
    assert any("cluster" in place for place in rows["Ti"]["found_in"])
    assert "Ti" in maps.table()
    with pytest.raises(ValueError, match="no map of 'Fe'"):
        maps.map("Fe")


def test_scattered_false_positives_drop_out(step_bundle: Path) -> None:
    counts = image_counts((30, 40), seed=2)
    rng = np.random.default_rng(3)
    chosen = rng.random((30, 40)) < 0.04
    # a step at N K in single pixels here and there
    counts[chosen] += 1500.0 * (AXIS.energies > 410.0)
    maps = element_maps(Spectra(counts, AXIS), model=step_bundle, clusters=0)
    assert "Ti" in maps.elements
    dropped = {row["symbol"]: row["reason"] for row in maps.candidates if not row["kept"]}
    assert not set(dropped) & {"O", "Ti"}
    for row in maps.candidates:
        if 0.01 <= row["fraction"] < 0.1 and row["symbol"] not in ("O", "Ti"):
            assert not row["kept"]


def test_a_phase_of_few_pixels_is_found_in_its_cluster(step_bundle: Path) -> None:
    pytest.importorskip("sklearn")
    counts = image_counts((20, 30), seed=4)
    counts[2:4, 20:23] += 20_000.0 * (AXIS.energies > 709.0)
    maps = element_maps(Spectra(counts, AXIS), model=step_bundle, clusters=4, least_fraction=0.05)
    row = next(r for r in maps.candidates if r["symbol"] == "Fe")
    assert row["kept"]
    assert any("cluster" in place for place in row["found_in"])


def test_denoising_keeps_the_picture(image_file: Path, step_bundle: Path) -> None:
    pytest.importorskip("sklearn")
    maps = element_maps(image_file, model=step_bundle, components=3, bin=2)
    assert maps.shape == (4, 6)
    assert {"O", "Ti"} <= set(maps.elements)
    with pytest.raises(ValueError, match="principal components"):
        element_maps(image_file, model=step_bundle, components=500)


def test_dead_saturated_and_nan_pixels_are_left_out(step_bundle: Path) -> None:
    counts = image_counts()
    counts[0, 0] = 0.0
    counts[1, 1] = np.nan
    counts[2, 2, :40] = 65_535.0
    counts[3] = np.nan
    maps = element_maps(Spectra(counts, AXIS), model=step_bundle, clusters=1)
    assert maps.state[0, 0] == maps.state[1, 1] == 1
    assert maps.state[2, 2] == 2
    assert (maps.state[3] == 1).all()
    assert np.isnan(maps.probabilities[3]).all()
    assert any("14 of 96 spectra hold no counts" in note for note in maps.notes)
    assert any("1 of 96 spectra are saturated" in note for note in maps.notes)
    with pytest.raises(ValueError, match="none of its 96 spectra is usable"):
        element_maps(Spectra(np.zeros((8, 12, 360)), AXIS), model=step_bundle)


def test_integer_counts_map_like_floats(step_bundle: Path) -> None:
    counts = image_counts()
    one = element_maps(Spectra(counts, AXIS), model=step_bundle, clusters=1)
    two = element_maps(Spectra(counts.astype(np.uint16), AXIS), model=step_bundle, clusters=1)
    assert one.probabilities == pytest.approx(two.probabilities)


# ---------------------------------------------------------------- blocks


def doubled(counts: np.ndarray, block: Block) -> dict[str, np.ndarray]:
    return {"value": 2.0 * counts.sum(axis=1), "_block": np.array([counts.shape[0]])}


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    image = open_image(Spectra(image_counts(), AXIS))
    blocks = image.blocks(10_000)
    seen: list[int] = []

    def stops(counts: np.ndarray, block: Block) -> dict[str, np.ndarray]:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(1)
        return doubled(counts, block)

    store = Store(tmp_path / "work", {"a": 1}, SHAPE, len(blocks))
    with pytest.raises(KeyboardInterrupt):
        run_blocks(stops, image, store, blocks)
    again = Store(tmp_path / "work", {"a": 1}, SHAPE, len(blocks))
    assert again.done.sum() == 3
    run_blocks(doubled, image, again, blocks)
    whole = Store(None, {}, SHAPE, len(blocks))
    run_blocks(doubled, image, whole, blocks)
    assert (again.get("value") == whole.get("value")).all()
    assert again.get("_block").sum() == image.number
    with pytest.raises(ValueError, match="unfinished run of another file"):
        Store(tmp_path / "work", {"a": 2}, SHAPE, len(blocks))
    again.remove()
    assert not (tmp_path / "work").exists()


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    class Terminal:
        text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    Progress(10, "x").update(3)
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    progress = Progress(1000, "identifying", terminal)  # type: ignore[arg-type]
    progress.update(0)
    progress.begun -= 4.0
    progress.last -= 4.0
    progress.update(400)
    assert "identifying: 400 of 1,000 spectra" in terminal.text
    assert "left" in terminal.text


def test_a_scheduler_must_answer(image_file: Path, step_bundle: Path) -> None:
    pytest.importorskip("distributed")
    image = open_image(image_file)
    store = Store(None, {}, SHAPE, len(image.blocks()))
    with pytest.raises(ValueError, match="no dask scheduler answers"):
        run_blocks(doubled, image, store, image.blocks(), scheduler="nothing://here:1")


def test_a_cluster_that_loses_a_worker_gives_the_same(tmp_path: Path) -> None:
    """Two worker processes; one is killed while it works."""
    distributed = pytest.importorskip("distributed")
    from cluster_work import slow

    image = open_image(Spectra(image_counts(), AXIS))
    blocks = image.blocks(12_000)
    local = Store(None, {}, SHAPE, len(blocks))
    run_blocks(slow, image, local, blocks)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        store = Store(tmp_path / "work", {}, SHAPE, len(blocks))
        victim = next(iter(cluster.workers.values()))
        killed: list[int] = []
        put = store.put

        def kill_after_two(number: int, block: Block, result: dict[str, np.ndarray]) -> None:
            put(number, block, result)
            if store.done.sum() == 2 and not killed:
                killed.append(victim.process.process.pid)
                victim.process.process.kill()

        store.put = kill_after_two  # type: ignore[method-assign]
        run_blocks(slow, image, store, blocks, scheduler=cluster.scheduler_address)
        assert killed
    assert (store.get("value") == local.get("value")).all()


# ---------------------------------------------------------------- quantification


def test_atomic_percent_and_its_errors() -> None:
    rng = np.random.default_rng(0)
    covariance = np.array([[4.0, 1.0], [1.0, 9.0]])
    draws = rng.multivariate_normal([60.0, 120.0], covariance, 20_000)
    percent, error = atomic_percent(np.array([[60.0, 120.0]]), covariance[None])
    assert percent[0] == pytest.approx([100 / 3, 200 / 3])
    scatter = (100.0 * draws[:, 0] / draws.sum(axis=1)).std()
    assert error[0] == pytest.approx([scatter, scatter], rel=0.03)
    nothing, unknown = atomic_percent(np.zeros((1, 2)), covariance[None])
    assert np.isnan(nothing).all()
    assert np.isnan(unknown).all()


def test_composition_maps_with_errors(image_file: Path, step_bundle: Path) -> None:
    result = quantify(image_file, ["O", "Ti", "N"], near_edge="none")
    o, ti, n = (result.elements.index(s) for s in ("O", "Ti", "N"))
    left = result.atomic_percent[:, :6]
    right = result.atomic_percent[:, 6:]
    assert left[..., ti].mean() == pytest.approx(100 / 3, abs=2.0)
    assert right[..., o].mean() == pytest.approx(100.0, abs=2.5)
    assert result.total["N"]["likelihood_ratio"] < 9
    assert "not significant" in result.table()
    assert not result.significant[..., n].mean() > 0.1
    pull = (left[..., ti] - 100 / 3) / result.atomic_percent_errors[:, :6, ti]
    # nitrogen, absent and held above zero, scatters less than the Fisher information says
    assert 0.6 < pull.std() < 1.4
    assert np.nanmedian(result.reduced_chi2) == pytest.approx(1.0, abs=0.15)
    assert np.abs(result.residual).mean() < 2.0
    assert result.unit == "relative"


def test_elements_are_found_and_the_unsupported_taken_out(step_bundle: Path) -> None:
    result = quantify(Spectra(image_counts(), AXIS), model=step_bundle, **MICROSCOPE)
    assert set(result.elements) == {"O", "Ti"}
    assert result.maps is not None
    for reason in result.not_quantified.values():
        assert reason
    single = quantify(
        Spectra(image_counts().sum(axis=(0, 1)), AXIS), model=step_bundle, **MICROSCOPE
    )
    assert single.shape == (1,)
    assert {"O", "Ti"} <= set(single.elements)


def test_beam_intensity_makes_amounts_areal_densities() -> None:
    design = design_matrix(["O"], AXIS, near_edge="none", **MICROSCOPE)
    true, intensity = 250.0, 4e8
    clean = intensity * true * design.matrix[:, design.amplitude[0]]
    clean = clean + clean.max() * (AXIS.energies / 400.0) ** -3
    counts = np.random.default_rng(0).poisson(clean, (10, AXIS.size))
    result = quantify(
        Spectra(counts, AXIS), ["O"], beam_intensity=intensity, near_edge="none", **MICROSCOPE
    )
    assert result.absolute
    assert result.unit == "atoms/nm²"
    assert result.amounts.mean() == pytest.approx(true, rel=0.03)
    assert result.total["O"]["amount"] == pytest.approx(true, rel=0.03)


def test_a_low_loss_of_each_pixel_and_its_drift() -> None:
    drift = np.array([0.0, 2.0, -2.0, 1.0])
    low = np.stack(
        [np.interp(LOW_AXIS.energies - d, LOW_AXIS.energies, low_loss_counts()) for d in drift]
    )
    counts = np.stack([image_counts((1, 2), dose=2e4)[0, 0]] * 4)
    image = Spectra(counts, AXIS)
    one = quantify(image, ["O", "Ti"], low_loss=Spectra(low[0], LOW_AXIS), **MICROSCOPE)
    own = quantify(
        image, ["O", "Ti"], low_loss=Spectra(low, LOW_AXIS), exposure_ratio=1.0, **MICROSCOPE
    )
    assert own.absolute
    # the zero loss of a separate low loss is put at zero wherever it lies
    assert own.atomic_percent == pytest.approx(one.atomic_percent, abs=3.0)


def test_drift_in_a_common_file_moves_the_model(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    drift = np.array([0.0, 3.0, -3.0, 2.0, 0.0, -2.0, 1.0, 0.0])
    clean = image_counts((1, 2), dose=1e5)[0, 0].astype(float)
    counts = np.stack([np.interp(AXIS.energies - d, AXIS.energies, clean) for d in drift])
    low = np.stack(
        [np.interp(LOW_AXIS.energies - d, LOW_AXIS.energies, low_loss_counts()) for d in drift]
    )
    path = write_hspy(tmp_path / "dual.hspy", counts, AXIS, **tem())
    other = write_hspy(tmp_path / "low.hspy", low, LOW_AXIS, **tem())
    with h5py.File(path, "a") as store, h5py.File(other) as second:
        second.copy("Experiments/area", store["Experiments"], "low loss")
    moved = quantify(path, ["O", "Ti"])
    assert any("drifts by" in note for note in moved.notes)
    fixed = quantify(
        Spectra(counts, AXIS), ["O", "Ti"], low_loss=Spectra(low[0], LOW_AXIS), **MICROSCOPE
    )
    assert moved.reduced_chi2.std() < 0.1 * fixed.reduced_chi2.std()
    scatter = moved.atomic_percent[:, 0].std(), fixed.atomic_percent[:, 0].std()
    assert scatter[0] < scatter[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha_mrad": 10.0, "beam_energy_kev": 200.0}, "collection semi-angle β is not in"),
        ({}, "the beam energy and the convergence semi-angle α and the collection"),
        ({**MICROSCOPE, "beta_mrad": -1.0}, "must be positive"),
        ({**MICROSCOPE, "beam_energy_kev": 200_000.0}, "give it in keV"),
    ],
)
def test_missing_parameters_are_named(given: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantify(Spectra(image_counts(), AXIS), ["O"], **given)


def test_a_parallel_beam_may_be_given() -> None:
    found = microscope_of("x", {"beam_energy_kev": 300.0, "beta_mrad": 5.0}, alpha_mrad=0.0)
    assert found.alpha_mrad == 0.0


def test_low_losses_that_do_not_fit_are_refused() -> None:
    image = Spectra(image_counts(), AXIS)
    other = Spectra(low_loss_counts(), EnergyAxis(-20.0, 0.5, 120))
    with pytest.raises(ValueError, match=r"0\.5 eV/channel and the core loss 1;"):
        quantify(image, ["O"], low_loss=other, **MICROSCOPE)
    wrong = Spectra(low_loss_counts((12, 8)), LOW_AXIS)
    with pytest.raises(ValueError, match=r"12 × 8 spectra and the core loss 8 × 12"):
        quantify(image, ["O"], low_loss=wrong, **MICROSCOPE)
    with pytest.raises(ValueError, match="says nothing without a low loss"):
        quantify(image, ["O"], exposure_ratio=2.0, **MICROSCOPE)
    with pytest.raises(ValueError, match="not both"):
        quantify(image, ["O"], exposure_ratio=2.0, beam_intensity=1.0, **MICROSCOPE)
    with pytest.raises(ValueError, match="none of the elements given"):
        quantify(image, ["B"], **MICROSCOPE)


# ---------------------------------------------------------------- folders and commands


def test_results_go_into_one_folder_and_read_back(
    image_file: Path, step_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "maps"
    words = ["map", str(image_file), "--model", str(step_bundle), "--out", str(out)]
    assert main([*words, "--clusters", "0"]) == 0
    said = capsys.readouterr().out
    assert "8 × 12 spectra" in said
    names = {p.name for p in out.iterdir()}
    assert names == {
        "probabilities.hspy", "present.hspy", "elements.csv", "maps.png", "maps.pdf",
        "summary.json",
    }  # fmt: skip
    from rsciio.hspy import file_reader

    signal = file_reader(str(out / "probabilities.hspy"))[0]
    assert {"O", "Ti"} <= set(signal["metadata"]["Sample"]["elements"])
    assert signal["data"].shape[1:] == SHAPE
    assert [a["units"] for a in signal["axes"]] == ["", "nm", "nm"]
    assert [a["scale"] for a in signal["axes"]][1:] == [0.5, 0.5]
    assert {"O", "Ti"} <= set(json.loads((out / "summary.json").read_text())["elements"])
    assert (out / "elements.csv").read_text().startswith("element,fraction")
    assert main([*words, "--clusters", "0"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*words, "--clusters", "0", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shape"] == [8, 12]
    assert not list(tmp_path.glob("*.partial")) + list(tmp_path.glob(".maps*"))


def test_quantify_command(
    image_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result"
    words = ["quantify", str(image_file), "--elements", "O", "Ti", "--out", str(out)]
    assert main([*words, "--near-edge", "none"]) == 0
    assert "at%" in capsys.readouterr().out
    assert {"atomic_percent.hspy", "composition.csv", "quantification.png", "chi2.hspy"} <= {
        p.name for p in out.iterdir()
    }
    rows = (out / "composition.csv").read_text().splitlines()
    assert rows[1].startswith("O,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["map", "{complex}"], "complex"),
        (["map", "{one}"], "holds a single spectrum"),
        (["map", "{missing}"], "missing.hspy"),
        (["quantify", "{no_beta}"], "β is not in the file"),
        (["quantify", "{good}", "--low-loss", "{core}"], "zero-loss peak"),
        (["map", "{good}", "--bin", "40"], "cannot bin by 40"),
        (["map", "{good}", "--kind", "hspy", "--out", "{nowhere}/x"], "no such folder"),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(
    words: list[str],
    message: str,
    image_file: Path,
    step_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"missing": tmp_path / "missing.hspy", "good": image_file, "core": image_file}
    places["nowhere"] = tmp_path / "nowhere"
    if "{complex}" in words:
        places["complex"] = tmp_path / "c.npz"
        np.savez(places["complex"], energy=AXIS.energies, counts=image_counts() * 1j)
    if "{one}" in words:
        places["one"] = write_hspy(tmp_path / "one.hspy", image_counts()[:1, :1], AXIS, **tem())
    if "{no_beta}" in words:
        instrument = {"beam_energy": 200.0, "convergence_angle": 10.0}
        places["no_beta"] = write_hspy(tmp_path / "b.hspy", image_counts(), AXIS, **instrument)
    before = {p.name for p in tmp_path.iterdir()}
    arguments = [w.format(**places) for w in words]
    if "--out" not in arguments:
        arguments += ["--out", str(tmp_path / "out")]
    assert main([*arguments, "--model", str(step_bundle)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == before


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match="no folder of results"):
        check_folder(mine, force=True)
    with pytest.raises(ValueError, match="hspy, zspy"):
        check_folder(tmp_path / "new", force=False, kind="tif")


def test_line_scans_and_stacks_are_drawn(step_bundle: Path, tmp_path: Path) -> None:
    line = element_maps(Spectra(image_counts()[0], AXIS), model=step_bundle, clusters=1)
    line.plot(tmp_path / "line.png")
    stack = element_maps(
        Spectra(np.stack([image_counts()] * 2), AXIS), model=step_bundle, clusters=1
    )
    assert stack.shape == (2, 8, 12)
    stack.plot(tmp_path / "stack.pdf")
    assert (tmp_path / "line.png").stat().st_size > 10_000
    assert (tmp_path / "stack.pdf").stat().st_size > 2_000


def test_commands_do_not_load_the_readers_to_parse() -> None:
    code = (
        "import sys, coreloss.cli as c; c._parser(); "
        "sys.exit('rsciio' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.real
@pytest.mark.parametrize(
    ("stem", "shift", "stretch", "ratio", "truth", "within"),
    [
        ("BN_A3_r3_cal", 5.0, 0.973, ("B", "N"), 1.0, 0.04),
        ("TiO2_B3_r1", -4.0, 1.0, ("Ti", "O"), 0.5, 0.06),
        ("TiO2_B3_r2", -8.0, 1.0, ("Ti", "O"), 0.5, 0.06),
        ("SrTiO3_D3_r1", 2.0, 1.0, ("Ti", "O"), 1 / 3, 0.08),
    ],
)
def test_round_robin_compositions(
    real_folder: Path,
    stem: str,
    shift: float,
    stretch: float,
    ratio: tuple[str, str],
    truth: float,
    within: float,
) -> None:
    low = real_folder / "files" / f"{stem}_lowloss.dm3"
    result = quantify(
        real_folder / "files" / f"{stem}.dm3",
        ratio,
        low_loss=low if low.is_file() else None,
        shift_ev=shift,
        stretch=stretch,
        beam_energy_kev=300.0,
        alpha_mrad=0.2,
        beta_mrad=4.12,
    )
    first, second = (result.amounts[:, result.elements.index(s)] for s in ratio)
    assert (first / second).mean() == pytest.approx(truth, rel=within)
    column = result.elements.index(ratio[0])
    stated = result.atomic_percent_errors[:, column].mean()
    assert 1 / 1.3 < stated / result.atomic_percent[:, column].std() < 1.3
