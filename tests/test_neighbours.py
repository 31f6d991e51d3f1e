"""Elements that single spectra seem to show, asked of the spectra beside them and of mixtures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from spectrum_images import AXIS, image_counts

from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit import design_matrix
from coreloss.maps import element_maps
from coreloss.maps.mixtures import gain_over_mixtures, is_mixture
from coreloss.maps.neighbours import beside, unshared_step
from coreloss.maps.support import Support

WIDE = EnergyAxis(650.0, 1.0, 300)
MICROSCOPE = {"beam_energy_kev": 300.0, "alpha_mrad": 20.0, "beta_mrad": 30.0}


def test_neighbours_are_counted_and_not_the_pixel_itself() -> None:
    found = np.zeros((2, 4, 5), dtype=bool)
    found[0, 1, 1:4] = True
    near = beside(found)
    assert near[0, 1].tolist() == [1, 1, 2, 1, 1]
    assert near[0, 0].tolist() == [0, 1, 1, 1, 0]
    assert near[1].sum() == 0
    far = beside(found, 2)
    assert far[0, 1].tolist() == [1, 1, 0, 1, 1]
    assert far[0, 3].tolist() == [0, 1, 1, 1, 0]
    assert beside(found[:, 0, 0]).sum() == 0


def test_data_without_a_positive_mean_tell_no_noise() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(100.0, (12, 40)) - 1000.0
    assert unshared_step(counts, (3, 4), np.ones(12, dtype=bool)) == 1


def test_selected_noise_shows_in_the_own_sum_and_not_beside() -> None:
    """Pixels chosen for a high count in some channels: the choice is gone in their neighbours."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(100.0, (60, 50, 20)).astype(float)
    found = counts[..., :4].sum(axis=-1) > 440.0
    own = counts[found]
    weight = beside(found[None])[0].astype(float) ** 2
    near = np.einsum("yx,yxe->e", weight, counts) / weight.sum()
    assert own[:, :4].mean() / own[:, 4:].mean() > 1.1
    error = 0.1 * np.sqrt((weight**2).sum()) / weight.sum() / np.sqrt(4.0)
    assert near[:4].mean() / near[4:].mean() == pytest.approx(1.0, abs=4.0 * error)


@pytest.mark.parametrize("gain", [1.0, 0.01, 350.0])
def test_noise_of_pixels_is_their_own_whatever_a_count_is(gain: float) -> None:
    counts = gain * image_counts((20, 30), seed=5)
    usable = np.ones(600, dtype=bool)
    usable[7:40] = False
    assert unshared_step(counts.reshape(600, -1), (20, 30), usable) == 1
    # resampled along energy alone, it still is
    smooth = 0.5 * (counts[..., 1:] + counts[..., :-1])
    assert unshared_step(smooth.reshape(600, -1), (20, 30), usable) == 1
    # a fixed pattern of the detector is in all, and no noise
    pattern = 1.0 + 0.2 * np.random.default_rng(1).standard_normal(AXIS.size)
    assert unshared_step((counts * pattern).reshape(600, -1), (20, 30), usable) == 1


def test_images_on_another_grid_share_noise_with_their_neighbours() -> None:
    counts = image_counts((20, 30), seed=6)
    usable = np.ones(600, dtype=bool)
    between = 0.5 * (counts + np.roll(counts, 1, axis=1))
    assert unshared_step(between.reshape(600, -1), (20, 30), usable) == 2
    finer = np.repeat(np.repeat(counts[:10, :15], 2, axis=0), 2, axis=1)
    assert unshared_step(finer.reshape(600, -1), (20, 30), usable) == 2
    # nowhere its own: going far gains nothing
    one = image_counts((1, 1), seed=7) * np.ones((20, 30, 1))
    one = one * np.linspace(1.0, 2.0, 30)[:, None] + counts * 1e-3
    assert unshared_step(one.reshape(600, -1), (20, 30), usable) == 1


def phases() -> dict[str, np.ndarray]:
    """Expected counts of oxides with edges above 650 eV, white lines included."""
    design = design_matrix(["Ba", "Co", "La"], WIDE, near_edge="none", **MICROSCOPE)
    edges = dict(zip(design.elements, design.matrix[:, design.amplitude].T, strict=True))
    energies = WIDE.energies
    for symbol, places in (("Ba", (783.0, 798.0)), ("Co", (780.0, 795.0)), ("La", (834.0, 851.0))):
        for place, share in zip(places, (1.0, 0.7), strict=True):
            line = np.exp(-0.5 * ((energies - place) / 1.5) ** 2)
            edges[symbol] = edges[symbol] + 3.0 * share * edges[symbol].max() * line
    background = (energies / 650.0) ** -3
    out = {s: background + 0.1 * e / np.median(e[200:]) for s, e in edges.items()}
    return out | {"none": background}


