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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from judged_cases import SEED, cases, record
from judged_edges import fit_edges, save_trees
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

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
    members,
    others_of,
    rival_groups,
    set_features,
    weight_ahead,
)
from coreloss.identification.evidence import FEATURES, combined, features_of
from coreloss.identification.judgement import edge_trees, judgement
from coreloss.simulate import SimulatedBatch, SimulationRecipe, load_recipe
from coreloss.simulate.draws import draw
from coreloss.simulate.gos import records
from coreloss.simulate.library import edge_library

OUT = Path(__file__).parents[1] / "src" / "coreloss" / "data"
COVERAGE = 0.95
# inverse variance of what the fit adds to the network's log odds, for one standard deviation of
# a feature; the fit tells little that the network does not know, and a few hundred records more
# by chance than that
CERTAIN_OF_NETWORK = 300.0
# that sets cover as much in spectra to come, of every kind, as in those calibrated on
CONFIDENT = 0.8
# spectra of each kind for every one asked for: few get a set
FOR_SETS = 30
# of the network, that any of some rivals is there, from which they are looked at
ROUGHLY = 0.5
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
    recipe, and of those of `WIDER`, and of those of `FARTHER`. With all the chance there is in
    counting, 95 % of the sets of new spectra hold one with a probability of ``CONFIDENT``, for the
    recipe's own and for the other two kinds together (learn then test; A. Angelopoulos et al.,
    Ann. Appl. Stat. 19, 1641 (2025)); of either kind alone as far as the calibration knows.
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
    # the recipe's own and all others, so that chance is bounded; and each kind as far as is known
    pools = [kind == 0, kind > 0] + [kind == number for number in range(len(sources))]
    least = 0.0
    for number, rows in enumerate(pools):
        if not rows.any():
            continue
        own = logistic(odds[rows, None], y[rows], np.ones(rows.sum()))
        order = np.argsort(-odds[rows])
        true = 1.0 / (1.0 + np.exp(-(own[0] + own[1] * odds[rows][order])))
        missed, given = np.cumsum(1.0 - true), np.arange(1, true.size + 1)
        most = missed / given
        if number < 2:
            # counting is lucky somewhere, a model wrong where few sets are: the worse of both
            missed = np.maximum(missed, np.cumsum(~y[rows][order]))
            # at most, of new spectra; Clopper and Pearson, Biometrika 26, 404 (1934)
            most = beta.ppf(CONFIDENT, missed + 1.0, given - missed)
        enough = np.flatnonzero(most <= 1.0 - COVERAGE)
        lowest = float(together[rows][order][enough[-1]]) if enough.size else 1.0
        print(f"sets, pool {number}: from {lowest:.4f}")
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
    values |= fit_sets(bundle, FOR_SETS * n, combine, trees)
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
