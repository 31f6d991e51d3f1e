"""The forward model: physics, reproducibility, labels."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest

from coreloss.atom.cross_section import angular_factor, dsigma_de, oscillator_table
from coreloss.atom.kinematics import (
    BOHR_RADIUS_M,
    RYDBERG_EV,
    momentum_per_mrad,
    nonrelativistic_energy_ev,
)
from coreloss.edges import ELEMENTS
from coreloss.simulate import SimulationRecipe, load_recipe, simulate, simulate_sample
from coreloss.simulate.chemistry import draw_compositions
from coreloss.simulate.detector import Noise, sample_channels
from coreloss.simulate.gos import plasmon_tail
from coreloss.simulate.library import N_GRID, edge_library
from coreloss.simulate.low_loss import GAIN_CHANNELS, low_loss
from coreloss.simulate.near_edge import GIANT_RESONANCES, lifetime_width_ev
from coreloss.simulate.shapes import shape_variants


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
        "framed_fraction": 0.0,
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


def test_threads_change_no_record() -> None:
    """Workers of a cluster have other numbers of threads than the command itself."""
    code = (
        "import hashlib; from coreloss.simulate import load_recipe, simulate\n"
        "batch = simulate(load_recipe('annys2023'), 57, 3)\n"
        "for values in (batch.counts, batch.snr, batch.edges['jump_ratio']):\n"
        "    print(hashlib.sha256(values.tobytes()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in "12"
    }
    assert len(printed) == 1


@pytest.mark.parametrize("which", [0, 1])
def test_who_else_holds_an_array_changes_no_record(
    which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profiler, as workers of a cluster have one, keeps what a function has just returned."""
    recipe = load_recipe("annys2023")
    expected = simulate(recipe, 256, 3).counts
    transform, returned = np.fft.rfft, []

    def every_other_held(*args: Any, **options: Any) -> Any:
        out = transform(*args, **options)
        returned.append(out if len(returned) % 2 == which else None)
        return out

    monkeypatch.setattr(np.fft, "rfft", every_other_held)
    found = simulate(recipe, 256, 3).counts
    assert len(returned) == 7
    assert found.tobytes() == expected.tobytes()


def test_torch_draws_the_same_samples() -> None:
    torch = pytest.importorskip("torch")
    recipe = load_recipe("default")
    ours, theirs = simulate(recipe, 30, 5), simulate(recipe, 30, 5, xp=torch)
    np.testing.assert_array_equal(ours.in_range, theirs.in_range)
    # their transforms, in single precision, leave other last digits of what is faint
    np.testing.assert_allclose(ours.snr, theirs.snr, rtol=0.01, atol=0.05)
    np.testing.assert_allclose(ours.offset, theirs.offset)
    again = simulate(recipe, 30, 5, xp=torch)
    assert torch.equal(theirs.counts, again.counts)  # bit for bit on one device
    np.testing.assert_array_equal(theirs.present, again.present)
    # the noise differs, the spectra do not: compare total counts where they are large
    a, b = ours.counts.sum(axis=1), theirs.counts.numpy().sum(axis=1)
    large = (np.abs(a) > 1e6) & ~ours.draws.subtracted
    assert large.sum() > 10
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


@pytest.mark.parametrize(
    ("symbol", "window"), [("O", (450, 700)), ("Zr", (150, 400)), ("La", (750, 1000))]
)
def test_jump_ratios_are_as_drawn(symbol: str, window: tuple[int, int]) -> None:
    # without measured shapes there are no shells below the edge table, which count as background
    recipe = clean(
        chemical_shift_ev=0.0, edge_shift_ev=0.0, plasmon_tail_fraction=0.0, measured_shapes=False
    )
    for jump in (0.2, 1.5):
        batch = simulate_sample(
            {symbol: 1.0}, start_ev=window[0], end_ev=window[1], jump_ratio=jump, n=6, seed=2,
            recipe=recipe,
        )  # fmt: skip
        highest = np.zeros(6)
        np.maximum.at(highest, batch.edges["spectrum"], batch.edges["jump_ratio"])
        np.testing.assert_allclose(highest, jump, rtol=0.05)


