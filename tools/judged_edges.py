"""Fits the trees that tell whether a record shows an edge, for ``build_judgement.py``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from judged_cases import LOOKED_AT_RECORD, SEED, cases, searched
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from coreloss.identification import ModelBundle
from coreloss.identification.boosted import BoostedTrees
from coreloss.identification.edge_free import EDGE_FEATURES, FOR_EDGES, SEARCHED
from coreloss.identification.evidence import doubted
from coreloss.simulate import load_recipe

# of backgrounds that may get an element, axis search and all, and of ordinary answers that this
# may cost
FALSE_ALARMS = 0.0040
LOST = 0.025
# records of the recipe, and backgrounds with each fault, for every spectrum asked for; and of
# those backgrounds whose axis is searched, which takes longest
ORDINARY, FAULTY, SEARCHED_TOO = 16, 20, 1.5
SEARCHED_SEED = SEED - 30_000_000
TREES, LEAVES, LEARNING_RATE, LEAST_LEAF = 200, 8, 0.08, 30
#: Edge-free records: as they come, and each kind of fault on every one.
FAULTS: tuple[dict[str, Any], ...] = (
    {},
    {"offset_fraction": 1.0, "baseline_fraction": 1.0, "shading_fraction": 1.0},
    {"gain_step_fraction": 1.0},
    {
        "smoothed_fraction": 1.0,
        "framed_fraction": 0.0,
        "log_counts": (1.5, 3.0),
        "readout_noise": (2.0, 8.0),
    },
    {"subtracted_fraction": 1.0},
)

Floats = NDArray[np.float64]


def fit_edges(bundle: ModelBundle, n: int, combine: Floats) -> BoostedTrees:
    """Trees that tell records with an edge from backgrounds with faults of a detector.

    Of records that would get an element: right answers against backgrounds, which weigh the
    same together. The base is then lowered until at most ``FALSE_ALARMS`` of the backgrounds
    get an element, or ``LOST`` of the ordinary records would lose their right answer, each
    record being judged by trees that were fitted on others. Backgrounds count that get one as
    recorded, and those that get one on an axis which the search corrected by what is no edge.
    """
    x, bare_row, worth, right = edge_rows(bundle, n, combine)
    told = bare_row | (worth > 0)
    share = np.where(bare_row, (told & ~bare_row).sum() / bare_row.sum(), 1.0)
    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        learning_rate=LEARNING_RATE,
        min_samples_leaf=LEAST_LEAF,
        l2_regularization=5.0,
        monotonic_cst=[int(name in FOR_EDGES) for name in EDGE_FEATURES],
        random_state=0,
    )
    fitted = model.fit(x[told], ~bare_row[told], sample_weight=share[told])
    score = np.asarray(fitted.decision_function(x))
    # those that were told from others' trees, the rest were told by none
    score[told] = cross_val_predict(
        model,
        x[told],
        ~bare_row[told],
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
        method="decision_function",
        params={"sample_weight": share[told]},
    )
    order = np.argsort(score)
    ordinary, backgrounds = ORDINARY * n, FAULTY * n * len(FAULTS)
    alarms = (bare_row.sum() - np.cumsum(bare_row[order])) / backgrounds
    sought = np.sort(searched_scores(bundle, int(SEARCHED_TOO * n), combine, fitted))
    above = sought.size - np.searchsorted(sought, score[order], side="right")
    by_search = above / (int(SEARCHED_TOO * n) * len(FAULTS))
    alarms = alarms + by_search
    lost = np.cumsum(np.where(bare_row, 0, worth)[order]) / ordinary
    print(f"without the record's edges: exact {right / ordinary:.4f}, "
          f"false alarms {bare_row.sum() / backgrounds:.4f}")  # fmt: skip
    for level in (0.01, 0.0075, 0.006, 0.005, 0.004, 0.003):
        place = int(np.argmax(alarms <= level))
        print(f"  false alarms {alarms[place]:.4f}, of axis search {by_search[place]:.4f}: "
              f"exact {right / ordinary - lost[place]:.4f}")  # fmt: skip
    stop = int(np.argmax((alarms <= FALSE_ALARMS) | (lost > LOST)))
    cut = float(score[order[stop : stop + 2]].mean())
    print(f"chosen: exact {right / ordinary - lost[stop]:.4f}, false alarms {alarms[stop]:.4f}, "
          f"of axis search {by_search[stop]:.4f}")  # fmt: skip
    trees = trees_of(fitted)
    trees = replace(trees, base=trees.base - cut)
    ours = np.array([trees.log_odds(row) for row in x[:1000]])
    np.testing.assert_allclose(ours, fitted.decision_function(x[:1000]) - cut, atol=1e-3)
    return trees


def edge_rows(
    bundle: ModelBundle, n: int, combine: Floats
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64], int]:
    """Features of records that would get an element, which are bare, and what each is worth.

    1 if right, -1 if only silence is right. The last is how many ordinary records are right.
    """
    default = load_recipe("default")
    limit = bundle.threshold
    bare = replace(default, empty_fraction=1.0, unlisted_fraction=0.0)
    sources = [(default, ORDINARY * n, SEED + 2_000_000)] + [
        (replace(bare, **faults), FAULTY * n, SEED + 10_000_000) for faults in FAULTS
    ]
    features, rows, right = [], [], 0
    for number, (recipe, size, seed) in enumerate(sources):
        for case in cases(bundle, recipe, size, seed + 1_000_000 * number):
            found: set[str] = set()
            if max((case.network[s] for s in case.judged), default=0.0) >= LOOKED_AT_RECORD:
                proof = case.evidence(limit, combine)
                found = case.named(proof, limit)
            right += number == 0 and found == case.present
            if found:
                features.append(proof.edge_features)
                rows.append((number > 0, (found == case.present) - (not case.present)))
    bare_row, worth = np.array([b for b, _ in rows]), np.array([int(w) for _, w in rows])
    return np.array(features), bare_row, worth, right


def searched_scores(
    bundle: ModelBundle, n: int, combine: Floats, fitted: HistGradientBoostingClassifier
) -> Floats:
    """Log odds of an edge, of those backgrounds that get an element on a corrected axis.

    Of n backgrounds with each fault. What one edge alone moved is less sure by what `SEARCHED`
    asks for more.
    """
    bare = replace(load_recipe("default"), empty_fraction=1.0, unlisted_fraction=0.0)
    limit = bundle.threshold
    features, handicap = [], []
    for number, faults in enumerate(FAULTS):
        for case, estimate in searched(bundle, replace(bare, **faults), n, SEARCHED_SEED + number):
            if max((case.network[s] for s in case.judged), default=0.0) < LOOKED_AT_RECORD:
                continue
            proof = doubted(case.evidence(limit, combine), estimate.certainty, limit)
            network = {s: p * estimate.certainty(s) for s, p in case.network.items()}
            if replace(case, network=network).named(proof, limit):
                features.append(proof.edge_features)
                alone = estimate.by_one_edge
                handicap.append(np.log(SEARCHED / (1.0 - SEARCHED)) if alone else 0.0)
    if not features:
        return np.zeros(0)
    score = np.asarray(fitted.decision_function(np.array(features)))
    return np.asarray(score - np.array(handicap))


def trees_of(fitted: HistGradientBoostingClassifier) -> BoostedTrees:
    """What scikit-learn fitted, as arrays of one shape; trees with fewer nodes are filled up."""
    trees = [stage[0].nodes for stage in fitted._predictors]
    shape = (len(trees), max(nodes.size for nodes in trees))
    own = np.arange(shape[1])
    left, right = np.tile(own, (shape[0], 1)), np.tile(own, (shape[0], 1))
    feature, threshold, value = np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)
    for tree, nodes in enumerate(trees):
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        feature[tree, inner] = nodes["feature_idx"][inner]
        threshold[tree, inner] = nodes["num_threshold"][inner]
        left[tree, inner], right[tree, inner] = nodes["left"][inner], nodes["right"][inner]
        value[tree, : nodes.size] = nodes["value"]
    return BoostedTrees(
        float(np.ravel(fitted._baseline_prediction)[0]), feature, threshold, left, right, value
    )


def save_trees(trees: BoostedTrees, path: Path) -> None:
    """In as few bytes as hold them."""
    arrays = {
        "base": np.float32(trees.base),
        "feature": trees.feature.astype(np.int8),
        "threshold": trees.threshold.astype(np.float32),
        "left": trees.left.astype(np.int8),
        "right": trees.right.astype(np.int8),
        "value": trees.value.astype(np.float32),
    }
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(partial, path)
