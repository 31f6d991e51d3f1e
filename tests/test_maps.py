"""Element maps and quantification of spectrum images."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spectrum_images import (
    AXIS,
    MICROSCOPE,
    SHAPE,
    image_counts,
    tem,
    write_hspy,
)

from coreloss.cli import main
from coreloss.energy import Spectra
from coreloss.identification import identify_spectra
from coreloss.maps import element_maps, open_image, quantify
from coreloss.maps.blocks import Progress, Store, check_unfinished, run_blocks
from coreloss.maps.coherence import morans_z
from coreloss.maps.output import check_folder
from coreloss.maps.source import Block
from coreloss.maps.support import Proof, Support

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


@pytest.mark.parametrize("energy_first", [False, True])
def test_frames_of_a_stack_are_not_binned(energy_first: bool) -> None:
    counts = np.stack([image_counts(seed=k) for k in range(3)])
    image = open_image(Spectra(counts, AXIS))
    if energy_first:
        image = replace(image, data=np.moveaxis(counts, -1, 0), energy_index=0)
    binned = image.binned(5)
    assert binned.shape == (3, 1, 2)
    assert [a.scale for a in binned.axes] == [1.0, 5.0, 5.0]
    assert [a.offset for a in binned.axes] == [0.0, 2.0, 2.0]
    total = counts[:, :5, :10].reshape(3, 5, 2, 5, -1).sum(axis=(1, 3)).reshape(6, -1)
    read = np.concatenate([binned.read(block) for block in binned.blocks(10_000)])
    assert read == pytest.approx(total)
    assert binned.dropped == (
        "binning by 5 drops the last 3 of 8 rows and the last 2 of 12 columns of every frame",
    )
    with pytest.raises(ValueError, match="cannot bin by 20; a frame has 8 × 12 pixels"):
        open_image(Spectra(np.zeros((30, 8, 12, AXIS.size)), AXIS)).binned(20)


@pytest.mark.parametrize(
    ("shape", "bin", "said"),
    [
        ((8, 12), 4, ()),
        ((8, 12), 5, ("binning by 5 drops the last 3 of 8 rows and the last 2 of 12 columns",)),
        ((8, 12), 3, ("binning by 3 drops the last 2 of 8 rows",)),
        ((1, 12), 5, ("binning by 5 drops the last 2 of 12 columns",)),
        ((12,), 5, ("binning by 5 drops the last 2 of 12 pixels",)),
        ((12,), 1, ()),
    ],
)
def test_what_binning_drops_is_told(shape: tuple[int, ...], bin: int, said: tuple[str]) -> None:
    assert open_image(Spectra(np.ones((*shape, AXIS.size)), AXIS)).binned(bin).dropped == said


def test_notes_say_what_binning_drops(step_bundle: Path) -> None:
    stack = Spectra(np.stack([image_counts(), image_counts(seed=1)]), AXIS)
    maps = element_maps(stack, model=step_bundle, clusters=0, bin=3)
    assert maps.shape == (2, 2, 4)
    told = "binning by 3 drops the last 2 of 8 rows of every frame"
    assert maps.notes.count(told) == 1
    result = quantify(stack, bin=3, model=step_bundle, near_edge="none", **MICROSCOPE)
    assert result.shape == (2, 2, 4)
    assert result.maps is not None
    assert result.notes.count(told) == 1


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


def test_what_its_own_spectra_do_not_bear_out_drops_out(step_bundle: Path) -> None:
    """This bundle takes every O K for Sb M4,5, whose onset lies 4 eV ahead."""
    maps = element_maps(Spectra(image_counts(), AXIS), model=step_bundle, clusters=2)
    assert set(maps.elements) == {"O", "Ti"}
    rows = {row["symbol"]: row for row in maps.candidates}
    assert rows["Sb"]["fraction"] > 0.9
    assert "gains too little by it" in rows["Sb"]["reason"]
    assert rows["O"]["likelihood_ratio"] > 100
    assert "dropped: the fit" in maps.table()
    assert "likelihood_ratio" in maps.csv().splitlines()[0]


def test_support_asks_network_and_fit(step_bundle: Path) -> None:
    total = Spectra(image_counts().sum(axis=(0, 1)), AXIS)
    result = identify_spectra(total, model=step_bundle, evidence=True)[0]
    proof = Proof.of(result)
    assert proof.support("Ti").found
    assert proof.support("Ti").likelihood_ratio > 100
    assert proof.support("Fe") == Support()
    weak = replace(proof, likelihood_ratios={"Ti": 4.0})
    assert not weak.support("Ti").found
    assert "gains too little" in weak.support("Ti").reason("the sum")
    assert result.evidence is not None
    unlikely = {"Ti": replace(result.evidence.elements["Ti"], probability=0.2)}
    said = Proof(replace(result, evidence=replace(result.evidence, elements=unlikely)), {})
    assert not said.support("Ti").found
    assert said.support("Ti").reason("the sum") == "the sum does not show it (probability 0.20)"
    assert Proof.of(replace(result, evidence=None)).support("Ti") == Support()


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
    assert any("1 of 96 spectra is saturated" in note for note in maps.notes)
    with pytest.raises(ValueError, match="none of its 96 spectra is usable"):
        element_maps(Spectra(np.zeros((8, 12, 360)), AXIS), model=step_bundle)


def test_edges_in_a_gap_are_not_listed(step_bundle: Path) -> None:
    """Channels that no pixel has hide Ti L1."""

    def edges_of_titanium(counts: np.ndarray) -> str:
        maps = element_maps(Spectra(counts, AXIS), model=step_bundle, clusters=1)
        rows = list(csv.DictReader(maps.csv().splitlines()))
        return next(row["edges"] for row in rows if row["element"] == "Ti")

    counts = image_counts()
    assert "Ti L1" in edges_of_titanium(counts)
    counts[..., 150:180] = np.nan
    assert edges_of_titanium(counts) == "Ti L3; Ti L2"


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
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
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
    (mine / "summary.json").write_text('{"coreloss": "1.0"}')
    with pytest.raises(ValueError, match=r"no folder of results alone \(thesis.txt\)"):
        check_folder(mine, force=True)
    (mine / "thesis.txt").unlink()
    assert check_folder(mine, force=True) == mine
    with pytest.raises(ValueError, match="hspy, zspy"):
        check_folder(tmp_path / "new", force=False, kind="tif")


def test_what_is_not_of_an_unfinished_run_stays(tmp_path: Path) -> None:
    place = tmp_path / "out.partial"
    check_unfinished(place)
    Store(place / "fit", {}, (2,), 1).put(0, Block(((0, 2),)), {"a": np.zeros(2)})
    check_unfinished(place)
    (place / "raw.npy").write_text("x")
    with pytest.raises(ValueError, match=r"raw\.npy is none of them"):
        check_unfinished(place)


def test_forced_results_leave_the_measurement_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "out" / "spectrum.csv"
    raw.parent.mkdir()
    raw.write_text("1,2")
    assert main(["map", str(raw), "--out", str(raw.parent), "--force"]) == 2
    assert "spectrum.csv without summary.json" in capsys.readouterr().err
    (raw.parent / "summary.json").write_text("{}")
    beside = tmp_path / "beside.csv"
    beside.write_text("1,2")
    for file, low_loss in ((raw, "auto"), (beside, str(raw))):
        command = ["quantify", str(file), "--low-loss", low_loss, "--out", str(raw.parent)]
        assert main([*command, "--force"]) == 2
        assert "spectrum.csv: lies in the folder of the results" in capsys.readouterr().err
    other = tmp_path / "kept.partial"
    other.mkdir()
    (other / "diary.txt").write_text("x")
    assert main(["map", str(raw), "--out", str(tmp_path / "kept"), "--force"]) == 2
    assert "diary.txt is none of them" in capsys.readouterr().err
    assert (other / "diary.txt").read_text() == "x"
    assert raw.read_text() == "1,2"
    # a training's folder of the same name is none of ours either
    (other / "diary.txt").unlink()
    (other / "run.json").write_text('{"lr": 1}')
    (other / "weights.npy").write_text("x")
    assert main(["map", str(beside), "--out", str(tmp_path / "kept")]) == 2
    assert "none of them" in capsys.readouterr().err
    assert sorted(path.name for path in other.iterdir()) == ["run.json", "weights.npy"]


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
