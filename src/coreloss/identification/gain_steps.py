"""Records joined from two parts of different gain, told from edges and put right.

A gain step is complete within one channel and multiplies everything beyond it, so log counts
on both sides follow one smooth curve but for a constant. An edge rises over the energy
resolution, and the curve beyond it is another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis

__all__ = ["gain_step", "without_gain_step"]

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
    y = np.asarray(counts, dtype=float)
    if axis.dispersion > _WIDEST_EV or y.size < 2 * _FEWEST or y.min() <= 0:
        return None
    log_y = np.log(y)
    sigma = np.hypot(_local_noise(log_y), _MODEL_ERROR)
    jump = np.diff(log_y)
    # the slope of the background is no step
    jump = jump - np.median(jump)
    weight = np.abs(jump) / np.hypot(sigma[1:], sigma[:-1])
    weight[: _FEWEST - 1] = 0.0
    weight[-_FEWEST + 1 :] = 0.0
    place = int(np.argmax(weight)) + 1
    if weight[place - 1] < _LEAST_SIGMA or abs(jump[place - 1]) < _LEAST_RATIO:
        return None
    part = slice(max(0, place - _REACH), min(y.size, place + _REACH))
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
    """Standard deviation of log counts about each channel, (n,), from second differences.

    Counting noise and the detector's pattern together; medians do not see a step.
    """
    second = np.abs(np.pad(np.diff(log_y, 2), 1, mode="edge")) / np.sqrt(6.0)
    size = min(_REACH, second.size)
    number = second.size // size
    centres = (np.arange(number) + 0.5) * size
    level = 1.4826 * np.median(second[: number * size].reshape(number, size), axis=1)
    return np.asarray(np.interp(np.arange(second.size), centres, level))


def without_gain_step(counts: NDArray, axis: EnergyAxis) -> tuple[Floats, str]:
    """A record with its gain step, if it has one, undone, and a note that says so.

    Only steps down are undone, which no edge makes; of steps up the note tells. It is empty,
    and the counts are what was given, where there is none.
    """
    y = np.asarray(counts, dtype=float)
    found = gain_step(y, axis)
    if found is None:
        return y, ""
    place, ratio = found
    energy = axis.energies[place] - 0.5 * axis.dispersion
    if ratio > 1.0:
        return y, (
            f"counts rise × {ratio:.3g} within one channel at {energy:.1f} eV: a very sharp edge, "
            "or parts of different gain were joined there"
        )
    y = y.copy()
    y[place:] /= ratio
    return y, f"a step of gain at {energy:.1f} eV (× {ratio:.3g} within one channel) was undone"
