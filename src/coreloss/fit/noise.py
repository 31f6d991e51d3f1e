"""The noise of recorded counts, from how spectra scatter about their fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Noise", "apparent_gain", "estimated_noise"]

# fewer spectra than this tell no fixed pattern from noise
_LEAST_SPECTRA = 8
_LONGEST_LAG = 12
# of the mean counts: spectra without any noise still have a gain
_LEAST_OF_MEAN = 1e-9


@dataclass(frozen=True)
class Noise:
    """Noise of a detector.

    Attributes
    ----------
    gain : float
        Variance over mean of one channel's counts; 1 where a count is an electron.
    correlation : float
        By what a sum over many channels varies more than if channels were independent; the
        point spread of a scintillator makes it 2 to 10.
    """

    gain: float = 1.0
    correlation: float = 1.0


def estimated_noise(residuals: NDArray[np.float64], model: NDArray[np.float64]) -> Noise:
    """Gain and correlation from residuals and models (n, n_energy) of the same spectra.

    From eight spectra on, what the residuals have in common, in proportion to the model, is
    taken for the fault of the model or a fixed pattern and left out; fewer are judged by second
    differences, in which a smooth misfit hardly shows, and neighbouring channels count as
    independent. The point spread makes neighbours alike: the variance of a sum over many
    channels is that of one times 1 + 2 Σ ρ_k.

    Raises ValueError if no channel holds both.
    """
    usable = np.isfinite(residuals) & (model > 0)
    if not usable.any():
        raise ValueError("no channel holds a residual, so the noise cannot be estimated")
    safe = np.where(usable, model, 1.0)
    rest = np.where(usable, residuals, 0.0)
    n = residuals.shape[0]
    if n < _LEAST_SPECTRA:
        both = usable[:, 1:-1] & usable[:, :-2] & usable[:, 2:]
        second = np.diff(rest / np.sqrt(safe), n=2, axis=1)
        if not both.any():
            return Noise()
        least = _LEAST_OF_MEAN * float(model[usable].mean())
        return Noise(max(_of_second_differences(second[both]), least))
    share = rest.sum(axis=0) / np.maximum(np.where(usable, model, 0.0).sum(axis=0), 1e-300)
    rest = np.where(usable, rest - share * safe, 0.0) / np.sqrt(safe)
    number = usable.sum(axis=0)
    variance = (rest**2).sum(axis=0) / np.maximum(number - 1, 1)
    # white lines that drift or change from pixel to pixel scatter more than noise does
    steady = (number > 1) & (variance < 1.5 * np.median(variance[number > 1]))
    level = float(variance[steady].mean())
    total = 1.0
    for lag in range(1, min(_LONGEST_LAG, rest.shape[1] - 1) + 1):
        near = steady[lag:] & steady[:-lag]
        pairs = (usable[:, lag:] & usable[:, :-lag])[:, near].sum()
        product = (rest[:, lag:] * rest[:, :-lag])[:, near].sum()
        rho = product / max(pairs, 1) / max(level, 1e-300)
        if rho * np.sqrt(max(pairs, 1)) < 3.0:
            break
        total += 2.0 * rho
    return Noise(max(level, _LEAST_OF_MEAN * float(model[usable].mean())), float(total))


def apparent_gain(counts: NDArray[np.floating]) -> float:
    """Counts per electron, roughly, of spectra (n, n_energy) [counts] without a model of them.

    From second differences over the root of the mean of three channels; 1 where nothing scatters.
    """
    values = np.asarray(counts, dtype=float)
    middle = (values[:, 2:] + values[:, 1:-1] + values[:, :-2]) / 3.0
    usable = np.isfinite(middle) & (np.nan_to_num(middle) > 0)
    if not usable.any():
        return 1.0
    second = np.diff(values, n=2, axis=1)[usable] / np.sqrt(middle[usable])
    least = _LEAST_OF_MEAN * float(middle[usable].mean())
    return max(_of_second_differences(second), least)


def _of_second_differences(second: NDArray[np.float64]) -> float:
    # the median stands against spikes; 0.4549 is that of χ² with one degree of freedom
    return float(np.median(second**2) / 0.4549 / 6.0)
