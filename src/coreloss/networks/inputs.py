"""What a network sees: a spectrum on a fixed energy grid, as channels of order one.

Written against the array API, so the same code prepares NumPy arrays for inference and
torch tensors, on any device, for training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from coreloss.grid import Grid, over_maximum, rebin

__all__ = ["CHANNELS", "CHANNEL_SETS", "PLAIN", "WITH_STEPS", "features", "network_input", "plain"]

CHANNELS = ("root counts", "detrended log counts", "local contrast", "step significance", "mask")

# Half widths, in grid channels, over which steps are looked for. A faint edge shows only in the
# mean of many channels, a sharp one in a crowd only in few.
_STEP_SCALES = (8, 24, 72)

WITH_STEPS = (*CHANNELS, *(f"step within {scale} channels" for scale in _STEP_SCALES))

#: What the networks of Annys et al. 2023 see.
PLAIN = ("counts over maximum",)

CHANNEL_SETS = {"features": CHANNELS, "features and steps": WITH_STEPS, "counts": PLAIN}

# Half widths, in grid channels, of the running means behind the last three channels.
_CONTRAST_HALF = 24
_STEP_HALF = 6
_NOISE_HALF = 30
_BLOCK = 32
_RUN = 64


def _running_sum(xp: Any, values: Any, half: int, shift: int = 0) -> Any:
    """Sum over channels i+shift-half … i+shift+half; channels beyond the ends count zero."""
    n, size = values.shape
    blank = xp.zeros((n, half + abs(shift)), dtype=values.dtype, device=device_of(values))
    padded = xp.concat([blank, values, blank], axis=1)
    total = xp.cumulative_sum(padded, axis=1, dtype=xp.float64, include_initial=True)
    low = abs(shift) + shift
    high = low + 2 * half + 1
    return total[:, high : high + size] - total[:, low : low + size]


def features(values: Any, mask: Any, grid: Grid, *, steps: bool = False) -> Any:
    """Channels of order one from spectra on a grid.

    Every channel is unchanged when the counts are multiplied by a positive number, and
    zero outside the record.

    Parameters
    ----------
    values : array, (n, grid.size) [counts], float64
    mask : array, (n, grid.size), 0 or 1
        Without gaps.
    grid : Grid
    steps : bool
        Add the steps at three scales.

    Returns
    -------
    array, (n, 5 or 8, grid.size) float32
        See ``CHANNELS`` and ``WITH_STEPS``. Step significance is the difference of the means of
        the six channels after and before each, over its standard error from the local scatter.
        The steps at three scales are those on a sloping line; see `_steps_on_lines`.
    """
    xp = array_namespace(values)
    inside = xp.astype(mask, xp.float64)
    n_inside = xp.sum(inside, axis=1, keepdims=True)
    n_safe = xp.where(n_inside > 0, n_inside, xp.ones_like(n_inside))
    peak = xp.max(xp.abs(values) * inside, axis=1, keepdims=True)
    y = values / xp.where(peak > 0, peak, xp.ones_like(peak)) * inside

    root = xp.sign(y) * xp.sqrt(xp.abs(y))

    # Detrended logarithm: a power-law background becomes a straight line and goes.
    log_y = xp.log(xp.clip(y, 1e-5, None))
    log_e = xp.asarray(
        np.log(np.maximum(grid.energies, 1.0)), dtype=xp.float64, device=device_of(values)
    )[None, :]
    mean_e = xp.sum(log_e * inside, axis=1, keepdims=True) / n_safe
    mean_y = xp.sum(log_y * inside, axis=1, keepdims=True) / n_safe
    de = (log_e - mean_e) * inside
    spread_e = xp.sum(de * de, axis=1, keepdims=True)
    slope = xp.sum(de * (log_y - mean_y), axis=1, keepdims=True) / (spread_e + 1e-12)
    law = (mean_y + slope * de) * inside
    residual = (log_y - law) * inside
    scale = xp.sqrt(xp.sum(residual * residual, axis=1, keepdims=True) / n_safe) + 1e-4
    detrended = xp.clip(residual / scale, -5.0, 5.0)

    weight = _running_sum(xp, inside, _CONTRAST_HALF) + 1e-9
    smooth = _running_sum(xp, y, _CONTRAST_HALF) / weight
    level = _running_sum(xp, xp.abs(y), _CONTRAST_HALF) / weight
    contrast = xp.clip(4.0 * (y - smooth) / (level + 1e-9), -5.0, 5.0)

    # Noise from second differences, which a smooth spectrum hardly has.
    both = inside[:, 1:-1] * inside[:, :-2] * inside[:, 2:]
    second = (y[:, 1:-1] - 0.5 * (y[:, :-2] + y[:, 2:])) * both
    pad = xp.zeros_like(y[:, :1])
    second = xp.concat([pad, second, pad], axis=1)
    known = xp.concat([pad, both, pad], axis=1)
    variance = _running_sum(xp, second * second, _NOISE_HALF) / (
        1.5 * _running_sum(xp, known, _NOISE_HALF) + 1e-9
    )
    half_step = _STEP_HALF // 2
    number_after = _running_sum(xp, inside, half_step, half_step + 1)
    number_before = _running_sum(xp, inside, half_step, -half_step - 1)
    after = _running_sum(xp, y, half_step, half_step + 1) / (number_after + 1e-9)
    before = _running_sum(xp, y, half_step, -half_step - 1) / (number_before + 1e-9)
    covered = (number_after > half_step) & (number_before > half_step)
    error = xp.sqrt(variance * (2.0 / _STEP_HALF)) + 1e-4 * level + 1e-12
    step = (after - before) / error
    # asinh: a logarithm that knows signs; steps run from one standard error to thousands
    step = _asinh(xp, step) / 3.0 * xp.astype(covered, step.dtype)

    channels = [root, detrended, contrast * inside, step * inside, inside]
    if steps:
        per_law = xp.exp(xp.clip(-law, -60.0, 60.0))
        # no step below some 1e-4 of the level is an edge, whatever the dose
        scatter = (xp.sqrt(variance) + 2e-4 * level) * per_law + 1e-9
        ratio = xp.clip(y * per_law, -1e3, 1e3)
        channels += _steps_on_lines(xp, ratio, scatter, mask, n_inside)
    return xp.stack([xp.astype(channel, xp.float32) for channel in channels], axis=1)


def _asinh(xp: Any, x: Any) -> Any:
    """Inverse hyperbolic sine; logarithms are several times faster than libraries' own."""
    size = xp.abs(x)
    return xp.sign(x) * xp.log(size + xp.sqrt(size * size + 1.0))