def test_jump_ratio_is_seen_in_the_record() -> None:
    recipe = clean(
        chemical_shift_ev=0.0, edge_shift_ev=0.0, plasmon_tail_fraction=0.0, spike_fraction=0.0,
        bond_fraction=0.0, substance_fraction=0.0, fine_structure_median=1e-9,
    )  # fmt: skip
    batch = simulate_sample(
        {"O": 1.0}, start_ev=450, end_ev=700, counts=1e9, jump_ratio=0.5, thickness=1e-6, n=4,
        seed=2, recipe=recipe,
    )  # fmt: skip
    energy = 450.5 + np.arange(batch.counts.shape[1])
    for row in np.asarray(batch.counts, dtype=float):
        before = energy < 525
        line = np.polyfit(np.log(energy[before]), np.log(row[before]), 1)
        background = np.exp(np.polyval(line, np.log(energy)))
        over = (row - background).max() / np.interp(532.0, energy, background)
        assert over == pytest.approx(0.5, rel=0.15)


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


def test_thick_specimens_blur_what_is_seen_of_a_sharp_edge() -> None:
    def seen(thickness: float) -> float:
        few = simulate_sample(
            {"Fe": 1.0}, start_ev=600, end_ev=900, counts=1e4, thickness=thickness, n=8, seed=3
        )
        return float(np.median(few.snr[:, ELEMENTS.index("Fe")]))

    assert seen(2.8) < 0.6 * seen(0.2)
    recipe = load_recipe("default")
    thickness = simulate(recipe, 1000, 12).draws.thickness
    thick = thickness > recipe.thickness[1]
    assert thickness.max() <= recipe.thick[1]
    assert thick.mean() == pytest.approx(recipe.thick_fraction, abs=0.03)


def test_framed_records_show_more_elements_and_show_them_better() -> None:
    others = load_recipe("default")
    framed = simulate(replace(others, framed_fraction=1.0), 300, 4)
    free = simulate(replace(others, framed_fraction=0.0), 300, 4)
    assert framed.in_range.sum() > 1.15 * free.in_range.sum()
    assert framed.present.sum() / framed.in_range.sum() > 1.1 * free.present.sum() / (
        free.in_range.sum()
    )
    low, high = others.framed_jump_ratio
    assert (framed.draws.jump_ratio >= low).all()
    assert (framed.draws.jump_ratio <= high).all()
    assert (np.log10(framed.draws.counts) >= others.framed_log_counts[0]).all()


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
    seldom = [ELEMENTS.index(s) for s in ("Tc", "Pm", "Ne", "Ar", "Kr", "Xe")]
    assert np.delete(first, seldom).min() > 0.6 * first.mean()
    assert first[seldom].max() < 0.4 * first.mean()


