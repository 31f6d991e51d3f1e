"""What each edge is convolved with: a low-loss spectrum, or a shift of the axis alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.energy import EnergyAxis

__all__ = ["FARTHEST_ZERO_LOSS_EV", "Response", "zero_loss_position"]

#: A peak farther from 0 than this is no zero-loss peak [eV].
FARTHEST_ZERO_LOSS_EV = 50.0

# Channels wider than this, and than the core loss's, do not tell plasmons from the zero loss [eV].
_COARSEST_EV = 5.0


def zero_loss_position(counts: ArrayLike, axis: EnergyAxis) -> NDArray[np.float64]:
    """Energy of the zero-loss peak's maximum in low-loss spectra (n, n_energy), (n,) [eV].

    A parabola through the highest channel and its neighbours, of counts smoothed over three.
    """
    values = np.atleast_2d(np.nan_to_num(np.asarray(counts, dtype=float)))
    if axis.size < 5:
        raise ValueError(f"a low-loss spectrum of {axis.size} channels is too short")
    smooth = values[:, 1:-1] + 0.5 * (values[:, :-2] + values[:, 2:])
    top = np.clip(np.argmax(smooth, axis=1), 1, smooth.shape[1] - 2)
    row = np.arange(values.shape[0])
    left, centre, right = smooth[row, top - 1], smooth[row, top], smooth[row, top + 1]
    bend = left - 2.0 * centre + right
    part = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
    return np.asarray(axis.offset + axis.dispersion * (top + 1 + np.clip(part, -0.5, 0.5)))


@dataclass(frozen=True)
class Response:
    """Kernels for the edges of one spectrum, or one kernel for each of n spectra.

    Attributes
    ----------
    kernel : ndarray, (m, n_kernel), m = 1 or n
        Sums to the intensity of the whole low loss [counts], or to 1.
    zero : int
        The channel of no energy loss.
    absolute : bool
        Whether the kernel carries the intensity, so that fitted amplitudes are areal densities.
    """

    kernel: NDArray[np.float64]
    zero: int
    absolute: bool = False

    @classmethod
    def of_shift(
        cls, shift_ev: ArrayLike, dispersion_ev: float, *, intensity: ArrayLike | None = None
    ) -> Response:
        """A shift of every edge, (n,) or one number [eV], to higher energy loss.

        ``intensity`` is that of the incident beam in the record's own counts; with it the
        fitted amplitudes are areal densities. A fraction of a channel is shared between
        two neighbours: the model moves, the counts stay as they are.
        """
        shift = np.atleast_1d(np.asarray(shift_ev, dtype=float)) / dispersion_ev
        if not np.isfinite(shift).all():
            raise ValueError("a shift of the energy axis is NaN or infinite; give it in eV")
        zero = int(np.ceil(np.abs(shift).max())) + 1
        whole = np.floor(shift).astype(int)
        part = shift - whole
        kernel = np.zeros((shift.size, 2 * zero + 1))
        row = np.arange(shift.size)
        kernel[row, zero + whole] = 1.0 - part
        kernel[row, zero + whole + 1] += part
        if intensity is not None:
            strength = np.atleast_1d(np.asarray(intensity, dtype=float))
            if not (np.isfinite(strength).all() and (strength > 0).all()):
                raise ValueError("the beam's intensity must be positive everywhere")
            kernel = kernel * strength[:, None]
        return cls(kernel, zero, intensity is not None)

    @classmethod
    def of_low_loss(
        cls,
        counts: ArrayLike,
        axis: EnergyAxis,
        dispersion_ev: float,
        *,
        ratio: float | None = None,
        shift_ev: ArrayLike = 0.0,
    ) -> Response:
        """Low-loss spectra, (n_low,) or (n, n_low) [counts], that contain the zero-loss peak.

        One of another dispersion is rebinned to that of the core-loss record; its counts keep
        their sum, those of a channel spread evenly over it.

        Parameters
        ----------
        dispersion_ev : float [eV/channel]
            Of the core-loss record.
        ratio : float, optional
            Exposure of the core-loss record over that of the low loss. With it amplitudes
            are areal densities; without, the low loss counts as a shape of unit area.
        shift_ev : float or array_like, (n,) [eV]
            The zero-loss peak is put at 0 eV plus this: how far the core-loss record's axis has
            drifted, for all its edges to move with.

        Raises
        ------
        ValueError
            If the record's channels are too wide, it holds no zero loss or a spectrum is empty.
        """
        values = np.atleast_2d(np.asarray(counts, dtype=float))
        if axis.dispersion > _COARSEST_EV and axis.dispersion > 1.01 * dispersion_ev:
            raise ValueError(
                f"the low loss has {axis.dispersion:.4g} eV/channel, too coarse to tell plasmons "
                f"from the zero loss, and the core loss {dispersion_ev:.4g}; give a low loss of "
                f"at most {_COARSEST_EV:g} eV/channel"
            )
        if not axis.start < 0.0 < axis.end:
            raise ValueError(
                f"the low loss runs from {axis.start:.4g} to {axis.end:.4g} eV and does not hold "
                "the zero-loss peak; give a record that begins below 0 eV"
            )
        if not np.isfinite(values).any(axis=1).all():
            raise ValueError("a low-loss spectrum holds no finite number; mask it or leave it out")
        # the detector's noise about zero is kept: cutting it off would add a baseline
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        total = values.sum(axis=1)
        if not (total > 0).all():
            raise ValueError("a low-loss spectrum sums to nothing; mask it or leave it out")
        place = zero_loss_position(values, axis)
        if np.abs(place).max() > FARTHEST_ZERO_LOSS_EV:
            raise ValueError(
                "the highest peak of a low-loss spectrum lies at "
                f"{place[np.abs(place).argmax()]:.4g} eV, too far from 0 for a zero-loss peak; "
                "calibrate its axis"
            )
        # noise ahead of the zero-loss peak would put counts of the edge before its onset
        energies = axis.energies
        ahead = energies[None, :] < place[:, None] - max(5.0, 4.0 * axis.dispersion)
        values = np.where(ahead, 0.0, values)
        total = values.sum(axis=1)
        zero = round(-axis.offset / dispersion_ev)
        number = max(round(axis.size * axis.dispersion / dispersion_ev), zero + 1)
        # where, in channels of the low loss, those of the kernel begin and end
        bounds = (np.arange(number + 1) - zero - 0.5) * dispersion_ev
        moved = place - np.asarray(shift_ev, dtype=float) - axis.offset
        bounds = (bounds[None] + moved[:, None]) / axis.dispersion + 0.5
        kernel = _rebinned(values, bounds)
        kernel = kernel * (1.0 / total if ratio is None else np.full_like(total, ratio))[:, None]
        return cls(kernel, zero, ratio is not None)

    def applied(self, columns: NDArray[np.float64], n_energy: int) -> NDArray[np.float64]:
        """Columns (n_columns, n_long) through every kernel: (m, n_columns, n_energy).

        The columns go on beyond the record by at least ``zero`` channels, from where the
        kernel's gain side brings intensity back.
        """
        if self.kernel.shape == (1, 1):
            return columns[None, :, :n_energy] * self.kernel[0, 0]
        size = columns.shape[1] + self.kernel.shape[1] - 1
        size = _fast_length(size)
        spectrum = np.fft.rfft(columns, n=size, axis=-1)[None]
        kernel = np.fft.rfft(self.kernel, n=size, axis=-1)[:, None]
        whole = np.fft.irfft(spectrum * kernel, n=size, axis=-1)
        return np.asarray(whole[:, :, self.zero : self.zero + n_energy])


def _fast_length(size: int) -> int:
    """The next length of the form 2^k, 3·2^k or 5·2^k, for which Fourier transforms are fast."""
    return min(m << max((-(-size // m) - 1).bit_length(), 0) for m in (1, 3, 5))


def _rebinned(values: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of counts (n, n_low) in other channels, whose bounds (n, m + 1) count in theirs: (n, m).

    Moved by a part of a channel, counts are shared between two neighbours.
    """
    n, size = values.shape
    below = np.concatenate([np.zeros((n, 1)), np.cumsum(values, axis=1)], axis=1)
    bounds = np.clip(bounds, 0.0, size)
    whole = np.minimum(bounds.astype(int), size - 1)
    row = np.arange(n)[:, None]
    return np.diff(below[row, whole] + (bounds - whole) * values[row, whole], axis=1)
