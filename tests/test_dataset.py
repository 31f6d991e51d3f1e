"""Data sets on disk: structure, resuming, workers, training and evaluation on them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from coreloss.edges import ELEMENTS  # noqa: E402
from coreloss.simulate import load_recipe  # noqa: E402
from coreloss.simulate.dataset import (  # noqa: E402
    PUBLISHED_ELEMENTS,
    SPLITS,
    DatasetPlan,
    load_dataset_plan,
    make_file,
    write_dataset,
)
from coreloss.simulate.stored import read_rows, split_files  # noqa: E402

PUBLISHED_ORDER = """
Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr
Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W
Re Os Ir Pt Au Hg Tl Pb Bi
"""
PLAN = DatasetPlan(training=40, validation=8, test=6, single=3, elements=("O", "Fe", "Ba"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sets") / "set"
    outcome = write_dataset(load_recipe("annys2023"), PLAN, target, workers=1, quiet=True)
    assert (outcome["files"], outcome["spectra"]) == (12, 3 * 57)
    return target


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.hdf5")}


def differences(mine: np.ndarray, other: np.ndarray) -> str:
    """Where two data sets differ, and what they hold there."""
    if mine.shape != other.shape or mine.dtype != other.dtype:
        return f"{mine.shape} {mine.dtype} and {other.shape} {other.dtype}"
    at = np.argwhere(mine != other)
    told = [f"{place}: {mine[tuple(place)]!r}, {other[tuple(place)]!r}" for place in at[:5]]
    return f"{len(at)} of {mine.size} differ; {'; '.join(told)}"


def assert_same(ours: Path, theirs: Path, names: Iterable[str]) -> None:
    """Every data set of these files is the same, number by number.

    Signal-to-noise ratios are solutions of equations, whose last bit is not certain.
    """
    for name in names:
        with h5py.File(ours / name) as one, h5py.File(theirs / name) as two:
            assert set(one) == set(two)
            for key in one:
                mine, other = one[key][:], two[key][:]
                if key == "snr":
                    np.testing.assert_allclose(mine, other, rtol=1e-6)
                else:
                    assert mine.tobytes() == other.tobytes(), (name, key, differences(mine, other))


def test_published_structure(folder: Path) -> None:
    assert tuple(PUBLISHED_ORDER.split()) == PUBLISHED_ELEMENTS
    plan = DatasetPlan()
    assert len(plan.jobs()) == 4 * 80
    assert [getattr(plan, split) for split in SPLITS] == [7000, 600, 1500, 100]
    assert sum(getattr(plan, split) for split, _ in plan.jobs()) == 736_000
    names = {
        f"{name}_{symbol}.hdf5"
        for name in (
            "trainingset/TRAIN",
            "validationset/VALIDATION",
            "testset/TEST",
            "single_element_spectra/CONFMAT",
        )
        for symbol in PLAN.symbols
    }
    assert set(contents(folder)) == names
    with h5py.File(folder / "trainingset" / "TRAIN_Fe.hdf5") as file:
        spectra = file["spectra"][:]
        labels = file["labels_identification"][:]
        amounts = file["labels_quantification"][:]
        assert spectra.shape == (40, 3072)
        assert spectra.dtype == np.float32
        assert labels.shape == amounts.shape == file["snr"].shape == (40, 3)
        assert list(file.attrs["elements"]) == ["O", "Fe", "Ba"]
        assert labels[:, 1].all()  # the file's own element
        assert not spectra[:, :70].any()
        np.testing.assert_allclose(spectra.max(axis=1), 1.0)
        np.testing.assert_allclose(amounts.sum(axis=1), 1.0, rtol=1e-6)
        assert ((amounts > 0) == (labels > 0)).all()
        # channels are not shared between two of the record's: counts are whole numbers
        counts = spectra * file["maximum"][:][:, None]
        np.testing.assert_allclose(counts, np.rint(counts), atol=2e-7 * counts.max())
        edges = file["edges"][:]
        assert {b"Fe L23", b"Fe L1"} & set(edges["edge"])
        assert edges["spectrum"].max() < 40
        energy = edges["onset_ev"][edges["edge"] == b"Fe L23"]
        assert np.all(np.abs(energy - 707.0) < 12.0)
        assert file["parameters"].dtype["thickness"] == np.float32
        assert file["spectra"].compression == "gzip"
    with h5py.File(folder / "single_element_spectra" / "CONFMAT_Ba.hdf5") as file:
        assert (file["labels_identification"][:] == [0, 0, 1]).all()


def test_splits_hold_different_spectra(folder: Path) -> None:
    seen = set()
    for path in folder.rglob("*.hdf5"):
        with h5py.File(path) as file:
            seen |= {row.tobytes() for row in file["spectra"][:]}
    assert len(seen) == 3 * 57


def test_manifest_lists_every_file_with_its_hash(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == set(contents(folder))
    for name, content in contents(folder).items():
        entry = manifest["files"][name]
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)
    assert manifest["simulation"] == json.loads(json.dumps(load_recipe("annys2023").to_dict()))


def test_killed_writing_goes_on_without_lost_or_doubled_spectra(
    folder: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from coreloss.simulate import load_recipe; "
        "from coreloss.simulate.dataset import DatasetPlan, write_dataset; "
        f"plan = {PLAN!r}; "
        "write_dataset(load_recipe('annys2023'), plan, sys.argv[1], workers=1, quiet=True)"
    )
    target = tmp_path / "set"
    process = subprocess.Popen([sys.executable, "-c", code, str(target)])
    deadline = time.monotonic() + 600
    while len(contents(target)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    partial = target / "trainingset" / ".TRAIN_O.hdf5.1.partial"
    partial.write_bytes(b"half a file")
    arguments = (load_recipe("annys2023"), PLAN, target)
    with pytest.raises(FileExistsError, match="--resume"):
        write_dataset(*arguments, workers=1, quiet=True)
    with pytest.raises(ValueError, match="another recipe"):
        write_dataset(load_recipe("annys2023"), replace(PLAN, seed=2), target, resume=True)
    outcome = write_dataset(*arguments, resume=True, workers=1, quiet=True)
    assert 0 < outcome["files"] <= 10
    assert outcome["total_spectra"] == 3 * 57
    assert contents(target).keys() == contents(folder).keys()
    assert_same(target, folder, contents(folder))
    assert not partial.exists()
    assert write_dataset(*arguments, resume=True, quiet=True)["files"] == 0


def test_another_version_completes_no_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its simulator may be another, and the folder would hold spectra of both."""
    plan = replace(PLAN, elements=("O", "Ti"), validation=0, test=0, single=0, training=4)
    arguments = (load_recipe("annys2023"), plan, tmp_path)
    write_dataset(*arguments, workers=1, quiet=True)
    monkeypatch.setattr("coreloss.simulate.dataset.__version__", "0.0.9")
    assert write_dataset(*arguments, resume=True, workers=1, quiet=True)["files"] == 0
    (tmp_path / "trainingset" / "TRAIN_Ti.hdf5").unlink()
    with pytest.raises(ValueError, match=r"begun by coreloss .*, and 0\.0\.9 may simulate"):
        write_dataset(*arguments, resume=True, workers=1, quiet=True)
    monkeypatch.undo()
    assert write_dataset(*arguments, resume=True, workers=1, quiet=True)["files"] == 1


