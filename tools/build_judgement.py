"""Fits the small models in data/judgement.json and data/edge_trees.npz on simulated spectra.

Run: python tools/build_judgement.py [--model NAME] [--spectra 1000] [--out FOLDER]
     [--only {edges,sets}]

All on newly simulated records and nothing else: how clear answers rank energy axes
(conditional logit, coarse grid), how edges rank the readings that are left (conditional logit),
how the joint fit corrects the network's odds (logistic regression, shrunk to no correction),
whether a record shows an edge at all (boosted trees, their base set by the false alarms on
records left out), which share of the probability may lie ahead of a set's last member for 95 %
coverage, how probable it is that any member is there (logistic regression), and from where on
sets cover the truth in 95 %, in records far beyond the recipe as well.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis
from coreloss.identification import ModelBundle, load_model
from coreloss.identification.axis import (
    cell_grid,
    network_features,
    prior_features,
    readings,
    scanned,
)
from coreloss.identification.boosted import BoostedTrees
from coreloss.identification.candidates import (
    likeliest_readings,
    members,
    others_of,
    rival_groups,
    set_features,
    weight_ahead,
)
from coreloss.identification.edge_free import EDGE_FEATURES, FOR_EDGES
from coreloss.identification.evidence import FEATURES, Evidence, combined, features_of, gather
from coreloss.identification.judgement import edge_trees, judgement
from coreloss.identification.predict import levelled
from coreloss.identification.result import covers
from coreloss.simulate import SimulatedBatch, SimulationRecipe, load_recipe, simulate
from coreloss.simulate.draws import draw
from coreloss.simulate.gos import records
from coreloss.simulate.library import edge_library

OUT = Path(__file__).parents[1] / "src" / "coreloss" / "data"
SEED = 940_000_000  # apart from training's, validation's and the tests'
BLOCK = 2048
COVERAGE = 0.95
# of backgrounds that may get an element, and of ordinary answers that this may cost
FALSE_ALARMS = 0.0032
LOST = 0.025
# records of the recipe, and backgrounds with each fault, for every spectrum asked for
ORDINARY, FAULTY = 20, 50
TREES, LEAVES, LEARNING_RATE, LEAST_LEAF = 200, 8, 0.08, 30
# inverse variance of what the fit adds to the network's log odds, for one standard deviation of
# a feature; the fit tells little that the network does not know, and a few hundred records more
# by chance than that
CERTAIN_OF_NETWORK = 300.0
# of sets that are true, of every kind of record
AIMED_AT = 0.955
# of the network, that any of some rivals is there, from which they are looked at
ROUGHLY = 0.5
# network probability below which nothing comes of a record
LOOKED_AT_RECORD = 0.15
# no trees, by which every record shows an edge
NO_NODES, NO_VALUES = np.zeros((0, 1), np.int64), np.zeros((0, 1))
SURE = BoostedTrees(30.0, NO_NODES, NO_VALUES, NO_NODES, NO_NODES, NO_VALUES)
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
RIGHT_SHARE = 0.6  # of public records had an axis right to 3 eV

Floats = NDArray[np.float64]


#: Records beyond the ranges of the recipe, on which sets must hold as well.
WIDER: dict[str, Any] = {
    "thickness": (0.5, 1.6),
    "background_exponent": (1.3, 5.5),
    "background_curvature": 1.0,
    "fine_structure_median": 0.55,
    "chemical_shift_ev": 1.6,
    "instrumental_shift_ev": 2.5,
    "subshell_spread": 0.2,
    "shape_spread": 0.15,
    "gain_noise": (0.0, 0.015),
    "readout_noise": (2.0, 9.0),
    "offset_fraction": 0.35,
    "baseline_fraction": 0.12,
}
#: Records as far from the recipe again, at the limit of what a laboratory may record.
FARTHER: dict[str, Any] = {
    "thickness": (1.0, 2.0),
    "background_exponent": (1.0, 6.5),
    "background_curvature": 1.5,
    "fine_structure_median": 0.7,
    "chemical_shift_ev": 2.2,
    "instrumental_shift_ev": 3.5,
    "subshell_spread": 0.28,
    "shape_spread": 0.22,
    "gain_noise": (0.008, 0.025),
    "readout_noise": (5.0, 14.0),
    "offset_fraction": 0.5,
    "baseline_fraction": 0.25,
}


def wrong_axes(n: int, seed: int) -> tuple[SimulatedBatch, Floats, Floats]:
    """Records whose axes err as those of public records do, and the errors.

    Returns the batch, the shift in the middle of each record (true less recorded) [eV] and
    the stretch (true over recorded).
    """
    recipe = replace(
        load_recipe("default"),
        empty_fraction=0.0,
        unlisted_fraction=0.0,
        instrumental_shift_ev=0.0,
        wide_shift_fraction=0.0,
        stretch_fraction=0.0,
    )
    rng = np.random.default_rng(seed)
    drawn = draw(rng, n, recipe, edge_library(False, True))
    right = rng.uniform(size=n) < RIGHT_SHARE
    # some are slips of a calibration, others have no bound but what is searched
    slipped = np.clip(rng.laplace(0.0, 10.0, n), -40.0, 40.0)
    far = np.where(rng.uniform(size=n) < 0.5, slipped, rng.uniform(-40.0, 40.0, n))
    shift = np.where(right, rng.normal(0.0, 1.0, n), far)
    bent = rng.uniform(size=n) < 0.2
    stretch = np.where(bent, 1.0 + rng.uniform(-0.05, 0.05, n), 1.0)
    middle = 0.5 * (drawn.start_ev + drawn.end_ev)
    moved = replace(drawn, shift_ev=middle - stretch * (middle - shift), stretch=stretch)
    return records(recipe, moved, rng), shift, stretch


def record(batch: SimulatedBatch, row: int) -> tuple[Floats, EnergyAxis]:
    """One record of a batch."""
    size = int(batch.size[row])
    axis = EnergyAxis(float(batch.offset[row]), float(batch.dispersion[row]), size)
    return np.asarray(batch.counts[row, :size], dtype=float), axis


def conditional_logit(choices: list[Floats], targets: list[Floats], ridge: float) -> Floats:
    """Weights w for which softmax(features @ w) comes nearest to the targets."""
    scale = np.concatenate(choices).std(axis=0) + 1e-6

    def loss(w: Floats) -> tuple[float, Floats]:
        total, slope = 0.0, np.zeros_like(w)
        for features, target in zip(choices, targets, strict=True):
            score = (features / scale) @ w
            score -= score.max()
            p = np.exp(score)
            p /= p.sum()
            total -= float(target @ np.log(p + 1e-12))
            slope -= (features / scale).T @ (target - p)
        n = len(choices)
        return total / n + ridge * float(w @ w), slope / n + 2.0 * ridge * w

    start = np.zeros(scale.size)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B").x / scale)


def nearness(shift: Floats, stretch: Floats, half: float, truth: tuple[float, float]) -> Floats:
    """How well axes agree with the true one: (n,) log weights."""
    off, bent = (shift - truth[0]) / 4.0, (stretch - truth[1]) * half / 10.0
    return np.asarray(-0.5 * (off**2 + bent**2))


def fit_axes(bundle: ModelBundle, n: int) -> dict[str, object]:
    """Weights of cells and of readings."""
    batch, shift, stretch = wrong_axes(n, SEED)
    rows = np.flatnonzero(batch.present.any(axis=1))
    cells, first, aim = {}, [], []
    for row in rows:
        counts, axis = record(batch, row)
        cells[row] = scanned(counts, axis, bundle, threads=1)
        grid = cell_grid(axis)
        half = 0.5 * axis.size * axis.dispersion
        near = nearness(*grid, half, (shift[row], stretch[row]))
        if near.max() > -3.0:
            first.append(
                np.concatenate(
                    [network_features(bundle, cells[row].logits), prior_features(*grid)], axis=1
                )
            )
            aim.append(np.exp(near) / np.exp(near).sum())
    weights = conditional_logit(first, aim, 1e-3)
    second, aim = [], []
    for row in rows:
        counts, axis = record(batch, row)
        found = readings(counts, axis, bundle, cells[row], weights, threads=1)
        near = nearness(
            np.array([r.shift_ev for r in found]),
            np.array([r.stretch for r in found]),
            0.5 * axis.size * axis.dispersion,
            (shift[row], stretch[row]),
        )
        if near.max() > -4.0 and len(found) > 1:
            second.append(np.stack([r.features for r in found]))
            aim.append(np.exp(near) / np.exp(near).sum())
    return {
        "cells": weights.tolist(),
        "readings": conditional_logit(second, aim, 3e-3).tolist(),
        "least_probability": 0.5,
    }


@dataclass(frozen=True)
class Case:
    """A simulated record, what the network says of it, and what is in it."""

    counts: Floats
    axis: EnergyAxis
    network: dict[str, float]
    judged: frozenset[str]
    present: frozenset[str]

    def evidence(self, limit: float, combine: Floats, trees: BoostedTrees = SURE) -> Evidence:
        """Of the fit, by models not yet in the files."""
        return gather(self.counts, self.axis, self.network, self.judged, limit, combine, trees)

    def joined(self, proof: Evidence) -> dict[str, float]:
        """Probabilities of network and fit."""
        return self.network | {s: e.probability for s, e in proof.elements.items()}

    def named(self, proof: Evidence, limit: float) -> set[str]:
        """Elements that an answer names where an edge is there at all."""
        values = self.joined(proof)
        groups = rival_groups(values, self.judged, self.axis)
        likeliest = {group.members[0] for group in likeliest_readings(values, groups, limit)}
        return {s for s in self.judged if values[s] >= limit} | likeliest


def cases(bundle: ModelBundle, recipe: SimulationRecipe, n: int, seed: int) -> Iterator[Case]:
    """Records of a recipe, levelled as in use and judged by the network."""
    for part in range(0, n, BLOCK):
        batch = simulate(recipe, min(BLOCK, n - part), seed + part)
        counts = np.array(batch.counts, dtype=float)
        for row, size in enumerate(batch.size.tolist()):
            level, _ = levelled(counts[row : row + 1, :size], record(batch, row)[1])
            counts[row, :size] = level[0]
        values = bundle.predict(counts, batch.offset, batch.dispersion, batch.size)
        lowest, highest = bundle.grid.boundaries[[0, -1]]
        for row, size in enumerate(batch.size.tolist()):
            axis = record(batch, row)[1]
            judged = frozenset(
                s
                for s in bundle.elements
                if any(covers(axis, e) and lowest < e.onset_ev < highest for e in edges_of(s))
            )
            there = batch.present[row]
            yield Case(
                counts[row, :size],
                axis,
                dict(zip(bundle.elements, map(float, values[row]), strict=True)),
                judged,
                frozenset(s for s, y in zip(batch.elements, there, strict=True) if y),
            )


def fit_probabilities(bundle: ModelBundle, n: int) -> Floats:
    """Weights of network and fit."""
    features, truth, network_only = [], [], []
    identity = np.eye(1 + len(FEATURES))[1]
    for case in cases(bundle, load_recipe("default"), n, SEED + 1_000_000):
        proof = case.evidence(bundle.threshold, identity)
        for symbol, element in proof.elements.items():
            features.append(
                features_of(element.network, element.likelihood_ratio, list(element.edges))
            )
            truth.append(symbol in case.present)
            network_only.append(element.network)
    x, y = np.array(features), np.array(truth)
    weights = correction(x, y)
    p = np.array([combined(row, weights) for row in x])
    q = np.clip(np.array(network_only), 1e-6, 1 - 1e-6)

    def log_loss(v: Floats) -> float:
        return float(-np.mean(np.where(y, np.log(v), np.log1p(-v))))

    print(f"candidates {y.size}: log loss network {log_loss(q):.4f}, joined {log_loss(p):.4f}")
    return weights


def correction(x: Floats, y: NDArray[np.bool_]) -> Floats:
    """Weights of a logistic regression, intercept first, near those that keep the first feature.

    That is a log odds itself; what others and a factor add to it has a normal prior. Evidence
    for an element never makes it less probable.
    """
    middle, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.concatenate([np.ones((y.size, 1)), (x - middle) / scale], axis=1)
    prior = np.array([0.0] + [CERTAIN_OF_NETWORK] * x.shape[1])

    def loss(w: Floats) -> tuple[float, Floats]:
        score = x[:, 0] + z @ w
        p = 1.0 / (1.0 + np.exp(-np.clip(score, -30.0, 30.0)))
        value = np.logaddexp(0.0, np.where(y, -score, score)).sum() + 0.5 * float(prior @ w**2)
        return float(value), z.T @ (p - y) + prior * w

    free, up, down = (None, None), (0.0, None), (None, 0.0)
    bounds = (free, free, *(down if "missing" in name else up for name in FEATURES[1:]))
    start = np.zeros(z.shape[1])
    added = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = added[1:] / scale
    intercept = added[0] - float(slopes @ middle)
    return np.concatenate([[intercept], slopes + np.eye(slopes.size)[0]])


def logistic(x: Floats, y: NDArray[np.bool_], weight: Floats) -> Floats:
    """Weights of a logistic regression, intercept first."""
    scale = x.std(axis=0) + 1e-9
    fit = LogisticRegression(C=1.0, max_iter=2000).fit(x / scale, y, sample_weight=weight)
    return np.concatenate([fit.intercept_, fit.coef_[0] / scale])


def fit_edges(bundle: ModelBundle, n: int, combine: Floats) -> BoostedTrees:
    """Trees that tell records with an edge from backgrounds with faults of a detector.

    Of records that would get an element: right answers against backgrounds, which weigh the
    same together. The base is then lowered until at most ``FALSE_ALARMS`` of the backgrounds
    get an element, or ``LOST`` of the ordinary records would lose their right answer, each
    record being judged by trees that were fitted on others.
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
                # what a record is worth: 1 if right, -1 if only silence is right
                rows.append((number > 0, (found == case.present) - (not case.present)))
    x = np.array(features)
    bare_row, worth = np.array([b for b, _ in rows]), np.array([int(w) for _, w in rows])
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
    lost = np.cumsum(np.where(bare_row, 0, worth)[order]) / ordinary
    print(f"without the record's edges: exact {right / ordinary:.4f}, "
          f"false alarms {bare_row.sum() / backgrounds:.4f}")  # fmt: skip
    for level in (0.01, 0.0075, 0.006, 0.005, 0.004, 0.003):
        place = int(np.argmax(alarms <= level))
        print(f"  false alarms {alarms[place]:.4f}: exact {right / ordinary - lost[place]:.4f}")
    stop = int(np.argmax((alarms <= FALSE_ALARMS) | (lost > LOST)))
    cut = float(score[order[stop : stop + 2]].mean())
    print(f"chosen: exact {right / ordinary - lost[stop]:.4f}, false alarms {alarms[stop]:.4f}")
    trees = trees_of(fitted)
    trees = replace(trees, base=trees.base - cut)
    ours = np.array([trees.log_odds(row) for row in x[:1000]])
    np.testing.assert_allclose(ours, fitted.decision_function(x[:1000]) - cut, atol=1e-3)
    return trees


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


