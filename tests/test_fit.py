"""The linear physical model and its fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreloss.atom.widths import natural_width_ev
from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit import (
    Response,
    background_columns,
    design_matrix,
    estimated_noise,
    fit_spectra,
    fitted_edges,
    mismatch_of,
    non_negative_solutions,
    solve,
)
from coreloss.fit.channel_groups import group_starts
from coreloss.fit.response import zero_loss_position
from coreloss.io import load

MICROSCOPE = {"beam_energy_kev": 200.0, "alpha_mrad": 10.0, "beta_mrad": 20.0}
AXIS = EnergyAxis(400.0, 0.5, 800)
LOW_AXIS = EnergyAxis(-20.0, 0.5, 300)


def low_loss(thickness: float, peak_ev: float = 0.0, total: float = 1e6) -> np.ndarray:
    """Zero loss and three plasmons of 22 eV, on ``LOW_AXIS``."""
    energy = LOW_AXIS.energies - peak_ev
    spectrum = np.exp(-0.5 * (energy / 0.6) ** 2)
    weight = 1.0
    for order in (1, 2, 3):
        weight *= thickness / order
        plasmon = np.exp(-0.5 * ((energy - 22.0 * order) / (3.0 * order)) ** 2)
        spectrum += weight * plasmon * spectrum[:200].sum() / plasmon.sum()
    return total * spectrum / spectrum.sum()


def test_backgrounds_are_convex_falling_and_positive() -> None:
    energy = np.linspace(120.0, 900.0, 400)
    columns = background_columns(energy, 6)
    assert (columns > 0).all()
    assert (np.diff(columns, axis=0) < 0).all()
    assert (np.diff(columns, n=2, axis=0) > 0).all()


@pytest.mark.parametrize("exponent", [1, 2, 3, 4, 5])
def test_every_power_law_is_a_background(exponent: int) -> None:
    energy = np.linspace(300.0, 800.0, 200)
    columns = background_columns(energy, 5)
    wanted = (energy / 300.0) ** -exponent
    gram, right = (columns.T @ columns)[:, :, None], (columns.T @ wanted)[:, None]
    found = columns @ non_negative_solutions(gram, right)[:, 0]
    assert found == pytest.approx(wanted, rel=1e-5)


def test_impossible_backgrounds_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0 eV"):
        background_columns([-5.0, 5.0], 3)
    with pytest.raises(ValueError, match="at least 1"):
        background_columns([5.0, 6.0], 0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), p=st.integers(1, 7), n=st.integers(1, 6))
def test_active_set_satisfies_the_optimality_conditions(seed: int, p: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 3 * p, p))
    gram = np.moveaxis(np.swapaxes(matrix, 1, 2) @ matrix, 0, 2)
    right = rng.normal(size=(p, n))
    x = non_negative_solutions(gram, right)
    slope = np.einsum("ijn,jn->in", gram, x) - right
    assert (x >= 0).all()
    assert (slope > -1e-6).all()
    assert np.abs(slope * x).max() < 1e-6


def test_shapes_that_are_nearly_each_other_s_sums_have_a_solution() -> None:
    """The N4,5 edges of lanthanides beside each other: exchanges of many at once never end."""
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(3)
    channel, onset = np.arange(90.0), np.linspace(40.0, 46.0, 30)
    matrix = 1.0 / (1.0 + np.exp(-(channel[:, None] - onset) / 6.0))
    y = matrix @ rng.random((30, 8)) + rng.normal(size=(90, 8))
    y[:, 4:] -= 20.0
    gram = np.repeat((matrix.T @ matrix)[:, :, None], 8, axis=2)
    x = non_negative_solutions(gram, matrix.T @ y)
    ours = ((y - matrix @ x) ** 2).sum(axis=0)
    theirs = np.array([optimize.nnls(matrix, one, maxiter=3000)[1] ** 2 for one in y.T])
    assert (x >= 0).all()
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_variables_may_be_let_negative() -> None:
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(30, 20, 5))
    gram = np.moveaxis(np.swapaxes(matrix, 1, 2) @ matrix, 0, 2)
    right = rng.normal(size=(5, 30))
    signed = np.array([False, True, False, True, True])
    x = non_negative_solutions(gram, right, signed=signed)
    slope = np.einsum("ijn,jn->in", gram, x) - right
    assert (x[~signed] >= 0).all()
    assert (x[signed] < 0).any()
    assert np.abs(slope[signed]).max() < 1e-9
    assert (slope[~signed] > -1e-9).all()
    assert np.abs((slope * x)[~signed]).max() < 1e-9
    every = non_negative_solutions(gram, right, signed=np.ones(5, dtype=bool))
    solution = np.linalg.solve(np.moveaxis(gram, 2, 0), right.T[..., None])[..., 0].T
    assert every == pytest.approx(solution)


def test_absent_elements_bias_no_amount() -> None:
    """Few counts: structure held above zero would take up positive noise alone."""
    rng = np.random.default_rng(9)
    axis = EnergyAxis(400.0, 0.75, 700)
    truth = design_matrix(["Ti", "O"], axis, near_edge="none", **MICROSCOPE)
    edges = truth.matrix[:, truth.amplitude] @ np.array([1.0, 3.0])
    clean = 1500.0 * ((axis.energies / 400.0) ** -3 + 0.35 * edges / edges.max())
    # the resolution of a record, which triangles can follow
    clean[2:-2] = np.convolve(clean, [0.1, 0.2, 0.4, 0.2, 0.1], mode="valid")
    design = design_matrix(["Ti", "O", "Mn", "Ba"], axis, near_edge="free", **MICROSCOPE)
    counts = rng.poisson(clean, (200, axis.size))
    total = fit_spectra(counts.sum(axis=0), design)
    settled = design.settled(total.coefficients[0])
    assert (
        len(settled.names)
        == (total.coefficients[0] > 0).sum()
        + (total.coefficients[0][np.append(design.background, design.amplitude)] == 0).sum()
    )
    assert settled.names[settled.amplitude[1]] == "O"
    assert not settled.signed[settled.amplitude].any()
    fit = fit_spectra(counts, settled)
    off = fit.amounts - np.array([1.0, 3.0, 0.0, 0.0]) * 1500.0 * 0.35 / edges.max()
    mean = off.mean(axis=0) / fit.errors.mean(axis=0)
    # amounts themselves are held above zero, which moves absent ones by 0.4 standard errors and
    # those beside them, over seeds, by 0.3 to 0.6
    assert np.abs(mean[:2]).max() < 0.65
    assert (mean[2:] < 0.8).all()
    bound = fit_spectra(counts, design)
    far = (bound.amounts - fit.amounts).mean(axis=0) / bound.errors.mean(axis=0)
    assert far.max() > 0.5
    # the sum itself is the same either way
    again = fit_spectra(counts.sum(axis=0), settled)
    assert again.amounts == pytest.approx(total.amounts, rel=1e-3, abs=1e-3 * total.amounts.max())


def test_active_set_agrees_with_scipy_on_a_fit() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(1)
    design = design_matrix(["Ti", "O", "Mn"], AXIS, **MICROSCOPE)
    matrix = design.matrix / np.linalg.norm(design.matrix, axis=0)
    y = rng.poisson(100.0 * (AXIS.energies / 400.0) ** -3) * 1.0
    ours = non_negative_solutions((matrix.T @ matrix)[:, :, None], (matrix.T @ y)[:, None])[:, 0]
    theirs, _ = optimize.nnls(matrix, y)
    assert matrix @ ours == pytest.approx(matrix @ theirs, rel=1e-6)


def test_elements_share_one_amount_over_their_subshells() -> None:
    assert [e.subshell for e in fitted_edges("Ti", AXIS)] == ["L3", "L2", "L1"]
    design = design_matrix(["Ti"], AXIS, near_edge="none", **MICROSCOPE)
    column = design.matrix[:, design.amplitude[0]]
    assert not column[AXIS.energies < 455.0].any()
    jumps = [column[AXIS.index(e + 1)] / column[AXIS.index(e - 1.5)] for e in (461.5, 563.7)]
    assert all(jump > 1.03 for jump in jumps)
    assert design.columns_of("Ti").tolist() == [5]
    assert design.background.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("near_edge", ["none", "exclude", "free"])
@pytest.mark.parametrize("dose", [40.0, 4000.0])
def test_round_trip_with_pulls_of_unit_width(near_edge: str, dose: float) -> None:
    rng = np.random.default_rng(5)
    true = np.array([40.0, 120.0])
    truth = design_matrix(["Ti", "O"], AXIS, near_edge="none", **MICROSCOPE)
    edges = truth.matrix[:, truth.amplitude] @ true
    scale = dose / edges.max()
    clean = dose * (AXIS.energies / 400.0) ** -2.7 + scale * edges
    if near_edge != "none":  # the resolution of a record
        clean[1:-1] = np.convolve(clean, [0.25, 0.5, 0.25], mode="valid")
    counts = rng.poisson(clean, (200, AXIS.size))
    design = design_matrix(["Ti", "O"], AXIS, near_edge=near_edge, **MICROSCOPE)
    fit = fit_spectra(counts, design)
    pull = (fit.amounts - scale * true) / fit.errors
    assert fit.amounts.mean(axis=0) == pytest.approx(scale * true, rel=0.03)
    assert np.abs(pull.std(axis=0) - 1.0).max() < 0.15
    if near_edge != "free":  # triangles cannot follow an onset within a channel
        assert fit.reduced_chi2.mean() == pytest.approx(1.0, abs=0.03)
    assert (np.median(fit.likelihood_ratio, axis=0) > 100).all()


@pytest.mark.parametrize("thickness", [0.3, 0.9])
def test_areal_densities_are_absolute_with_a_low_loss(thickness: float) -> None:
    rng = np.random.default_rng(6)
    true = np.array([60.0, 150.0])
    spectrum = low_loss(thickness, total=3e8)
    response = Response.of_low_loss(spectrum, LOW_AXIS, 0.5, ratio=10.0)
    truth = design_matrix(["Ti", "O"], AXIS, response=response, near_edge="none", **MICROSCOPE)
    assert truth.absolute
    edges = truth.matrix[:, truth.amplitude] @ true
    counts = rng.poisson(edges + edges.max() * (AXIS.energies / 400.0) ** -3, (20, AXIS.size))
    for near_edge in ("none", "free"):
        design = design_matrix(
            ["Ti", "O"], AXIS, response=response, near_edge=near_edge, **MICROSCOPE
        )
        fit = fit_spectra(counts, design)
        assert fit.amounts.mean(axis=0) == pytest.approx(true, rel=0.03)
    # without the low loss, plural scattering is taken for something else
    naive = design_matrix(["Ti", "O"], AXIS, near_edge="none", **MICROSCOPE)
    assert fit_spectra(counts, naive).reduced_chi2.mean() > fit.reduced_chi2.mean()


def test_a_shift_moves_edges_and_nothing_else() -> None:
    shifts = np.array([0.0, 3.0, -2.5, 0.25])
    design = design_matrix(
        ["O"], AXIS, response=Response.of_shift(shifts, 0.5), near_edge="none", **MICROSCOPE
    )
    column = design.matrix[:, :, design.amplitude[0]]
    whole = design_matrix(["O"], AXIS.corrected(-3.0), near_edge="none", **MICROSCOPE)
    assert column[1] == pytest.approx(whole.matrix[:, whole.amplitude[0]], rel=1e-3, abs=1e-9)
    assert column.sum(axis=1) == pytest.approx(np.full(4, column[0].sum()), rel=0.02)
    assert (design.matrix[:, :, 0] == design.matrix[0, :, 0]).all()
    counts = np.random.default_rng(0).poisson(
        2000.0 * (column / column.max() + (AXIS.energies / 400.0) ** -3)
    )
    fit = fit_spectra(counts, design)
    assert np.abs(fit.amounts[:, 0] * column.max() / 2000.0 - 1.0).max() < 0.1


def test_zero_loss_peaks_are_found_and_centred() -> None:
    spectra = np.array([low_loss(0.5, shift) for shift in (0.0, 1.3, -0.8)])
    assert zero_loss_position(spectra, LOW_AXIS) == pytest.approx([0.0, 1.3, -0.8], abs=0.1)
    centred = Response.of_low_loss(spectra, LOW_AXIS, 0.5)
    drifted = Response.of_low_loss(spectra, LOW_AXIS, 0.5, shift_ev=[0.0, 1.5, -1.0])
    assert centred.kernel.sum(axis=1) == pytest.approx([1.0, 1.0, 1.0])
    assert np.argmax(centred.kernel, axis=1).tolist() == [centred.zero] * 3
    assert (np.argmax(drifted.kernel, axis=1) - drifted.zero).tolist() == [0, 3, -2]


def test_low_losses_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="too coarse to tell plasmons"):
        Response.of_low_loss(np.ones(300), EnergyAxis(-600.0, 6.0, 300), 0.3)
    with pytest.raises(ValueError, match="zero-loss peak"):
        Response.of_low_loss(low_loss(0.5), LOW_AXIS.corrected(100.0), 0.5)
    with pytest.raises(ValueError, match="no finite number"):
        Response.of_low_loss(np.full(300, np.nan), LOW_AXIS, 0.5)
    with pytest.raises(ValueError, match="sums to nothing"):
        Response.of_low_loss(np.zeros(300), LOW_AXIS, 0.5)
    with pytest.raises(ValueError, match="too far from 0"):
        Response.of_low_loss(low_loss(0.1, 90.0), LOW_AXIS, 0.5)


def test_nan_channels_are_left_out_of_each_spectrum() -> None:
    design = design_matrix(["O"], AXIS, near_edge="none", **MICROSCOPE)
    clean = design.matrix @ np.array([900.0, 0, 0, 500.0, 0, 3e8])
    counts = np.random.default_rng(2).poisson(clean, (3, AXIS.size)).astype(float)
    whole = fit_spectra(counts, design)
    counts[1, 100:140] = np.nan
    counts[2] = np.nan
    holed = fit_spectra(counts, design)
    assert abs(holed.amounts[0] - whole.amounts[0]) < 0.02 * whole.errors[0]
    assert abs(holed.amounts[1] - whole.amounts[1]) < 3.0 * whole.errors[1]
    assert holed.degrees[1] == whole.degrees[1] - 40
    assert holed.amounts[2, 0] == 0.0
    assert np.isnan(holed.reduced_chi2[2])
    assert np.isnan(holed.residuals()[1, 110])
    assert np.isfinite(holed.log_likelihood()).all()


def test_an_absent_element_has_an_error_and_no_likelihood() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(500.0 * (AXIS.energies / 400.0) ** -3, (200, AXIS.size))
    fit = fit_spectra(counts, design_matrix(["O"], AXIS, **MICROSCOPE))
    assert (fit.errors > 0).all()
    assert np.median(fit.likelihood_ratio) < 1.0
    assert np.quantile(fit.amounts / fit.errors, 0.95) < 2.5


def test_noise_is_estimated_from_repeated_spectra() -> None:
    rng = np.random.default_rng(4)
    design = design_matrix(["O"], AXIS, **MICROSCOPE)
    clean = 4000.0 * (AXIS.energies / 400.0) ** -3
    pattern = 1.0 + 0.05 * rng.normal(size=AXIS.size)
    electrons = rng.poisson(clean * pattern, (60, AXIS.size)).astype(float)
    counts = 3.0 * (
        0.25 * np.roll(electrons, 1, 1) + 0.5 * electrons + 0.25 * np.roll(electrons, -1, 1)
    )
    fit = fit_spectra(counts, design)
    noise = estimated_noise(fit.residuals(), fit.model())
    assert noise.gain == pytest.approx(3.0 * 0.375, rel=0.1)
    assert noise.gain * noise.correlation == pytest.approx(3.0, rel=0.15)
    again = fit_spectra(counts, design, gain=noise.gain, correlation=noise.correlation)
    scatter = again.coefficients[:, 0].std()
    assert scatter > 0
    single = estimated_noise(rng.normal(size=(1, 500)) * 10.0, np.full((1, 500), 50.0))
    assert single.gain == pytest.approx(2.0, rel=0.3)
    with pytest.raises(ValueError, match="no channel"):
        estimated_noise(np.full((2, 9), np.nan), np.ones((2, 9)))


def test_impossible_designs_and_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="N has no edge between"):
        design_matrix(["O", "N"], AXIS.corrected(60.0), **MICROSCOPE)
    with pytest.raises(ValueError, match="near_edge is 'some'"):
        design_matrix(["O"], AXIS, near_edge="some", **MICROSCOPE)
    with pytest.raises(ValueError, match="leaves nothing"):
        design_matrix(["O"], AXIS, window_ev=(10.0, 20.0), **MICROSCOPE)
    with pytest.raises(ValueError, match="no channel is left"):
        design_matrix(["O"], AXIS, window_ev=(530.0, 560.0), **MICROSCOPE)
    with pytest.raises(ValueError, match="must be positive"):
        design_matrix(["O"], AXIS, beam_energy_kev=200.0, alpha_mrad=1.0, beta_mrad=0.0)
    record = Spectra(low_loss(0.5), LOW_AXIS)
    with pytest.raises(ValueError, match="not both"):
        design_matrix(
            ["O"], AXIS, low_loss=record, response=Response(np.ones((1, 1)), 0), **MICROSCOPE
        )
    design = design_matrix(["O"], AXIS, low_loss=record, **MICROSCOPE)
    with pytest.raises(ValueError, match="complex128"):
        fit_spectra(np.ones(800, complex), design)
    with pytest.raises(ValueError, match="800 channels"):
        fit_spectra(np.ones(700), design)
    with pytest.raises(ValueError, match="gain 0"):
        fit_spectra(np.ones(800), design, gain=0.0)
    many = design_matrix(["O"], AXIS, response=Response.of_shift([0.0, 1.0], 0.5), **MICROSCOPE)
    with pytest.raises(ValueError, match="2 models for 1 spectra"):
        fit_spectra(np.ones(800), many)


def test_an_edge_cut_off_by_the_end_of_the_record_is_named() -> None:
    axis = EnergyAxis(400.0, 0.5, 300)
    for near_edge in ("exclude", "free"):
        design = design_matrix(["O", "N"], axis.corrected(-10.0), near_edge=near_edge, **MICROSCOPE)
        assert design.unfounded == ("O",)


@pytest.mark.real
@pytest.mark.parametrize(
    ("identifier", "elements", "truth", "within"),
    [
        ("em_BN_A3_r3_cal", ("B", "N"), 1.0, 0.04),
        ("em_TiO2_B3_r1", ("Ti", "O"), 0.5, 0.06),
        ("em_TiO2_B3_r2", ("Ti", "O"), 0.5, 0.06),
    ],
)
def test_round_robin_ratios_and_their_stated_errors(
    real_folder: Path, identifier: str, elements: tuple[str, str], truth: float, within: float
) -> None:
    rows = json.loads((real_folder / "manifest.json").read_text())
    row = next(r for r in rows if r["id"] == identifier)
    spectra, low = load(real_folder / row["file"]), load(real_folder / row["low_loss_file"])
    shift, stretch = row["axis_correction_a_b"]
    axis = spectra.axis.corrected(shift, stretch)
    low = Spectra(low.summed().counts, low.axis.corrected(0.0, stretch))
    design = design_matrix(
        elements,
        axis,
        low_loss=low,
        near_edge="free",
        beam_energy_kev=300.0,
        alpha_mrad=0.2,
        beta_mrad=4.12,
    )
    first = fit_spectra(spectra.counts, design)
    noise = estimated_noise(first.residuals(), first.model())
    fit = fit_spectra(spectra.counts, design, gain=noise.gain, correlation=noise.correlation)
    ratio = fit.amounts[:, 0] / fit.amounts[:, 1]
    gradient = np.stack([1.0 / fit.amounts[:, 1], -ratio / fit.amounts[:, 1]], axis=1)
    stated = np.sqrt(np.einsum("ni,nij,nj->n", gradient, fit.covariance, gradient))
    assert ratio.mean() == pytest.approx(truth, rel=within)
    assert 1 / 1.3 < stated.mean() / ratio.std() < 1.3


def test_channels_that_share_a_weight_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    design = design_matrix(["O", "Ti"], AXIS, near_edge="none", **MICROSCOPE)
    matrix = design.matrix[design.use]
    starts = group_starts(matrix)
    assert starts[0] == 0
    assert starts.size < matrix.shape[0] / 4
    for begin, end in zip(starts, [*starts[1:], matrix.shape[0]], strict=True):
        part = matrix[begin:end]
        seen = part.min(axis=0) > 1e-3 * matrix.max(axis=0)
        assert (part.max(axis=0) <= 1.11 * part.min(axis=0))[seen].all()
    heights = np.array([900.0, 0, 0, 500.0, 0, 300.0, 300.0])
    clean = design.matrix @ (heights / design.matrix.max(axis=0))
    counts = np.random.default_rng(5).poisson(clean, (40, AXIS.size))
    together = fit_spectra(counts, design)
    monkeypatch.setattr(solve, "_LEAST_SAVING", 10**6)
    single = fit_spectra(counts, design)
    assert (np.abs(together.amounts - single.amounts) < 0.15 * single.errors).all()
    assert together.errors == pytest.approx(single.errors, rel=0.01)
    assert together.chi2 == pytest.approx(single.chi2, rel=0.02)
    assert together.likelihood_ratio == pytest.approx(single.likelihood_ratio, rel=0.03, abs=0.3)


def test_atoms_are_fitted_exactly_with_near_edge_structure_free() -> None:
    """Triangles make up no step: the atom's own is among the columns."""
    axis = EnergyAxis(400.0, 0.75, 500)
    atom = design_matrix(["Ti", "O"], axis, near_edge="none", **MICROSCOPE)
    x = np.zeros(atom.matrix.shape[1])
    x[atom.amplitude] = 1.0, 3.0
    x[atom.background] = 3.0 * (atom.matrix @ x).max() / atom.background.size
    design = design_matrix(["Ti", "O"], axis, near_edge="free", **MICROSCOPE)
    scale = 1e9 / (atom.matrix @ x).max()
    clean = scale * (atom.matrix @ x)
    fit = fit_spectra(clean, design)
    assert fit.reduced_chi2[0] < 0.02
    assert fit.amounts[0] / scale == pytest.approx([1.0, 3.0], rel=1e-4)
    assert np.abs(mismatch_of(fit).scale) < 1e-4