def test_shapes_vanish_below_their_onset() -> None:
    library = edge_library(measured=False)
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
    assert batch.draws.start_ev.min() >= 74.5  # its first channel is centred on 75 eV
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
        ({"max_elements": 0}, "one or more"),
        ({"beam_energy_kev": []}, "energies in keV"),
        ({"beam_energy_kev": ["200"]}, "energies in keV"),
        ({"plasmons": [2.5, 4]}, "whole numbers"),
        ({"alpha_mrad": [-5.0, 3.0]}, "from 0 on"),
        ({"chemical_shift_ev": -1.0}, "from 0 on"),
        ({"snr_present": float("nan")}, "from 0 on"),
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
    path.write_text("thickness = [0.2, 0.3]\n")
    with pytest.raises(ValueError, match=r"mine.toml: holds thickness before any table"):
        load_recipe(path)
    path.write_text("[network]\n")
    with pytest.raises(ValueError, match=r"mine.toml: holds no table \[simulation\]"):
        load_recipe(path)
    with pytest.raises(ValueError, match="at least one"):
        simulate(recipe, 0, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('base = "{path}"', "leads back to itself"),
        ("framed_jump_ratio = [0.0, 1.0]", "framed_jump_ratio is .* above zero"),
        ("length_ev = [-5.0, 100.0]", "length_ev is .* above zero"),
        ('framed_log_counts = ["a", "b"]', "takes two numbers"),
        ("framed_log_counts = [nan, 5.0]", "takes two numbers"),
        ("log_counts = [3.0, inf]", "takes two numbers"),
        ("framed_fraction = 1.5", "must lie between 0 and 1"),
    ],
)
def test_wrong_values_are_told_with_the_file(text: str, said: str, tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[simulation]\n" + text.replace("{path}", path.as_posix()) + "\n")
    with pytest.raises(ValueError, match=said) as caught:
        load_recipe(path)
    assert "mine.toml" in str(caught.value)


def test_recipes_as_editors_save_them(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[simulation]\nframed_fraction = 0.25\n", encoding="utf-8-sig")
    assert load_recipe(path).framed_fraction == 0.25
    path.write_bytes("[simulation] # é".encode("latin-1"))
    with pytest.raises(ValueError, match=r"mine.toml: is no text in UTF-8"):
        load_recipe(path)


def test_shapes_are_those_of_the_integrals_over_momentum() -> None:
    """The simulator's way, optical limit times shared factor times what is collected, against
    `dsigma_de`, which integrates GOS for each condition; the optical limit alone is 16 % off."""
    table = oscillator_table()
    rng = np.random.default_rng(0)
    deviations = []
    for symbol, shell in (("C", "K"), ("Fe", "L3"), ("Zr", "M5"), ("Gd", "M5"), ("Au", "M5")):
        row = table.index(symbol, shell)
        energies = table.onset_ev[row] + np.array([5.0, 20.0, 60.0, 200.0, 500.0])
        for beam in (60.0, 100.0, 200.0, 300.0):
            alpha, beta = rng.uniform(0.1, 30.0), rng.uniform(1.0, 100.0)
            largest = momentum_per_mrad(beam) * np.hypot(alpha, beta)
            reach = int(np.abs(np.log(largest / table.reach)).argmin())
            unit = 4 * np.pi * BOHR_RADIUS_M**2 * RYDBERG_EV**2 / nonrelativistic_energy_ev(beam)
            shared = angular_factor(energies, beam, alpha, beta)
            exact = dsigma_de(
                symbol, shell, energies, beam_energy_kev=beam, alpha_mrad=alpha, beta_mrad=beta
            )
            ours = unit * shared * table.density(row, energies, reach)
            deviations.append(ours / exact - 1.0)
    assert np.sqrt(np.mean(np.square(deviations))) < 0.04
    assert np.abs(deviations).max() < 0.15


def test_large_apertures_collect_more_far_above_the_edge() -> None:
    library = edge_library()
    group = library.labels.index("C K")
    far = library.collected[:, group, np.searchsorted(library.excess_ev, 800.0)]
    near = library.collected[:, group, np.searchsorted(library.excess_ev, 10.0)]
    assert np.all(np.diff(far / near) > 0)


def test_faults_are_commoner_without_edges() -> None:
    """Steps of the detector's gain must not be taken for edges: bare records show many."""
    recipe = replace(
        load_recipe("default"), empty_fraction=1.0, gain_noise=(0.0, 0.0), spike_fraction=0.0
    )
    few = replace(recipe, empty_faults=0.0, gain_step_fraction=0.0)
    many = replace(recipe, empty_faults=1.0, gain_step_fraction=1e-9)
    roughness = []
    for plan in (few, many):
        batch = simulate(plan, 200, 9)
        steps = np.abs(np.diff(batch.counts, axis=1))
        roughness.append(np.median(steps.max(axis=1) / (batch.counts.max(axis=1) + 1.0)))
    assert roughness[1] > 1.5 * roughness[0]


def test_plasmons_lift_the_start_of_low_records_only() -> None:
    recipe = replace(load_recipe("default"), empty_fraction=1.0, plasmon_tail_fraction=1.0)
    draws = simulate(recipe, 300, 4).draws
    rng = np.random.default_rng(0)
    tail = plasmon_tail(rng, draws, recipe, low_loss(rng, draws, recipe), 3456)
    low = draws.start_ev < 130.0
    assert 20 < low.sum() < 280
    assert not tail[~low].any()
    first = np.clip(draws.start_ev[low], 30.0, 140.0).astype(int)
    # over the background at the start of the record, by the share that is drawn
    at_start = tail[low, first]
    assert at_start.min() > 0.01
    assert at_start.max() < 3.1
    assert not tail[:, 192:].any()


def test_spikes_are_single_channels() -> None:
    recipe = replace(load_recipe("default"), smoothed_fraction=0.0)
    calm = simulate(replace(recipe, spike_fraction=0.0), 60, 8)
    spiked = simulate(replace(recipe, spike_fraction=1.0), 60, 8)
    high = [
        np.max(b.counts[i, 1:-1] - np.maximum(b.counts[i, :-2], b.counts[i, 2:]))
        / max(float(b.counts[i].max()), 1.0)
        for b in (calm, spiked)
        for i in range(60)
    ]
    assert np.mean(np.array(high[60:]) > 0.05) > np.mean(np.array(high[:60]) > 0.05) + 0.2


def test_zero_loss_of_annys_is_lorentzian_and_plasmons_whole() -> None:
    recipe = replace(load_recipe("annys2023"), thickness=(0.0, 0.0))
    rng = np.random.default_rng(0)
    draws = simulate(recipe, 20, 1).draws
    peak = low_loss(rng, draws, recipe)
    axis = np.arange(peak.shape[1]) - GAIN_CHANNELS
    # a tenth of the maximum at 3/2 of the FWHM from it, where a Gaussian has 2 in 1000
    place = 1.5 * draws.zero_loss_fwhm_ev
    value = np.array([np.interp(x, axis, row) for x, row in zip(place, peak, strict=True)])
    wide = draws.zero_loss_fwhm_ev > 2.0
    np.testing.assert_allclose((value / peak.max(axis=1))[wide], 0.1, atol=0.025)
    np.testing.assert_allclose(peak.sum(axis=1), 1.0, atol=0.02)


def test_channels_of_annys_are_centred_on_whole_electronvolts() -> None:
    batch = simulate(load_recipe("annys2023"), 50, 2)
    shift = batch.offset + batch.draws.shift_ev
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-9)


def test_spikes_fall_on_recorded_channels() -> None:
    """A record need not hold a whole number of channels."""
    for seed in range(60):
        batch = simulate_sample(
            {"O": 1.0},
            start_ev=500.0,
            end_ev=561.9,
            seed=seed,
            recipe=replace(load_recipe("default"), spike_fraction=1.0),
        )
        assert batch.size[0] == 61


def test_resonances_are_whole_and_partners_keep_their_distance() -> None:
    recipe = replace(load_recipe("default"), edge_shift_ev=0.0)
    library = edge_library()
    variants = shape_variants(np.random.default_rng(0), recipe, library)
    pad = (variants.table.shape[2] - N_GRID) // 2
    yb = variants.table[:, ELEMENTS.index("Yb"), pad : pad + N_GRID]
    maximum = GIANT_RESONANCES["Yb", "N45"][0]
    found = yb[:, 172:202].argmax(axis=1) + 172 - maximum
    # solids and second peaks move it
    assert np.median(np.abs(found)) <= 2
    assert np.abs(found).max() <= 10
    group = library.labels.index("Mo L23")
    second = int(library.second_ev[group])
    mo = variants.table[:, ELEMENTS.index("Mo"), pad : pad + N_GRID]
    steps = np.diff(mo[:, second - 40 : second + 40], axis=1).argmax(axis=1)
    assert np.all(np.abs(steps - 40) <= 2)


def test_few_fine_structure_peaks_need_no_bonds() -> None:
    with pytest.raises(ValueError, match="bond_fraction"):
        replace(load_recipe("default"), fine_structure_degree=(1, 2))
    simulate(replace(load_recipe("default"), fine_structure_degree=(1, 2), bond_fraction=0.0), 8, 0)
