"""Records of which nothing should be said, and the sentence that says so instead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.identification.physics import noise_level

__all__ = ["reason_to_abstain", "surely_judged", "zero_loss_ev"]

Floats = NDArray[np.float64]

# no core-loss record reaches this far: X-ray spectra do [eV]
_X_RAY_EV = 6000.0
_SATURATED_RUN = 4
_LEAST_SATURATED = 25.0
# mean over standard error, in bins of a sixteenth of the record, below which it is noise
_LEAST_SNR = 2.0
# or range of the bins' means over it
_LEAST_SPREAD = 8.0
_PARTS = 16
_PEAKS = 3
_BLOCK = 1024


def reason_to_abstain(counts: NDArray, axis: EnergyAxis) -> str:
    """One sentence for a record that no answer should be given for; empty for all others.

    Parameters
    ----------
    counts : ndarray, (n_energy,), finite
    axis : EnergyAxis
    """
    y = np.asarray(counts, dtype=float)
    return (
        _nothing_counted(y)
        or _not_energy_loss(y, axis)
        or _saturated(y, axis)
        or _noise_only(y)
        or _peaks_only(y, axis)
    )


def surely_judged(counts: NDArray, axis: EnergyAxis) -> NDArray[np.bool_]:
    """Records (n, n_energy) that `reason_to_abstain` has nothing to say of, (n,).

    All at once; of the others, and those with numbers that are not finite, it may or may not.
    """
    sure = np.zeros(len(counts), dtype=bool)
    if axis.start < 1.0 or axis.end > _X_RAY_EV or _as_wide_as_x_rays(axis):
        return sure
    for begin in range(0, len(counts), _BLOCK):
        y = np.asarray(counts[begin : begin + _BLOCK], dtype=float)
        with np.errstate(invalid="ignore"):
            top = y.max(axis=1)
            at_top = (y == top[:, None]).sum(axis=1)
            full = (top >= _LEAST_SATURATED) & (at_top >= _least_run(y.shape[1]))
            sure[begin : begin + _BLOCK] = (top > 0.0) & ~full & _stands_out(y)
    return sure


def _nothing_counted(y: Floats) -> str:
    if y.max() > 0.0:
        return ""
    return (
        "no channel holds a value above zero; give the spectrum as counted, before any "
        "subtraction or change of sign"
    )


def _not_energy_loss(y: Floats, axis: EnergyAxis) -> str:
    """Low losses, X-ray spectra, and rows of pictures give themselves away by their axis."""
    if axis.end > _X_RAY_EV and axis.start < 1000.0:
        return (
            f"the record runs from {axis.start:.0f} to {axis.end:.0f} eV, as X-ray spectra do and "
            "energy losses do not; give an EELS core-loss record"
        )
    if not _covers_zero(axis):
        return ""
    if zero_loss_ev(y, axis) is not None:
        if axis.end <= 150.0:
            return (
                f"the record holds the zero-loss peak and ends at {axis.end:.0f} eV: this is a "
                "low-loss spectrum; give a core-loss record"
            )
        return ""
    return (
        "the axis covers 0 eV but there is no zero-loss peak: these are not energy losses, "
        "or the axis is wrong; set it right (--axis shift=…)"
    )


def _covers_zero(axis: EnergyAxis) -> bool:
    margin = max(3.0, 3.0 * axis.dispersion)
    return (axis.start < -1.0 and axis.end > margin) or (axis.start < 1.0 < axis.end)


def zero_loss_ev(counts: NDArray, axis: EnergyAxis) -> float | None:
    """Where a record (n_energy,) has its zero-loss peak [eV]; None where it has none."""
    if not _covers_zero(axis):
        return None
    y = np.asarray(counts, dtype=float)
    near = np.abs(axis.energies) <= max(10.0, 3.0 * axis.dispersion)
    # it towers over all losses of a transparent sample
    if not near.any() or y[near].max() < 0.98 * y.max():
        return None
    rest = y[axis.energies > 40.0]
    if rest.size and np.median(rest) >= 0.2 * y[near].max():
        return None
    return float(axis.energies[near][int(np.argmax(y[near]))])


def _saturated(y: Floats, axis: EnergyAxis) -> str:
    top = y.max()
    if top < _LEAST_SATURATED:
        return ""
    full = y == top
    edges = np.flatnonzero(np.diff(np.concatenate([[0], full.astype(int), [0]])))
    runs = edges[1::2] - edges[::2]
    longest = int(runs.max()) if runs.size else 0
    if longest < _least_run(y.size):
        return ""
    begin = int(edges[2 * int(runs.argmax())])
    return (
        f"{longest} channels from {axis.energies[begin]:.0f} eV on hold the same highest value "
        f"({top:g}): the detector was saturated; record with a shorter exposure"
    )


def _least_run(channels: int) -> float:
    """Channels in a row at the highest value from which a record is saturated."""
    return max(_SATURATED_RUN, 0.003 * channels)


def _sixteenths(y: Floats) -> Floats:
    """Records (…, n_energy) in sixteen parts or a few more, (…, n_parts, channels of each)."""
    size = max(2, y.shape[-1] // _PARTS)
    number = y.shape[-1] // size
    return y[..., : number * size].reshape(*y.shape[:-1], number, size)


def _stands_out(y: Floats) -> NDArray[np.bool_]:
    """Whether the parts of records (…, n_energy) differ by more than any noise, (…)."""
    parts = _sixteenths(y)
    # edges and spikes are in the differences of channels too: at least the noise, and quick
    most = np.sqrt(np.mean(np.diff(y, axis=-1) ** 2, axis=-1) / 2.0 / parts.shape[-1])
    spread = np.ptp(parts.mean(axis=-1), axis=-1)
    return np.asarray(np.isfinite(most) & (spread >= 2.0 * _LEAST_SPREAD * most))


def _noise_only(y: Floats) -> str:
    """Too few counts to see a step of the height of the background itself."""
    if _stands_out(y):
        return ""
    parts = _sixteenths(y)
    size, mean = parts.shape[1], parts.mean(axis=1)
    gain, floor = noise_level(y)
    error = np.sqrt((gain * np.abs(parts).mean(axis=1) + floor) / size)
    ratio = np.abs(mean) / np.maximum(error, 1e-30)
    spread = np.ptp(mean) / max(float(error.mean()), 1e-30)
    if np.median(ratio) >= _LEAST_SNR or spread >= _LEAST_SPREAD:
        return ""
    return (
        "the record is too noisy: over a sixteenth of it the mean is "
        f"{np.median(ratio):.1f} standard errors; sum more spectra"
    )


def _as_wide_as_x_rays(axis: EnergyAxis) -> bool:
    return axis.end >= 1500.0 and axis.start <= 500.0


def _peaks_only(y: Floats, axis: EnergyAxis) -> str:
    """Several symmetric peaks on a flat background: characteristic X-rays, not edges."""
    if not _as_wide_as_x_rays(axis):
        return ""
    width = max(2, round(40.0 / axis.dispersion))
    if y.size < 12 * width:
        return ""
    gain, floor = noise_level(y)
    kernel = np.ones(width) / width
    smooth = np.convolve(y, kernel, "same")
    error = np.sqrt((gain * np.abs(smooth) + floor) / width) + 1e-30
    far = 4 * width
    centre = smooth[far:-far]
    before, after = smooth[: -2 * far], smooth[2 * far :]
    base = np.maximum(before, after)
    height = centre - base
    local = (centre >= smooth[far - 1 : -far - 1]) & (centre >= smooth[far + 1 : -far + 1 or None])
    isolated = (
        local
        & (height > 8.0 * error[far:-far])
        & (np.abs(after - before) < 0.15 * height)
        & (height > 1.0 * np.maximum(base, 0.0))
    )
    places = np.flatnonzero(isolated)
    number = int(places.size and 1 + (np.diff(places) > 2 * width).sum())
    if number < _PEAKS:
        return ""
    return (
        f"{number} symmetric peaks stand on a flat background, as in X-ray spectra, and no edge "
        "does; give an EELS core-loss record"
    )
