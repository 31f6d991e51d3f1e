"""What networks see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreloss.grid import ANNYS_GRID, DEFAULT_GRID, Grid, rebin
from coreloss.networks.inputs import CHANNELS, PLAIN, WITH_STEPS, features, network_input, plain


def record(offset: float, dispersion: float, size: int, function=None):
    energy = offset + dispersion * np.arange(size)
    counts = (function or (lambda e: 1e6 * e**-2.0))(energy)
    return counts[None, :], np.array([offset]), np.array([dispersion]), np.array([size])


def test_default_grid_covers_the_core_losses() -> None:
    bounds = DEFAULT_GRID.boundaries
    assert bounds[0] == 40.0
    assert bounds[-1] > 3300
    assert np.diff(bounds).min() == pytest.approx(1.0)
    assert Grid.from_dict(DEFAULT_GRID.to_dict()) == DEFAULT_GRID
    assert Grid.from_dict(ANNYS_GRID.to_dict()) == ANNYS_GRID
    np.testing.assert_allclose(ANNYS_GRID.energies, np.arange(3072))


@settings(max_examples=40, deadline=None)
@given(
    offset=st.floats(60, 1500),
    dispersion=st.floats(0.05, 8.0),
    size=st.integers(60, 1500),
)
def test_rebinning_keeps_a_straight_line(offset: float, dispersion: float, size: int) -> None:
    line = lambda e: 100.0 + 0.3 * e  # noqa: E731
    values, mask = rebin(*record(offset, dispersion, size, line), DEFAULT_GRID)
    bounds = DEFAULT_GRID.boundaries
    start, end = offset - 0.5 * dispersion, offset + (size - 0.5) * dispersion
    half = 0.5 * np.maximum(np.diff(bounds), dispersion)
    centre = DEFAULT_GRID.energies
    whole = (centre - half > start + 1e-6) & (centre + half < end - 1e-6)
    # channels that straddle recorded ones weight them whole, so not exactly linear
    np.testing.assert_allclose(values[0][whole], line(centre)[whole], rtol=2e-3)
    assert (mask[0][whole] == 1).all()
    assert not mask[0][(centre + half < start) | (centre - half > end)].any()


def test_recording_channels_are_unmistakable_from_no_counts() -> None:
    counts, offset, dispersion, size = record(300.0, 1.0, 200, lambda e: np.zeros_like(e))
    x = network_input(counts, offset, dispersion, size, DEFAULT_GRID, WITH_STEPS)
    mask = x[0, CHANNELS.index("mask")]
    assert 190 < mask.sum() < 205
    assert np.isfinite(x).all()


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(1e-6, 1e6))
def test_scale_of_the_counts_does_not_matter(factor: float) -> None:
    rng = np.random.default_rng(0)
    counts, *axis = record(200.0, 0.7, 800, lambda e: rng.poisson(1e7 * e**-2.0).astype(float))
    one = network_input(counts, *axis, DEFAULT_GRID, WITH_STEPS)
    many = network_input(counts * factor, *axis, DEFAULT_GRID, WITH_STEPS)
    np.testing.assert_allclose(one, many, rtol=1e-4, atol=1e-5)


def test_step_stands_out_of_noise_by_its_significance() -> None:
    rng = np.random.default_rng(1)

    def step(e):
        return rng.poisson(1e4 * (1 + 0.2 * (e > 532))).astype(float)

    x = network_input(*record(400.0, 1.0, 300, step), DEFAULT_GRID)
    channel = x[0, CHANNELS.index("step significance")]
    at = DEFAULT_GRID.energies[np.argmax(channel)]
    assert at == pytest.approx(532, abs=3)
    assert np.sinh(3 * channel.max()) > 15


@pytest.mark.parametrize("scale", [8, 24, 72])
def test_faint_step_on_a_steep_background_shows_with_its_significance(scale: int) -> None:
    """Step over its standard error. Of a step of ± 1 over n channels on either side, a straight
    line leaves 2 n - 3 n (n + 1) / (2 n + 1) of the sum of squares."""
    rng = np.random.default_rng(4)
    height = 0.006

    def step(e):
        return rng.poisson(1e6 * (e / 450) ** -3.0 * (1 + height * (e > 520))).astype(float)

    index = WITH_STEPS.index(f"step within {scale} channels")
    seen = []
    for _ in range(40):
        x = network_input(*record(350.5, 1.0, 230, step), DEFAULT_GRID, WITH_STEPS)[0, index]
        seen.append(np.sinh(3 * x[480]))
        assert not x[:310].any()
        assert not x[541:].any()
        if scale == 72:
            assert DEFAULT_GRID.energies[np.argmax(x)] == pytest.approx(520, abs=8)
    sigma = 1.0 / np.sqrt(1e6 * (520 / 450) ** -3.0) + 2e-4  # the least that counts as scatter
    left = 2 * scale - 3 * scale * (scale + 1) / (2 * scale + 1)
    assert np.mean(seen) == pytest.approx(0.5 * height / sigma * np.sqrt(left), rel=0.2)


def test_step_channels_are_quiet_on_a_power_law() -> None:
    rng = np.random.default_rng(5)
    counts, *axis = record(100.5, 1.0, 400, lambda e: rng.poisson(1e9 * e**-2.5).astype(float))
    x = network_input(counts, *axis, DEFAULT_GRID, WITH_STEPS)[0, 5:, 60:460]
    assert np.std(np.sinh(3 * x)) == pytest.approx(1.0, abs=0.25)


def test_negative_and_zero_counts_are_taken() -> None:
    given = record(100.0, 1.0, 500, lambda e: np.sin(e / 9.0) * (e > 200))
    x = network_input(*given, DEFAULT_GRID, WITH_STEPS)
    assert np.isfinite(x).all()
    assert np.abs(x).max() < 10


def test_torch_and_numpy_agree() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    counts, *axis = record(150.0, 0.9, 700, lambda e: rng.poisson(1e8 * e**-2.5).astype(float))
    ours = network_input(counts, *axis, DEFAULT_GRID, WITH_STEPS)
    theirs = network_input(*(torch.as_tensor(a) for a in (counts, *axis)), DEFAULT_GRID, WITH_STEPS)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [CHANNELS, WITH_STEPS, PLAIN])
@pytest.mark.parametrize("grid", [DEFAULT_GRID, ANNYS_GRID, Grid(100.0, 1.0, 50.0, 40)])
@pytest.mark.parametrize("start", [-300.0, 5.0, 38.0, 400.0, 3300.0, 9000.0])
def test_what_no_record_reaches_is_left_out_without_a_difference(
    start: float, grid: Grid, channels: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(200.0, (3, 150)).astype(float)
    axis = np.array([start, start + 11.3, start]), np.array([0.7, 2.0, 8.0]), np.array([150, 90, 9])
    values, mask = rebin(counts, *axis, grid)
    if channels == PLAIN:
        whole = plain(values, mask, grid)
    else:
        whole = features(values, mask, grid, steps=channels == WITH_STEPS)
    np.testing.assert_allclose(
        network_input(counts, *axis, grid, channels), whole, rtol=1e-6, atol=1e-7
    )
    part = grid.part(7, 30)
    assert (part.boundaries == grid.boundaries[7:31]).all()


def test_masked_channels_are_zero() -> None:
    values, mask = rebin(*record(500.0, 1.0, 100), DEFAULT_GRID)
    x = features(values, mask, DEFAULT_GRID, steps=True)
    assert not x[:, :, mask[0] == 0].any()


def test_impossible_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Grid(0.0, 0.0, 600.0, 100)