def test_a_mixture_of_other_phases_needs_no_further_element() -> None:
    clean, rng = phases(), np.random.default_rng(2)
    others = [1e6 * clean[s] for s in ("Ba", "La", "none")]
    others = [rng.poisson(other) for other in others]
    mixed = 0.15 * clean["Ba"] + 0.5 * clean["La"] + 0.35 * clean["none"]
    for seed in range(5):
        counts = np.random.default_rng(seed).poisson(3e5 * mixed)
        assert gain_over_mixtures("Co", counts, others, WIDE) < 14.2
    # thicker, so that the background falls otherwise
    bent = mixed + 0.3 * (WIDE.energies / 650.0) ** -2
    assert gain_over_mixtures("Co", rng.poisson(3e5 * bent), others, WIDE) < 14.2


@pytest.mark.parametrize("barium", [0.0, 0.5, 1.0])
def test_cobalt_beside_barium_is_more_than_a_mixture(barium: float) -> None:
    clean, rng = phases(), np.random.default_rng(3)
    others = [rng.poisson(1e6 * clean[s]) for s in ("Ba", "La", "none")]
    mixed = barium * clean["Ba"] + (1.0 - barium) * clean["none"]
    counts = rng.poisson(3e4 * (mixed + 0.3 * (clean["Co"] - clean["none"])))
    assert gain_over_mixtures("Co", counts, others, WIDE) > 14.2
    # the same in whatever unit
    scaled = gain_over_mixtures("Co", 0.02 * counts, [5.0 * other for other in others], WIDE)
    assert scaled == pytest.approx(gain_over_mixtures("Co", counts, others, WIDE), rel=0.05)


def said(counts: np.ndarray, network: dict[str, float]) -> Any:
    """As much of what is known of a sum as `is_mixture` asks for."""
    supports = {s: Support(p, p, 100.0, p >= 0.5) for s, p in network.items()}
    return SimpleNamespace(
        support=lambda s: supports.get(s, Support()),
        result=SimpleNamespace(
            counts=counts,
            axis=WIDE,
            gaps=[],
            threshold=0.5,
            judged=frozenset(("Ba", "Co", "La")),
        ),
    )


def test_only_what_a_rival_may_feign_is_asked_of_mixtures() -> None:
    clean, rng = phases(), np.random.default_rng(4)
    ba, la, none = (rng.poisson(1e6 * clean[s]).astype(float) for s in ("Ba", "La", "none"))
    mixed = rng.poisson(2e5 * (0.2 * clean["Ba"] + 0.8 * clean["none"])).astype(float)
    mixed[3] = np.nan
    asked = said(mixed, {"Ba": 0.6, "Co": 0.7})
    barium = said(ba, {"Ba": 0.99, "Co": 0.01})
    assert is_mixture("Co", asked, [barium, said(none, {})])
    # no pure phase of a rival is at hand: a dilute element stays
    assert not is_mixture("Co", asked, [said(la, {"La": 0.99}), said(none, {})])
    assert not is_mixture("Co", asked, [replace_co(barium), said(none, {})])
    assert not is_mixture("Co", said(rng.poisson(2e5 * clean["Co"]) * 1.0, {"Co": 0.9}), [barium])


def replace_co(proof: Any) -> Any:
    """The same where cobalt is as likely."""
    return said(proof.result.counts, {"Ba": 0.99, "Co": 0.45})


@pytest.mark.parametrize("unit", [1.0, 0.003])
def test_a_real_phase_of_few_pixels_stays_found_beside_them(step_bundle: Path, unit: float) -> None:
    """Iron in 2.5 % of the pixels, by pixels alone: no clusters, and too little for the sum."""
    counts = image_counts((20, 30), seed=4)
    rng = np.random.default_rng(9)
    counts[2:5, 20:25] += rng.poisson(1500.0, (3, 5, 1)) * (AXIS.energies > 709.0)
    maps = element_maps(Spectra(unit * counts, AXIS), model=step_bundle, clusters=0)
    row = next(r for r in maps.candidates if r["symbol"] == "Fe")
    assert row["kept"]
    assert row["found_in"] == ["pixels"]
    assert maps.present[2:5, 20:25, maps.elements.index("Fe")].all()