@dataclass(frozen=True)
class Group:
    """Rivals in one record: their probabilities, falling, the others', and which are there."""

    values: Floats
    others: Floats
    there: NDArray[np.bool_]


def groups_of(
    bundle: ModelBundle,
    recipe: SimulationRecipe,
    n: int,
    seed: int,
    combine: Floats,
    trees: BoostedTrees,
) -> list[Group]:
    """The groups of rivals in n records of a recipe of which one may well be there."""
    out = []
    for case in cases(bundle, recipe, n, seed):
        rough = (
            np.array([case.network[s] for s in group])
            for group in rival_groups(case.network, case.judged, case.axis)
        )
        if not any(1.0 - np.prod(1.0 - p) >= ROUGHLY for p in rough):
            continue
        proof = case.evidence(bundle.threshold, combine, trees)
        if not proof.shows_edge:
            continue
        joined = case.joined(proof)
        for group in rival_groups(joined, case.judged, case.axis):
            there = np.array([s in case.present for s in group])
            out.append(Group(np.array([joined[s] for s in group]), others_of(joined, group), there))
    return out


def fit_sets(
    bundle: ModelBundle, n: int, combine: Floats, trees: BoostedTrees
) -> dict[str, float | list[float]]:
    """What may lie ahead of the last member of a set, and how probable a set must be.

    The first for 95 % of the groups of the recipe of which a member is there. The second is
    the least for which the sets given hold a true element often enough among records of the
    recipe, and of those of `WIDER`, and of those of `FARTHER`.
    """
    default = load_recipe("default")
    recipes = (default, replace(default, **WIDER), replace(default, **FARTHER))
    return sets_from(
        [
            groups_of(bundle, recipe, n, SEED + 4_000_000 + 1_000_000 * number, combine, trees)
            for number, recipe in enumerate(recipes)
        ],
        bundle.threshold,
    )


