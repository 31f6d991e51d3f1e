"""Our edge physics, and the simulator's, against published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from literature import (
    STEP_EV,
    above_shallower_shells,
    cxro,
    delayed_m45_fit,
    density,
    film,
    jump_of,
    line_strength,
    observed_resonances,
    onset,
    published_strengths,
    window,
    within,
)

from coreloss.atom.cross_section import angular_factor, dsigma_de
from coreloss.atom.delayed import DELAYED_M45
from coreloss.simulate.near_edge import GIANT_RESONANCES, WHITE_LINES
from coreloss.simulate.recipe import load_recipe


@pytest.mark.parametrize("symbol", ["B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si"])
def test_k_shells_have_the_published_strength(symbol: str) -> None:
    """First 100 and 200 eV of Egerton 1993 within 10 %; his uncertainty is 3 to 15 %."""
    known = published_strengths()[symbol, "K"]
    assert within(symbol, ("K",), 100) == pytest.approx(known.f100, rel=0.10)
    assert within(symbol, ("K",), 200) == pytest.approx(known.f200, rel=0.10)


@pytest.mark.parametrize("symbol", ["B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si"])
def test_k_shells_have_the_strength_of_the_tables_of_henke(symbol: str) -> None:
    """Whose edges of gases lie up to 12 eV above ours: each from its own edge on."""
    jump = jump_of(cxro(symbol))
    published = STEP_EV * above_shallower_shells(cxro(symbol), jump, window(jump, 200)).sum()
    assert within(symbol, ("K",), 200) == pytest.approx(published, rel=0.10)


@pytest.mark.parametrize("symbol", ["C", "N", "O"])
def test_the_atoms_line_must_not_be_added_to_k_edges(symbol: str) -> None:
    """The continuum begins at the solid's onset, some 7 eV below the atom's: where the atom
    has its 1s→2p line. Both together would be a fifth too strong."""
    line = line_strength(symbol, ("K",), "2p")
    assert within(symbol, ("K",), 100) + line > 1.15 * published_strengths()[symbol, "K"].f100


@pytest.mark.parametrize(("symbol", "first"), [("Ce", 876.0), ("Eu", 1124.0), ("Er", 1396.0)])
def test_films_and_egerton_agree_on_white_lines(symbol: str, first: float) -> None:
    """Two independent sources, so that either may judge the theory."""
    seen = STEP_EV * above_shallower_shells(film(symbol, "M4,5"), first, window(first, 100), 0.12)
    known = published_strengths()[symbol, "M4,5"]
    assert seen[:200].sum() == pytest.approx(known.f50, rel=0.10)
    assert seen.sum() == pytest.approx(known.f100, rel=0.10)


@pytest.mark.parametrize(
    ("symbol", "error"), [("Ce", 0.10), ("Eu", 0.20), ("Er", 0.25), ("Cr", 0.10)]
)
def test_the_continuum_is_that_of_films(symbol: str, error: float) -> None:
    """Absolute, 40 to 60 eV above the second onset."""
    shells = ("L2", "L3") if symbol == "Cr" else ("M4", "M5")
    data = cxro("Cr") if symbol == "Cr" else film(symbol, "M4,5")
    energies = max(onset(symbol, s) for s in shells) + np.linspace(40.0, 60.0, 41)
    begin = min(onset(symbol, s) for s in shells) - 8.0
    seen = above_shallower_shells(data, begin, energies, 0.12).mean()
    assert density(symbol, shells, energies).mean() == pytest.approx(seen, rel=error)


@pytest.mark.parametrize("symbol", ["La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Dy", "Er"])
def test_the_simulator_draws_the_measured_white_lines(symbol: str) -> None:
    """3d→4f: published strength less our continuum lies in the simulator's range; the atom's
    lines are at least twice as strong."""
    pair = ("M4", "M5")
    second = onset(symbol, "M4")
    base = density(symbol, pair, second + np.linspace(30.0, 60.0, 31)).mean()
    known = published_strengths()[symbol, "M4,5"]
    measured = (known.f50 - within(symbol, pair, 50)) / base
    low, high = WHITE_LINES[symbol, "M45"].area_ev
    assert low < measured < high
    assert line_strength(symbol, pair, "4f") / base > 2.0 * measured


@pytest.mark.parametrize("symbol", ["Zr", "Mo", "Ag", "Au"])
def test_delayed_maxima_are_those_of_dirac_slater_theory(symbol: str) -> None:
    """Scofield's and Kissel's maxima, within 10 eV; and what differs is where the atom's
    continuum begins: theirs at the orbital's energy, ours at the onset of solids."""
    xraylib = pytest.importorskip("xraylib")
    z = xraylib.SymbolToAtomicNumber(symbol)
    edge = 1e3 * xraylib.EdgeEnergy(z, xraylib.M5_SHELL)
    excess = np.arange(20.0, 200.0)
    theirs = [xraylib.CSb_Photo_Partial(z, xraylib.M5_SHELL, 1e-3 * (edge + e)) for e in excess]
    ours = density(symbol, ("M5",), onset(symbol, "M5") + excess)
    later = excess[np.argmax(theirs)] - excess[np.argmax(ours)]
    assert 3.0 <= later <= 10.0


