"""Ranges of energy that nothing was recorded of: no edge is seen there, and none is missed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from spectrum_images import AXIS, MICROSCOPE, image_counts

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis, Spectra
from coreloss.identification.evidence import gather
from coreloss.identification.physics import binned
from coreloss.identification.positions import found_edges
from coreloss.identification.result import mended
from coreloss.maps import element_maps, quantify
from coreloss.simulate import simulate_sample

ALL = frozenset(ELEMENTS)


@pytest.fixture(scope="module")
def rutile() -> tuple[np.ndarray, EnergyAxis]:
    batch = simulate_sample({"Ti": 1, "O": 2}, start_ev=380.0, end_ev=680.0, counts=3e6)
    axis = EnergyAxis(float(batch.offset[0]), float(batch.dispersion[0]), int(batch.size[0]))
    return np.asarray(batch.counts[0], dtype=float), axis


def without(counts: np.ndarray, axis: EnergyAxis, start: float, end: float) -> np.ndarray:
    inside = (axis.energies >= start) & (axis.energies <= end)
    return np.where(inside, np.nan, counts)


def test_dead_channels_are_bridged_and_gaps_are_not(rutile) -> None:
    counts, axis = rutile
    gap = without(counts, axis, 520.0, 545.0)
    gap[10] = np.nan
    whole = mended(gap, axis)
    assert np.isfinite(whole[10])
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(gap) & (np.arange(gap.size) != 10))
    np.testing.assert_array_equal(mended(counts, axis), counts)


def test_bins_in_a_gap_weigh_nothing(rutile) -> None:
    counts, axis = rutile
    gap = mended(without(counts, axis, 520.0, 545.0), axis)
    full, cut = binned(counts, axis), binned(gap, axis)
    dark = (cut.energies > 520.0) & (cut.energies < 545.0)
    assert cut.weight[dark].max() < 1e-3 * cut.weight[~dark].min()
    assert np.median(cut.noise[~dark] / full.noise[~dark]) == pytest.approx(1.0, rel=0.25)


def test_no_edge_is_found_in_a_gap_nor_a_step_at_its_ends(rutile) -> None:
    counts, axis = rutile
    assert {e.symbol for e in found_edges(counts, axis, ["Ti", "O"])} == {"Ti", "O"}
    gap = mended(without(counts, axis, 520.0, 545.0), axis)
    assert {e.symbol for e in found_edges(gap, axis, ["Ti", "O"])} == {"Ti"}
    network = dict.fromkeys(ELEMENTS, 0.0) | {"Ti": 0.99}
    # O K above it lifts the record, and no step tells where
    assert gather(counts, axis, network, ALL - {"O"}, 0.5).strongest_rest[1] > 5.0
    energy, size = gather(gap, axis, network, ALL - {"O"}, 0.5).strongest_rest
    assert size < 5.0 or not 505.0 < energy < 560.0


def test_spectra_that_end_before_an_edge_have_no_composition() -> None:
    counts = image_counts().astype(float)
    rest = np.delete(counts, 1, axis=0)
    counts[1, :, AXIS.energies > 515.0] = np.nan  # O K is at 532 eV

    def quantified(values: np.ndarray):
        return quantify(Spectra(values, AXIS, metadata=MICROSCOPE), ["Ti", "O"], threads=1)

    whole, cut = quantified(rest), quantified(counts)
    percent = cut.atomic_percent
    assert np.isnan(percent[1]).all()
    assert np.isnan(cut.amounts[1, :, 1]).all()
    assert np.isfinite(cut.amounts[1, :, 0]).all()
    assert np.isfinite(np.delete(percent, 1, axis=0)).all()
    assert cut.total["O"]["atomic_percent"] == pytest.approx(
        whole.total["O"]["atomic_percent"], abs=1.0
    )
    assert any("not recorded at an edge of each element" in note for note in cut.notes)
    assert not any("not recorded at an edge" in note for note in whole.notes)


def test_maps_tell_of_gaps(step_bundle: Path) -> None:
    counts = image_counts()
    counts[..., 150:180] = np.nan
    maps = element_maps(Spectra(counts, AXIS), model=step_bundle, clusters=1)
    start, end = AXIS.energies[[150, 180]]
    assert f"nothing was recorded from {start:.0f} to {end:.0f} eV" in " ".join(maps.notes)


def test_kept_maps_are_of_the_same_data(step_bundle: Path, tmp_path: Path) -> None:
    counts = image_counts()
    one = element_maps(
        Spectra(counts, AXIS), model=step_bundle, clusters=1, work_folder=tmp_path / "w"
    )
    again = element_maps(
        Spectra(counts, AXIS), model=step_bundle, clusters=1, work_folder=tmp_path / "w"
    )
    assert one.elements == again.elements
    with pytest.raises(ValueError, match="holds an unfinished run of another file"):
        element_maps(
            Spectra(counts[::-1], AXIS), model=step_bundle, clusters=1, work_folder=tmp_path / "w"
        )
