"""Single edges without noise, at jump ratio 1, for the study of a model's sensitivity."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import Edge, edges_of, pair_label
from coreloss.energy import EnergyAxis
from coreloss.simulate.gaussian.forward import GaussianDraws, assembled, shape_table
from coreloss.simulate.gaussian.recipe import GaussianRecipe
from coreloss.simulate.recipe import SimulationRecipe
from coreloss.simulate.sample import simulate_sample

__all__ = ["BACKGROUND_POWER", "EdgeCurves", "gaussian_curves", "gos_curves", "major_edges"]

#: r of the background E^-r under every edge (Kong et al. 2022, 'Evaluation of sensitivity')
BACKGROUND_POWER = 1.88
_TOP = 2.0  # highest jump ratio tried on edges whose recipe sets none
_LOWEST_EV, _HIGHEST_EV = 42.0, 3300.0
_PEAK_EV = 60.0  # above the onset, within which the peak is looked for

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EdgeCurves:
    """One edge in several shapes on its background.

    Attributes
    ----------
    label, element : str
        'Mn L2,3', 'Mn'.
    onset_ev : float [eV]
    axis : EnergyAxis
        Of the record.
    background : ndarray, (n_energy,)
    at_onset : float
        The background at the onset.
    curves : ndarray, (n_shapes, n_energy)
        The edge where its peak is as high as ``at_onset``: jump ratio 1.
    highest : float
        Largest jump ratio to try.
    """

    label: str
    element: str
    onset_ev: float
    axis: EnergyAxis
    background: Floats
    at_onset: float
    curves: Floats
    highest: float


def gaussian_curves(
    recipe: GaussianRecipe, labels: Sequence[str], seed: int
) -> Iterator[EdgeCurves]:
    """Edges of a recipe of Kong et al., every shape of its libraries, on whole records.

    Point spread and extension are drawn by the recipe; axes are true.
    """
    table = shape_table(recipe)
    for label in labels:
        index = recipe.edges.index(label)
        # a sequence of its own, so that an edge does not hang on which others are asked for
        rng = np.random.default_rng([seed, index])
        rows = table.of(index)
        n = rows.size

        def every(value: float, n: int = n) -> Floats:
            return np.full(n, value)

        draws = GaussianDraws(
            shape=rows[:, None],
            jump_ratio=np.ones((n, 1)),
            extension=rng.uniform(*recipe.extension_power, (n, 1)),
            fwhm_ev=rng.uniform(*recipe.fwhm_ev, n),
            hwhm_ev=rng.uniform(*recipe.hwhm_ev, n),
            exponent=every(BACKGROUND_POWER),
            shift_ev=every(0.0),
            stretch=every(1.0),
            frame=np.ones(n, dtype=np.int64),
            noise=every(0.0),
            white=every(0.0),
            start_ev=every(recipe.range_ev[0]),
            end_ev=every(recipe.range_ev[1]),
        )
        record = np.asarray(assembled(recipe, draws, rng).counts, dtype=float)
        axis = EnergyAxis(recipe.range_ev[0], recipe.dispersion_ev, record.shape[1])
        background = (axis.energies / axis.energies[0]) ** -BACKGROUND_POWER
        # shapes begin at different energies; each is brought to jump ratio 1 at its own onset
        onset = float(np.median(table.onset_ev[rows]))
        at_onset = float(np.interp(onset, axis.energies, background))
        own = np.interp(table.onset_ev[rows], axis.energies, background)
        curves = (record - background) * (at_onset / own)[:, None]
        yield EdgeCurves(
            label,
            label.split()[0],
            onset,
            axis,
            background,
            at_onset,
            curves,
            recipe.jump_ratio_max[index],
        )


def major_edges(elements: Sequence[str]) -> list[tuple[str, Edge]]:
    """Label and lowest edge of every major edge or pair with a background in front of it."""
    chosen: dict[str, Edge] = {}
    for symbol in elements:
        for edge in edges_of(symbol):
            label = pair_label(edge)
            if edge.major and label not in chosen and edge.onset_ev > _LOWEST_EV + 12.0:
                chosen[label] = edge
    return list(chosen.items())


def gos_curves(
    recipe: SimulationRecipe, edges: Sequence[tuple[str, Edge]], seed: int, *, n_shapes: int = 16
) -> Iterator[EdgeCurves]:
    """Edges as `major_edges` gives them by the atomic forward model, in windows around them.

    A window runs from 0.7 of the onset to 1.4 of it and 80 eV more, at 1 eV a channel; what
    else the element has in there belongs to the record.
    """
    clean = _without_faults(recipe)
    for label, edge in edges:
        onset = edge.onset_ev
        start = max(_LOWEST_EV, round(0.7 * onset))
        end = min(_HIGHEST_EV, round(1.4 * onset + 80.0))
        if end - onset < 20.0:
            continue
        # next to no background: the record is the element alone, at a dose that shows no noise
        batch = simulate_sample(
            {edge.symbol: 1.0},
            start_ev=start,
            end_ev=end,
            counts=1e12,
            jump_ratio=1e6,
            background_exponent=BACKGROUND_POWER,
            n=n_shapes,
            seed=seed + zlib.crc32(label.encode()),
            recipe=clean,
        )
        record = np.asarray(batch.counts, dtype=float)
        axis = EnergyAxis(start + 0.5, 1.0, record.shape[1])
        energies = axis.energies
        background = (energies / energies[0]) ** -BACKGROUND_POWER
        at_onset = float(np.interp(onset, energies, background))
        before = record[:, max(axis.index(onset - 8.0), 0)]
        near = (energies >= onset - 4.0) & (energies <= onset + _PEAK_EV)
        height = record[:, near].max(axis=1) - before
        shown = height > 1e-3 * record.max(axis=1)
        if shown.any():
            curves = record[shown] * (at_onset / height[shown])[:, None]
            yield EdgeCurves(label, edge.symbol, onset, axis, background, at_onset, curves, _TOP)


def _without_faults(recipe: SimulationRecipe) -> SimulationRecipe:
    """The recipe without errors of axis and detector."""
    off = {
        f.name: 0.0
        for f in fields(recipe)
        if f.name.endswith("_fraction") and f.name != "uniform_fraction"
    }
    return replace(
        recipe,
        **off,  # type: ignore[arg-type]
        gain_noise=(0.0, 0.0),
        readout_noise=(0.0, 0.0),
        background_amplitude=(),
    )