def _steps_on_lines(xp: Any, ratio: Any, scatter: Any, mask: Any, n_inside: Any) -> list[Any]:
    """How significant a step is at each place, over each of ``_STEP_SCALES``.

    To the channels on either side, a straight line with a step in its middle is fitted by least
    squares; what comes back is the step over its standard error, a third of its asinh.

    ``ratio`` are the counts over the power law of the whole record, ``scatter`` their standard
    deviations, both (n, grid.size) and zero outside the record.
    """
    n, size = ratio.shape
    device = device_of(ratio)
    place = xp.arange(size, dtype=xp.float64, device=device)[None, :]
    first = xp.astype(xp.argmax(mask, axis=1, keepdims=True), xp.float64)
    most = max(_STEP_SCALES)
    blank = xp.zeros((n, most), dtype=xp.float64, device=device)
    integrals = [
        xp.cumulative_sum(xp.concat([blank, x, blank], axis=1), axis=1, include_initial=True)
        for x in (ratio, ratio * place)
    ]

    def moments(begin: int, end: int) -> tuple[Any, Any]:
        """Of the ratio over channels i + begin … i + end, about channel i."""
        low, high = most + begin, most + end + 1
        y0, y1 = (x[:, high : high + size] - x[:, low : low + size] for x in integrals)
        return xp.astype(y0, xp.float32), xp.astype(y1 - place * y0, xp.float32)

    behind = xp.astype(place - first, xp.float32)
    ahead = xp.astype(first + n_inside - 1.0 - place, xp.float32)
    per_scatter = xp.astype(mask, xp.float32) / xp.astype(scatter, xp.float32)
    steps = []
    for scale in _STEP_SCALES:
        (b0, b1), (a0, a1) = moments(-scale, -1), moments(1, scale)
        # recorded channels before and after, and the sums of their distances and squares
        nb, na = xp.clip(behind, 0.0, scale), xp.clip(ahead, 0.0, scale)
        db, da = 0.5 * nb * (nb + 1.0), 0.5 * na * (na + 1.0)
        m0, m1 = na + nb, da - db
        m2 = (da * (2.0 * na + 1.0) + db * (2.0 * nb + 1.0)) / 3.0
        s0, s1 = na - nb, da + db
        determinant = m0 * m2 - m1 * m1
        safe = xp.where(determinant > 0.5, determinant, xp.ones_like(determinant))
        height, slope = (s0 * m2 - s1 * m1) / safe, (m0 * s1 - m1 * s0) / safe
        # what of the step function no straight line imitates
        left = m0 - height * s0 - slope * s1
        enough = (xp.minimum(na, nb) >= scale // 4 + 1) & (left > 1e-2)
        left = xp.where(enough, left, xp.ones_like(left))
        z = (a0 - b0 - height * (a0 + b0) - slope * (a1 + b1)) * per_scatter / xp.sqrt(left)
        steps.append(_asinh(xp, z) / 3.0 * xp.astype(enough, xp.float32))
    return steps


def plain(values: Any, mask: Any, grid: Grid) -> Any:
    """One channel: counts over their maximum; zero below 76 eV and outside the record.

    Parameters as in `features`. Returns array, (n, 1, grid.size) float32.
    """
    return over_maximum(values, mask, grid)[:, None, :]


def network_input(
    counts: Any,
    offset: Any,
    dispersion: Any,
    size: Any,
    grid: Grid,
    channels: tuple[str, ...] = CHANNELS,
) -> Any:
    """The input of a network for recorded spectra: `rebin`, then what its channels ask for.

    Parameters as in `rebin`, and one of the ``CHANNEL_SETS``. Returns array,
    (n, len(channels), grid.size) float32.
    """

    def made(values: Any, mask: Any, part: Grid) -> Any:
        if channels == PLAIN:
            return plain(values, mask, part)
        return features(values, mask, part, steps=channels == WITH_STEPS)

    xp = array_namespace(counts)
    if str(device_of(counts)) != "cpu" or counts.shape[0] == 0:
        return made(*rebin(counts, offset, dispersion, size, grid), grid)
    # blocks that stay in a processor's cache are several times faster than the whole, and what
    # no record of a block reaches is zero
    parts = []
    for begin in range(0, counts.shape[0], _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        first, last = _reached(xp, offset[rows], dispersion[rows], size[rows], grid)
        part = grid.part(first, last)
        inside = made(*rebin(counts[rows], offset[rows], dispersion[rows], size[rows], part), part)
        whole = xp.zeros((*inside.shape[:2], grid.size), dtype=inside.dtype)
        whole[:, :, first:last] = inside
        parts.append(whole)
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)


def _reached(xp: Any, offset: Any, dispersion: Any, size: Any, grid: Grid) -> tuple[int, int]:
    """Whole runs of 64 grid channels that hold all that records reach, and one beyond."""
    low = float(xp.min(offset - dispersion))
    high = float(xp.max(offset + size * dispersion))
    bounds = grid.boundaries
    first = (int(np.searchsorted(bounds, low)) - 1) // _RUN
    last = -(-int(np.searchsorted(bounds, high)) // _RUN)
    return max(first - 1, 0) * _RUN, min((last + 1) * _RUN, grid.size)
