"""Runs of which a kill, or a machine that stopped, left less than a whole folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_training import tiny_recipe

torch = pytest.importorskip("torch")

from coreloss.training import checkpoint, export_bundle, train  # noqa: E402

TINY = tiny_recipe("annys2023", 128, 32, 128)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def run(recipe: Path, tmp_path: Path) -> Path:
    """A run that was stopped after its first chunk and has lost its recipe."""
    train(recipe, tmp_path / "run", threads=1, quiet=True, max_minutes=0.0)
    (tmp_path / "run" / "recipe.toml").unlink()
    return tmp_path / "run"


def test_a_run_without_its_recipe_goes_on(recipe: Path, run: Path) -> None:
    with pytest.raises(FileExistsError, match="give --resume"):
        train(recipe, run, threads=1, quiet=True)
    with pytest.raises(FileNotFoundError, match=r"run: holds no recipe\.toml.*--resume puts it"):
        export_bundle(run, run.parent / "bundle")
    (run / ".recipe.toml.1.partial").write_text("half of")
    outcome = train(recipe, run, threads=1, quiet=True, resume=True)
    assert (outcome["spectra"], outcome["finished"]) == (128, True)
    assert (run / "recipe.toml").read_text() == TINY
    assert not list(run.glob(".*"))


def test_but_not_with_another_recipe(recipe: Path, run: Path) -> None:
    recipe.write_text(TINY.replace("dropout = 0.1", "dropout = 0.2"))
    with pytest.raises(ValueError, match="was trained with another recipe"):
        train(recipe, run, threads=1, quiet=True, resume=True)
    assert not (run / "recipe.toml").exists()


def test_a_search_for_a_rate_without_its_recipe_goes_on(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(TINY + "learning_rate_grid = [1e-3]\ngrid_spectra = 32\n")
    run = tmp_path / "run"
    (run / "rate-0.001").mkdir(parents=True)
    assert train(recipe, run, threads=1, quiet=True, resume=True)["finished"]


@pytest.mark.parametrize("searched", [True, False])
def test_nor_does_a_search_go_on_with_another(searched: bool, recipe: Path, tmp_path: Path) -> None:
    """Its recipe was kept, so that the right one was refused from then on."""
    grid = "learning_rate_grid = [1e-3]\ngrid_spectra = 32\n"
    recipe.write_text(TINY + grid)
    run = tmp_path / "run"
    train(recipe, run, threads=1, quiet=True, max_minutes=0.0)
    (run / "recipe.toml").unlink()
    for path in run.glob("checkpoint-*"):
        shutil.rmtree(path)
    if not searched:
        (run / "learning_rates.json").unlink()
    recipe.write_text(TINY.replace("dropout = 0.1", "dropout = 0.2") + grid)
    with pytest.raises(ValueError, match="run: was trained with another recipe"):
        train(recipe, run, threads=1, quiet=True, resume=True)
    assert not (run / "recipe.toml").exists()


def test_networks_of_an_ensemble_without_its_recipe_are_not_taken_for_new(
    recipe: Path, tmp_path: Path
) -> None:
    text = TINY.replace('name = "compact"', 'name = "2xcompact"\n[network.compact]')
    recipe.write_text(text)
    run = tmp_path / "run"
    train(recipe, run, threads=1, quiet=True, max_minutes=0.0)
    (run / "recipe.toml").unlink()
    with pytest.raises(FileExistsError, match="give --resume"):
        train(recipe, run, threads=1, quiet=True)
    recipe.write_text(text.replace("dropout = 0.1", "dropout = 0.2"))
    with pytest.raises(ValueError, match="run: was trained with another recipe"):
        train(recipe, run, threads=1, quiet=True, resume=True)
    assert not (run / "recipe.toml").exists()
    recipe.write_text(text)
    outcome = train(recipe, run, threads=1, quiet=True, max_minutes=0.0, resume=True)
    assert outcome == {"spectra": 64, "finished": False}


@pytest.mark.parametrize("name", ["state.json", "network.safetensors", "mean.safetensors"])
def test_a_checkpoint_that_lacks_a_file_is_named(name: str, recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, threads=1, quiet=True, max_minutes=0.0)
    newest = checkpoint.latest(run)
    assert newest is not None
    (newest / name).unlink()
    with pytest.raises(ValueError, match=rf"{name}: is damaged .*remove its checkpoint"):
        train(recipe, run, threads=1, quiet=True, resume=True)


def test_a_run_killed_at_once_still_knows_whose_weights_it_began_with(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed without --start-from it began with random weights, and nothing said so."""
    train(recipe, tmp_path / "first", threads=1, quiet=True, max_minutes=0.0)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("coreloss.training.loop._Run.go", killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "second", threads=1, quiet=True, start_from=tmp_path / "first")
    outcome = train(
        recipe, tmp_path / "second", threads=1, quiet=True, max_minutes=0.0, resume=True
    )
    assert outcome == {"spectra": 32, "finished": False}
    newest = checkpoint.latest(tmp_path / "second")
    assert newest is not None
    assert checkpoint.state_of(newest)["start"] == {"spectra": 32, "kept_new": 0}
