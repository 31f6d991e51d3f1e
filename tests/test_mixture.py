"""Training spectra of two simulations: labels in place, shares as asked, calibration apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from coreloss.simulate import load_recipe, simulate
from coreloss.training.recipe import load_training_recipe
from coreloss.training.source import open_source

TEXT = """
[simulation]
base = "default"
empty_fraction = 0.0

[mixture]
simulation = "kong2022"
share = {share}

[training]
spectra = 64
chunk = 64
batch_size = 32
"""


def recipe_file(folder: Path, text: str) -> Path:
    path = folder / "mixed.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_share_and_labels_of_a_mixture(tmp_path: Path) -> None:
    recipe = load_training_recipe(recipe_file(tmp_path, TEXT.format(share=0.5)))
    records = open_source(recipe, "cpu").chunk(3)
    # Kong's spectra begin at 50 eV, shifted and stretched, with channels of 0.2 eV
    theirs = np.abs(records.dispersion - 0.2) < 0.01
    assert 16 <= theirs.sum() <= 48
    names = np.array(recipe.simulation.elements)
    twenty = set(load_recipe("kong2022").elements)
    found = [set(names[row]) for row in records.present[theirs]]
    assert all(found)
    assert set().union(*found) <= twenty
    assert set().union(*(set(names[row]) for row in records.present[~theirs])) - twenty
    # what that recipe labels is never ambiguous
    assert np.isin(records.snr[theirs], (0.0, np.inf)).all()
    assert (np.isfinite(records.snr[~theirs])).all()
    again = open_source(recipe, "cpu").chunk(3)
    assert np.array_equal(records.present, again.present)
    assert bool((records.counts == again.counts).all())


def test_each_record_keeps_its_truth_and_axis(tmp_path: Path) -> None:
    """The records of the first simulation are all there, in another order."""
    recipe = load_training_recipe(recipe_file(tmp_path, TEXT.format(share=0.3)))
    source = open_source(recipe, "cpu")
    records = source.chunk(1)
    own = np.abs(records.dispersion - 0.2) >= 0.01
    seed = recipe.schedule.seed * 1_000_003 + 1
    alone = simulate(recipe.simulation, int(own.sum()), seed)
    order, mine = np.argsort(alone.offset), np.flatnonzero(own)[np.argsort(records.offset[own])]
    np.testing.assert_allclose(records.offset[mine], alone.offset[order])
    np.testing.assert_array_equal(records.size[mine], alone.size[order])
    np.testing.assert_array_equal(records.present[mine], alone.present[order])


def test_calibration_is_on_the_first_simulation_alone(tmp_path: Path) -> None:
    recipe = load_training_recipe(recipe_file(tmp_path, TEXT.format(share=0.9)))
    records = open_source(recipe, "cpu").calibration(40)
    assert (records.dispersion > 0.9).all()


def test_the_card_tells_of_both_forward_models(tmp_path: Path) -> None:
    from coreloss.training.export import _card

    recipe = load_training_recipe(recipe_file(tmp_path, TEXT.format(share=0.25)))
    rng = np.random.default_rng(1)
    present = rng.uniform(size=(400, len(recipe.simulation.elements))) < 0.1
    logits = np.where(present, 2.0, -2.0) + rng.normal(size=present.shape)
    card = _card(recipe, "mixed", "1", [{"spectra": 64}], logits, present)
    told = json.loads(json.dumps(card))["training"]
    assert told["simulation"]["empty_fraction"] == 0.0
    assert told["mixture"]["share"] == 0.25
    assert told["mixture"]["simulation"] == load_recipe("kong2022").to_dict()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('simulation = "kong2022"', "takes simulation, the name of a recipe, and share"),
        ("", "takes simulation, the name of a recipe, and share"),
        ('simulation = "kong2022"\nshare = 1.5', "between 0 and 1"),
        ('simulation = "kong2022"\nshare = 1', "between 0 and 1"),
        ('simulation = "nowhere"\nshare = 0.5', "nowhere"),
        ('simulation = "kong2022"\nshare = 0.5\nmore = 1', "takes simulation"),
    ],
)
def test_wrong_mixtures_are_told(tmp_path: Path, table: str, said: str) -> None:
    path = recipe_file(tmp_path, f'[simulation]\nbase = "default"\n[mixture]\n{table}\n')
    with pytest.raises(ValueError, match=said) as caught:
        load_training_recipe(path)
    assert str(path) in str(caught.value)


def test_mixture_needs_labels_for_its_elements(tmp_path: Path) -> None:
    text = '[simulation]\nbase = "kong2022"\n[mixture]\nsimulation = "default"\nshare = 0.5\n'
    with pytest.raises(ValueError, match="no labels for"):
        load_training_recipe(recipe_file(tmp_path, text))


def test_recipes_are_looked_for_beside_the_recipe_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name, base, fraction in (("own", "default", 0.25), ("more", "parts/own.toml", 0.5)):
        place = tmp_path / ("parts" if name == "own" else "")
        text = f'[simulation]\nbase = "{base}"\nempty_fraction = {fraction}\n'
        (place / f"{name}.toml").write_text(text, encoding="utf-8")
    text = TEXT.format(share=0.5).replace("kong2022", "more.toml")
    recipe = load_training_recipe(
        recipe_file(tmp_path, text.replace('base = "default"', 'base = "parts/own.toml"'))
    )
    assert recipe.mixture.simulation is not None
    assert recipe.mixture.simulation.empty_fraction == 0.5
    # the working directory, too, as for a run's own copy of its recipe
    (tmp_path / "elsewhere" / "here.toml").write_text(text, encoding="utf-8")
    outer = recipe_file(tmp_path, TEXT.format(share=0.5).replace("kong2022", "here.toml"))
    mixed = load_training_recipe(outer).mixture.simulation
    assert mixed is not None
    assert mixed.empty_fraction == 0.0
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml: no such recipe file"):
        load_training_recipe(recipe_file(tmp_path, text.replace("more", "nowhere")))
