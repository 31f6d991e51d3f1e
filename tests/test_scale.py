"""What does not change when counts are given in another unit, as detectors with a gain do."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spectrum_images import AXIS, LOW_AXIS, MICROSCOPE, image_counts, low_loss_counts

from coreloss.energy import Spectra
from coreloss.fit import apparent_gain, design_matrix, fit_spectra, mismatch_of
from coreloss.maps import Quantification, element_maps, quantify

SCALES = st.floats(-9.0, 9.0).map(lambda power: 10.0**power)


def counts_of(kind: str) -> np.ndarray:
    counts = image_counts().astype(float)[:3, :4]
    if kind == "one spectrum":
        return counts.sum(axis=(0, 1))
    if kind == "faulty":
        counts[0, 0] = 0.0
        counts[1, 1, :40] = counts[2, 2, 100] = np.nan
        # the detector ends below what the brightest pixel has
        counts[0, 1] *= 4.0
        counts = np.minimum(counts, 0.7 * np.nanmax(counts))
    return counts


@lru_cache(maxsize=16)
def quantified(kind: str, scale: float) -> Quantification:
    low = Spectra(low_loss_counts(), LOW_AXIS) if kind == "low loss" else None
    return quantify(Spectra(scale * counts_of(kind), AXIS), ["O", "Ti"], low_loss=low, **MICROSCOPE)


@pytest.mark.parametrize("kind", ["image", "one spectrum", "faulty", "low loss"])
@settings(max_examples=5, deadline=None)
@given(scale=SCALES)
def test_a_quantification_whose_noise_is_estimated(kind: str, scale: float) -> None:
    one, other = quantified(kind, 1.0), quantified(kind, scale)
    assert other.elements == one.elements
    assert other.notes == one.notes
    assert np.array_equal(other.state, one.state)
    for name in (
        "atomic_percent", "atomic_percent_errors", "atomic_percent_model_errors",
        "likelihood_ratio", "residual", "reduced_chi2",
    ):  # fmt: skip
        np.testing.assert_allclose(
            getattr(other, name), getattr(one, name), rtol=2e-4, atol=2e-4, err_msg=name
        )
    np.testing.assert_allclose(other.amounts, scale * one.amounts, rtol=2e-4)
    np.testing.assert_allclose(other.errors, scale * one.errors, rtol=2e-4)
    assert other.noise.gain == pytest.approx(scale * one.noise.gain, rel=1e-5)
    assert other.noise.correlation == pytest.approx(one.noise.correlation, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_elements_found_and_their_amounts(step_bundle: Path, scale: float) -> None:
    one, other = (
        quantify(Spectra(s * image_counts().astype(float), AXIS), model=step_bundle, **MICROSCOPE)
        for s in (1.0, scale)
    )
    assert other.elements == one.elements
    assert list(other.not_quantified) == list(one.not_quantified)
    np.testing.assert_allclose(other.atomic_percent, one.atomic_percent, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_maps(step_bundle: Path, scale: float) -> None:
    one, other = (
        element_maps(Spectra(s * counts_of("faulty"), AXIS), model=step_bundle, clusters=2)
        for s in (1.0, scale)
    )
    assert other.elements == one.elements
    assert np.array_equal(other.state, one.state)
    assert {0, 1, 2} == set(one.state.ravel().tolist())
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=2e-3)


@settings(max_examples=20, deadline=None)
@given(scale=SCALES, noise=st.sampled_from([0.0, 3.0]), gaps=st.booleans())
def test_a_fit_with_its_gain_given(scale: float, noise: float, gaps: bool) -> None:
    """Poisson weights are for electrons: the gain has to be told in the counts' own unit."""
    counts = image_counts().astype(float)[0, :3]
    counts[2] = 0.0
    if gaps:
        counts[1, 50:60] = np.nan
    design = design_matrix(["O", "Ti"], AXIS, near_edge="free", **MICROSCOPE)
    one = fit_spectra(counts, design, gain=2.0, read_noise=noise)
    other = fit_spectra(scale * counts, design, gain=2.0 * scale, read_noise=noise * scale)
    np.testing.assert_allclose(other.amounts, scale * one.amounts, rtol=1e-5)
    np.testing.assert_allclose(other.errors[:2], scale * one.errors[:2], rtol=1e-5)
    for name in ("chi2", "likelihood_ratio", "degrees"):
        first, second = getattr(one, name)[:2], getattr(other, name)[:2]
        np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(other.log_likelihood()[:2], one.log_likelihood()[:2], rtol=1e-4)
    share = [
        mismatch_of(fit_spectra(s * counts[0], design, gain=2.0 * s)).scale for s in (1.0, scale)
    ]
    assert share[1] == pytest.approx(share[0], rel=1e-4)


@settings(max_examples=10, deadline=None)
@given(scale=SCALES)
def test_the_apparent_gain_is_counts_per_electron(scale: float) -> None:
    rng = np.random.default_rng(2)
    electrons = rng.poisson(200.0 * (AXIS.energies / AXIS.offset) ** -2.0, (4, AXIS.size))
    assert apparent_gain(scale * electrons) == pytest.approx(scale, rel=0.25)
    smooth = np.ones((2, AXIS.size))
    assert 0.0 < apparent_gain(scale * smooth) <= 1e-8 * scale
    assert apparent_gain(np.zeros((2, AXIS.size))) == 1.0
