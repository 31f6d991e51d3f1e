"""Scores of identifications, by the definitions of both papers.

Annys, Jannis & Verbeeck 2023: scores weighted over elements, exact match rate, RMSE
(`coreloss.training.metrics` has the first two, which training uses as well). Kong, Ji & Xin
2022: precision, recall and F1 of each spectrum, exact and recognition accuracy.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from coreloss.training.metrics import exact_match_rate, weighted_scores

__all__ = ["confusions", "rmse", "scores"]


def rmse(present: NDArray[np.bool_], probability: NDArray[np.floating]) -> float:
    """Root mean square of probability minus truth, over all elements of all spectra."""
    return float(np.sqrt(np.mean((probability - present) ** 2)))


def scores(
    present: NDArray[np.bool_],
    probability: NDArray[np.floating],
    threshold: float,
    *,
    counted: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """All scores at a threshold.

    Parameters
    ----------
    present : ndarray, (n, n_elements) bool
    probability : ndarray, (n, n_elements)
    threshold : float
    counted : ndarray, (n, n_elements) bool, optional
        Where false, an element counts neither way: its truth is not known.

    Returns
    -------
    dict
        ``precision``, ``recall``, ``f1`` (weighted), ``exact_match``, ``rmse``,
        ``spectrum_precision``, ``spectrum_recall``, ``spectrum_f1`` (means over spectra; a
        spectrum without elements has 1 where nothing is found, else 0) and ``recognition``
        (share of spectra with every element found).
    """
    found = probability >= threshold
    if counted is not None:
        present, found = present & counted, found & counted
        probability = np.where(counted, probability, 0.0)
    precision, recall, f1 = weighted_scores(present, found)
    true = (present & found).sum(axis=1)
    said, are = found.sum(axis=1), present.sum(axis=1)
    ideal = (said == 0) & (are == 0)

    def share(part: NDArray, whole: NDArray, blank: NDArray) -> NDArray:
        ratio = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
        return np.where(blank, 1.0, ratio)

    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "exact_match": exact_match_rate(present, found),
        "rmse": rmse(present, probability),
        "spectrum_precision": float(share(true, said, ideal).mean()),
        "spectrum_recall": float(share(true, are, are == 0).mean()),
        "spectrum_f1": float(share(2 * true, said + are, ideal).mean()),
        "recognition": float((true == are).mean()),
    }


def confusions(
    present: NDArray[np.bool_], found: NDArray[np.bool_], elements: tuple[str, ...]
) -> list[tuple[str, str, int]]:
    """What was said for what: (true, said, times), most frequent first.

    A missed element and a wrongly found one of the same spectrum make a pair; one without
    the other is paired with '-'.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for are, said in zip(present, found, strict=True):
        missed = [elements[i] for i in np.nonzero(are & ~said)[0]]
        extra = [elements[i] for i in np.nonzero(said & ~are)[0]]
        pairs.update(
            (m, e) for m in missed or ["-"] for e in extra or ["-"] if (m, e) != ("-", "-")
        )
    return [(true, said, times) for (true, said), times in pairs.most_common()]
