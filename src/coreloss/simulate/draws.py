"""Everything random about a batch but its noise: compositions, windows, microscope, edges."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from coreloss.simulate.chemistry import draw_compositions, oxidation_shifts_ev
from coreloss.simulate.library import N_GRID, EdgeLibrary
from coreloss.simulate.recipe import SimulationRecipe

__all__ = ["Draws", "draw"]

# windows of which a framed record takes the one that shows the most
_FRAMES = 3

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass
class Draws:
    """Parameters of n spectra; arrays are (n,) unless said otherwise.

    Attributes
    ----------
    elements, amounts : (n, n_slots)
    chemical_shift_ev : (n, n_slots), whole electronvolts, of all edges of an element
    start_ev, end_ev : true energies of the record's ends
    dispersion_ev : [eV/channel], at least 1
    shift_ev, stretch : the axis reads E_recorded = (E_true - shift_ev) / stretch
    """

    elements: Ints
    amounts: Floats
    chemical_shift_ev: Ints
    beam_energy_kev: Floats
    alpha_mrad: Floats
    beta_mrad: Floats
    start_ev: Floats
    end_ev: Floats
    dispersion_ev: Floats
    shift_ev: Floats
    stretch: Floats
    zero_loss_fwhm_ev: Floats
    thickness: Floats
    tail_hwhm_ev: Floats
    exponent: Floats
    curvature: Floats
    jump_ratio: Floats
    reference: Ints
    subtracted: Bools
    counts: Floats
    amplitude: Floats

    def take(self, rows: Ints) -> Draws:
        """The parameters of some of the spectra."""
        return Draws(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def _log_uniform(rng: np.random.Generator, low: float, high: float, n: int) -> Floats:
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def _groups_in(
    library: EdgeLibrary, elements: Ints, low: Floats, high: Floats, *, major: bool
) -> tuple[Ints, Ints, Ints]:
    """(spectrum, slot, group) of every shell group with its onset between low and high."""
    rows, slots = np.nonzero(elements >= 0)
    index = elements[rows, slots]
    number = library.last[index] - library.first[index]
    rows, slots, begin = (np.repeat(a, number) for a in (rows, slots, library.first[index]))
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    groups = begin + within
    onset = library.onset_ev[groups]
    keep = (onset >= low[rows]) & (onset <= high[rows])
    if major:
        keep &= library.major[groups]
    return rows[keep], slots[keep], groups[keep]


def _one_each(rng: np.random.Generator, rows: Ints, values: Ints, n: int) -> Ints:
    """For each of n spectra one of its values at random; -1 where it has none."""
    chosen = np.full(n, -1)
    order = rng.permutation(rows.size)
    chosen[rows[order]] = values[order]
    return chosen


def draw(rng: np.random.Generator, n: int, recipe: SimulationRecipe, library: EdgeLibrary) -> Draws:
    """Parameters of n spectra."""
    elements, amounts = draw_compositions(
        rng,
        n,
        recipe.max_elements,
        kind=recipe.composition,
        uniform_fraction=recipe.uniform_fraction,
        left_out=recipe.elements_left_out,
    )
    empty = rng.uniform(size=n) < recipe.empty_fraction
    elements[empty] = -1
    amounts[empty] = 0.0

    if recipe.integer_shifts:  # drawn for each edge by itself, with its near-edge structure
        chemical = np.zeros(elements.shape, dtype=int)
    else:
        own = rng.normal(0.0, recipe.chemical_shift_ev, elements.shape)
        chemical = np.rint(own + oxidation_shifts_ev(rng, elements)).astype(int)

    framed = rng.uniform(size=n) < recipe.framed_fraction
    if recipe.window == "edges":
        start, end = _window_of_edges(rng, recipe, library, elements, amounts)
    else:
        start, end = _free_window(rng, recipe, library, elements, framed)

    dispersion = _log_uniform(rng, *recipe.dispersion_ev, n)
    wide = rng.uniform(size=n) < recipe.wide_fraction
    dispersion = np.where(wide, _log_uniform(rng, *recipe.wide_dispersion_ev, n), dispersion)
    # below 1 eV/channel the network's grid bins anyway; coarse records are also long ones
    dispersion = np.clip(dispersion, 1.0, np.maximum((end - start) / 48.0, 1.0))

    if recipe.integer_shifts:
        limit = int(recipe.instrumental_shift_ev)
        shift = rng.integers(-limit, limit, size=n, endpoint=True).astype(float)
    else:
        shift = rng.normal(0.0, recipe.instrumental_shift_ev, n)
    far = rng.uniform(size=n) < recipe.wide_shift_fraction
    shift = np.where(far, rng.uniform(-recipe.wide_shift_ev, recipe.wide_shift_ev, n), shift)
    stretched = rng.uniform(size=n) < recipe.stretch_fraction
    stretch = np.where(stretched, 1.0 + rng.uniform(-recipe.stretch, recipe.stretch, n), 1.0)

    rows, _, groups = _groups_in(library, elements, start + 4.0, end - 6.0, major=True)
    all_rows, _, all_groups = _groups_in(library, elements, start + 4.0, end - 6.0, major=False)
    reference = _one_each(rng, rows, groups, n)
    minor = _one_each(rng, all_rows, all_groups, n)
    reference = np.where(reference < 0, minor, reference)

    jump = (
        _log_uniform(rng, *recipe.jump_ratio, n)
        if recipe.jump_ratio_log
        else rng.uniform(*recipe.jump_ratio, n)
    )
    jump = np.where(framed, _log_uniform(rng, *recipe.framed_jump_ratio, n), jump)
    log_counts = rng.uniform(*recipe.log_counts, n)
    log_counts = np.where(framed, rng.uniform(*recipe.framed_log_counts, n), log_counts)
    thickness = rng.uniform(*recipe.thickness, n)
    if recipe.thick_fraction > 0:
        thick = rng.uniform(size=n) < recipe.thick_fraction
        thickness = np.where(thick, rng.uniform(*recipe.thick, n), thickness)
    amplitude = (
        rng.choice(np.array(recipe.background_amplitude), size=n)
        if recipe.background_amplitude
        else np.zeros(n)
    )
    return Draws(
        elements=elements,
        amounts=amounts,
        chemical_shift_ev=chemical,
        beam_energy_kev=rng.choice(np.array(recipe.beam_energy_kev), size=n),
        alpha_mrad=rng.uniform(*recipe.alpha_mrad, n),
        beta_mrad=rng.uniform(*recipe.beta_mrad, n),
        start_ev=start,
        end_ev=end,
        dispersion_ev=dispersion,
        shift_ev=shift,
        stretch=stretch,
        zero_loss_fwhm_ev=rng.uniform(*recipe.zero_loss_fwhm_ev, n),
        thickness=thickness,
        tail_hwhm_ev=rng.uniform(*recipe.tail_hwhm_ev, n),
        exponent=rng.uniform(*recipe.background_exponent, n),
        curvature=rng.uniform(-recipe.background_curvature, recipe.background_curvature, n),
        jump_ratio=jump,
        reference=reference,
        subtracted=rng.uniform(size=n) < recipe.subtracted_fraction,
        counts=10.0**log_counts,
        amplitude=amplitude,
    )


def _window_of_edges(
    rng: np.random.Generator,
    recipe: SimulationRecipe,
    library: EdgeLibrary,
    elements: Ints,
    amounts: Floats,
) -> tuple[Floats, Floats]:
    """Annys et al.: start in lowest … first edge - 10 eV, end in last edge + 25 … highest."""
    n = elements.shape[0]
    low, high = recipe.start_ev[0], recipe.end_ev[1]
    limits = np.full(n, low + 10.0), np.full(n, high - 25.0)
    rows, slots, groups = _groups_in(library, elements, *limits, major=True)
    # an element without an edge in the full range has no place in the sample
    seen = np.zeros(elements.shape, dtype=bool)
    seen[rows, slots] = True
    elements[~seen] = -1
    amounts[~seen] = 0.0
    first, last = np.full(n, high - 25.0), np.full(n, low + 10.0)
    np.minimum.at(first, rows, library.onset_ev[groups])
    np.maximum.at(last, rows, library.onset_ev[groups])
    # channels are centred on whole electronvolts
    start = np.floor(rng.uniform(low, np.maximum(first - 10.0, low))) - 0.5
    end = np.ceil(rng.uniform(np.minimum(last + 25.0, high), high)) + 0.5
    # a sample without an edge in range leaves both ends free
    start = np.minimum(start, high - 100.5)
    end = np.maximum(end, start + 100.0)
    return start, np.minimum(end, N_GRID - 130.0)


def _free_window(
    rng: np.random.Generator,
    recipe: SimulationRecipe,
    library: EdgeLibrary,
    elements: Ints,
    framed: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Windows of log-uniform length, most of them around an edge of the sample.

    Of ``framed`` records all are, and of several such windows they have the one that shows the
    most elements.
    """
    n = elements.shape[0]
    limits = np.full(n, recipe.start_ev[0] + 12.0), np.full(n, recipe.end_ev[1] - 20.0)
    rows, slots, groups = _groups_in(library, elements, *limits, major=True)
    onset = library.onset_ev[groups]
    all_rows, _, all_groups = _groups_in(library, elements, *limits, major=False)
    minor = ~library.major[all_groups]

    def window() -> tuple[Floats, Floats]:
        length = _log_uniform(rng, *recipe.length_ev, n)
        start = _log_uniform(rng, *recipe.start_ev, n)
        anchor = _one_each(rng, rows, groups, n)
        other = _one_each(rng, all_rows[minor], all_groups[minor], n)
        at_minor = (other >= 0) & (rng.uniform(size=n) < recipe.minor_fraction)
        anchor = np.where(at_minor, other, anchor)
        chosen = (rng.uniform(size=n) < recipe.anchored_fraction) | framed
        before = np.maximum(rng.uniform(0.08, 0.7, n) * length, 10.0)
        # short records, and subtracted ones, may begin close to their edge
        close = rng.uniform(size=n) < recipe.close_fraction
        before = np.where(close, rng.uniform(4.0, 10.0, n), before)
        around = library.onset_ev[anchor] - before
        start = np.where((anchor >= 0) & chosen, around, start)
        start = np.clip(start, recipe.start_ev[0], recipe.end_ev[1] - recipe.length_ev[0])
        end = np.clip(start + length, recipe.end_ev[0], recipe.end_ev[1])
        return start, np.maximum(end, start + recipe.length_ev[0])

    def elements_shown(start: Floats, end: Floats) -> Ints:
        shown = (onset > start[rows] + 4.0) & (onset < end[rows] - 6.0)
        there = np.zeros(elements.shape, dtype=bool)
        there[rows[shown], slots[shown]] = True
        return there.sum(axis=1)

    start, end = window()
    if framed.any():
        most = elements_shown(start, end)
        for _ in range(_FRAMES - 1):
            other = window()
            number = elements_shown(*other)
            better = framed & (number > most)
            start, end = np.where(better, other[0], start), np.where(better, other[1], end)
            most = np.where(better, number, most)
    return start, end
