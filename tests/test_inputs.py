"""What networks see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreloss.networks.inputs import (
    ANNYS_GRID,
    CHANNELS,
    DEFAULT_GRID,
    Grid,
    features,
    network_input,
    rebin,
)


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
    x = network_input(counts, offset, dispersion, size, DEFAULT_GRID)
    mask = x[0, CHANNELS.index("mask")]
    assert 190 < mask.sum() < 205
    assert np.isfinite(x).all()


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(1e-6, 1e6))
def test_scale_of_the_counts_does_not_matter(factor: float) -> None:
    rng = np.random.default_rng(0)
    counts, *axis = record(200.0, 0.7, 800, lambda e: rng.poisson(1e7 * e**-2.0).astype(float))
    one = network_input(counts, *axis, DEFAULT_GRID)
    many = network_input(counts * factor, *axis, DEFAULT_GRID)
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


def test_negative_and_zero_counts_are_taken() -> None:
    x = network_input(*record(100.0, 1.0, 500, lambda e: np.sin(e / 9.0) * (e > 200)), DEFAULT_GRID)
    assert np.isfinite(x).all()
    assert np.abs(x).max() < 10


def test_torch_and_numpy_agree() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    counts, *axis = record(150.0, 0.9, 700, lambda e: rng.poisson(1e8 * e**-2.5).astype(float))
    ours = network_input(counts, *axis, DEFAULT_GRID)
    theirs = network_input(*(torch.as_tensor(a) for a in (counts, *axis)), DEFAULT_GRID)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_masked_channels_are_zero() -> None:
    values, mask = rebin(*record(500.0, 1.0, 100), DEFAULT_GRID)
    x = features(values, mask, DEFAULT_GRID)
    assert not x[:, :, mask[0] == 0].any()


def test_impossible_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Grid(0.0, 0.0, 600.0, 100)
