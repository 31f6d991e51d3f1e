"""Files as Annys et al. published them, without anything that ours hold beside: train and score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")
torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tiny_training import tiny_recipe  # noqa: E402

from coreloss.cli import main  # noqa: E402
from coreloss.identification import load_model  # noqa: E402
from coreloss.simulate import load_recipe  # noqa: E402
from coreloss.simulate.dataset import (  # noqa: E402
    PUBLISHED_ELEMENTS,
    SPLITS,
    DatasetPlan,
    make_file,
)
from coreloss.training import export_bundle, train  # noqa: E402

PLAN = DatasetPlan(training=32, validation=16, test=6, single=3)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """O and Fe: three data sets of double precision a file, no attributes, nothing compressed."""
    folder = tmp_path_factory.mktemp("public")
    recipe = load_recipe("annys2023")
    for split, (place, prefix) in SPLITS.items():
        (folder / place).mkdir()
        for symbol in ("O", "Fe"):
            made = folder / "made.hdf5"
            made.write_bytes(make_file(recipe, PLAN, split, symbol))
            target = folder / place / f"{prefix}_{symbol}.hdf5"
            with h5py.File(made) as ours, h5py.File(target, "w") as theirs:
                for name in ("spectra", "labels_identification", "labels_quantification"):
                    theirs[name] = ours[name][:].astype(np.float64)
            made.unlink()
    return folder


def test_training_and_scores(public: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    recipe = tmp_path / "recipe.toml"
    tiny = tiny_recipe("annys2023", 64, 16, 32)
    recipe.write_text(f'{tiny}\n[data]\nfolder = "{public}"\n[input]\nchannels = "counts"\n')
    assert train(recipe, tmp_path / "run", threads=1, quiet=True)["finished"]
    bundle = export_bundle(tmp_path / "run", tmp_path / "bundle", calibration_spectra=16)
    assert len(load_model(bundle).elements) == len(PUBLISHED_ELEMENTS) + 3
    command = ["evaluate", str(public), "--model", str(bundle), "--json"]
    assert main([*command, "--confusion", str(tmp_path / "confusion.png")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["spectra"] == 12
    assert {"f1", "precision", "recall", "exact_match", "rmse", "threshold"} <= set(
        report["scores"]["without C"]
    )
    assert (tmp_path / "confusion.png").is_file()
