"""Edge shapes of a batch: what the atom gives, and how far that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.delayed import DELAYED_M45
from coreloss.atom.kinematics import momentum_per_mrad
from coreloss.edges import ELEMENTS
from coreloss.simulate.draws import Draws
from coreloss.simulate.library import N_GRID, EdgeLibrary
from coreloss.simulate.near_edge import GIANT_RESONANCES
from coreloss.simulate.recipe import SimulationRecipe
from coreloss.simulate.resonances import dips, resonance, resonances, seen_before

__all__ = [
    "ShapeVariants",
    "shallow_parts",
    "shape_variants",
    "shapes_of_elements",
    "shapes_of_groups",
]

_PAD = 32  # largest shift of an edge [eV]
_EACH = 3  # variants of each reach
# partners farther apart than this [eV] have a step of their own
_APART_EV = 20.0
_SHALLOW = 6  # variants of the shells below the edge table
# in records that start above, these are as smooth as any background [eV]
_SHALLOW_TO_EV = 1200.0


@dataclass(frozen=True)
class ShapeVariants:
    """Shapes to draw from; variants ``each · i`` and on are those of ``library.reach[i]``.

    Attributes
    ----------
    table : array, (n_variants, n_elements or n_groups, N_GRID + 2 · _PAD) float32 [1/eV]
        df/dE of elements; with integer shifts, which each edge has by itself, of shell groups.
    moved : ndarray, (n_variants, n_groups) [eV]
        How far each shell group was moved.
    weight : ndarray, (n_variants, n_groups)
        Its strength over the library's.
    shallow : array, (_SHALLOW, n_shallow, N_GRID) float32 [1/eV]
        df/dE of the shells below the edge table, of the elements that have such.
    shallow_place : ndarray, (n_elements,) int
        Where an element is in it; -1 where it is not.
    """

    table: Any
    moved: NDArray[np.int64]
    weight: NDArray[np.float64]
    shallow: Any
    shallow_place: NDArray[np.int64]

    def of(self, rng: np.random.Generator, draws: Draws, library: EdgeLibrary) -> NDArray[np.int64]:
        """A variant for each spectrum, of the reach nearest by ratio."""
        momentum = momentum_per_mrad(draws.beam_energy_kev)
        largest = momentum * np.hypot(draws.alpha_mrad, draws.beta_mrad)
        distance = np.abs(np.log(largest[:, None] / library.reach[None, :]))
        each = self.moved.shape[0] // library.reach.size
        return np.asarray(distance.argmin(axis=1) * each + rng.integers(each, size=largest.size))


def shape_variants(
    rng: np.random.Generator, recipe: SimulationRecipe, library: EdgeLibrary
) -> ShapeVariants:
    """Variants of the library's shapes, for each of its reaches.

    Cross sections of an element's shells are known to some ten per cent only, and so is the
    place of a delayed maximum, onsets to an electronvolt; so each variant weights the shells,
    moves them and stretches the energy above their onsets differently. Giant resonances, whose
    energy is observed, vary as solids do (`resonances`). Of a pair with two steps each keeps its
    place.
    """
    number, n_groups = library.collected.shape[:2]
    each = 1 if recipe.integer_shifts else _EACH
    size = (number * each, n_groups)
    delayed = np.array(
        [
            name == "M45" and ELEMENTS[index] in DELAYED_M45
            for index, name in zip(library.element, library.name, strict=True)
        ]
    )
    weight = np.exp(recipe.subshell_spread * _deviations(rng, size))
    spread = np.where(delayed, recipe.delayed_spread, recipe.shape_spread)
    stretch = np.exp(spread * _deviations(rng, size))
    moved = np.rint(rng.normal(0.0, recipe.edge_shift_ev, size)).astype(np.int64)
    places = np.arange(n_groups) if recipe.integer_shifts else library.element
    table = np.zeros((size[0], int(places.max()) + 1, N_GRID + 2 * _PAD), dtype=np.float32)
    energy = np.arange(N_GRID, dtype=np.float32)
    place = np.interp(
        np.log(np.maximum(energy, 0.5)),
        np.log(library.excess_ev),
        np.arange(library.excess_ev.size),
    )
    low = np.minimum(place.astype(np.int64), library.excess_ev.size - 2)
    part = (place - low).astype(np.float32)
    for group, (index, onset) in enumerate(zip(library.element, library.onset_ev, strict=True)):
        key = ELEMENTS[index], library.name[group]
        resonant = recipe.measured_shapes and key in GIANT_RESONANCES
        before = seen_before(key) if recipe.measured_shapes else 0
        first = max(int(onset) - before, 1)
        shape = library.shape[group, first:]
        at = low[: shape.size]
        gap = int(library.second_ev[group]) - first
        # what is stretched above the first onset, and above the second
        parts = [(0, shape)]
        if _APART_EV < gap < shape.size and not resonant:
            partner = library.partner[group, first:]
            parts = [(0, shape - partner), (gap, partner[gap:])]
        # all variants at once: a call for each would cost more than its work
        if resonant:
            at_ev = energy[first:].astype(float)
            shaped = resonances(key, at_ev, float(onset), rng, size[0])
            shaped = shaped + shape - resonance(key, at_ev, float(onset))
        else:
            shaped = np.zeros((size[0], shape.size), dtype=shape.dtype)
            for from_ev, values in parts:
                excess = energy[: values.size] / stretch[:, group].astype(np.float32)[:, None]
                found = np.interp(excess.reshape(-1), energy[: values.size], values)
                shaped[:, from_ev:] += found.reshape(excess.shape)
            ratio = library.collected[:, group].astype(np.float32)
            near = ratio[:, at]
            ratio = near + part[: shape.size] * (ratio[:, at + 1] - near)
            shaped *= np.repeat(ratio, each, axis=0)
        weighted = weight[:, group][:, None] * shaped
        for variant, begin in enumerate((_PAD + first + moved[:, group]).tolist()):
            row = table[variant, places[group], begin : begin + shape.size]
            row += weighted[variant, : row.size]
    return ShapeVariants(table, moved, weight, *_shallow_variants(rng, recipe, library))


def _deviations(rng: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    """Deviations of unit variance, of which more than of Gaussian ones are large.

    Theory is wrong by much for a few shells rather than by the same for all.
    """
    return np.clip(rng.standard_t(4.0, size) / np.sqrt(2.0), -4.0, 4.0)


def _shallow_variants(
    rng: np.random.Generator, recipe: SimulationRecipe, library: EdgeLibrary
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """``shallow`` and ``shallow_place`` of `ShapeVariants`.

    Solids have these humps some per cent higher or lower in energy, and as strong as any
    subshell is known.
    """
    there = library.shallow.any(axis=1)
    place = np.where(there, np.cumsum(there) - 1, -1)
    rows = library.shallow[there]
    out = np.zeros((_SHALLOW, *rows.shape), dtype=np.float32)
    if rows.size:
        energy = np.arange(N_GRID, dtype=np.float32)
        weight = np.exp(recipe.subshell_spread * _deviations(rng, out.shape[:2]))
        stretch = np.exp(0.5 * recipe.shape_spread * _deviations(rng, out.shape[:2]))
        for variant, index in np.ndindex(*out.shape[:2]):
            at = energy / np.float32(stretch[variant, index])
            out[variant, index] = weight[variant, index] * np.interp(at, energy, rows[index])
        for index, symbol in enumerate(np.array(ELEMENTS)[there]):
            out[:, index] *= dips(str(symbol), energy.astype(float), rng, _SHALLOW)
    return out, place


def shallow_parts(
    xp: Any,
    rng: np.random.Generator,
    variants: ShapeVariants,
    draws: Draws,
    n_grid: int,
    put: Any,
) -> Any:
    """df/dE of the shells below the edge table of each sample, (n, n_grid) float32.

    Parameters
    ----------
    variants : ShapeVariants
    draws : Draws
    n_grid : int
    put : callable
        Takes NumPy arrays to the namespace and device of ``variants.shallow``.
    """
    n = draws.start_ev.size
    total = xp.zeros((n, n_grid), dtype=xp.float32, device=variants.shallow.device)
    if variants.shallow.shape[1] == 0:
        return total
    place = np.where(draws.elements >= 0, variants.shallow_place[draws.elements], -1)
    place[draws.start_ev > _SHALLOW_TO_EV] = -1
    count = variants.shallow.shape[1]
    flat = xp.reshape(variants.shallow, (_SHALLOW * count, -1))
    for slot in range(place.shape[1]):
        rows = np.nonzero(place[:, slot] >= 0)[0]
        if rows.size:
            pick = rng.integers(_SHALLOW, size=rows.size) * count + place[rows, slot]
            amount = put(draws.amounts[rows, slot][:, None])
            total[put(rows, np.int64)] += amount * flat[put(pick, np.int64), :n_grid]
    return total


def shapes_of_groups(
    xp: Any,
    variants: ShapeVariants,
    variant: NDArray[np.int64],
    element: NDArray[np.int64],
    shift: NDArray[np.int64],
    n_grid: int,
    library: EdgeLibrary,
) -> Any:
    """df/dE of each element, (n_used, n_grid) float32, each shell group moved by its own shift.

    ``variant`` and ``element`` are (n_used,), ``shift`` is (n_used, n_groups) [eV].
    """
    number = library.last[element] - library.first[element]
    device = variants.table.device
    shapes = xp.zeros((element.size, n_grid), dtype=xp.float32, device=device)
    for i in range(int(number.max(initial=0))):
        with_it = np.nonzero(number > i)[0]
        group = library.first[element[with_it]] + i
        own = shift[with_it, group]
        shapes[xp.asarray(with_it, device=device)] += shapes_of_elements(
            xp, variants, variant[with_it], group, own, n_grid
        )
    return shapes


def shapes_of_elements(
    xp: Any,
    variants: ShapeVariants,
    variant: NDArray[np.int64],
    place: NDArray[np.int64],
    shift: NDArray[np.int64],
    n_grid: int,
) -> Any:
    """``variants.table[variant, place]``, (n, n_grid), each row moved by its shift [eV]."""
    table = variants.table
    _, count, width = table.shape
    pick = variant * count + place
    begin = pick * width + _PAD - np.clip(shift, -_PAD, _PAD)
    index = xp.asarray(begin[:, None], device=table.device) + xp.arange(n_grid, device=table.device)
    flat = xp.take(xp.reshape(table, (-1,)), xp.reshape(index, (-1,)), axis=0)
    return xp.reshape(flat, (place.size, n_grid))
