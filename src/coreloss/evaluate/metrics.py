"""Scores of identifications, by the definitions of both papers.

Annys, Jannis & Verbeeck 2023: scores weighted over elements, exact match rate, RMSE
(`coreloss.training.metrics` has the first two, which training uses as well). Kong, Ji & Xin
2022: precision, recall and F1 of each spectrum, exact and recognition accuracy.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.evaluate.spectrum_metrics import spectrum_scores
from coreloss.training.metrics import exact_match_rate, weighted_scores

__all__ = ["by_element", "confusions", "rmse", "scores"]


def rmse(present: NDArray[np.bool_], probability: NDArray[np.floating]) -> float:
    """Root mean square of probability minus truth, over all elements of all spectra."""
    return float(np.sqrt(np.mean((probability - present) ** 2)))


def scores(
    present: NDArray[np.bool_],
    probability: NDArray[np.floating],
    threshold: float,
    *,
    counted: NDArray[np.bool_] | None = None,
    found: NDArray[np.bool_] | None = None,
    averaged: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """All scores of what is found: from a threshold on, or as it is given.

    Parameters
    ----------
    present : ndarray, (n, n_elements) bool
    probability : ndarray, (n, n_elements)
    threshold : float
    counted : ndarray, (n, n_elements) bool, optional
        Where false, an element counts neither way: its truth is not known.
    found : ndarray, (n, n_elements) bool, optional
        Instead of what reaches the threshold.
    averaged : ndarray, (n_elements,) bool, optional
        Elements over which the RMSE is taken, those that can occur; all without it. What is
        found of the others is a false alarm all the same.

    Returns
    -------
    dict
        ``precision``, ``recall``, ``f1`` (weighted), ``micro_f1`` (over all decisions: weighted
        scores do not see false alarms of elements that never occur), ``exact_match``, ``rmse``,
        ``spectrum_precision``, ``spectrum_recall``, ``spectrum_f1`` (means over spectra; a
        spectrum without elements has 1 where nothing is found, else 0) and ``recognition``
        (share of spectra with every element found).
    """
    found = probability >= threshold if found is None else found
    considered = np.ones(present.shape, dtype=bool) if counted is None else counted
    if counted is not None:
        present, found = present & counted, found & counted
    if averaged is not None:
        considered = considered & averaged
    precision, recall, f1 = weighted_scores(present, found)
    each = spectrum_scores(present, found)
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "micro_f1": float(2 * (present & found).sum() / max(int(present.sum() + found.sum()), 1)),
        "exact_match": exact_match_rate(present, found),
        "rmse": rmse(present[considered], probability[considered]),
        "spectrum_precision": float(each.precision.mean()),
        "spectrum_recall": float(each.recall.mean()),
        "spectrum_f1": float(each.f1.mean()),
        "recognition": float(each.recognised.mean()),
    }


def by_element(
    present: NDArray[np.bool_], found: NDArray[np.bool_], elements: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Scores of each element that occurs or is said to, weakest F1 first.

    Each entry has ``symbol``, ``spectra`` (that hold it), ``precision``, ``recall`` and
    ``f1``; precision is 0 for an element never found, recall 0 for one that never occurs.
    """
    rows = []
    for column, symbol in enumerate(elements):
        are, said = int(present[:, column].sum()), int(found[:, column].sum())
        true = int((present & found)[:, column].sum())
        if are or said:
            rows.append(
                {
                    "symbol": symbol,
                    "spectra": are,
                    "precision": true / max(said, 1),
                    "recall": true / max(are, 1),
                    "f1": 2 * true / (are + said),
                }
            )
    return sorted(rows, key=lambda row: row["f1"])


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