def test_the_residual_tells_how_much_of_lifetime_tails_there_is() -> None:
    """Much with Lorentzian lines, little without; all that is possible where nothing tells."""
    axis = EnergyAxis(600.0, 0.75, 560)
    atom = design_matrix(["La"], axis, near_edge="none", background=1, **MICROSCOPE)
    lanthanum = atom.matrix[:, atom.amplitude[0]]
    energy, gamma = axis.energies, 0.5 * natural_width_ev("La", "M5")
    off = energy - 834.0
    lorentzian = gamma / np.pi / (off**2 + gamma**2)
    gaussian = np.exp(-0.5 * (off / 1.5) ** 2) / (1.5 * np.sqrt(2.0 * np.pi))
    design = design_matrix(["La"], axis, near_edge="free", **MICROSCOPE)
    errors = []
    for line, dose in ((lorentzian, 1e8), (gaussian, 1e8), (gaussian, 30.0)):
        edge = lanthanum + 50.0 * line * np.interp(880.0, energy, lanthanum)
        clean = dose * ((energy / 600.0) ** -3 + 0.5 * edge / lanthanum.max())
        fit = fit_spectra(np.random.default_rng(3).poisson(clean), design)
        errors.append(float(mismatch_of(fit).tails[0, 0]))
    with_tails, without, unknown = np.abs(errors)
    assert with_tails > 5.0 * without
    assert unknown > 5.0 * without


