"""The fixed energy grids on which networks and data sets have spectra, and the way onto them.

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
    "ANNYS_GRID",
    "DEFAULT_GRID",
    "GRIDS",
    "KONG_GRID",
    "Grid",
    "over_maximum",
    "rebin",
]

# Annys et al. blank what lies below [eV]: plasmons would take the place of the maximum.
_MAXIMUM_FROM_EV = 75.5


@dataclass(frozen=True)
class Grid:
    """Channels of a network's input, or of a data set.

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

    def part(self, first: int, last: int) -> Grid:
        """The channels ``first`` … ``last`` - 1 alone, with the very same boundaries."""
        start = float(self.boundaries[first])
        return Grid(start, self.step_ev, self.resolving_power, last - first)

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


@lru_cache(maxsize=512)
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
    """Spectra on a grid.

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


def over_maximum(values: Any, mask: Any, grid: Grid) -> Any:
    """Counts over their maximum, zero below 76 eV and outside the record (Annys et al. 2023).

    Parameters
    ----------
    values : array, (n, grid.size) [counts]
    mask : array, (n, grid.size), 0 or 1
    grid : Grid

    Returns
    -------
    array, (n, grid.size) float32
        Zero throughout where no count is positive.
    """
    xp = array_namespace(values)
    beyond = xp.asarray(grid.energies >= _MAXIMUM_FROM_EV, device=device_of(values))
    y = values * xp.astype(mask, values.dtype) * xp.astype(beyond, values.dtype)[None, :]
    peak = xp.max(y, axis=1, keepdims=True)
    return xp.astype(y / xp.where(peak > 0, peak, xp.ones_like(peak)), xp.float32)
