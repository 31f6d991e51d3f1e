"""Near-edge structure added to atomic edges: fine structure, white lines, multiplets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.simulate.draws import Draws
from coreloss.simulate.library import EdgeLibrary
from coreloss.simulate.near_edge import (
    EXTENDED_EV,
    EXTENDED_STRENGTH,
    GIANT_RESONANCES,
    OWN_STRUCTURE,
    STRUCTURE_STRENGTH,
    WHITE_LINES,
    extended_structure,
    fine_structure_parameters,
)
from coreloss.simulate.recipe import SimulationRecipe
from coreloss.simulate.substances import BEFORE_EV, LENGTH_EV, Substances, substances

__all__ = ["add_near_edge"]


def add_near_edge(
    xp: Any,
    rng: np.random.Generator,
    shapes: Any,
    draws: Draws,
    rows: NDArray[np.int64],
    element: NDArray[np.int64],
    shift: NDArray[np.int64],
    group_weight: NDArray[np.float64],
    recipe: SimulationRecipe,
    library: EdgeLibrary,
    put: Any,
) -> dict[str, NDArray[Any]]:
    """Add fine structure and white lines to edges.

    Parameters
    ----------
    shapes : array, (n_used, n_grid) [1/eV]
        Of the used slots; changed in place.
    draws : Draws
    rows, element : ndarray, (n_used,) int
        Spectrum and element of each.
    shift : ndarray, (n_used, n_groups) int [eV]
        How far each shell group's onset lies above the library's.
    group_weight : ndarray, (n_used, n_groups)
        Strength of each shell group over the library's.
    put : callable
        Takes NumPy arrays to the namespace and device of ``shapes``.

    Returns
    -------
    dict
        The shell groups near or in the windows: ``used`` (row of ``shapes``), ``group``,
        ``spectrum`` and ``onset`` [eV].
    """
    number = library.last[element] - library.first[element]
    used = np.repeat(np.arange(element.size), number)
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    group = library.first[element][used] + within
    spectrum = rows[used]
    onset = library.onset_ev[group] + shift[used, group]
    in_range = (onset > draws.start_ev[spectrum] - 30.0) & (onset < draws.end_ev[spectrum])
    used, group, spectrum, onset = (a[in_range] for a in (used, group, spectrum, onset))
    n = used.size
    height = library.height[group] * group_weight[used, group]
    if recipe.extended_fraction > 0:
        _extended(xp, rng, shapes, used, group, onset, height, recipe, library, put)

    chosen = np.zeros(n, dtype=bool)
    if recipe.substance_fraction > 0:
        known = substances(recipe.edges == "major", recipe.measured_shapes)
        chosen = (known.last > known.first)[group] & (
            rng.uniform(size=n) < recipe.substance_fraction
        )
        onset[chosen] = _as_known(
            xp,
            rng,
            shapes,
            used[chosen],
            group[chosen],
            onset[chosen],
            group_weight[used, group][chosen],
            recipe.edge_shift_ev,
            library,
            known,
            put,
        )
        height[chosen] = 0.0  # no other structure there

    # where and how strong: the edge itself and its spin-orbit partner
    second = library.second_ev[group] + shift[used, group]
    share = library.second_share[group]
    light = (library.element <= ELEMENTS.index("F")) & (np.array(library.name) == "K")
    bonds = light[group] & (rng.uniform(size=n) < recipe.bond_fraction)
    position, sigma, weight = fine_structure_parameters(
        rng,
        n,
        degree=recipe.fine_structure_degree,
        width_ev=recipe.fine_structure_width_ev,
        diameter_pm=recipe.atomic_diameter_pm,
        positive_first=recipe.fine_structure_median > 0,
        bonds=bonds,
    )
    if recipe.fine_structure_median > 0:
        scale = recipe.fine_structure_median * np.exp(
            recipe.fine_structure_spread * rng.standard_normal(n)
        )
        strength = [
            STRUCTURE_STRENGTH.get(name, 1.0) * OWN_STRUCTURE.get((ELEMENTS[index], name), 1.0)
            for index, name in zip(library.element, library.name, strict=True)
        ]
        scale = np.minimum(scale * np.array(strength)[group], recipe.fine_structure_max)
    else:
        scale = _annys_scale(rng, weight, recipe.fine_structure_max)
    offsets = np.concatenate([onset, second])
    amount = np.concatenate([(1.0 - share) * height, share * height])
    pair = np.concatenate([np.arange(n), np.arange(n)])
    keep = amount > 0
    whole = np.floor(offsets).astype(np.int64)
    target = np.concatenate([used, used])
    local = put(np.arange(LENGTH_EV, dtype=np.float32)[None, :] - BEFORE_EV) - put(
        (offsets - whole)[keep][:, None]
    )
    pair = pair[keep]
    curve = xp.zeros(local.shape, dtype=xp.float32, device=local.device)
    if recipe.fine_structure_median <= 0:  # the scale is that of the highest peak
        weight = weight / np.maximum(np.max(weight, axis=1, keepdims=True), 1e-2)
    strength = scale[pair] * amount[keep]
    for i in range(position.shape[1]):
        factor = weight[pair, i] * strength
        if not factor.any():
            continue
        x = (local - put(position[pair, i : i + 1])) / put(sigma[pair, i : i + 1])
        curve = curve + put(factor[:, None]) * xp.exp(-0.5 * x * x)
    # nothing below the onset
    curve = curve * (local >= -0.5)
    smooth = xp.asarray(shapes, copy=True)
    _scatter(xp, shapes, put(target[keep], np.int64), put(whole[keep], np.int64), curve, put)
    # interference takes no more than this from the atom's own absorption
    shapes[:] = xp.maximum(shapes, recipe.fine_structure_floor * smooth)

    if recipe.white_lines:
        resonances = recipe.measured_shapes
        _white_lines(xp, rng, shapes, used, group, onset, second, height, library, resonances, put)
    shapes[:] = xp.clip(shapes, 0.0, None)
    return {"used": used, "group": group, "spectrum": spectrum, "onset": onset}


def _extended(
    xp: Any,
    rng: np.random.Generator,
    shapes: Any,
    used: NDArray[np.int64],
    group: NDArray[np.int64],
    onset: NDArray[np.float64],
    height: NDArray[np.float64],
    recipe: SimulationRecipe,
    library: EdgeLibrary,
    put: Any,
) -> None:
    """Add extended fine structure, of which spin-orbit partners have one phase."""
    strength = np.array([EXTENDED_STRENGTH.get(name, 0.0) for name in library.name])[group]
    strength = strength * (rng.uniform(size=group.size) < recipe.extended_fraction)
    has = (strength > 0) & (height > 0)
    if not has.any():
        return
    above = np.arange(EXTENDED_EV, dtype=np.float32)
    start = onset[has]
    # the atom's edge falls with about the square of the energy over these
    falling = (1.0 + above[None, :] / start[:, None].astype(np.float32)) ** -2
    size = (strength * height)[has].astype(np.float32)[:, None]
    curve = put(size * falling * extended_structure(rng, start.size, above))
    partner, share = library.second_ev[group[has]], library.second_share[group[has]]
    apart = partner - library.onset_ev[group[has]]
    for part, at in ((1.0 - share, start), (share, start + apart)):
        whole = np.floor(at).astype(np.int64) + BEFORE_EV
        weighted = curve * put(part[:, None])
        _scatter(xp, shapes, put(used[has], np.int64), put(whole, np.int64), weighted, put)


def _as_known(
    xp: Any,
    rng: np.random.Generator,
    shapes: Any,
    used: NDArray[np.int64],
    group: NDArray[np.int64],
    onset: NDArray[np.float64],
    weight: NDArray[np.float64],
    shift_ev: float,
    library: EdgeLibrary,
    known: Substances,
    put: Any,
) -> NDArray[np.float64]:
    """Put substances' edges in the place of the atom's; returns their onsets [eV].

    Their chemical shifts are those of the substances, not the ones that were drawn.
    """
    row = rng.integers(known.first[group], known.last[group])
    moved = library.onset_ev[group] + np.rint(rng.normal(0.0, shift_ev, group.size))
    for curves, at, sign in ((known.atom, onset, -1.0), (known.known, moved, 1.0)):
        curve = put(sign * weight[:, None] * curves[row])
        whole = put(np.floor(at), np.int64)
        _scatter(xp, shapes, put(used, np.int64), whole, curve, put)
    return moved


def _annys_scale(
    rng: np.random.Generator, weight: NDArray[np.float32], maximum: float
) -> NDArray[np.float64]:
    """Amplitude over edge height: the more positive a structure, the stronger it may be.

    The most negative excursion must not take more than the edge has; so the scale goes up
    to one over the ratio of the largest negative to the largest positive value.
    """
    peak = np.maximum(np.max(weight, axis=1), 1e-3)
    dip = np.maximum(-np.min(weight, axis=1), 1e-3)
    limit = np.minimum(peak / dip, maximum)
    return np.asarray(rng.uniform(0.0, limit))


def _white_lines(
    xp: Any,
    rng: np.random.Generator,
    shapes: Any,
    used: NDArray[np.int64],
    group: NDArray[np.int64],
    onset: NDArray[np.float64],
    second: NDArray[np.float64],
    height: NDArray[np.float64],
    library: EdgeLibrary,
    resonances: bool,
    put: Any,
) -> None:
    """Add white lines (pseudo-Voigt doublets, each split once) and pre-resonance lines."""
    keys = [(ELEMENTS[e], name) for e, name in zip(library.element, library.name, strict=True)]
    table = np.array(
        [
            (*w.area_ev, *w.first_share, *w.fwhm_ev) if (w := WHITE_LINES.get(k)) else (0.0,) * 6
            for k in keys
        ]
    )
    giant = np.array([resonances and k in GIANT_RESONANCES for k in keys])
    values = table[group]
    has = values[:, 1] > 0
    if has.any():
        use, v = used[has], values[has]
        m = use.size
        area = rng.uniform(v[:, 0], v[:, 1]) * height[has]
        first = rng.uniform(v[:, 2], v[:, 3])
        fwhm = rng.uniform(v[:, 4], v[:, 5])
        split = np.where(rng.uniform(size=m) < 0.6, rng.uniform(0.5, 3.0, m), 0.0)
        part = rng.uniform(0.2, 0.8, m)
        delay = rng.uniform(0.3, 2.0, m)
        for line, energy in ((0, onset[has]), (1, second[has])):
            amount = area * (first if line == 0 else 1.0 - first)
            broad = fwhm * (1.0 if line == 0 else 1.15)
            for sub, weight in ((0.0, part), (1.0, 1.0 - part)):
                centre = energy + delay + sub * split
                _add_peaks(xp, shapes, use, centre, broad, amount * weight, put)
    resonant = giant[group]
    if resonant.any():
        use, at, size = used[resonant], onset[resonant], height[resonant]
        for _ in range(3):  # sharp multiplet lines below and on the giant resonance
            m = use.size
            amount = size * rng.uniform(0.0, 0.35, m) * (rng.uniform(size=m) < 0.6)
            centre = at + rng.uniform(-4.0, 12.0, m)
            _add_peaks(xp, shapes, use, centre, rng.uniform(0.8, 3.0, m), amount, put)


def _add_peaks(
    xp: Any,
    shapes: Any,
    used: NDArray[np.int64],
    centre: NDArray[np.float64],
    fwhm: NDArray[np.float64],
    area: NDArray[np.float64],
    put: Any,
) -> None:
    """Add half-Gaussian, half-Lorentzian peaks of given areas to rows ``used`` of ``shapes``."""
    whole = np.floor(centre).astype(np.int64)
    local = put(np.arange(48, dtype=np.float32)[None, :] - 16) - put((centre - whole)[:, None])
    width = put(fwhm[:, None])
    gauss = xp.exp(-2.7726 * (local / width) ** 2) * 0.9394
    lorentz = 0.6366 / (1.0 + 4.0 * (local / width) ** 2)
    curve = put(0.5 * area[:, None]) * (gauss + lorentz) / width
    _scatter(xp, shapes, put(used, np.int64), put(whole + BEFORE_EV - 16, np.int64), curve, put)


def _scatter(xp: Any, target: Any, rows: Any, whole: Any, curves: Any, put: Any) -> None:
    """target[rows, whole - BEFORE_EV + i] += curves[:, i]; what falls off the grid is dropped."""
    channel = put(np.arange(curves.shape[1])[None, :], np.int64) + (whole[:, None] - BEFORE_EV)
    n_grid = target.shape[1]
    good = (channel >= 0) & (channel < n_grid)
    index = xp.clip(channel, 0, n_grid - 1) + rows[:, None] * n_grid
    values = curves * good
    flat = xp.reshape(target, (-1,))
    if hasattr(flat, "index_add_"):
        flat.index_add_(0, xp.reshape(index, (-1,)), xp.reshape(values, (-1,)))
    else:
        np.add.at(flat, index.reshape(-1), values.reshape(-1))
