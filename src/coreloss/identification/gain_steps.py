"""Records joined from two parts of different gain, told from edges and put right.

A gain step is complete within one channel and multiplies everything beyond it, so log counts
on both sides follow one smooth curve but for a constant. An edge rises over the energy
resolution, and the curve beyond it is another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis

__all__ = ["gain_steps", "without_gain_steps"]

Floats = NDArray[np.float64]

# coarser channels are wider than an edge's rise
_WIDEST_EV = 2.05
_LEAST_SIGMA = 8.0
_LEAST_RATIO = 0.015
_REACH = 60
_FEWEST = 12
_CURVE = 3
# χ² per channel up to which one curve with a step describes both sides
_FITS = 1.8
_MODEL_ERROR = 0.003
# some rows at once, as many as a processor's cache holds
_ROWS = 64


def gain_steps(y: Floats, axis: EnergyAxis) -> Iterator[tuple[int, int, float]]:
    """Of records (n, n_energy) those with a step of gain.

    For each its row, the channel from which on it is multiplied by another gain, and the ratio.
    """
    if axis.dispersion > _WIDEST_EV or axis.size < 2 * _FEWEST:
        return
    for begin in range(0, len(y), _ROWS):
        part = y[begin : begin + _ROWS]
        # a minimum of NaN is not above zero
        rows = np.flatnonzero((part.min(axis=1) > 0) & np.isfinite(part.max(axis=1)))
        log_y = np.log(part[rows])
        sigma = np.hypot(_local_noise(log_y), _MODEL_ERROR)
        jump = np.diff(log_y, axis=1)
        # the slope of the background is no step
        jump = np.abs(jump - np.median(jump, axis=1, keepdims=True))
        weight = jump / np.hypot(sigma[:, 1:], sigma[:, :-1])
        weight[:, : _FEWEST - 1] = 0.0
        weight[:, -_FEWEST + 1 :] = 0.0
        place = np.argmax(weight, axis=1)
        every = np.arange(len(rows))
        suspect = (weight[every, place] >= _LEAST_SIGMA) & (jump[every, place] >= _LEAST_RATIO)
        rows, place = rows[suspect], place[suspect] + 1
        fits, ratio = _fitted(log_y[suspect], sigma[suspect], place)
        for k in np.flatnonzero(fits):
            yield begin + int(rows[k]), int(place[k]), float(ratio[k])


def _fitted(
    log_y: Floats, sigma: Floats, place: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], Floats]:
    """Whether one curve with a step describes both sides of a channel, and its ratio, (n,)."""
    beside = np.arange(-_REACH, _REACH)
    at = place[:, None] + beside
    inside = (at >= 0) & (at < log_y.shape[1])
    at = np.where(inside, at, place[:, None])
    weight = inside / np.take_along_axis(sigma, at, axis=1)
    shapes = np.stack([*((beside / _REACH) ** k for k in range(_CURVE)), beside >= 0], axis=1)
    design = weight[:, :, None] * shapes
    target = (weight * np.take_along_axis(log_y, at, axis=1))[:, :, None]
    answer = np.linalg.solve(design.mT @ design, design.mT @ target)
    rest = (target - design @ answer)[:, :, 0]
    misfit = (rest**2).sum(axis=1) / (inside.sum(axis=1) - _CURVE - 1)
    near = np.abs(rest[:, _REACH - 2 : _REACH + 2]).max(axis=1)
    return (misfit <= _FITS) & (near <= 4.0), np.exp(answer[:, -1, 0])


def _local_noise(log_y: Floats) -> Floats:
    """Standard deviation of log counts (n, n_energy) about each channel, likewise.

    From second differences.

    Counting noise and the detector's pattern together; medians do not see a step.
    """
    second = np.abs(np.diff(log_y, 2, axis=1)) / np.sqrt(6.0)
    second = np.pad(second, ((0, 0), (1, 1)), mode="edge")
    channels = second.shape[1]
    size = min(_REACH, channels)
    number = channels // size
    level = 1.4826 * np.median(second[:, : number * size].reshape(-1, number, size), axis=2)
    # straight lines between the middles of the parts
    place = np.clip((np.arange(channels) + 0.5) / size - 0.5, 0, number - 1)
    low = np.minimum(place.astype(int), max(number - 2, 0))
    rise = np.diff(level, axis=1, append=level[:, -1:])
    return np.asarray(level.take(low, axis=1) + (place - low) * rise.take(low, axis=1))


def without_gain_steps(
    counts: NDArray[Any], axis: EnergyAxis
) -> tuple[NDArray[Any], dict[int, str]]:
    """Spectra whose steps of gain are undone, and a note for each that has one.

    Only steps down are undone, which no edge makes; of steps up the note tells.

    Parameters
    ----------
    counts : ndarray, (n, n_energy)
        Rows with other than finite numbers are left as they are.
    axis : EnergyAxis
    """
    y = np.asarray(counts, dtype=float)
    out, notes = counts, {}
    for row, place, ratio in gain_steps(y, axis):
        energy = axis.energies[place] - 0.5 * axis.dispersion
        if ratio > 1.0:
            notes[row] = (
                f"counts rise × {ratio:.3g} within one channel at {energy:.1f} eV: a very sharp "
                "edge, or parts of different gain were joined there"
            )
            continue
        if out is counts:
            out = y.copy()
        out[row, place:] /= ratio
        notes[row] = (
            f"a step of gain at {energy:.1f} eV (× {ratio:.3g} within one channel) was undone"
        )
    return out, notes
