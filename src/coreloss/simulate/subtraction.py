"""Records from which a background was subtracted as it is done: by a power law before an edge."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.simulate.draws import Draws
from coreloss.simulate.recipe import SimulationRecipe

__all__ = ["subtracted_before_edges"]

_LENGTH_EV = (15.0, 60.0)
_BEFORE_EV = (3.0, 15.0)
_FEWEST_CHANNELS = 6
# exponents that programs allow
_STEEPEST = 8.0
# what is kept before the edge where the rest is cut off
_KEPT_EV = (5.0, 30.0)
_CUT, _CLIPPED = 0.5, 0.15
# share of the channels that stay where the negative ones are lost
_LEAST_CLIPPED = 0.2
# of a record as cut
_LEAST_EV, _LEAST_CHANNELS = 25.0, 24


def subtracted_before_edges(
    xp: Any,
    rng: np.random.Generator,
    record: Any,
    draws: Draws,
    size: NDArray[np.int64],
    onset_ev: NDArray[np.float64],
    recipe: SimulationRecipe,
) -> tuple[Any, NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Subtract a power law fitted before one edge from a share of the subtracted records.

    Logarithms of counts are fitted over those of energy in a window that ends some electronvolts
    before the onset, each channel as sure as it was counted, and the power law is taken from all
    channels. So tails of edges below go as well, the record is nothing before its edge, and the
    error grows with the distance from the window (Egerton 2011, section 4.4). These records begin
    with the window or, half of them, 5 to 30 eV before the edge, and some lose what is negative.

    Parameters
    ----------
    record : array, (n, n_energy) [electrons]
        Background included.
    onset_ev : ndarray, (n,) [eV]
        Of the edge; where there is none, of where one would be looked for.

    Returns
    -------
    record : array, (n, n_energy)
    start_ev : ndarray, (n,) [eV]
    size : ndarray, (n,)
        Of the records as cut.
    done : ndarray, (n,) bool
        Which were fitted: those with channels enough before the edge.
    """
    n, width = record.shape
    device = record.device
    step, start = draws.dispersion_ev, draws.start_ev
    chosen = rng.uniform(size=n) < recipe.fitted_fraction
    end = onset_ev - rng.uniform(*_BEFORE_EV, n)
    begin = np.maximum(end - rng.uniform(*_LENGTH_EV, n), start)
    keep = rng.uniform(*_KEPT_EV, n)
    cut_off, clipped = rng.uniform(size=n) < _CUT, rng.uniform(size=n) < _CLIPPED
    done = draws.subtracted & chosen & (end - begin >= _FEWEST_CHANNELS * step)
    start, size = start.copy(), size.copy()
    rows = np.flatnonzero(done)
    if not rows.size:
        return record, start, size, done

    def put(values: NDArray[Any], dtype: Any = np.float32) -> Any:
        return xp.asarray(np.asarray(values, dtype=dtype), device=device)

    at = put(rows, np.int64)
    energy = start[rows, None] + step[rows, None] * (np.arange(width)[None, :] + 0.5)
    away = put(np.log(np.maximum(energy, 1.0)) - np.log(end[rows, None]))
    window = put((energy >= begin[rows, None]) & (energy <= end[rows, None]))
    counts = record[at]
    weight = xp.clip(counts, 0.0, None) * window
    total = xp.sum(weight, axis=1, keepdims=True)
    # nothing counted before the edge is no background
    some = xp.astype(total > 0, xp.float32)
    weight = weight / xp.where(total > 0, total, xp.ones_like(total))
    logs = xp.log(xp.clip(counts, 1e-6, None))
    mean_x = xp.sum(weight * away, axis=1, keepdims=True)
    mean_y = xp.sum(weight * logs, axis=1, keepdims=True)
    spread = xp.sum(weight * (away - mean_x) ** 2, axis=1, keepdims=True)
    slope = xp.sum(weight * (away - mean_x) * logs, axis=1, keepdims=True)
    slope = xp.clip(slope / xp.clip(spread, 1e-12, None), -_STEEPEST, 0.0)
    inside = put(np.arange(width)[None, :] < size[rows, None])
    left = (counts - some * xp.exp(mean_y + slope * (away - mean_x))) * inside

    first = np.floor((np.where(cut_off, onset_ev - keep, begin) - start) / step).astype(np.int64)
    most = size - np.maximum(np.ceil(_LEAST_EV / step).astype(np.int64), _LEAST_CHANNELS)
    first = np.clip(np.minimum(first, most), 0, None)[rows]
    channel = np.arange(width)[None, :] + first[:, None]
    left = xp.take_along_axis(left, put(np.minimum(channel, width - 1), np.int64), axis=1)
    left = left * put(channel < size[rows, None])
    # where nearly all is negative nothing would be left
    above = xp.sum(xp.astype(left > 0, xp.float32), axis=1, keepdims=True)
    clip = put(clipped[rows, None]) * (above > put(_LEAST_CLIPPED * (size[rows] - first)[:, None]))
    left = xp.where(clip > 0, xp.clip(left, 0.0, None), left)
    record = xp.asarray(record, copy=True)
    record[at] = left
    start[rows] += first * step[rows]
    size[rows] -= first
    return record, start, size, done
