"""Precision, recall and F1 of each spectrum (Kong, Ji & Xin 2022), and their box plots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SpectrumScores", "spectrum_scores"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpectrumScores:
    """Scores of each of n spectra.

    Attributes
    ----------
    precision, recall, f1 : ndarray, (n,)
    exact, recognised : ndarray, (n,) bool
        Every element right and none too many; every element found.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    exact: NDArray[np.bool_]
    recognised: NDArray[np.bool_]

    def summary(self) -> dict[str, dict[str, float]]:
        """What a box plot of precision, recall and F1 shows, for each of the three.

        ``mean``, ``whisker_low``, ``quartile_1``, ``median``, ``quartile_3``,
        ``whisker_high``, ``outliers`` (their share) and ``n``; whiskers reach to the last
        value within 1.5 times the distance of the quartiles (Tukey).
        """
        return {name: _box(getattr(self, name)) for name in ("precision", "recall", "f1")}


def spectrum_scores(present: NDArray[np.bool_], found: NDArray[np.bool_]) -> SpectrumScores:
    """Scores of spectra.

    Parameters
    ----------
    present, found : ndarray, (n, n_elements) bool
        A spectrum without elements has 1 where nothing is found, else precision and F1 0.
    """
    true = (present & found).sum(axis=1)
    said, are = found.sum(axis=1), present.sum(axis=1)
    ideal = (said == 0) & (are == 0)

    def share(part: NDArray, whole: NDArray, blank: NDArray) -> Floats:
        ratio = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
        return np.where(blank, 1.0, ratio)

    return SpectrumScores(
        share(true, said, ideal),
        share(true, are, are == 0),
        share(2 * true, said + are, ideal),
        (present == found).all(axis=1),
        true == are,
    )


def _box(values: Floats) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 1.5 * (high - low)
    inside = (values >= low - reach) & (values <= high + reach)
    return {
        "mean": float(values.mean()),
        "whisker_low": float(values[inside].min()),
        "quartile_1": float(low),
        "median": float(middle),
        "quartile_3": float(high),
        "whisker_high": float(values[inside].max()),
        "outliers": float(1.0 - inside.mean()),
        "n": float(values.size),
    }
