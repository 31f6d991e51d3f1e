"""Fits the small models in data/judgement.json on simulated spectra.

Run: python tools/build_judgement.py [--model NAME] [--spectra 1200] [--out judgement.json]

All on newly simulated records and nothing else: how clear answers rank energy axes
(conditional logit, coarse grid), how edges rank the readings that are left (conditional logit),
how network and joint fit give one probability (logistic regression), which share of the
probability may lie ahead of a set's last member for 95 % coverage, how probable it is that any
member is there (logistic regression), and from where on sets cover the truth in 95 %.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

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
from coreloss.identification.candidates import members, rival_groups, set_features, weight_ahead
from coreloss.identification.evidence import features_of, gather
from coreloss.identification.predict import probabilities
from coreloss.identification.result import covers
from coreloss.simulate import SimulatedBatch, load_recipe, simulate
from coreloss.simulate.draws import draw
from coreloss.simulate.gos import records
from coreloss.simulate.library import edge_library

OUT = Path(__file__).parents[1] / "src" / "coreloss" / "data" / "judgement.json"
SEED = 940_000_000  # apart from training's, validation's and the tests'
COVERAGE = 0.95
RIGHT_SHARE = 0.6  # of public records had an axis right to 3 eV

Floats = NDArray[np.float64]


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
    far = np.clip(rng.laplace(0.0, 10.0, n), -40.0, 40.0)
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


def judged_elements(bundle: ModelBundle, axis: EnergyAxis) -> frozenset[str]:
    """Elements with an edge in the record."""
    return frozenset(s for s in bundle.elements if any(covers(axis, e) for e in edges_of(s)))


def fit_probabilities(bundle: ModelBundle, n: int) -> dict[str, list[float]]:
    """Weights of network and fit."""
    batch = simulate(load_recipe("default"), n, SEED + 1)
    columns = {symbol: i for i, symbol in enumerate(batch.elements)}
    features, truth, network_only = [], [], []
    identity = np.array([0.0, 1.0, 0.0, 0.0, 0.0])
    for row in range(n):
        counts, axis = record(batch, row)
        values = probabilities(counts[None], axis, bundle, threads=1)[0]
        network = dict(zip(bundle.elements, map(float, values), strict=True))
        judged = judged_elements(bundle, axis)
        proof = gather(counts, axis, network, judged, bundle.threshold, identity)
        for symbol, element in proof.elements.items():
            features.append(
                features_of(element.network, element.likelihood_ratio, list(element.edges))
            )
            truth.append(bool(batch.present[row, columns[symbol]]))
            network_only.append(element.network)
    x, y = np.array(features), np.array(truth)
    scale = x.std(axis=0) + 1e-9
    fit = LogisticRegression(C=1.0, max_iter=1000).fit(x / scale, y)
    weights = [float(fit.intercept_[0]), *(fit.coef_[0] / scale).tolist()]
    p = fit.predict_proba(x / scale)[:, 1]
    q = np.clip(np.array(network_only), 1e-6, 1 - 1e-6)

    def log_loss(v: Floats) -> float:
        return float(-np.mean(np.where(y, np.log(v), np.log1p(-v))))

    print(f"candidates {y.size}: log loss network {log_loss(q):.4f}, joined {log_loss(p):.4f}")
    return {"combine": weights}


def fit_sets(bundle: ModelBundle, n: int, combine: list[float]) -> dict[str, object]:
    """What may lie ahead of the last member of a set, and how probable a set must be.

    Both for 95 % coverage: of groups of which a member is there, and of all sets given. From
    the probabilities of network and fit together, which ``combine`` gives.
    """
    groups = []
    for part in range(0, n, 2048):
        batch = simulate(load_recipe("default"), min(2048, n - part), SEED + 2 + part)
        columns = {symbol: i for i, symbol in enumerate(batch.elements)}
        values = bundle.predict(
            np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size
        )
        for row in range(batch.size.size):
            network = dict(zip(bundle.elements, map(float, values[row]), strict=True))
            counts, axis = record(batch, row)
            judged = judged_elements(bundle, axis)
            if not rival_groups(network, judged, axis):
                continue
            proof = gather(counts, axis, network, judged, bundle.threshold, np.array(combine))
            joined = network | {s: e.probability for s, e in proof.elements.items()}
            for group in rival_groups(joined, judged, axis):
                p = np.array([joined[s] for s in group])
                groups.append((p, batch.present[row, [columns[s] for s in group]]))
    likely = [(p, there) for p, there in groups if p.sum() >= bundle.threshold]
    shares = [float(weight_ahead(p)[there][0]) for p, there in likely if there.any()]
    level = min(1.0, COVERAGE * (1.0 + 1.0 / max(len(shares), 1)))
    weight = float(np.quantile(shares, level)) if shares else COVERAGE
    sets = [(p[:m], there[:m]) for p, there in groups if (m := members(p, weight)) > 1]
    hit = np.array([bool(there.any()) for _, there in sets])
    fit = LogisticRegression(C=1.0, max_iter=1000).fit([set_features(p) for p, _ in sets], hit)
    joint = [float(fit.intercept_[0]), *fit.coef_[0].tolist()]
    together = fit.predict_proba([set_features(p) for p, _ in sets])[:, 1]
    order = np.argsort(together)[::-1]
    coverage = np.cumsum(hit[order]) / np.arange(1, order.size + 1)
    enough = np.flatnonzero(coverage >= COVERAGE)
    least = float(together[order][enough[-1]]) if enough.size else 1.0
    print(f"{len(shares)} groups of rivals; those ahead may hold {weight:.3f}")
    print(f"sets from {least:.3f}: {enough[-1] + 1 if enough.size else 0} of {order.size}")
    return {"set_weight": weight, "set_joint": joint, "set_probability": least}


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--spectra", type=int, default=1200)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    bundle = load_model(options.model)
    joint = fit_probabilities(bundle, options.spectra)
    sets = fit_sets(bundle, 12 * options.spectra, joint["combine"])
    values = {**fit_axes(bundle, options.spectra), **joint, **sets}
    rounded = {
        key: [float(f"{v:.5g}") for v in value] if isinstance(value, list) else value
        for key, value in values.items()
    }
    text = {"model": f"{bundle.name} {bundle.version}", "spectra": options.spectra, **rounded}
    partial = options.out.with_suffix(".part")
    partial.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, options.out)


if __name__ == "__main__":
    main()