def test_files_of_others_are_left_alone(folder: Path, tmp_path: Path) -> None:
    """The published files, which have no manifest, in the folder given by mistake."""
    other = tmp_path / "trainingset" / "TRAIN_O.hdf5"
    other.parent.mkdir()
    other.write_bytes(b"published")
    for resume in (False, True):
        with pytest.raises(FileExistsError, match=r"TRAIN_O\.hdf5, which no manifest\.json lists"):
            write_dataset(load_recipe("annys2023"), PLAN, tmp_path, resume=resume, workers=1)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [other]
    assert other.read_bytes() == b"published"


def test_a_file_put_before_a_kill_is_listed_or_made_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between a file and its line in the manifest, at every one of these places."""
    from coreloss.simulate import dataset

    plan = replace(PLAN, training=0, validation=0, single=0)
    put, calls = dataset._put, 0

    def killed(path: Path, content: bytes) -> None:
        nonlocal calls
        calls += 1
        put(path, content)
        if calls == stop:
            raise KeyboardInterrupt

    for stop in range(1, 8):
        target, calls = tmp_path / str(stop), 0
        monkeypatch.setattr(dataset, "_put", killed)
        with pytest.raises(KeyboardInterrupt):
            write_dataset(load_recipe("annys2023"), plan, target, workers=1, quiet=True)
        monkeypatch.setattr(dataset, "_put", put)
        outcome = write_dataset(
            load_recipe("annys2023"), plan, target, resume=True, workers=1, quiet=True
        )
        assert outcome["total_spectra"] == 18
        assert_same(target, folder, contents(target))


def test_damaged_files_are_made_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    target = tmp_path / "set"
    shutil.copytree(folder, target)
    damaged = target / "testset" / "TEST_O.hdf5"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1  # of the same size
    damaged.write_bytes(content)
    (target / "testset" / "TEST_Fe.hdf5").unlink()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    outcome = write_dataset(load_recipe("annys2023"), PLAN, target, resume=True, workers=1)
    assert (outcome["files"], outcome["spectra"]) == (2, 12)
    assert "171 of 171 spectra checked" in capsys.readouterr().err
    assert_same(target, folder, contents(folder))


def test_processes_make_the_same_files(folder: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, training=0, validation=0)
    target = tmp_path / "set"
    outcome = write_dataset(load_recipe("annys2023"), plan, target, workers=2, quiet=True)
    assert outcome["files"] == 6
    kept = {name for name in contents(folder) if "test" in name or "single" in name}
    assert set(contents(target)) == kept
    assert_same(target, folder, kept)


def test_a_cluster_that_loses_a_worker_loses_no_spectrum(folder: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    target = tmp_path / "set"
    missing = []

    def kill(worker: int) -> None:
        while not contents(target):
            time.sleep(0.001)
        missing.append(12 - len(contents(target)))
        os.kill(worker, signal.SIGKILL)

    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=50,
    ) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        killer = threading.Thread(target=kill, args=(victim,))
        killer.start()
        outcome = write_dataset(
            load_recipe("annys2023"),
            PLAN,
            target,
            scheduler=cluster.scheduler_address,
            quiet=True,
        )
        killer.join()
    assert missing[0] > 1
    assert outcome["total_spectra"] == 3 * 57
    assert contents(target).keys() == contents(folder).keys()
    assert_same(target, folder, contents(folder))


def test_no_scheduler_gets_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match="no dask scheduler answers"):
        write_dataset(
            load_recipe("annys2023"), PLAN, tmp_path / "set", scheduler="nonsense://x", quiet=True
        )


def test_wrong_plans_get_a_sentence(tmp_path: Path) -> None:
    recipe = tmp_path / "plan.toml"
    for text, words in (
        ("[dataset]\ntrainings = 3", "did you mean 'training'"),
        ("[dataset]\ntraining = -3", "cannot be negative"),
        ('[dataset]\nelements = ["Xx"]', "each once"),
    ):
        recipe.write_text(f'[simulation]\nbase = "annys2023"\n{text}\n')
        with pytest.raises(ValueError, match=words) as caught:
            load_dataset_plan(recipe)
        assert str(caught.value).startswith(f"{recipe}: ")
    with pytest.raises(ValueError, match="no spectra of Li"):
        make_file(load_recipe("annys2023"), replace(PLAN, elements=("Li",)), "test", "Li")


def test_stored_spectra_read_back(folder: Path) -> None:
    files = split_files(folder, "training")
    stored = read_rows(files, np.array([[1, 3, 2], [0, 0, 4], [1, 10, 1]]))
    assert stored.counts.shape == (7, 3072)
    with h5py.File(files[1].path) as file:
        row = file["spectra"][10]
    begin = int(stored.offset[6])
    np.testing.assert_array_equal(stored.counts[6, : stored.size[6]], row[row.nonzero()[0][0] :][
        : stored.size[6]])  # fmt: skip
    assert begin == row.nonzero()[0][0]
    assert stored.present[6, ELEMENTS.index(files[1].path.stem.split("_")[1])]
    with pytest.raises(FileNotFoundError, match="TRAIN"):
        split_files(folder / "nowhere", "training")


def test_a_damaged_file_is_named(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "testset"
    place.mkdir()
    content = bytearray((folder / "testset" / "TEST_O.hdf5").read_bytes())
    with h5py.File(folder / "testset" / "TEST_O.hdf5") as file:
        chunk = file["spectra"].id.get_chunk_info(0)
    middle = chunk.byte_offset + chunk.size // 2
    content[middle : middle + 64] = bytes(64)
    (place / "TEST_O.hdf5").write_bytes(content)
    files = split_files(tmp_path, "test")  # what it says of itself is whole
    with pytest.raises(OSError, match=r"TEST_O\.hdf5: cannot be read .* get or make it anew"):
        read_rows(files, np.array([[0, 0, 4]]))


def test_public_files_without_our_columns_read_as_well(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "trainingset"
    place.mkdir()
    labels = np.zeros((4, 80))
    labels[:, PUBLISHED_ELEMENTS.index("Ti")] = 1.0
    with h5py.File(place / "TRAIN_Ti.hdf5", "w") as file:
        file["spectra"] = np.pad(np.ones((4, 500)), ((0, 0), (400, 2172)))
        file["labels_identification"] = labels
        file["labels_quantification"] = labels
    stored = read_rows(split_files(tmp_path, "training"), np.array([[0, 0, 4]]))
    assert stored.snr is None
    assert (stored.offset == 400).all()
    assert (stored.size == 500).all()
    assert stored.present.sum() == 4
    assert stored.present[:, ELEMENTS.index("Ti")].all()


def test_evaluation_and_figures_of_a_data_set(
    folder: Path, step_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from coreloss.cli import main

    pictures = [str(tmp_path / name) for name in ("confusion.png", "occurrence.png")]
    command = ["evaluate", str(folder), "--model", str(step_bundle), "--json"]
    command += ["--confusion", pictures[0], "--occurrence", pictures[1]]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["spectra"] == 18
    assert {"f1", "exact_match", "rmse", "threshold"} <= report["scores"]["without C"].keys()
    for picture in pictures:
        assert Path(picture).read_bytes().startswith(b"\x89PNG")
    assert main(command) == 2
    assert "--force" in capsys.readouterr().err


def test_confusion_counts_each_spectrum_once(folder: Path, step_bundle: Path) -> None:
    from coreloss.evaluate.stored import confusion_of_files, occurrence_of_files

    matrix = confusion_of_files(folder, model=step_bundle)
    assert matrix.sum() == 9
    rows = {ELEMENTS[i] for i in np.nonzero(matrix.sum(axis=1))[0]}
    assert rows == {"O", "Fe", "Ba"}
    counts = occurrence_of_files(folder)
    assert counts["Fe"] >= 40
    assert counts["Ti"] == 0


def test_rmse_is_over_the_elements_of_the_files(folder: Path, step_bundle: Path) -> None:
    from coreloss.evaluate import evaluate_files
    from coreloss.evaluate.metrics import rmse
    from coreloss.identification import load_model

    report = evaluate_files(folder, model=step_bundle)
    files, parts = split_files(folder, "test"), []
    for file in files:
        stored = read_rows([file], np.array([[0, 0, file.n_spectra]]))
        given = (stored.counts, stored.offset, stored.dispersion, stored.size)
        parts.append((stored.present, load_model(step_bundle).predict(*given)))
    present, said = (np.concatenate(part)[:, files[0].columns] for part in zip(*parts, strict=True))
    assert report.scores["model"]["rmse"] == pytest.approx(rmse(present, said), rel=1e-6)
    assert report.seconds > 0.0


def test_confusion_and_occurrence_of_recipes_and_models_of_other_elements() -> None:
    from coreloss.evaluate.stored import confusion_of_recipe, occurrence_of_recipe

    kong = load_recipe("kong2022")
    known = [ELEMENTS.index(symbol) for symbol in kong.elements]
    matrix = confusion_of_recipe(kong, 4, 0, model="kong2022")
    assert (matrix.sum(axis=1)[known] == 4).all()
    assert matrix.sum() == 4 * len(known)
    assert np.trace(matrix) > 0.9 * matrix.sum()  # all but one or two, as its card says
    # what a model does not know is neither asked nor said
    matrix = confusion_of_recipe(load_recipe("annys2023"), 4, 0, model="kong2022")
    assert set(np.nonzero(matrix)[0]) | set(np.nonzero(matrix)[1]) <= set(known)
    assert np.trace(matrix) > 0.5 * matrix.sum()
    counts = occurrence_of_recipe(kong, 60, 0)
    assert {symbol for symbol, times in counts.items() if times} == set(kong.elements)


def test_a_part_of_a_data_set_is_enough_or_told_at_once(
    folder: Path,
    step_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    import coreloss.evaluate
    from coreloss.cli import main

    part = tmp_path / "part"
    for name in ("testset", "validationset"):
        shutil.copytree(folder / name, part / name)
    command = ["evaluate", str(part), "--model", str(step_bundle)]
    assert main([*command, "--occurrence", str(tmp_path / "elements.png")]) == 0
    assert (tmp_path / "elements.png").is_file()
    capsys.readouterr()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("evaluated before the files were looked for")

    monkeypatch.setattr(coreloss.evaluate, "evaluate_files", never)
    assert main([*command, "--confusion", str(tmp_path / "confusion.png")]) == 2
    assert "holds no single_element_spectra/CONFMAT" in capsys.readouterr().err


def test_no_spectra_to_judge_get_a_sentence(
    folder: Path, step_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from coreloss.cli import main

    for number in ("0", "-5"):
        assert main(["evaluate", str(folder), "--spectra", number]) == 2
        assert f"asked for {number} spectra of the data set" in capsys.readouterr().err
    for name in ("TEST", "VALIDATION"):
        place = tmp_path / f"{name.lower()}set"
        place.mkdir()
        with h5py.File(place / f"{name}_O.hdf5", "w") as file:
            file["spectra"] = np.zeros((0, 3072))
            file["labels_identification"] = np.zeros((0, 80))
    assert main(["evaluate", str(tmp_path), "--model", str(step_bundle)]) == 2
    assert "its files hold no spectra" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "{", '{"files": []}', "manifest of something"])
def test_what_is_no_manifest_of_a_data_set_gets_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match="is no manifest of a data set"):
        write_dataset(load_recipe("annys2023"), PLAN, tmp_path, resume=True, workers=1)
    with pytest.raises(FileExistsError, match="--resume"):
        write_dataset(load_recipe("annys2023"), PLAN, tmp_path, workers=1)


def test_figures_of_the_simulation_and_of_preprocessing(tmp_path: Path) -> None:
    from coreloss.energy import EnergyAxis, Spectra
    from coreloss.plot_simulation import confusion_matrix, preprocessing, simulation_steps

    figure = simulation_steps(tmp_path / "steps.png")
    assert [a.get_title(loc="left")[:3] for a in figure.axes] == list(
        "(a) (b) (c) (d) (e) (f)".split()
    )
    final = figure.axes[5].lines[0].get_ydata()
    assert final.size == 3072
    assert final.max() == 1.0
    axis = EnergyAxis(400.0, 0.5, 600)
    figure = preprocessing(Spectra(np.linspace(9.0, 3.0, 600), axis), tmp_path / "pre.png")
    assert figure.axes[2].lines[0].get_ydata().max() == 1.0
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("steps.png", "pre.png"))
    with pytest.raises(ValueError, match="outside"):
        preprocessing(Spectra(np.ones(600), EnergyAxis(9000.0, 1.0, 600)))
    with pytest.raises(ValueError, match="83 × 83"):
        confusion_matrix(np.zeros((3, 3), int))
