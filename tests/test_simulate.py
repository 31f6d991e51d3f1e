"""The forward model: physics, reproducibility, labels."""

from __future__ import annotations

from dataclasses import replace

import array_api_compat.numpy as xp
import numpy as np
import pytest

from coreloss.edges import ELEMENTS
from coreloss.simulate import SimulationRecipe, load_recipe, simulate
from coreloss.simulate.chemistry import draw_compositions
from coreloss.simulate.detector import Noise, sample_channels
from coreloss.simulate.library import edge_library
from coreloss.simulate.near_edge import GIANT_RESONANCES, lifetime_width_ev


def clean(**changes: object) -> SimulationRecipe:
    """The default recipe without detector faults."""
    base = load_recipe("default")
    quiet = {
        "gain_noise": (0.0, 0.0),
        "readout_noise": (0.0, 0.0),
        "offset_fraction": 0.0,
        "baseline_fraction": 0.0,
        "gain_step_fraction": 0.0,
        "smoothed_fraction": 0.0,
        "shading_fraction": 0.0,
        "subtracted_fraction": 0.0,
        "unlisted_fraction": 0.0,
    }
    return replace(base, **{**quiet, **changes})


def test_seed_reproduces_a_batch_bit_for_bit() -> None:
    recipe = load_recipe("default")
    first, second = simulate(recipe, 40, 3), simulate(recipe, 40, 3)
    np.testing.assert_array_equal(first.counts, second.counts)
    np.testing.assert_array_equal(first.present, second.present)
    assert not np.array_equal(
        first.counts, simulate(recipe, 40, 4).counts[:, : first.counts.shape[1]]
    )


