"""Shells below the edge table: what they add to records, and what they must not change."""

from __future__ import annotations

import numpy as np
import pytest
from literature import cxro

from coreloss.edges import ELEMENTS
from coreloss.simulate.gos import simulate
from coreloss.simulate.library import edge_library
from coreloss.simulate.near_edge import BELLS, GIANT_RESONANCES
from coreloss.simulate.recipe import load_recipe
from coreloss.simulate.sample import simulate_sample
from coreloss.simulate.shallow import bell, shallow_density
from coreloss.simulate.shapes import shape_variants


def whole(symbol: str) -> np.ndarray:
    """df/dE of all that is drawn of an element, by electronvolt."""
    library, index = edge_library(), ELEMENTS.index(symbol)
    groups = slice(library.first[index], library.last[index])
    return np.asarray(library.shape[groups].sum(axis=0) + library.shallow[index], dtype=float)


@pytest.mark.parametrize("symbol", ["Yb", "Lu", "Hf", "Ta", "W"])
def test_the_4f_continuum_is_flat_and_dominates_at_n45(symbol: str) -> None:
    """Without it N4,5 stood alone on what falls to a tenth from 80 to 200 eV."""
    total = whole(symbol)
    assert total[200] / total[100] == pytest.approx(1.0, abs=0.2)
    library = edge_library()
    n45 = library.labels.index(f"{symbol} N45")
    place = int(library.second_ev[n45]) + 60
    assert library.shape[n45, place] < 0.25 * total[place]


@pytest.mark.parametrize(
    ("symbol", "strength"),
    # from 100 to 300 eV, after f₂ of Henke, Gullikson & Davis
    [("Yb", 12.4), ("Lu", 11.1), ("Hf", 11.3), ("Ta", 11.5), ("W", 10.4), ("Ge", 9.9)],
)
def test_strength_from_100_to_300_ev_is_photo_absorptions(symbol: str, strength: float) -> None:
    assert whole(symbol)[100:300].sum() == pytest.approx(strength, rel=0.1)


@pytest.mark.parametrize("symbol", "Ti Fe Cu Zn Ga Ge Yb Lu Hf Ta W Hg Tl Pb Bi".split())
def test_the_whole_recorded_shape_is_photo_absorptions(symbol: str) -> None:
    """Means over 24 eV: within half everywhere, within 15 % in the middle."""
    energies, published = cxro(symbol)
    first, last = int(max(energies[0] + 1, 45)), int(energies[-1])
    at = np.arange(first, last, dtype=float)
    seen = np.interp(at, energies, published)
    ours = whole(symbol)[first:last]
    count = at.size // 24
    ratio = np.log(ours[: 24 * count].reshape(count, 24).mean(axis=1)) - np.log(
        seen[: 24 * count].reshape(count, 24).mean(axis=1)
    )
    assert np.abs(ratio - np.median(ratio)).max() < np.log(1.5)
    assert np.median(np.abs(ratio)) < 0.15


@pytest.mark.parametrize(
    ("symbol", "first", "last", "strength"),
    # 4d and 5d: the maximum, and the strength between 45 and 130 eV after f₂
    [
        ("Cd", 40, 85, 9.3),
        ("In", 55, 85, 12.7),
        ("Sn", 60, 85, 13.5),
        ("Pb", 48, 66, 14.0),
        ("Bi", 56, 76, 15.6),
    ],
)
def test_full_d_shells_are_humps(symbol: str, first: int, last: int, strength: float) -> None:
    total = whole(symbol)
    assert first <= 45 + int(np.argmax(total[45:130])) <= last
    assert total[45:130].sum() == pytest.approx(strength, rel=0.15)
    assert total[160] < 0.15 * total[45:130].max()


@pytest.mark.parametrize("symbol", ["Cu", "Zn", "Ga", "Ge"])
def test_the_3d_continuum_is_flat_to_130_ev(symbol: str) -> None:
    """Egerton's and Henke's: M2,3 of these elements is a step of a tenth on it."""
    total = whole(symbol)
    assert total[70:131].max() < 1.7 * total[70:131].min()
    assert total[80] > 3 * (total[80] - shallow_density(symbol, np.array([80.0]))[0])


@pytest.mark.parametrize(
    ("symbol", "maximum"),
    # f₂ of films (Cr, Nb, Mo) and of compilations [eV]
    [
        ("Ti", 46.0),
        ("V", 49.0),
        ("Cr", 52.0),
        ("Fe", 57.5),
        ("Zr", 38.0),
        ("Nb", 41.0),
        ("Mo", 47.5),
        ("Hf", 45.0),
        ("Ta", 47.0),
        ("W", 49.0),
    ],
)
def test_p_to_d_resonances_lie_above_their_onsets(symbol: str, maximum: float) -> None:
    total = whole(symbol)
    assert 36 + int(np.argmax(total[36:80])) == pytest.approx(maximum, abs=3.0)


def test_bells_have_unit_area_and_their_width() -> None:
    energies = np.arange(0.0, 2000.0, 0.05)
    for below in (0.28, 0.5, 0.7):
        profile = bell(energies, 800.0, 40.0, below)
        assert profile.sum() * 0.05 == pytest.approx(1.0, abs=1e-3)
        inside = energies[profile >= 0.5 * profile.max()]
        assert inside[-1] - inside[0] == pytest.approx(40.0, abs=0.2)
    assert set(BELLS) <= set(GIANT_RESONANCES)


def test_delayed_maxima_leave_the_far_continuum_alone() -> None:
    """A stretch that never ends had a third too much strength from 1,300 eV on."""
    measured, atom = edge_library(), edge_library(measured=False)
    for symbol in ("Zr", "Mo", "Ag", "Sn"):
        own = measured.shape[measured.labels.index(f"{symbol} M45")]
        bare = atom.shape[atom.labels.index(f"{symbol} M45")]
        assert own[2900] == pytest.approx(bare[2900], rel=0.1)


def test_only_recipes_with_measured_shapes_of_all_edges_have_them() -> None:
    assert edge_library().shallow.any()
    for options in ((True, True), (False, False), (True, False)):
        assert not edge_library(*options).shallow.any()
    recipe = load_recipe("annys2023")
    library = edge_library(True, recipe.measured_shapes)
    assert shape_variants(np.random.default_rng(0), recipe, library).shallow.size == 0


def test_they_are_recorded_but_no_sign_of_the_element() -> None:
    """Cu from 160 to 900 eV has no edge; its 3d continuum is there all the same."""
    batch = simulate_sample({"Cu": 1.0}, start_ev=160.0, end_ev=900.0, n=4, seed=1)
    assert not batch.present.any()
    assert not batch.snr.any()
    humps = []
    for symbol in ("Sn", "Al"):
        made = simulate_sample(
            {symbol: 1.0, "N": 0.2}, start_ev=50.0, end_ev=460.0, jump_ratio=3.0, n=6, seed=2
        )
        counts = np.asarray(made.counts)
        humps.append(np.median(counts[:, 25:50].sum(axis=1) / counts[:, 130:155].sum(axis=1)))
    assert humps[0] > 3 * humps[1]


def test_the_same_seed_gives_the_same_spectra() -> None:
    recipe = load_recipe("default")
    one, two = simulate(recipe, 8, 5), simulate(recipe, 8, 5)
    np.testing.assert_array_equal(one.counts, two.counts)
