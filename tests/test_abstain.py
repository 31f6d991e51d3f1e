"""Records of which nothing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import coreloss
from coreloss.energy import EnergyAxis
from coreloss.identification.abstain import reason_to_abstain, surely_judged
from coreloss.identification.gain_steps import gain_steps, without_gain_steps


def undone(counts: np.ndarray, axis: EnergyAxis) -> tuple[np.ndarray, str]:
    """One record without its step of gain, and the note."""
    out, notes = without_gain_steps(counts[None], axis)
    return out[0], notes.get(0, "")


def _record(axis: EnergyAxis, seed: int = 0) -> np.ndarray:
    """A power law with a step at 532 eV, Poisson noise."""
    energy = axis.energies
    clean = 4e5 * (energy / 430.0) ** -3 * (1.0 + 0.3 * (energy > 532))
    return np.random.default_rng(seed).poisson(clean).astype(float)


def test_ordinary_records_are_judged() -> None:
    for axis in (EnergyAxis(430.0, 1.0, 300), EnergyAxis(60.0, 0.5, 4000)):
        counts = _record(axis)
        assert reason_to_abstain(counts, axis) == ""
        assert reason_to_abstain(counts * 1e-5, axis) == ""
        assert reason_to_abstain(counts - 0.9 * counts.min(), axis) == ""


def test_batches_are_looked_at_as_their_records_are() -> None:
    axis = EnergyAxis(430.0, 1.0, 300)
    plain, rng = _record(axis), np.random.default_rng(4)
    full, faint = np.minimum(plain, np.median(plain)), rng.poisson(0.05, 300).astype(float)
    gap, endless = plain.copy(), plain.copy()
    gap[:5], endless[-1] = np.nan, np.inf
    assert surely_judged(np.stack([plain, full, faint, gap, endless]), axis).tolist() == [
        True,
        *4 * [False],
    ]
    assert reason_to_abstain(full, axis)
    assert reason_to_abstain(faint, axis)
    # where the axis itself gives rise to questions each record is asked
    assert not surely_judged(plain[None], EnergyAxis(-20.0, 1.0, 300)).any()
    assert not surely_judged(plain[None], EnergyAxis(400.0, 10.0, 300)).any()


def test_zero_loss_peak_and_low_losses() -> None:
    axis = EnergyAxis(-20.0, 0.1, 1200)
    energy = axis.energies
    counts = 1e6 * np.exp(-0.5 * (energy / 0.6) ** 2) + 2e4 * np.exp(-(((energy - 22) / 6) ** 2))
    counts = np.random.default_rng(1).poisson(counts + 5.0)
    assert "low-loss" in reason_to_abstain(counts, axis)


def test_rows_of_pictures_and_x_ray_spectra() -> None:
    rng = np.random.default_rng(2)
    row = 120 + 40 * np.sin(np.arange(512) / 30.0) + rng.normal(0, 3, 512)
    assert "no zero-loss peak" in reason_to_abstain(row, EnergyAxis(0.0, 1.0, 512))
    energy = np.arange(2048) * 10.0
    lines = sum(h * np.exp(-0.5 * ((energy - e) / 50) ** 2) for e, h in ((525, 900), (6400, 4000)))
    x_rays = rng.poisson(20 + lines)
    assert "X-ray" in reason_to_abstain(x_rays, EnergyAxis(0.0, 10.0, 2048))
    part = slice(20, 300)
    peaks = sum(
        h * np.exp(-0.5 * ((energy - e) / 45) ** 2)
        for e, h in ((525, 900), (1041, 700), (1487, 900), (2013, 800))
    )
    cut = rng.poisson(8 + peaks)[part]
    assert "X-ray" in reason_to_abstain(cut, EnergyAxis(200.0, 10.0, cut.size))


def test_saturated_and_noisy() -> None:
    axis = EnergyAxis(430.0, 1.0, 300)
    counts = _record(axis)
    assert "saturated" in reason_to_abstain(np.minimum(counts, 2e5), axis)
    noise = np.random.default_rng(3).poisson(0.02, 300).astype(float)
    assert "too noisy" in reason_to_abstain(noise, axis)


def test_an_abstention_replaces_the_elements(step_bundle: Path, oxygen) -> None:
    energy, counts = oxygen
    clipped = np.minimum(counts, np.quantile(counts, 0.5))
    result = coreloss.identify(clipped, energy, model=step_bundle)
    assert "saturated" in result.abstained
    assert result.found == ()
    assert set(result.probabilities.values()) == {0.0}
    assert result.table().startswith("  no answer: ")
    assert result.to_dict()["abstained"] == result.abstained
    assert result.explain().startswith("  no answer: ")
    fine = coreloss.identify(counts, energy, model=step_bundle)
    assert fine.abstained == ""
    with pytest.raises(ValueError, match="evidence=True"):
        fine.explain()


def test_a_step_of_gain_is_undone_and_an_edge_is_not() -> None:
    axis = EnergyAxis(430.0, 1.0, 300)
    smooth = 4e5 * (axis.energies / 430.0) ** -3
    rng = np.random.default_rng(4)
    plain = rng.poisson(smooth).astype(float)
    joined = plain.copy()
    joined[120:] *= 0.8
    ((row, place, ratio),) = gain_steps(joined[None], axis)
    assert row == 0
    assert place == 120
    assert ratio == pytest.approx(0.8, rel=0.01)
    level, note = undone(joined, axis)
    assert level == pytest.approx(plain, rel=0.01)
    assert "549.5 eV" in note
    # up, a very sharp edge cannot be excluded
    up, note = undone(np.where(np.arange(300) < 120, plain, 1.25 * plain), axis)
    assert up[-1] == 1.25 * plain[-1]
    assert "a very sharp edge, or" in note
    # an edge rises over a few channels and falls off otherwise than the background
    rise = 1.0 / (1.0 + np.exp(-(axis.energies - 532.0) / 0.8))
    edge = rng.poisson(smooth * (1.0 + 0.3 * rise * (axis.energies / 532.0) ** -2))
    for counts in (plain, edge):
        assert not list(gain_steps(counts[None], axis))
        assert undone(counts, axis)[1] == ""


def test_a_step_of_gain_is_told(step_bundle: Path) -> None:
    axis = EnergyAxis(430.0, 1.0, 300)
    counts = np.random.default_rng(4).poisson(4e5 * (axis.energies / 430.0) ** -3).astype(float)
    counts[120:] *= 0.8
    result = coreloss.identify(counts, axis, model=step_bundle)
    assert any("step of gain" in note for note in result.notes)


def test_real_records_are_all_judged(real_folder: Path) -> None:
    import json

    for entry in json.loads((real_folder / "manifest.json").read_text(encoding="utf-8")):
        spectra = coreloss.load(real_folder / entry["file"]).summed()
        good = np.isfinite(spectra.counts)
        counts = np.interp(np.arange(good.size), np.flatnonzero(good), spectra.counts[good])
        assert reason_to_abstain(counts, spectra.axis) == "", entry["id"]
        assert not list(gain_steps(counts[None], spectra.axis)), entry["id"]


def test_steps_of_gain_are_found_in_a_batch_as_one_by_one() -> None:
    axis = EnergyAxis(400.0, 0.5, 330)  # no whole number of stretches of 60
    rng = np.random.default_rng(8)
    plain = rng.poisson(1e6 * (axis.energies / 400.0) ** -3.0, size=(7, axis.size)).astype(float)
    plain[1, 150:] *= 0.8
    plain[2, 150:] *= 1.3
    plain[3, 40] = np.nan
    plain[4, 200] = -5.0
    plain[5] = 0.0
    together, notes = without_gain_steps(plain, axis)
    assert sorted(notes) == [1, 2]
    assert "undone" in notes[1]
    assert "rise" in notes[2]
    for row, record in enumerate(plain):
        alone, told = without_gain_steps(record[None], axis)
        np.testing.assert_array_equal(alone[0], together[row])
        assert told.get(0) == notes.get(row)
    np.testing.assert_array_equal(np.delete(together, 1, axis=0), np.delete(plain, 1, axis=0))
