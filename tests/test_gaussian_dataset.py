"""Files of Kong et al.'s spectra: what they hold, and training and evaluation on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from coreloss.cli import main  # noqa: E402
from coreloss.grid import KONG_GRID  # noqa: E402
from coreloss.simulate import load_recipe  # noqa: E402
from coreloss.simulate.dataset import (  # noqa: E402
    DatasetPlan,
    load_dataset_plan,
    make_file,
    write_dataset,
)
from coreloss.simulate.stored import read_rows, split_files  # noqa: E402

PLAN = DatasetPlan(training=24, validation=16, test=4, single=3, elements=("B", "O", "Fe"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("kong") / "set"
    outcome = write_dataset(load_recipe("kong2022"), PLAN, target, workers=1, quiet=True)
    assert (outcome["files"], outcome["spectra"]) == (12, 3 * 47)
    return target


def test_the_plan_is_the_papers() -> None:
    recipe, plan = load_dataset_plan("kong2022")
    assert plan.symbols == recipe.elements
    spectra = [len(plan.symbols) * getattr(plan, split) for split, _ in plan.jobs()[::20]]
    assert spectra == [200_000, 50_000]


def test_files_hold_the_networks_window(folder: Path) -> None:
    with h5py.File(folder / "trainingset" / "TRAIN_Fe.hdf5") as file:
        elements = list(file.attrs["elements"])
        assert file["spectra"].shape == (24, 4550)
        assert file["spectra"][:].max(axis=1) == pytest.approx(1.0)
        assert np.allclose(file["energies"][:], KONG_GRID.energies)
        labels = file["labels_identification"][:]
        assert labels[:, elements.index("Fe")].all()
        assert labels.sum(axis=1).min() >= 1
        assert labels.sum(axis=1).max() > 2
        edges = file["edges"][:]
        assert {label.split()[0] for label in edges["edge"].astype(str)} <= set(elements)
        counted = np.bincount(edges["spectrum"], minlength=24)
        assert (counted == labels.sum(axis=1)).all()
        assert {"exponent", "shift_ev", "noise"} <= set(file["parameters"].dtype.names)
    with h5py.File(folder / "single_element_spectra" / "CONFMAT_O.hdf5") as file:
        assert (file["labels_identification"][:].sum(axis=1) == 1).all()


def test_the_same_file_comes_again() -> None:
    recipe = load_recipe("kong2022-real")
    assert make_file(recipe, PLAN, "test", "B") == make_file(recipe, PLAN, "test", "B")
    assert make_file(recipe, PLAN, "test", "B") != make_file(recipe, PLAN, "test", "O")


def test_spectra_are_read_on_their_own_channels(folder: Path) -> None:
    stored = read_rows(split_files(folder, "training"), np.array([[0, 0, 3]]))
    assert stored.dispersion == pytest.approx(0.2)
    assert stored.offset == pytest.approx(90.1, abs=0.01)
    assert stored.size.tolist() == [4550] * 3


def test_an_element_without_an_edge_is_refused() -> None:
    with pytest.raises(ValueError, match="no spectra of Zn"):
        make_file(load_recipe("kong2022"), DatasetPlan(training=2), "training", "Zn")


def test_the_command_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text('[simulation]\nbase = "kong2022"\n[dataset]\nelements = ["C"]\n')
    words = ["simulate", str(recipe), "--out", str(tmp_path / "set"), "--workers", "1"]
    assert main([*words, "--per-element", "3", "2", "0", "0"]) == 0
    assert "2 files with 5 spectra" in capsys.readouterr().out


def test_a_network_trains_and_is_scored_on_files(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from coreloss.evaluate import evaluate_files
    from coreloss.training import export_bundle, train

    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        '[simulation]\nbase = "kong2022"\n'
        f'[data]\nfolder = "{folder.as_posix()}"\n'
        '[input]\ngrid = "kong2022"\n'
        '[network]\nname = "cnn_bilstm"\ninputs = ["detrended log counts"]\n'
        "widths = [4, 6, 8]\nhidden = 5\nreduced = 2\nhead = [16]\n"
        "[training]\nspectra = 64\nbatch_size = 32\nchunk = 32\nwarm_up = 32\nema = 0.5\n"
        "bf16 = false\nambiguous_snr = [0.0, 0.0]\nvalidation_spectra = 16\nvalidate_every = 64\n"
    )
    assert train(recipe, tmp_path / "run", threads=1, quiet=True)["finished"]
    bundle = export_bundle(tmp_path / "run", tmp_path / "bundle", calibration_spectra=24)
    report = evaluate_files(folder, model=bundle, threshold=0.5)
    assert report.n_spectra == 12
    assert report.by_element
    assert set(report.spectrum_scores) == {"precision", "recall", "f1"}
