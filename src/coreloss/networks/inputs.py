"""What a network sees: a spectrum on a fixed energy grid, as five channels of order one.

Written against the array API, so the same code prepares NumPy arrays for inference and
torch tensors, on any device, for training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of
from numpy.typing import NDArray

__all__ = [
    "CHANNELS",
    "CHANNEL_SETS",
    "DEFAULT_GRID",
    "PLAIN",
    "Grid",
    "features",
    "network_input",
    "plain",
    "rebin",
]

CHANNELS = ("root counts", "detrended log counts", "local contrast", "step significance", "mask")

#: What the networks of Annys et al. 2023 see.
PLAIN = ("counts over maximum",)

CHANNEL_SETS = {"features": CHANNELS, "counts": PLAIN}

# Annys et al. blank what lies below [eV]: plasmons would take the place of the maximum.
_PLAIN_FROM_EV = 75.5

# Half widths, in grid channels, of the running means behind the last three channels.
_CONTRAST_HALF = 24
_STEP_HALF = 6
_NOISE_HALF = 30
_BLOCK = 128


@dataclass(frozen=True)
class Grid:
    """Channels of a network's input.

    The width of a channel is ``step_ev`` at low loss and grows as energy / ``resolving_power``
    where that is more: edges broaden and dispersions coarsen with energy loss, so a
    uniform grid would spend most of its channels where there is least to see.

    Parameters
    ----------
    start_ev : float
        Lower boundary of the first channel [eV].
    step_ev : float
        Smallest channel width [eV].
    resolving_power : float
        Energy over channel width at high loss; infinity gives a uniform grid.
    size : int
        Number of channels.
    """

    start_ev: float
    step_ev: float
    resolving_power: float
    size: int

    def __post_init__(self) -> None:
        if self.step_ev <= 0 or self.size < 1 or self.resolving_power <= 0:
            raise ValueError(f"{self} is no grid: step, size and resolving power must be positive")

    @property
    def boundaries(self) -> NDArray[np.float64]:
        """Channel boundaries, (size + 1,) [eV]."""
        return _boundaries(self)

    @property
    def energies(self) -> NDArray[np.float64]:
        """Channel centres, (size,) [eV]."""
        bounds = self.boundaries
        return 0.5 * (bounds[1:] + bounds[:-1])

    def to_dict(self) -> dict[str, float]:
        """The four numbers that define the grid, for a model card."""
        return {
            "start_ev": self.start_ev,
            "step_ev": self.step_ev,
            # JSON knows no infinity
            "resolving_power": self.resolving_power if np.isfinite(self.resolving_power) else 0.0,
            "size": self.size,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Grid:
        """The grid of a model card; raises KeyError or ValueError where that is not one."""
        power = float(values["resolving_power"])
        return cls(
            float(values["start_ev"]),
            float(values["step_ev"]),
            power if power > 0 else float("inf"),
            int(values["size"]),
        )


@lru_cache(maxsize=16)
def _boundaries(grid: Grid) -> NDArray[np.float64]:
    bounds = np.empty(grid.size + 1)
    bounds[0] = grid.start_ev
    for i in range(grid.size):
        bounds[i + 1] = bounds[i] + max(grid.step_ev, bounds[i] / grid.resolving_power)
    bounds.flags.writeable = False
    return bounds


#: 40 to 3,391 eV: 1 eV channels to 600 eV, then 1/600 of the energy.
DEFAULT_GRID = Grid(start_ev=40.0, step_ev=1.0, resolving_power=600.0, size=1600)

#: The grid of Annys et al. 2023: 3,072 channels of 1 eV centred on 0 … 3071 eV.
ANNYS_GRID = Grid(start_ev=-0.5, step_ev=1.0, resolving_power=float("inf"), size=3072)

#: The input of Kong et al. 2022: 90 to 1,000 eV, 4,550 channels of 0.2 eV.
KONG_GRID = Grid(start_ev=90.0, step_ev=0.2, resolving_power=float("inf"), size=4550)

GRIDS = {"default": DEFAULT_GRID, "annys2023": ANNYS_GRID, "kong2022": KONG_GRID}


def rebin(counts: Any, offset: Any, dispersion: Any, size: Any, grid: Grid) -> tuple[Any, Any]:
    """Spectra on a network's grid.

    Each grid channel takes the mean over its own width or one recorded channel, whichever
    is wider: fine records are binned (which keeps their dose), coarse ones come out
    linearly interpolated.

    Parameters
    ----------
    counts : array, (n, n_energy) [counts/channel], finite
        Channels from ``size`` on are padding.
    offset, dispersion : array, (n,) [eV], [eV/channel]
        Centre of the first channel, width of a channel.
    size : array, (n,)
        Recorded channels of each spectrum.
    grid : Grid

    Returns
    -------
    values : array, (n, grid.size) [counts/channel]
        Zero outside the record.
    mask : array, (n, grid.size) float
        1 where at least half of a grid channel was recorded, else 0.
    """
    xp = array_namespace(counts)
    device = device_of(counts)
    double = xp.float64
    n_energy = counts.shape[1]
    # The running integral needs double precision: counts span six decades within a record.
    integral = xp.cumulative_sum(counts, axis=1, dtype=double, include_initial=True)
    bounds = xp.asarray(np.array(grid.boundaries), dtype=double, device=device)
    centre = 0.5 * (bounds[1:] + bounds[:-1])[None, :]
    width = (bounds[1:] - bounds[:-1])[None, :]
    dispersion = xp.astype(dispersion, double)[:, None]
    start = xp.astype(offset, double)[:, None] - 0.5 * dispersion
    size = xp.astype(size, double)[:, None]
    half = 0.5 * xp.where(width > dispersion, width, dispersion)

    def clipped(energy: Any) -> Any:
        position = (energy - start) / dispersion
        return xp.minimum(xp.maximum(position, xp.zeros_like(size)), size)

    low, high = clipped(centre - half), clipped(centre + half)
    span = high - low

    def integrated(position: Any) -> Any:
        whole = xp.astype(position, xp.int64)
        whole = xp.clip(whole, 0, n_energy - 1)
        left = xp.take_along_axis(integral, whole, axis=1)
        right = xp.take_along_axis(integral, whole + 1, axis=1)
        return left + (position - xp.astype(whole, double)) * (right - left)

    mask = span * dispersion >= half
    tiny = xp.where(span > 0, span, xp.ones_like(span))
    values = xp.where(mask, (integrated(high) - integrated(low)) / tiny, xp.zeros_like(span))
    return values, xp.astype(mask, xp.float32)


def _running_sum(xp: Any, values: Any, half: int, shift: int = 0) -> Any:
    """Sum over channels i+shift-half … i+shift+half; channels beyond the ends count zero."""
    n, size = values.shape
    blank = xp.zeros((n, half + abs(shift)), dtype=values.dtype, device=device_of(values))
    padded = xp.concat([blank, values, blank], axis=1)
    total = xp.cumulative_sum(padded, axis=1, dtype=xp.float64, include_initial=True)
    low = abs(shift) + shift
    high = low + 2 * half + 1
    return total[:, high : high + size] - total[:, low : low + size]


def features(values: Any, mask: Any, grid: Grid) -> Any:
    """Five channels of order one from spectra on a grid.

    Every channel is unchanged when the counts are multiplied by a positive number, and
    zero outside the record.

    Parameters
    ----------
    values : array, (n, grid.size) [counts], float64
    mask : array, (n, grid.size), 0 or 1
    grid : Grid

    Returns
    -------
    array, (n, 5, grid.size) float32
        See ``CHANNELS``. Step significance is the difference of the means of the six
        channels after and before each, over its standard error from the local scatter.
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
    de, dy = (log_e - mean_e) * inside, (log_y - mean_y) * inside
    spread_e = xp.sum(de * de, axis=1, keepdims=True)
    slope = xp.sum(de * dy, axis=1, keepdims=True) / (spread_e + 1e-12)
    residual = dy - slope * de
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
    step = xp.asinh(step) / 3.0 * xp.astype(covered, step.dtype)

    channels = xp.stack([root, detrended, contrast * inside, step * inside, inside], axis=1)
    return xp.astype(channels, xp.float32)


