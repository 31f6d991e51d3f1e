"""The energy axis of a spectrum, and spectra that carry one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["EnergyAxis", "Spectra", "filled", "total_of"]

# rounds until the common shape of spectra and their strengths agree, and how well
_ROUNDS, _AGREED = 100, 1e-5


@dataclass(frozen=True)
class EnergyAxis:
    """A uniform, ascending energy-loss axis.

    Parameters
    ----------
    offset : float
        Energy loss at the centre of the first channel [eV].
    dispersion : float
        Width of one channel [eV/channel], positive.
    size : int
        Number of channels, at least 1.

    Raises
    ------
    ValueError
        If a value is not finite, the dispersion is not positive or the size is below 1.
    """

    offset: float
    dispersion: float
    size: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.offset) and np.isfinite(self.dispersion)):
            raise ValueError(
                f"energy axis needs finite numbers; offset is {self.offset} eV and "
                f"dispersion is {self.dispersion} eV/channel"
            )
        if self.dispersion <= 0:
            raise ValueError(
                f"dispersion is {self.dispersion} eV/channel; it must be positive "
                "(reverse a descending axis together with its counts)"
            )
        if self.size < 1:
            raise ValueError(f"energy axis has {self.size} channels; it needs at least 1")

    @classmethod
    def from_energies(cls, energies: ArrayLike) -> EnergyAxis:
        """The axis of an array of channel energies (n_energy,) [eV], ascending and uniform.

        Raises ValueError for anything else, and where an energy is more than a hundredth of a
        channel from the straight line.
        """
        values = np.asarray(energies, dtype=float)
        if values.ndim != 1 or values.size < 2:
            raise ValueError(
                f"energies have shape {values.shape}; a 1-D array of at least two is needed"
            )
        if not np.all(np.isfinite(values)):
            raise ValueError("energies contain NaN or infinity; give a finite energy per channel")
        dispersion = (values[-1] - values[0]) / (values.size - 1)
        if dispersion <= 0:
            raise ValueError("energies do not ascend; reverse energies and counts together")
        axis = cls(float(values[0]), float(dispersion), int(values.size))
        worst = float(np.max(np.abs(values - axis.energies))) / dispersion
        if worst > 0.01:
            raise ValueError(
                f"energies are not evenly spaced (off by up to {worst:.2g} channels); "
                "resample the spectrum to a uniform axis"
            )
        return axis

    @property
    def energies(self) -> NDArray[np.float64]:
        """Energy loss at the centre of each channel, (n_energy,) [eV]."""
        return self.offset + self.dispersion * np.arange(self.size, dtype=float)

    @property
    def start(self) -> float:
        """Lower boundary of the first channel [eV]."""
        return self.offset - 0.5 * self.dispersion

    @property
    def end(self) -> float:
        """Upper boundary of the last channel [eV]."""
        return self.start + self.dispersion * self.size

    def corrected(self, shift_ev: float = 0.0, stretch: float = 1.0) -> EnergyAxis:
        """The axis with E_true = shift_ev + stretch * E_recorded."""
        return EnergyAxis(shift_ev + stretch * self.offset, stretch * self.dispersion, self.size)

    def index(self, energy_ev: float) -> int:
        """The channel nearest to an energy [eV]; may lie outside 0 … size-1."""
        return round((energy_ev - self.offset) / self.dispersion)


@dataclass(frozen=True, eq=False)  # arrays have no single truth of being equal
class Spectra:
    """Counts with their energy axis.

    Parameters
    ----------
    counts : ndarray, (..., n_energy) [electrons or detector units]
        Leading axes are navigation axes (none for a single spectrum).
    axis : EnergyAxis
    metadata : dict
        What the file says: ``file``, ``title``, ``signal`` (which data set of the file),
        ``beam_energy_kev``, ``alpha_mrad``, ``beta_mrad``; absent where it says nothing.
    notes : tuple of str
        What was done to the record on the way in, one sentence each.
    """

    counts: NDArray[Any]
    axis: EnergyAxis
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.counts.ndim < 1 or self.counts.shape[-1] != self.axis.size:
            raise ValueError(
                f"counts have shape {self.counts.shape} but the energy axis has "
                f"{self.axis.size} channels; the last axis must be the energy axis"
            )

    def summed(self) -> Spectra:
        """One spectrum, (n_energy,): the sum over every navigation axis.

        Channels that some spectra lack (NaN) are made up for by `filled`, as the sum would
        step where they begin.
        """
        if self.counts.ndim == 1:
            return self
        pixels = self.counts.reshape(-1, self.axis.size)
        empty = int(np.count_nonzero(~np.isfinite(pixels).any(axis=1)))
        note = f"sum of {pixels.shape[0] - empty} spectra"
        note += f"; {empty} more without numbers" if empty else ""
        return replace(self, counts=total_of(pixels), notes=(*self.notes, note))


def filled(counts: NDArray[Any], like: NDArray[Any] | None = None) -> NDArray[Any]:
    """Spectra whose unrecorded channels hold what the other spectra say of them.

    Spectra aligned to each other or cut in part lack some channels (NaN). A plain sum of such
    spectra has a step where the missing ones begin, and a step looks like an edge. Each gap
    gets the common shape of all spectra times the strength of its own: the rank-one model
    fitted to the channels that are there.

    Parameters
    ----------
    counts : ndarray, (n, n_energy)
    like : ndarray, (m, n_energy), optional
        Further spectra that tell the shape.

    Returns
    -------
    ndarray, (n, n_energy)
        As given where nothing is to be filled. Channels that no spectrum holds and spectra
        that hold nothing stay NaN.
    """
    known = np.isfinite(counts)
    if known.all():
        return counts
    every = np.asarray(counts if like is None else np.concatenate([counts, like]), dtype=float)
    held = np.isfinite(every)
    told = held.any(axis=0)
    partly = known.any(axis=1) & ~known[:, told].all(axis=1)
    if not partly.any():
        return counts
    values = np.where(held, every, 0.0)
    own, strength = values.sum(axis=1), values.sum(axis=1) / np.maximum(held.sum(axis=1), 1)
    for _ in range(_ROUNDS):
        weight = np.maximum(strength, 0.0) @ held
        shape = np.where(weight > 0, values.sum(axis=0) / np.where(weight > 0, weight, 1.0), 0.0)
        share = held @ shape
        before, strength = strength, np.where(share > 0, own / np.where(share > 0, share, 1.0), 0.0)
        if np.abs(strength - before).max() <= _AGREED * np.abs(strength).mean():
            break
    out = every[: counts.shape[0]].copy()
    rows = np.flatnonzero(partly)
    made = np.where(told, strength[rows, None] * shape, np.nan)
    out[rows] = np.where(known[rows], out[rows], made)
    return out.astype(counts.dtype, copy=False)


def total_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """The sum of spectra (n, n_energy), (n_energy,), gaps `filled`; NaN where none holds one."""
    known = np.isfinite(counts).any(axis=0)
    total = np.nansum(filled(counts), axis=0, dtype=float)
    return np.where(known, total, np.nan)