def test_tails_of_white_lines_count_as_errors_of_the_edge_before() -> None:
    """La M4,5 with lines of natural width, and no Ba."""
    axis = EnergyAxis(600.0, 0.75, 560)
    truth = design_matrix(["La"], axis, near_edge="none", background=1, **MICROSCOPE)
    lanthanum = truth.matrix[:, truth.amplitude[0]]
    energy = axis.energies
    gamma = 0.5 * natural_width_ev("La", "M5")
    lines = sum(
        area * (gamma / np.pi / ((energy[:, None] - e - spread) ** 2 + gamma**2)).mean(axis=1)
        for area, e in ((30.0, 834.0), (20.0, 851.0))
        for spread in [np.linspace(-1.2, 1.2, 41)]
    )
    edges = lanthanum + lines * np.interp(880.0, energy, lanthanum)
    clean = 1e8 * ((energy / 600.0) ** -3 + 0.5 * edges / lanthanum.max())
    design = design_matrix(["Ba", "La"], axis, near_edge="free", **MICROSCOPE)
    fit = fit_spectra(np.random.default_rng(3).poisson(clean), design)
    mismatch = mismatch_of(fit)
    barium = fit.amounts[0, 0]
    assert barium > 5.0 * fit.errors[0, 0]
    with_tails = mismatch.feigned(fit.amounts)[0, 0]
    without = replace(mismatch, tails=None).feigned(fit.amounts)[0, 0]
    assert with_tails > 1.5 * without
    assert barium < 2.0 * with_tails


