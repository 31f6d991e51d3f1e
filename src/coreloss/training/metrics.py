"""Scores of multi-label predictions, and thresholds.

Definitions of Annys, Jannis & Verbeeck 2023: precision, recall and F1 averaged over the
elements, weighted by how often each occurs; exact match rate; root mean square error; the
threshold at which weighted precision and recall are closest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["balanced_threshold", "exact_match_rate", "exact_threshold", "weighted_scores"]


def weighted_scores(
    present: NDArray[np.bool_], found: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Weighted precision, recall and F1.

    Parameters
    ----------
    present, found : ndarray, (n, n_elements) bool

    Returns
    -------
    precision, recall, f1 : float
        An element never found has precision 0; nothing present at all gives zeros.
    """
    true = (present & found).sum(axis=0).astype(float)
    said = found.sum(axis=0).astype(float)
    are = present.sum(axis=0).astype(float)
    total = are.sum()
    if total == 0:
        return 0.0, 0.0, 0.0
    precision = np.divide(true, said, out=np.zeros_like(true), where=said > 0)
    recall = np.divide(true, are, out=np.zeros_like(true), where=are > 0)
    f1 = np.divide(2 * true, said + are, out=np.zeros_like(true), where=said + are > 0)
    weight = are / total
    return (
        float((precision * weight).sum()),
        float((recall * weight).sum()),
        float((f1 * weight).sum()),
    )


def exact_match_rate(present: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    """Share of spectra with every element right; ``present`` and ``found`` (n, n_elements)."""
    return float((present == found).all(axis=1).mean())


def balanced_threshold(present: NDArray[np.bool_], probability: NDArray[np.floating]) -> float:
    """The threshold in 0.01 … 0.99 at which weighted precision and recall are closest."""
    best, least = 0.5, np.inf
    for threshold in np.linspace(0.01, 0.99, 99):
        precision, recall, _ = weighted_scores(present, probability >= threshold)
        if precision + recall > 0 and abs(precision - recall) < least:
            best, least = float(threshold), abs(precision - recall)
    return best


def exact_threshold(
    present: NDArray[np.bool_],
    probability: NDArray[np.floating],
    *,
    tolerance: float = 0.0,
) -> float:
    """The threshold in 0.2 … 0.8 at which most spectra are exactly right.

    With a ``tolerance``, the highest at which no more than that share fewer are: what is hardly
    lost in exactness then saves false alarms.
    """
    candidates = np.linspace(0.2, 0.8, 61)
    rates = np.array([exact_match_rate(present, probability >= t) for t in candidates])
    if tolerance <= 0.0:
        return float(candidates[rates.argmax()])
    return float(candidates[rates >= rates.max() - tolerance][-1])
