"""Sums of spectra that were not recorded over the same range."""

from __future__ import annotations

import numpy as np
import pytest
from spectrum_images import AXIS, MICROSCOPE, image_counts

from coreloss.energy import Spectra, filled, total_of
from coreloss.maps import element_maps, quantify


def test_gaps_take_the_shape_of_the_others_and_the_strength_of_their_own() -> None:
    shape = (np.arange(50) + 20.0) ** -1.5
    whole = np.outer([1.0, 4.0, 9.0], shape)
    counts = whole.copy()
    counts[1, :20] = np.nan
    counts[2, 30:] = np.nan
    assert filled(counts) == pytest.approx(whole, rel=1e-3)
    assert total_of(counts) == pytest.approx(whole.sum(axis=0), rel=1e-3)


def test_what_nobody_recorded_stays_unknown() -> None:
    counts = np.ones((3, 10))
    counts[:, :2] = np.nan
    counts[1] = np.nan
    assert filled(counts) is counts
    total = total_of(counts)
    assert np.isnan(total[:2]).all()
    assert (total[2:] == 2.0).all()
    assert filled(counts[1:2], like=counts[:1]) is not None
    assert np.isnan(filled(counts)[1]).all()


def test_a_sum_of_spectra_cut_in_part_has_no_step() -> None:
    counts = image_counts(dose=4e4)
    whole = Spectra(counts, AXIS).summed().counts
    cut = counts.copy()
    cut[:3, :, :100] = np.nan
    summed = Spectra(cut, AXIS).summed()
    assert summed.counts == pytest.approx(whole, rel=0.01)
    assert summed.notes == ("sum of 96 spectra",)


def test_maps_and_amounts_of_an_image_cut_in_part() -> None:
    counts = image_counts()
    whole = quantify(Spectra(counts, AXIS, MICROSCOPE), ["O", "Ti"]).total
    cut = counts.copy()
    cut[:3, :, :20] = np.nan
    cut[5, 3, 200] = np.nan
    image = Spectra(cut, AXIS, MICROSCOPE)
    found = quantify(image, ["O", "Ti"])
    for symbol in ("O", "Ti"):
        assert found.total[symbol]["atomic_percent"] == pytest.approx(
            whole[symbol]["atomic_percent"], abs=0.6
        )
    # means are of all pixels at every energy
    mean = found.spectrum["counts"]
    assert mean == pytest.approx(counts.mean(axis=(0, 1)), rel=0.05)
    # O K without any structure is hard to tell behind Ti
    maps = element_maps(image, clusters=2, threshold=0.3)
    assert set(maps.elements) == {"O", "Ti"}
    assert maps.total.counts == pytest.approx(counts.sum(axis=(0, 1)), rel=0.02)
