"""Calibration of probabilities: one logistic rescaling of the logits (Platt 1999)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.training.metrics import exact_match_rate, exact_threshold, weighted_scores

__all__ = ["platt", "scored"]

# of exact matches, that a higher threshold with fewer false alarms may cost
_EXACT_TOLERANCE = 0.003
# of Newton, which needs about ten
_STEPS = 50


def scored(logits: NDArray[np.floating], present: NDArray[np.bool_]) -> dict[str, Any]:
    """``threshold``, ``calibration`` and ``scores`` of a card.

    The first half of the spectra sets calibration and threshold, the second gives the scores.
    The threshold is the highest that costs next to no exact matches.
    """
    half = present.shape[0] // 2
    slope, intercept = platt(logits[:half], present[:half])
    probability = 1.0 / (1.0 + np.exp(-(slope * logits + intercept)))
    threshold = exact_threshold(present[:half], probability[:half], tolerance=_EXACT_TOLERANCE)
    found = probability[half:] >= threshold
    precision, recall, f1 = weighted_scores(present[half:], found)
    return {
        "threshold": threshold,
        "calibration": {"slope": slope, "intercept": intercept},
        "scores": {
            "simulated": {
                "spectra": int(present.shape[0] - half),
                "precision": precision,
                "recall": recall,
                "f1": f1,
                "exact_match": exact_match_rate(present[half:], found),
            }
        },
    }


def platt(logits: NDArray[np.floating], present: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept that make sigmoid(slope · logit + intercept) a probability.

    Maximum likelihood by Newton's method over all elements of all spectra.

    Parameters
    ----------
    logits : ndarray, (n, n_elements)
    present : ndarray, (n, n_elements) bool

    Returns
    -------
    slope, intercept : float

    Raises
    ------
    ValueError
        If all labels are the same: nothing to calibrate on.
    """
    x = np.clip(np.asarray(logits, dtype=float).ravel(), -30.0, 30.0)
    y = np.asarray(present, dtype=float).ravel()
    if y.min(initial=1.0) == y.max(initial=0.0):
        raise ValueError("calibration needs spectra with and without elements present")
    design = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.array([1.0, 0.0])

    def cost(w: NDArray[np.float64]) -> float:
        z = design @ w
        return float(np.sum(np.logaddexp(0.0, z) - y * z) + 1e-3 * np.sum((w - [1.0, 0.0]) ** 2))

    current = cost(weights)
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-(design @ weights)))
        gradient = design.T @ (p - y) + 2e-3 * (weights - [1.0, 0.0])
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design + 2e-3 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-6 and cost(weights - size * step) > current:
            size *= 0.5
        weights = weights - size * step
        new = cost(weights)
        if current - new < 1e-9 * max(abs(current), 1.0):
            break
        current = new
    return float(weights[0]), float(weights[1])