def sets_from(sources: list[list[Group]], threshold: float) -> dict[str, float | list[float]]:
    """`fit_sets` from the groups of each kind of record, the recipe's own first."""
    shares = [
        float(weight_ahead(g.values)[g.there][0])
        for g in sources[0]
        if g.values.sum() >= threshold and g.there.any()
    ]
    level = min(1.0, COVERAGE * (1.0 + 1.0 / max(len(shares), 1)))
    weight = float(np.quantile(shares, level)) if shares else COVERAGE
    features, hit, source = [], [], []
    for number, groups in enumerate(sources):
        for g in groups:
            m = members(g.values, weight)
            if m > 1:
                features.append(set_features(g.values[:m], g.others))
                hit.append(bool(g.there[:m].any()))
                source.append(number)
    x, y, kind = np.array(features), np.array(hit), np.array(source)
    joint = logistic(x, y, np.ones(y.size))
    odds = joint[0] + x @ joint[1:]
    together = 1.0 / (1.0 + np.exp(-odds))
    least = 0.0
    for number in range(len(sources)):
        rows = kind == number
        # by a model: so few sets are wrong that counting them says little
        own = logistic(odds[rows, None], y[rows], np.ones(rows.sum()))
        order = np.argsort(-odds[rows])
        true = 1.0 / (1.0 + np.exp(-(own[0] + own[1] * odds[rows][order])))
        enough = np.flatnonzero(np.cumsum(true) / np.arange(1, true.size + 1) >= AIMED_AT)
        lowest = float(together[rows][order][enough[-1]]) if enough.size else 1.0
        print(f"sets, source {number}: from {lowest:.4f}")
        least = max(least, lowest)
    for number in range(len(sources)):
        given = (kind == number) & (together >= max(least, threshold))
        print(f"sets, source {number}: {given.sum()} of {(kind == number).sum()}, "
              f"true {y[given].sum()}")  # fmt: skip
    print(f"{len(shares)} groups of rivals; those ahead may hold {weight:.3f}; from {least:.4f}")
    return {"set_weight": weight, "set_joint": joint.tolist(), "set_probability": least}


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--spectra", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for both files")
    parser.add_argument(
        "--only",
        choices=("edges", "sets"),
        help="whether a record shows an edge, and the sets; or the sets; the others as they ship",
    )
    options = parser.parse_args()
    bundle = load_model(options.model)
    n = options.spectra
    values: dict[str, Any]
    if options.only:
        values = dict(judgement())
        if values["model"] != f"{bundle.name} {bundle.version}":
            raise SystemExit(f"the other models are those of {values['model']}; fit them all")
        combine = np.array(values["combine"])
    else:
        combine = fit_probabilities(bundle, 6 * n)
        values = {
            "model": f"{bundle.name} {bundle.version}",
            **fit_axes(bundle, n),
            "combine": combine.tolist(),
        }
    trees = edge_trees() if options.only == "sets" else fit_edges(bundle, n, combine)
    values |= fit_sets(bundle, 12 * n, combine, trees)
    text = {
        key: [float(f"{v:.5g}") for v in value] if isinstance(value, list) else value
        for key, value in values.items()
    }
    # sets are calibrated on what the trees let through, so both are written together
    if options.only != "sets":
        save_trees(trees, options.out / "edge_trees.npz")
    partial = options.out / "judgement.part"
    partial.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, options.out / "judgement.json")


if __name__ == "__main__":
    main()
