"""The forward model of Kong et al.: edge library, fitter, recipe, spectra."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coreloss.cli import main
from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis, Spectra
from coreloss.simulate import SimulationRecipe, load_recipe, simulate
from coreloss.simulate.gaussian import (
    EdgeShape,
    GaussianRecipe,
    Peak,
    Step,
    read_shapes,
    simulate_gaussian,
    write_shapes,
)
from coreloss.simulate.gaussian.forward import shape_table
from coreloss.simulate.gaussian.recipe import EDGES
from coreloss.simulate.gaussian.shapes import onset_of, shipped_shapes

QUIET = replace(GaussianRecipe(), noise=0.0, shift_ev=0.0, stretch=0.0)
SHAPE = EdgeShape(
    "Mn", "L2,3", "two lines", "test", "made up", 700.0,
    (Step(640.0, 0.2, 1.0, 2.5), Step(651.0, 0.1, 1.0, 2.5)),
    (Peak(642.0, 0.9, 2.4), Peak(653.0, 0.5, 3.0)),
)  # fmt: skip


# -- library -------------------------------------------------------------------------------


def test_library_has_the_papers_number_of_shapes_and_at_least_twenty() -> None:
    shapes = shipped_shapes()
    for label, (_, published) in EDGES.items():
        mine = [s for s in shapes if s.label == label]
        assert len(mine) >= max(published, 20), label
        assert len({s.family for s in mine}) >= 2, label
        assert all(s.source for s in mine), label


def test_shipped_shapes_begin_near_the_tabulated_onset() -> None:
    for shape in shipped_shapes():
        onset = onset_of(shape.element, shape.edge)
        assert -6.0 < shape.onset_ev - onset < 12.0, (shape.label, shape.name, shape.onset_ev)
        energies = np.arange(onset - 40.0, shape.end_ev, 0.1)
        values = shape.intensity(energies)
        assert values.min() >= 0.0
        assert values.max() == pytest.approx(1.0, abs=0.1)
        assert values[energies < onset - 15.0].max() < 0.02


def test_carbon_comes_from_every_kind_of_the_papers_figure() -> None:
    families = " ".join({s.family for s in shipped_shapes() if s.label == "C K"})
    for kind in "graphite diamond amorphous nanotube fullerene carbonate carbide polymer".split():
        assert kind in families


def test_a_written_library_reads_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "edges.toml"
    other = replace(SHAPE, name='a "quoted" \\ name', steps=())
    write_shapes([SHAPE, other], path, comment="two\nlines")
    assert read_shapes(path) == (SHAPE, other)
    with pytest.raises(FileExistsError, match="--force"):
        write_shapes([SHAPE], path)
    with pytest.raises(ValueError, match="twice"):
        write_shapes([SHAPE, SHAPE], path, force=True)
    assert read_shapes(path) == (SHAPE, other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("edge = 3", "list of"),
        ("[[edge", "not valid TOML"),
        ('[[edge]]\nelement = "Mn"', "has no 'edge'"),
        ("ok", "not valid TOML"),
    ],
)
def test_a_wrong_library_gets_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "edges.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        read_shapes(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edge": "L7"}, "has no edge 'L7'"),
        ({"steps": (), "peaks": ()}, "neither"),
        ({"peaks": (Peak(642.0, 1.0, 0.0),)}, "width"),
        ({"end_ev": 600.0}, "below its onset"),
        ({"end_ev": float("nan")}, "finite"),
    ],
)
def test_wrong_shapes_are_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(SHAPE, **change)


# -- fitter --------------------------------------------------------------------------------


@pytest.fixture
def manganese() -> Spectra:
    """A record of 560 to 760 eV with SHAPE at jump ratio 0.5 on E^-2.4."""
    axis = EnergyAxis(560.0, 0.4, 500)
    background = 4e5 * (axis.energies / 560.0) ** -2.4
    clean = background + 0.5 * 4e5 * (640.0 / 560.0) ** -2.4 * SHAPE.intensity(axis.energies)
    return Spectra(np.random.default_rng(1).poisson(clean).astype(float), axis)


def test_a_fit_finds_what_was_put_in(manganese: Spectra) -> None:
    pytest.importorskip("scipy")
    from coreloss.simulate.gaussian.fit import fit_edge

    result = fit_edge(manganese, "Mn", "L2,3", (630.0, 720.0))
    strong = sorted(result.shape.peaks, key=lambda p: -p.height)[:2]
    centres = sorted(p.centre_ev for p in strong)
    assert centres == pytest.approx([642.0, 653.0], abs=0.3)
    assert result.jump_ratio == pytest.approx(0.5 * SHAPE.intensity([642.0])[0], rel=0.08)
    assert result.residual < 0.01
    numbers = [number for number, _ in result.trials]
    assert numbers == list(range(len(numbers)))
    values = dict(result.trials)
    assert len(result.shape.peaks) == min(values, key=lambda number: values[number])


def test_fit_command_grows_a_library(
    manganese: Spectra, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("scipy")
    file, library, picture = (tmp_path / name for name in ("mno.csv", "own.toml", "fit.png"))
    # an axis that reads 6 eV too high, which --shift takes back
    energies = manganese.axis.energies + 6.0
    np.savetxt(file, np.stack([energies, manganese.counts], axis=1), delimiter=",")
    words = ["edges", "fit", str(file), "--element", "Mn", "--edge", "L2,3"]
    words += ["--window", "630", "700", "--shift", "-6", "--out", str(library)]
    assert main([*words, "--plot", str(picture), "--name", "one"]) == 0
    assert "peaks by BIC" in capsys.readouterr().out
    assert picture.stat().st_size > 5000
    assert main([*words, "--name", "one"]) == 2
    assert "--force" in capsys.readouterr().err
    joined = tmp_path / "joined.toml"
    assert main(["edges", "library", str(library), "shipped", "--out", str(joined)]) == 0
    assert "Mn L2,3" in capsys.readouterr().out
    (shape,) = read_shapes(library)
    assert shape.name == "one"
    assert max(shape.peaks, key=lambda p: p.height).centre_ev == pytest.approx(642.0, abs=0.3)
    recipe = replace(GaussianRecipe(), libraries=("shipped", str(library)))
    assert len(shape_table(recipe).shapes) == len(shape_table(GaussianRecipe()).shapes) + 1
    assert main(["edges", "Mn"]) == 0


@pytest.mark.parametrize(
    ("element", "edge", "window", "words"),
    [
        ("Mn", "L2,3", (660.0, 720.0), "does not hold Mn L2,3"),
        ("Mn", "L2,3", (630.0, 900.0), "does not hold the window"),
        ("Xe", "M4,5", (665.0, 755.0), "counts rise"),
        ("Mn", "L9", (630.0, 720.0), "has no edge"),
    ],
)
def test_what_cannot_be_fitted_gets_a_sentence(
    manganese: Spectra, element: str, edge: str, window: tuple[float, float], words: str
) -> None:
    pytest.importorskip("scipy")
    from coreloss.simulate.gaussian.fit import fit_edge

    with pytest.raises(ValueError, match=words):
        fit_edge(manganese, element, edge, window)


# -- recipe --------------------------------------------------------------------------------


def test_the_shipped_recipe_spells_the_defaults_out() -> None:
    recipe = load_recipe("kong2022")
    assert recipe == GaussianRecipe()
    assert len(recipe.elements) == 20
    assert isinstance(load_recipe("default"), SimulationRecipe)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jump_ratio_over": "peak"}, "spectrum or background"),
        ({"jump_ratio_min": 0.6}, "not above"),
        ({"edges": ("C K",)}, "each edge needs one"),
        ({"shift_ev": (1.0, 2.0)}, "takes a float"),
        ({"hwhm_ev": [0.6, 0.1]}, "lower first"),
        ({"jump_ratio_mim": 0.1}, "did you mean 'jump_ratio_min'"),
        ({"filter_frame": [32, 32]}, "odd"),
        ({"window_fraction": 1.5}, "between 0 and 1"),
    ],
)
def test_wrong_recipes_are_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GaussianRecipe.from_dict(change)


def test_edges_without_a_shape_are_named(tmp_path: Path) -> None:
    path = tmp_path / "edges.toml"
    write_shapes([SHAPE], path)
    with pytest.raises(ValueError, match="hold no shape of Ar L2,3, B K"):
        shape_table(replace(GaussianRecipe(), libraries=(str(path),)))


# -- spectra -------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_batch() -> None:
    recipe = load_recipe("kong2022")
    first, again, other = (simulate(recipe, 5, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.counts, again.counts)
    assert not np.array_equal(first.counts, other.counts)
    assert first.counts.shape == (5, 5251)
    assert first.elements == recipe.elements
    with pytest.raises(ValueError, match="at least one"):
        simulate(recipe, 0, 1)


def test_torch_gives_the_spectra_of_numpy_but_for_the_noise() -> None:
    torch = pytest.importorskip("torch")
    ours = simulate_gaussian(QUIET, 4, 9)
    theirs = simulate_gaussian(QUIET, 4, 9, xp=torch)
    assert np.allclose(ours.counts, theirs.counts.numpy(), rtol=2e-4, atol=1e-6)
    assert np.array_equal(ours.present, theirs.present)


def test_background_is_the_power_law() -> None:
    batch = simulate_gaussian(replace(QUIET, empty_fraction=1.0), 3, 1)
    energies = 50.0 + 0.2 * np.arange(5251)
    expected = (energies / 50.0) ** -batch.draws.exponent[:, None]
    assert np.allclose(batch.counts, expected, rtol=1e-4)
    assert not batch.present.any()


def test_edges_have_their_jump_ratio_and_nothing_before_them() -> None:
    recipe = replace(QUIET, edge_counts=(1.0,), fwhm_ev=(0.1, 0.1), hwhm_ev=(0.0, 0.0))
    batch = simulate_gaussian(recipe, 40, 2)
    energies = 50.0 + 0.2 * np.arange(5251)
    for row in range(40):
        background = (energies / 50.0) ** -batch.draws.exponent[row]
        edge = batch.counts[row] - background
        onset, jump = batch.edges["onset_ev"][row], batch.edges["jump_ratio"][row]
        start = np.interp(onset, energies, background)
        near = (energies > onset - 20.0) & (energies < onset + 85.0)
        assert edge[near].max() / start == pytest.approx(jump, rel=0.02)
        assert np.abs(edge[energies < onset - 15.0]).max() < 0.02 * edge.max()
        # beyond its shape an edge falls as the power that was drawn
        low, high = onset + 90.0, min(onset + 250.0, 1090.0)
        if high > low + 20.0:
            slope = np.log(np.interp(high, energies, edge) / np.interp(low, energies, edge))
            power = batch.draws.extension[row, 0]
            assert slope / np.log(high / low) == pytest.approx(power, abs=0.05)
        assert batch.present[row, batch.edges["element"][row]]
    assert batch.present.sum() == 40


def test_later_edges_are_measured_over_the_tails_of_earlier_ones() -> None:
    plain = replace(QUIET, edges=("C K", "O K"), jump_ratio_max=(1.5, 1.5), edge_counts=(0.0, 1.0))
    recipe = replace(plain, jump_ratio_min=1.4)
    over_all = simulate_gaussian(recipe, 8, 5)
    over_background = simulate_gaussian(replace(recipe, jump_ratio_over="background"), 8, 5)
    assert (over_all.snr[:, 1] > over_background.snr[:, 1]).all()
    assert np.allclose(over_all.snr[:, 0], over_background.snr[:, 0])


def test_broadening_keeps_the_height_and_lowers_the_slope() -> None:
    recipe = replace(QUIET, edges=("C K",), jump_ratio_max=(1.0,), edge_counts=(1.0,))
    sharp = replace(recipe, fwhm_ev=(0.1, 0.1), hwhm_ev=(0.1, 0.1))
    wide = replace(recipe, fwhm_ev=(1.6, 1.6), hwhm_ev=(0.6, 0.6))
    steep = [np.diff(simulate_gaussian(r, 6, 7).counts[:, 1000:1400]).max(1) for r in (sharp, wide)]
    assert (steep[1] < 0.8 * steep[0]).all()


def test_noise_is_a_running_mean_of_white_noise() -> None:
    recipe = replace(GaussianRecipe(), empty_fraction=1.0, shift_ev=0.0, stretch=0.0)
    batch = simulate_gaussian(recipe, 64, 3)
    energies = 50.0 + 0.2 * np.arange(5251)
    noise = batch.counts - (energies / 50.0) ** -batch.draws.exponent[:, None]
    expected = batch.draws.noise / np.sqrt(batch.draws.frame)
    assert noise.std(axis=1) / expected == pytest.approx(1.0, abs=0.25)
    assert (noise.std(axis=1) / expected).mean() == pytest.approx(1.0, abs=0.03)
    assert set(batch.draws.frame % 2) == {1}
    assert batch.draws.frame.min() >= 30
    assert batch.draws.frame.max() <= 60
    # correlation falls as a triangle over one frame
    for lag in (10, 70):
        pairs = (noise[:, lag:] * noise[:, :-lag]).mean(axis=1) / expected**2
        ideal = np.maximum(1.0 - lag / batch.draws.frame, 0.0)
        assert (pairs - ideal).mean() == pytest.approx(0.0, abs=0.04)


def test_number_of_edges_and_jump_ratios_follow_the_tables() -> None:
    recipe = GaussianRecipe()
    from coreloss.simulate.gaussian.forward import draw

    draws = draw(np.random.default_rng(0), 20_000, recipe)
    number = (draws.shape >= 0).sum(axis=1)
    share = np.bincount(number, minlength=7)[1:] / number.size
    assert share == pytest.approx([0.2, 0.2, 0.2, 0.15, 0.15, 0.1], abs=0.015)
    table = shape_table(recipe)
    used = draws.shape >= 0
    element = table.element[draws.shape[used]]
    assert np.bincount(element) / element.size == pytest.approx(0.05, abs=0.006)
    for index, (highest, _) in enumerate(EDGES.values()):
        jumps = draws.jump_ratio[used][element == index]
        assert jumps.min() == pytest.approx(0.15, abs=0.01)
        assert jumps.max() == pytest.approx(highest, abs=0.02)
    assert draws.exponent.mean() == pytest.approx(1.88, abs=0.01)
    assert draws.exponent.std() == pytest.approx(0.2, abs=0.01)
    onset = np.where(used, table.onset_ev[draws.shape], np.inf)
    assert (np.sort(onset, axis=1) == onset).all()


def test_axes_carry_shift_and_stretch() -> None:
    batch = simulate_gaussian(replace(GaussianRecipe(), noise=0.0), 20, 4)
    draws = batch.draws
    assert np.allclose(batch.dispersion, 0.2 / draws.stretch)
    assert np.allclose(batch.offset * draws.stretch + draws.shift_ev, 50.0)
    assert np.abs(draws.shift_ev).max() <= 15.0
    assert np.abs(draws.stretch - 1.0).max() <= 0.015


def test_windows_hold_what_they_label() -> None:
    recipe = replace(GaussianRecipe(), window_fraction=1.0, white_noise_fraction=1.0)
    batch = simulate_gaussian(recipe, 60, 6)
    end = batch.offset + batch.dispersion * (batch.size - 1)
    spectrum, onset = batch.edges["spectrum"], batch.edges["onset_ev"]
    assert (onset > batch.offset[spectrum]).all()
    assert (onset < end[spectrum]).all()
    assert batch.size.min() >= 60 / 0.21
    assert batch.size.min() < batch.size.max() == batch.counts.shape[1]
    short = int(batch.size.argmin())
    assert not batch.counts[short, batch.size[short] :].any()
    # the record begins where it says it does
    whole = simulate_gaussian(replace(recipe, window_fraction=0.0), 60, 6)
    assert whole.present.sum() > batch.present.sum()
    assert {e.symbol for s in recipe.elements for e in edges_of(s)} == set(recipe.elements)
