"""Cosmic rays in single spectra of an image."""

from __future__ import annotations

import numpy as np
import pytest
from spectrum_images import AXIS, MICROSCOPE, image_counts

from coreloss.energy import Spectra
from coreloss.maps import element_maps, quantify
from coreloss.maps.channels import settled_channels, without_cosmic_rays

NONE = np.zeros(AXIS.size, dtype=bool)


def _struck(every: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """An image, and the same with a cosmic ray in every so many spectra."""
    counts = image_counts()
    struck = counts.reshape(-1, AXIS.size).copy()
    rows = np.arange(0, struck.shape[0], every)
    places = np.random.default_rng(1).permutation(np.arange(20, 340))[: rows.size]
    struck[rows, places] += 80_000.0
    return counts, struck.reshape(counts.shape)


def test_cosmic_rays_spoil_no_composition() -> None:
    counts, struck = _struck()
    clean = quantify(Spectra(counts, AXIS, MICROSCOPE), ["O", "Ti"])
    found = quantify(Spectra(struck, AXIS, MICROSCOPE), ["O", "Ti"])
    assert found.noise.gain == pytest.approx(clean.noise.gain, rel=0.02)
    assert found.noise.correlation < 1.5
    assert np.abs(found.atomic_percent - clean.atomic_percent).max() < 0.5
    assert "cosmic rays: single channels bridged in 24 of 96 spectra" in found.notes
    assert not any("left out" in note for note in found.notes)
    assert not any("cosmic" in note for note in clean.notes)


def test_maps_of_struck_spectra_are_those_of_clean_ones() -> None:
    counts, struck = _struck()
    clean = element_maps(Spectra(counts, AXIS), clusters=0)
    found = element_maps(Spectra(struck, AXIS), clusters=0)
    assert set(found.elements) == set(clean.elements)
    assert "cosmic rays: single channels bridged in 24 of 96 spectra" in found.notes
    assert found.total.counts == pytest.approx(clean.total.counts, rel=0.02)


def test_hot_channels_and_gaps_are_left_as_they_are() -> None:
    counts = image_counts().reshape(-1, AXIS.size)
    counts[:, 150] *= 20.0
    same, spared = settled_channels(counts, AXIS)
    assert same is counts
    assert np.flatnonzero(spared).tolist() == [150]
    assert settled_channels(counts[:1], AXIS)[1].all()
    counts[2, 220] *= 20.0
    counts[2, :30] = np.nan
    counts[:, -10:] = np.nan
    mended, number = without_cosmic_rays(counts, AXIS, spared)
    assert number == 1
    assert (np.isfinite(mended) == np.isfinite(counts)).all()
    changed = np.argwhere(np.nan_to_num(mended) != np.nan_to_num(counts))
    assert changed.tolist() == [[2, 220]]
    assert without_cosmic_rays(counts, AXIS, ~NONE)[0] is counts
