"""How well a record can tell that an element is present: its Cramér–Rao signal-to-noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from coreloss.simulate.detector import sample_channels

__all__ = ["N_BINS", "signal_to_noise"]

N_BINS = 256
_SMOOTH_ORDER = 5


def signal_to_noise(
    xp: Any,
    contributions: Any,
    rows: np.ndarray,
    slots: np.ndarray,
    n_slots: int,
    expected: Any,
    background: Any,
    start: Any,
    end: Any,
    per_ev: Any,
    constant: Any,
    model_error: Any,
    device: Any,
) -> Any:
    """Amplitude over its standard error for each element's contribution.

    The record is modelled as the elements' contributions, with free amplitudes, plus the
    background times a polynomial of fourth order in log energy. The Cramér–Rao bound on
    the amplitude of one element, all others and the background being free, gives its
    signal-to-noise ratio: what an ideal fit would quote. ``model_error`` adds a relative
    error to every bin, so that no dose makes a negligible edge visible; where bins are finer
    than channels it is larger, as these err together.

    Parameters
    ----------
    contributions : array, (n_used, n_grid) [a.u./eV]
        Of the used slots, on the simulator's 1 eV channels.
    rows, slots : ndarray, (n_used,) int
        Spectrum and slot of each contribution.
    n_slots : int
    expected, background : array, (n, n_grid), same unit
        All of the record, and its part that is no edge in range.
    start, end : array, (n, 1) [eV]
    per_ev : array, (n, 1) [electrons per unit of ``expected``]
    constant : array, (n, 1) [electrons²/eV]
        Variance that is not Poisson noise.
    model_error : array, (n, 1)

    Returns
    -------
    array, (n, n_slots) float32; 0 in unused slots.
    """
    n = expected.shape[0]
    start, end = xp.astype(start, xp.float64), xp.astype(end, xp.float64)
    width = (end - start) / N_BINS
    total = sample_channels(xp, expected, start, width, N_BINS)
    smooth = sample_channels(xp, background, start, width, N_BINS)
    index = xp.asarray(rows, device=device)
    flat = xp.zeros((n * n_slots, N_BINS), dtype=xp.float32, device=device)
    flat[xp.asarray(rows * n_slots + slots, device=device)] = sample_channels(
        xp, contributions, start[index], width[index], N_BINS
    )
    signal = xp.reshape(flat, (n, n_slots, N_BINS))

    electrons = xp.astype(width, xp.float32) * per_ev  # electrons per unit and bin
    counts = xp.clip(total * electrons, 0.0, None)  # Fourier transforms leave less than nothing
    variance = counts + (model_error * counts) ** 2
    variance = variance + constant * xp.astype(width, xp.float32) + 1e-12
    sigma = xp.sqrt(variance)

    centre = start + width * (xp.arange(N_BINS, dtype=xp.float64, device=device)[None, :] + 0.5)
    x = xp.log(centre / start) / xp.log(end / start)
    x = xp.astype(2.0 * x - 1.0, xp.float32)
    columns = [smooth, smooth * x]
    for _ in range(_SMOOTH_ORDER - 2):
        columns.append(2.0 * x * columns[-1] - columns[-2])
    basis = xp.concat([xp.stack(columns, axis=1), signal], axis=1)
    basis = xp.astype(basis * (electrons / sigma)[:, None, :], xp.float64)
    norm = xp.sqrt(xp.sum(basis * basis, axis=2))
    used = norm > 1e-9
    safe = xp.where(used, norm, xp.ones_like(norm))
    basis = basis / safe[:, :, None]
    information = basis @ xp.matrix_transpose(basis)
    size = information.shape[1]
    eye = xp.eye(size, dtype=xp.float64, device=device)
    # a degenerate pair has infinite error, not a failed inversion
    ridge = 1e-7 + xp.astype(~used, xp.float64)
    information = information + eye[None, :, :] * ridge[:, None, :]
    inverse = xp.linalg.inv(information)
    diagonal = xp.sum(inverse * eye[None, :, :], axis=2)[:, _SMOOTH_ORDER:]
    ratio = norm[:, _SMOOTH_ORDER:] / xp.sqrt(diagonal)
    return xp.astype(ratio, xp.float32)