def test_torch_draws_the_same_samples() -> None:
    torch = pytest.importorskip("torch")
    recipe = load_recipe("default")
    ours, theirs = simulate(recipe, 30, 5), simulate(recipe, 30, 5, xp=torch)
    np.testing.assert_array_equal(ours.in_range, theirs.in_range)
    np.testing.assert_allclose(ours.snr, theirs.snr, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(ours.offset, theirs.offset)
    # the noise differs, the spectra do not: compare total counts where they are large
    a, b = ours.counts.sum(axis=1), theirs.counts.numpy().sum(axis=1)
    large = np.abs(a) > 1e6
    np.testing.assert_allclose(a[large], b[large], rtol=0.02)


def test_records_are_finite_and_padded_with_zeros() -> None:
    batch = simulate(load_recipe("default"), 300, 11)
    assert np.isfinite(batch.counts).all()
    channel = np.arange(batch.counts.shape[1])[None, :]
    assert not batch.counts[channel >= batch.size[:, None]].any()
    assert (np.abs(batch.counts).max(axis=1) > 0).all()


def test_labels_follow_the_signal_to_noise_ratio() -> None:
    recipe = load_recipe("default")
    batch = simulate(recipe, 300, 2)
    np.testing.assert_array_equal(batch.present, batch.in_range & (batch.snr >= recipe.snr_present))
    every = simulate(replace(recipe, labels="all"), 300, 2)
    np.testing.assert_array_equal(every.present, every.in_range)


def test_more_dose_makes_more_elements_detectable() -> None:
    few = simulate(clean(log_counts=(2.0, 2.0)), 200, 8)
    many = simulate(clean(log_counts=(6.0, 6.0)), 200, 8)
    np.testing.assert_array_equal(few.in_range, many.in_range)
    assert many.present.sum() > 1.5 * few.present.sum()
    assert (many.snr[many.in_range] >= 0.99 * few.snr[many.in_range]).all()


def test_signal_to_noise_matches_a_fit() -> None:
    """The Cramér–Rao ratio is what repeated least-squares fits of a step scatter by."""
    from coreloss.simulate.detectability import N_BINS, signal_to_noise

    grid = np.arange(1152.0)
    background = (4e3 * (np.maximum(grid, 1.0) / 400.0) ** -3.0).astype(np.float32)
    edge = np.where(grid >= 532, 300.0 * (np.maximum(grid, 1) / 532.0) ** -3, 0).astype(np.float32)
    start, end = np.array([[400.0]]), np.array([[800.0]])
    ratio = signal_to_noise(
        xp, edge[None, :], np.array([0]), np.array([0]), 1, (background + edge)[None, :],
        background[None, :], start, end, np.ones((1, 1), np.float32),
        np.zeros((1, 1), np.float32), 0.0, "cpu",
    )[0, 0]  # fmt: skip
    rng = np.random.default_rng(0)
    width = (end - start) / N_BINS
    b, s = (sample_channels(xp, a[None, :], start, width, N_BINS)[0] for a in (background, edge))
    mean = (b + s) * width[0, 0]
    x = np.linspace(-1, 1, N_BINS)
    basis = np.stack([s, *(b * x**k for k in range(5))], axis=1) * width[0, 0]
    weight = 1.0 / np.sqrt(mean)
    solve = np.linalg.pinv(basis * weight[:, None])
    fits = [(solve @ (rng.poisson(mean) * weight))[0] for _ in range(2000)]
    assert ratio == pytest.approx(1.0 / np.std(fits), rel=0.08)


def test_noise_is_poissonian() -> None:
    noise = Noise(xp, 1)
    for mean in (0.3, 7.0, 49.0, 51.0, 4e4):
        drawn = noise.poisson(np.full((200, 500), mean, dtype=np.float32))
        assert drawn.mean() == pytest.approx(mean, rel=0.02)
        assert drawn.var() == pytest.approx(mean, rel=0.02)
        np.testing.assert_array_equal(drawn, np.round(drawn))


def test_shifted_axis_moves_edges_and_nothing_else() -> None:
    recipe = clean(wide_shift_fraction=0.0, stretch_fraction=0.0, instrumental_shift_ev=0.0)
    shifted = replace(recipe, wide_shift_fraction=1.0, wide_shift_ev=12.0)
    straight, moved = simulate(recipe, 60, 9), simulate(shifted, 60, 9)
    shift = straight.offset - moved.offset
    assert (np.abs(shift) > 1).any()
    np.testing.assert_array_equal(straight.in_range, moved.in_range)
    np.testing.assert_allclose(straight.snr, moved.snr, rtol=1e-5)
    spectrum = straight.edges["spectrum"]
    np.testing.assert_allclose(
        straight.edges["onset_ev"] - moved.edges["onset_ev"], shift[spectrum], atol=1e-6
    )


def test_no_element_twice_and_every_element_drawn() -> None:
    elements, amounts = draw_compositions(
        np.random.default_rng(0), 20_000, 6, kind="mixed", uniform_fraction=0.25
    )
    for row in elements[:500]:
        used = row[row >= 0]
        assert used.size == np.unique(used).size
    assert (amounts[elements < 0] == 0).all()
    assert (amounts[elements >= 0] > 0).all()
    first = np.bincount(elements[:, 0], minlength=len(ELEMENTS))
    assert first.min() > 0.6 * first.mean()


def test_shapes_vanish_below_their_onset() -> None:
    library = edge_library(resonances=False)
    for row, onset in zip(library.shape, library.onset_ev, strict=True):
        assert not row[: int(onset)].any()
        assert (row >= 0).all()


def test_giant_resonances_peak_where_they_are_observed() -> None:
    library = edge_library()
    for (symbol, group), (maximum, _, _) in GIANT_RESONANCES.items():
        labels = list(library.labels)
        row = library.shape[labels.index(f"{symbol} {group}")]
        near = slice(int(maximum) - 25, int(maximum) + 40)
        assert np.argmax(row[near]) + near.start == pytest.approx(maximum, abs=3.0)


def test_lifetime_width_grows_from_a_few_electronvolts_above_the_edge() -> None:
    widths = lifetime_width_ev(np.array([5.0, 20.0, 50.0, 100.0]), 250.0)
    assert (np.diff(widths) > 0).all()
    assert 0.05 < widths[0] < 2.0
    assert 3.0 < widths[2] < 15.0


def test_annys_recipe_is_table_one() -> None:
    recipe = load_recipe("annys2023")
    batch = simulate(recipe, 6000, 1)
    assert np.isfinite(batch.counts).all()
    assert (batch.draws.end_ev > batch.draws.start_ev + 30).all()
    np.testing.assert_array_equal(batch.dispersion, 1.0)
    np.testing.assert_array_equal(batch.present, batch.in_range)
    assert set(np.unique(batch.draws.beam_energy_kev)) == {60.0, 100.0, 200.0, 300.0}
    assert batch.draws.start_ev.min() >= 75
    assert (batch.draws.jump_ratio >= 0.2).all()
    assert (batch.draws.jump_ratio <= 1.5).all()
    assert batch.present.sum(axis=1).min() >= 0


def test_wide_dispersion_and_narrow_windows_occur() -> None:
    batch = simulate(load_recipe("default"), 1500, 6)
    length = batch.size * batch.dispersion
    assert batch.dispersion.max() > 5
    assert length.min() < 60
    assert length.max() > 2000
    empty = ~batch.in_range.any(axis=1)
    assert 0.02 < empty.mean() < 0.5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"jump_ration": [0.1, 1.0]}, "jump_ratio"),
        ({"thickness": 0.3}, "list"),
        ({"empty_fraction": 2.0}, "between 0 and 1"),
        ({"labels": "some"}, "detectable"),
        ({"thickness": [1.0, 0.1]}, "lower first"),
        ({"white_lines": "yes"}, "bool"),
    ],
)
def test_wrong_recipes_are_refused(values: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SimulationRecipe.from_dict(values)


def test_recipe_from_a_file(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[simulation]\nbase = "annys2023"\nthickness = [0.2, 0.3]\n')
    recipe = load_recipe(path)
    assert recipe.thickness == (0.2, 0.3)
    assert recipe.labels == "all"
    with pytest.raises(ValueError, match="annys2023"):
        load_recipe("nonesuch")
    with pytest.raises(ValueError, match="at least one"):
        simulate(recipe, 0, 1)