def test_errors_of_the_model_follow_from_the_misfit() -> None:
    design = design_matrix(["O", "Ti"], AXIS, near_edge="exclude", **MICROSCOPE)
    heights = np.array([9e6, 0, 0, 5e6, 0, 3e6, 3e6])
    x = heights / design.matrix.max(axis=0)
    clean = design.matrix @ x
    rng = np.random.default_rng(7)
    right = mismatch_of(fit_spectra(rng.poisson(clean), design))
    assert right.scale < 0.01
    # extended structure behind O K that no atom has
    distance = np.maximum(AXIS.energies - 532.0, 0.0)
    wave = 1.0 + 0.3 * np.exp(-distance / 40.0) * np.cos(distance / 6.0)
    oxygen = design.matrix[:, design.amplitude[0]] * x[design.amplitude[0]]
    fit = fit_spectra(rng.poisson(clean + oxygen * (wave - 1.0)), design)
    wrong = mismatch_of(fit)
    assert 0.05 < wrong.scale < 0.6
    model = np.sqrt(np.diagonal(wrong.covariance(fit.amounts)[0]))
    off = np.abs(fit.amounts[0] - x[design.amplitude])
    assert (off > 3.0 * fit.errors[0]).any()
    assert (off < 3.0 * np.hypot(model, fit.errors[0])).all()
    # of titanium alone, oxygen's edge feigns nothing; titanium's share is what is left
    only = fit.amounts * np.array([1.0, 0.0])
    feigned = wrong.feigned(only)[0]
    assert feigned[0] == 0.0
    assert feigned[1] == pytest.approx(np.sqrt(wrong.covariance(only)[0, 1, 1]))
    assert not wrong.tails.any()  # no structure is fitted here
    assert (wrong.feigned(fit.amounts)[0] < model).all()
    twice = np.sqrt(np.diagonal(wrong.covariance(2.0 * fit.amounts)[0]))
    assert twice == pytest.approx(2.0 * model)
