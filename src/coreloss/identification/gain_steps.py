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

__all__ = ["gain_step", "without_gain_steps"]

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


def gain_step(counts: NDArray, axis: EnergyAxis) -> tuple[int, float] | None:
    """The channel from which on a record is multiplied by another gain, and the ratio.

    Parameters
    ----------
    counts : ndarray, (n_energy,), finite
    axis : EnergyAxis

    Returns
    -------
    (int, float) or None where there is no such step.
    """
    y = np.asarray(counts, dtype=float)[None]
    for _, log_y, sigma, place in _suspects(y, axis):
        return _confirmed(log_y, sigma, place)
    return None


def _suspects(y: Floats, axis: EnergyAxis) -> Iterator[tuple[int, Floats, Floats, int]]:
    """Of records (n, n_energy) those with one jump that may be a step of gain.

    For each: its row, its log counts and their standard deviations, (n_energy,), and the channel.
    """
    if axis.dispersion > _WIDEST_EV or axis.size < 2 * _FEWEST:
        return
    # all at once; a minimum of NaN is not above zero
    rows = np.flatnonzero((y.min(axis=1) > 0) & np.isfinite(y.max(axis=1)))
    log_y = np.log(y[rows])
    sigma = np.hypot(_local_noise(log_y), _MODEL_ERROR)
    jump = np.diff(log_y, axis=1)
    # the slope of the background is no step
    jump = np.abs(jump - np.median(jump, axis=1, keepdims=True))
    weight = jump / np.hypot(sigma[:, 1:], sigma[:, :-1])
    weight[:, : _FEWEST - 1] = 0.0
    weight[:, -_FEWEST + 1 :] = 0.0
    place = np.argmax(weight, axis=1)
    for i, (at, row) in enumerate(zip(place, rows, strict=True)):
        if weight[i, at] >= _LEAST_SIGMA and jump[i, at] >= _LEAST_RATIO:
            yield int(row), log_y[i], sigma[i], int(at) + 1


def _confirmed(log_y: Floats, sigma: Floats, place: int) -> tuple[int, float] | None:
    """The step at a channel and its ratio, where one curve with a step describes both sides."""
    part = slice(max(0, place - _REACH), min(log_y.size, place + _REACH))
    x = np.linspace(-1.0, 1.0, part.stop - part.start)
    step = (np.arange(part.start, part.stop) >= place).astype(float)
    design = np.stack([*(x**k for k in range(_CURVE)), step], axis=1) / sigma[part, None]
    answer, *_ = np.linalg.lstsq(design, log_y[part] / sigma[part], rcond=None)
    rest = log_y[part] / sigma[part] - design @ answer
    near = np.abs(rest[place - part.start - 2 : place - part.start + 2])
    if (rest @ rest) / (rest.size - _CURVE - 1) > _FITS or near.max() > 4.0:
        return None
    return place, float(np.exp(answer[-1]))


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
    high = np.minimum(low + 1, number - 1)
    return np.asarray(level[:, low] + (place - low) * (level[:, high] - level[:, low]))


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
    for row, log_y, sigma, suspect in _suspects(y, axis):
        found = _confirmed(log_y, sigma, suspect)
        if found is None:
            continue
        place, ratio = found
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
