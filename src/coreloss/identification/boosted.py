"""Boosted trees: a sum of small decision trees, fitted by ``tools/build_judgement.py``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoostedTrees"]


@dataclass(frozen=True)
class BoostedTrees:
    """Log odds as the sum of the leaves that features fall into; Friedman 2001.

    Node 0 of each tree is its root; a leaf is its own child on both sides.

    Attributes
    ----------
    base : float
        Log odds before any tree.
    feature : ndarray, (n_trees, n_nodes) int
        Which feature a node asks for.
    threshold : ndarray, (n_trees, n_nodes)
        Up to and with it, the left child is next.
    left, right : ndarray, (n_trees, n_nodes) int
    value : ndarray, (n_trees, n_nodes)
        What a leaf adds.
    """

    base: float
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]

    def log_odds(self, features: NDArray[np.float64]) -> float:
        """Of features (n_features,)."""
        tree = np.arange(len(self.feature))
        node = np.zeros_like(tree)
        while True:
            low = features[self.feature[tree, node]] <= self.threshold[tree, node]
            after = np.where(low, self.left[tree, node], self.right[tree, node])
            if (after == node).all():
                return self.base + float(self.value[tree, node].sum())
            node = after
