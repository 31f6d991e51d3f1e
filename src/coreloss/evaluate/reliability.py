"""Whether probabilities are what they say: reliability diagrams, expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reliability", "reliability"]


@dataclass(frozen=True)
class Reliability:
    """Stated probability against how often it was true, in bins.

    Attributes
    ----------
    stated, observed : ndarray, (n_bins,)
        Mean probability and share of those that were true; NaN in empty bins.
    number : ndarray, (n_bins,) int
    error : float
        Expected calibration error: mean of |stated - observed| over all predictions
        (M. Naeini, G. Cooper, M. Hauskrecht, AAAI 2015).
    """

    stated: NDArray[np.float64]
    observed: NDArray[np.float64]
    number: NDArray[np.int64]
    error: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON; empty bins are None."""

        def numbers(values: NDArray[np.float64]) -> list[float | None]:
            return [round(float(v), 5) if np.isfinite(v) else None for v in values]

        return {
            "stated": numbers(self.stated),
            "observed": numbers(self.observed),
            "number": self.number.tolist(),
            "error": round(self.error, 5),
        }


def reliability(
    probability: NDArray[np.floating],
    true: NDArray[np.bool_],
    *,
    bins: int = 15,
    least: float = 0.0,
) -> Reliability:
    """Reliability of predictions.

    Parameters
    ----------
    probability, true : ndarray, same shape
    bins : int
        Of equal width in probability.
    least : float
        Only predictions of at least this count: most elements of most records are absent
        beyond doubt, and with all of them any model looks calibrated.

    Raises
    ------
    ValueError
        If the shapes differ or nothing is left.
    """
    p, y = np.asarray(probability, dtype=float).ravel(), np.asarray(true, dtype=bool).ravel()
    if p.shape != y.shape:
        raise ValueError(f"{p.size} probabilities for {y.size} truths; their numbers must agree")
    p, y = p[p >= least], y[p >= least]
    if p.size == 0:
        raise ValueError(f"no probability reaches {least}; nothing to compare")
    place = np.clip((p * bins).astype(int), 0, bins - 1)
    number = np.bincount(place, minlength=bins)
    safe = np.where(number > 0, number, 1)
    nothing = np.where(number > 0, 0.0, np.nan)
    stated = np.bincount(place, weights=p, minlength=bins) / safe + nothing
    observed = np.bincount(place, weights=y.astype(float), minlength=bins) / safe + nothing
    error = float(np.nansum(np.abs(stated - observed) * number) / p.size)
    return Reliability(stated, observed, number, error)
