"""Records of the Gaussian forward model: windows, channels, noise, labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coreloss.simulate import load_recipe
from coreloss.simulate.gaussian import GaussianRecipe, simulate_gaussian

PAPER = replace(GaussianRecipe(), noise=0.0, shift_ev=0.0, stretch=0.0)
#: recorded channels of 0.2 eV and nothing else of the additions
PLAIN = replace(PAPER, channel_ev=(0.2, 0.2))


def energies(batch, row: int) -> np.ndarray:
    return batch.offset[row] + batch.dispersion[row] * np.arange(batch.size[row])


@pytest.mark.parametrize("channel_ev", [(0.0, 0.0), (0.2, 2.0)])
def test_a_batch_of_windows_and_whole_records_tells_their_energies(channel_ev) -> None:
    recipe = replace(
        PAPER, window_fraction=0.5, window_ev=(100.0, 400.0), empty_fraction=1.0,
        channel_ev=channel_ev,
    )  # fmt: skip
    batch = simulate_gaussian(recipe, 40, 1)
    whole = np.isclose(batch.draws.end_ev - batch.draws.start_ev, 1050.0)
    assert 5 < whole.sum() < 35
    for row in range(40):
        expected = (energies(batch, row) / 50.0) ** -batch.draws.exponent[row]
        recorded = batch.counts[row, : batch.size[row]]
        # a channel of 2 eV holds a curved background's mean, which is not its middle
        assert recorded == pytest.approx(expected, rel=2e-3)
        assert not batch.counts[row, batch.size[row] :].any()


def test_recorded_channels_hold_the_same_spectrum() -> None:
    # the same seed draws the same spectra; only the channels differ
    fine = simulate_gaussian(PLAIN, 4, 3)
    coarse = simulate_gaussian(replace(PLAIN, channel_ev=(1.0, 1.0)), 4, 3)
    assert np.allclose(coarse.dispersion, 1.0)
    for row in range(4):
        mean = fine.counts[row, : 5 * coarse.size[row]].reshape(-1, 5).mean(axis=1)
        assert coarse.counts[row, : coarse.size[row]] == pytest.approx(mean, rel=1e-3)


def test_counting_noise_follows_the_dose() -> None:
    recipe = replace(
        PLAIN, channel_ev=(0.5, 0.5), empty_fraction=1.0, dose_fraction=1.0, dose=(1e3, 1e5)
    )
    batch = simulate_gaussian(recipe, 30, 5)
    for row in range(30):
        expected = (energies(batch, row) / 50.0) ** -batch.draws.exponent[row]
        electrons = batch.draws.record.dose[row] * 0.5 * expected / expected.mean()
        pull = (batch.counts[row, : batch.size[row]] / expected - 1.0) * np.sqrt(electrons)
        assert pull.std() == pytest.approx(1.0, abs=0.1)
        assert pull.mean() == pytest.approx(0.0, abs=0.1)


def test_a_level_lies_under_the_record() -> None:
    recipe = replace(PLAIN, empty_fraction=1.0, level_fraction=1.0, level=(3.0, 3.0))
    batch = simulate_gaussian(recipe, 5, 6)
    lowest = (1100.0 / 50.0) ** -batch.draws.exponent
    last = batch.counts[np.arange(5), batch.size - 1]
    assert last == pytest.approx(4.0 * lowest, rel=2e-3)


def test_plural_scattering_moves_intensity_up_by_a_plasmon() -> None:
    recipe = replace(
        PLAIN, edges=("C K",), jump_ratio_max=(1.0,), jump_ratio_min=1.0, edge_counts=(1.0,),
        plasmon_ev=(25.0, 25.0), plasmon_fwhm_ev=(4.0, 4.0), extension_power=(-3.0, -3.0),
    )  # fmt: skip
    thin = simulate_gaussian(recipe, 6, 8)
    thick = simulate_gaussian(replace(recipe, thickness=(1.0, 1.0)), 6, 8)
    for row in range(6):
        e = energies(thin, row)
        background = (e / 50.0) ** -thin.draws.exponent[row]
        curves = [b.counts[row, : e.size] - background for b in (thin, thick)]
        before = e < 270.0
        assert np.abs(curves[1][before]).max() < 0.01 * curves[1].max()
        near, far = (e > 284) & (e < 300), (e > 309) & (e < 325)
        share = [c[far].sum() / c[near].sum() for c in curves]
        assert share[1] > 1.2 * share[0]


def test_peaks_grow_over_the_tail() -> None:
    recipe = replace(
        PLAIN, edges=("Ca L2,3",), jump_ratio_max=(1.0,), jump_ratio_min=1.0, edge_counts=(1.0,)
    )
    tails = []
    for factor in (0.5, 1.0, 2.0):
        batch = simulate_gaussian(replace(recipe, peaks=(factor, factor)), 8, 9)
        e = energies(batch, 0)
        edge = batch.counts - (e[None] / 50.0) ** -batch.draws.exponent[:, None]
        # the edge is as high as its jump ratio says, whatever of it are peaks
        tails.append(edge[:, (e > 385) & (e < 395)].mean(axis=1) / edge.max(axis=1))
    assert (tails[0] > 1.05 * tails[1]).all()
    assert (tails[1] > 1.05 * tails[2]).all()


def test_windows_hold_an_edge_of_the_spectrum() -> None:
    recipe = replace(PAPER, window_fraction=1.0, window_ev=(60.0, 200.0), window_on_edge=True)
    batch = simulate_gaussian(recipe, 200, 2)
    assert (batch.in_range.sum(axis=1) > 0).mean() > 0.97
    anywhere = simulate_gaussian(replace(recipe, window_on_edge=False), 200, 2)
    assert (anywhere.in_range.sum(axis=1) > 0).mean() < 0.7


def test_most_axes_are_nearly_right() -> None:
    recipe = replace(PAPER, shift_ev=20.0, shift_scale_ev=4.0, stretch=0.03, stretch_about="middle")
    draws = simulate_gaussian(recipe, 2000, 2).draws
    middle = 0.5 * (draws.start_ev + draws.end_ev)
    # E_true = shift + stretch · E_recorded, at the middle of the record
    error = draws.shift_ev + (draws.stretch - 1.0) * middle
    assert np.abs(error).max() <= 20.0
    assert np.abs(error).mean() == pytest.approx(4.0, abs=0.4)
    assert np.abs(draws.stretch - 1.0).max() > 0.02


def test_jump_ratios_may_be_log_uniform() -> None:
    recipe = replace(
        PAPER, jump_ratio_draw="log-uniform", jump_ratio_min=0.01, jump_ratio_max=(1.0,) * 20
    )
    jumps = simulate_gaussian(recipe, 400, 2).edges["jump_ratio"]
    assert np.median(jumps) == pytest.approx(0.1, rel=0.25)


def test_faint_edges_are_not_labelled_and_told_by_their_signal_to_noise_ratio() -> None:
    recipe = replace(
        load_recipe("kong2022-real"), edges=("O K",), jump_ratio_max=(0.2,), jump_ratio_min=0.2,
        edge_counts=(1.0,), empty_fraction=0.0, dose_fraction=1.0, level_fraction=0.0,
        white_noise_fraction=0.0, filtered_noise_fraction=0.0, gain=(0.0, 0.0),
        window_fraction=0.0,
    )  # fmt: skip
    assert recipe.labels == "detectable"
    assert GaussianRecipe().labels == "all"
    few, many = (simulate_gaussian(replace(recipe, dose=(d, d)), 30, 4) for d in (1e2, 1e7))
    assert few.in_range.all()
    assert not few.present.any()
    assert many.present.all()
    # shot noise: the ratio grows as the root of the dose
    assert many.snr / few.snr == pytest.approx(10.0**2.5, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stretch_about": "end"}, "choose zero or middle"),
        ({"jump_ratio_draw": "normal"}, "choose uniform or log-uniform"),
        ({"dose_fraction": 0.5}, "dose_fraction needs channel_ev"),
        ({"peaks": (0.5, 2.0)}, "peaks needs channel_ev"),
        ({"channel_ev": (0.1, 1.0)}, "narrower"),
        ({"level": (2.0, 1.0)}, "the lower first"),
    ],
)
def test_parameters_that_do_not_go_say_why(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(GaussianRecipe(), **change)


def test_torch_gives_the_same_physics() -> None:
    torch = pytest.importorskip("torch")
    recipe = replace(
        load_recipe("kong2022-real"), dose_fraction=0.0, white_noise_fraction=0.0,
        filtered_noise_fraction=0.0, gain=(0.0, 0.0),
    )  # fmt: skip
    ours, theirs = simulate_gaussian(recipe, 6, 1), simulate_gaussian(recipe, 6, 1, xp=torch)
    assert np.allclose(ours.counts, theirs.counts.numpy(), rtol=1e-3, atol=1e-7)
    assert (ours.present == theirs.present).all()