@pytest.mark.parametrize(("symbol", "span"), [("Sr", 136), ("Zr", 150), ("Mo", 163), ("Ag", 200)])
def test_delayed_maxima_of_solids_come_later_than_the_tables(symbol: str, span: int) -> None:
    """dσ/dE, 200 keV, 10 mrad: by 5 to 35 eV; the table is an atom's, unrelaxed, with its
    continuum at the solid's onset. The simulator's stretches must reach the solid's."""
    first = onset(symbol, "M5")
    energies = first + np.arange(1.0, span)
    beam = {"beam_energy_kev": 200.0, "alpha_mrad": 0.0, "beta_mrad": 10.0}
    ours = energies[np.argmax(dsigma_de(symbol, "M5", energies, **beam))]
    factor = angular_factor(energies, 200.0, 1e-3, 10.0)
    solid = energies[np.argmax(above_shallower_shells(cxro(symbol), first, energies) * factor)]
    assert 5.0 <= solid - ours <= 35.0
    stretch = (solid - first) / (ours - first) / DELAYED_M45[symbol][0]
    assert abs(np.log(stretch)) < 2.0 * load_recipe("default").delayed_spread


@pytest.mark.parametrize("symbol", ["Y", "Zr", "Mo", "Ag", "Cd", "Sn"])
def test_the_simulators_delayed_edges_are_those_of_absorption(symbol: str) -> None:
    """Stretch and strength of the whole edge, not of its maximum alone."""
    fit = delayed_m45_fit(symbol)
    stretch, strength = DELAYED_M45[symbol]
    assert stretch == pytest.approx(fit.stretch, abs=0.12)
    assert strength == pytest.approx(fit.strength, abs=0.05)
    assert fit.rms < 0.85 * fit.rms_before


@pytest.mark.parametrize("row", observed_resonances(), ids=lambda row: row["symbol"])
def test_giant_resonances_are_where_they_are_observed(row: dict[str, str]) -> None:
    """Within 3 eV of the observed maximum, or between two."""
    place = GIANT_RESONANCES[row["symbol"], row["edge"].replace(",", "")][0]
    away = max(float(row["first_ev"]) - place, place - float(row["last_ev"]))
    assert away <= 3.0


def test_films_are_read_in_physical_units() -> None:
    """Ce at 1 keV, all shells: df/dE of f₂ = 27, as Henke's tables have it within a fifth."""
    energies, values = film("Ce", "M4,5")
    f2 = np.pi / 2 * 1000.0 * np.interp(1000.0, energies, values)
    assert 25.0 < f2 < 38.0
    with pytest.raises(ValueError, match="no film of Fe"):
        film("Fe", "K")
    with pytest.raises(ValueError, match="no part of Pt"):
        cxro("Pt")
    with pytest.raises(ValueError, match="no data to fit"):
        above_shallower_shells(film("Sr", "M4,5"), 100.0, [120.0])
