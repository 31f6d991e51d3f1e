"""Records of a sample of one's own choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from coreloss.edges import ELEMENTS, edges_of
from coreloss.simulate.batch import SimulatedBatch
from coreloss.simulate.draws import draw
from coreloss.simulate.gos import records
from coreloss.simulate.library import MARGIN, N_GRID, edge_library
from coreloss.simulate.recipe import SimulationRecipe, load_recipe

__all__ = ["simulate_sample"]


def simulate_sample(
    composition: Mapping[str, float],
    *,
    start_ev: float,
    end_ev: float,
    dispersion_ev: float = 1.0,
    counts: float = 1e5,
    jump_ratio: float = 0.5,
    thickness: float = 0.4,
    background_exponent: float = 3.0,
    beam_energy_kev: float = 200.0,
    alpha_mrad: float = 10.0,
    beta_mrad: float = 20.0,
    shift_ev: float = 0.0,
    n: int = 1,
    seed: int = 0,
    recipe: SimulationRecipe | None = None,
) -> SimulatedBatch:
    """Simulate n records of one sample; what is not given is drawn as the recipe says.

    Parameters
    ----------
    composition : mapping of str to float
        Relative numbers of atoms, ``{"Sr": 1, "Ti": 1, "O": 3}``; at most six elements.
    start_ev, end_ev : float [eV]
    dispersion_ev : float [eV/channel], at least 1
        Finer records are what the simulator's 1 eV channels would be binned to.
    counts : float
        In the highest channel.
    jump_ratio : float
        Of the first element's first major edge in the window, before near-edge structure.
    thickness : float
        t/λ.
    background_exponent : float
    beam_energy_kev, alpha_mrad, beta_mrad : float [keV], [mrad]
    shift_ev : float [eV]
        The axis reads this much too low.
    n, seed : int
    recipe : SimulationRecipe, optional
        The recipe ``default`` without it.

    Raises
    ------
    ValueError
        For elements that are not in the list, or a window the simulator has not.
    """
    plan = replace(
        recipe or load_recipe("default"),
        subtracted_fraction=0.0,
        unlisted_fraction=0.0,
        empty_fraction=0.0,
    )
    library = edge_library(plan.edges == "major", plan.measured_shapes)
    symbols = [edges_of(symbol)[0].symbol for symbol in composition]
    if len(symbols) > plan.max_elements:
        raise ValueError(f"{len(symbols)} elements given; the simulator takes {plan.max_elements}")
    if not 40.0 <= start_ev < end_ev <= N_GRID - MARGIN:
        raise ValueError(
            f"window {start_ev:g} to {end_ev:g} eV; it must lie within 40 to {N_GRID - MARGIN} eV"
        )
    if dispersion_ev < 1.0:
        raise ValueError(f"dispersion is {dispersion_ev} eV/channel; the simulator takes 1 or more")
    rng = np.random.default_rng(seed)
    drawn = draw(rng, n, plan, library)
    elements = np.full((n, plan.max_elements), -1)
    amounts = np.zeros((n, plan.max_elements))
    for slot, (symbol, amount) in enumerate(zip(symbols, composition.values(), strict=True)):
        elements[:, slot] = ELEMENTS.index(symbol)
        amounts[:, slot] = amount
    onset, index = library.onset_ev, library.element
    inside = (onset > start_ev + 4.0) & (onset < end_ev - 6.0)
    reference = -1
    for symbol in symbols:
        mine = np.nonzero(inside & (index == ELEMENTS.index(symbol)))[0]
        if mine.size:
            reference = int(mine[np.argmax(library.major[mine])])
            break

    def every(value: float) -> np.ndarray:
        return np.full(n, float(value))

    chosen = replace(
        drawn,
        elements=elements,
        amounts=amounts,
        start_ev=every(start_ev),
        end_ev=every(end_ev),
        dispersion_ev=every(dispersion_ev),
        shift_ev=every(shift_ev),
        stretch=every(1.0),
        counts=every(counts),
        jump_ratio=every(jump_ratio),
        reference=np.full(n, reference),
        thickness=every(thickness),
        exponent=every(background_exponent),
        curvature=every(0.0),
        beam_energy_kev=every(beam_energy_kev),
        alpha_mrad=every(alpha_mrad),
        beta_mrad=every(beta_mrad),
    )
    return records(plan, chosen, rng)