def plain(values: Any, mask: Any, grid: Grid) -> Any:
    """One channel: counts over their maximum; zero below 76 eV and outside the record.

    Parameters as in `features`. Returns array, (n, 1, grid.size) float32.
    """
    xp = array_namespace(values)
    beyond = xp.asarray(grid.energies >= _PLAIN_FROM_EV, device=device_of(values))
    y = values * xp.astype(mask, values.dtype) * xp.astype(beyond, values.dtype)[None, :]
    peak = xp.max(y, axis=1, keepdims=True)
    y = y / xp.where(peak > 0, peak, xp.ones_like(peak))
    return xp.astype(y, xp.float32)[:, None, :]


def network_input(
    counts: Any,
    offset: Any,
    dispersion: Any,
    size: Any,
    grid: Grid,
    channels: tuple[str, ...] = CHANNELS,
) -> Any:
    """The input of a network for recorded spectra: ``rebin``, then ``features`` or ``plain``.

    Parameters as in `rebin`, and one of the ``CHANNEL_SETS``. Returns array,
    (n, len(channels), grid.size) float32.
    """
    made = plain if channels == PLAIN else features
    xp = array_namespace(counts)
    # blocks that stay in a processor's cache are several times faster than the whole
    block = _BLOCK if str(device_of(counts)) == "cpu" else counts.shape[0]
    parts = []
    for begin in range(0, counts.shape[0], max(block, 1)):
        rows = slice(begin, begin + block)
        parts.append(
            made(*rebin(counts[rows], offset[rows], dispersion[rows], size[rows], grid), grid)
        )
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
