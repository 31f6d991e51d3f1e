"""Scores on simulated spectra, beside the ceiling that an oracle reaches."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.energy import EnergyAxis
from coreloss.evaluate.metrics import confusions, scores
from coreloss.evaluate.report import Report
from coreloss.identification import ModelBundle, load_model
from coreloss.networks.inputs import network_input
from coreloss.simulate import SimulationRecipe, simulate
from coreloss.training.metrics import balanced_threshold

__all__ = ["evaluate_simulated", "oracle"]

#: keeps test seeds apart from those of training, validation and calibration
TEST_SEED = 920_000_000
_CHUNK = 2048


def oracle(
    snr: NDArray[np.floating], threshold: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """What an ideal observer says that knows every edge's shape and the background's form.

    Its estimate of an element's amplitude, in units of its standard error, scatters around
    the Cramér–Rao signal-to-noise ratio with unit width; it says present above ``threshold``.

    Parameters
    ----------
    snr : ndarray, (n, n_elements)
        0 for elements that are not in the sample.
    threshold : float
    rng : Generator

    Returns
    -------
    ndarray, (n, n_elements) bool
    """
    estimate = snr + rng.standard_normal(snr.shape)
    return np.asarray((estimate >= threshold) & (snr > 0))


def evaluate_simulated(
    recipe: SimulationRecipe,
    n: int,
    seed: int,
    *,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    threshold: float | None = None,
    name: str = "simulated",
) -> Report:
    """Score a model on n newly simulated spectra of a recipe.

    Without a threshold, the one at which precision equals recall is taken on as many further
    spectra as a tenth of n (Annys et al. 2023), the scores on the n ones.

    Returns
    -------
    Report
        With the variants 'model', 'without C' and 'oracle'. The oracle (see `oracle`) decides
        by the recipe's ``snr_present``; where the recipe labels every element however faint,
        by 1.64, its 5 % false alarms.
    """
    if n < 10:
        raise ValueError(f"asked for {n} simulated spectra; at least 10 are needed")
    bundle = load_model(model)
    present, probability, snr = _predicted(recipe, n, TEST_SEED + 2 * seed, bundle)
    if threshold is None:
        extra = _predicted(recipe, max(n // 10, 10), TEST_SEED + 2 * seed + 1, bundle)
        threshold = balanced_threshold(extra[0], extra[1])
    limit = recipe.snr_present if recipe.labels == "detectable" else 1.64
    ideal = oracle(snr, limit, np.random.default_rng(seed)).astype(float)
    no_carbon = np.ones_like(present)
    no_carbon[:, ELEMENTS.index("C")] = False
    variants = {
        "model": {**scores(present, probability, threshold), "threshold": threshold},
        "without C": {
            **scores(present, probability, threshold, counted=no_carbon),
            "threshold": threshold,
        },
        "oracle": scores(present, ideal, 0.5),
    }
    return Report(
        name,
        f"{bundle.name} {bundle.version}",
        n,
        variants,
        confusions(present, probability >= threshold, ELEMENTS),
    )


def _predicted(
    recipe: SimulationRecipe, n: int, seed: int, bundle: ModelBundle
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float32]]:
    """Labels, probabilities and signal-to-noise ratios of n spectra, (n, n_elements) each."""
    parts = []
    for number, begin in enumerate(range(0, n, _CHUNK)):
        # a seed of a chunk's own: (seed, chunk) pairs never meet
        batch = simulate(recipe, min(_CHUNK, n - begin), seed * 100_003 + number)
        counts = np.asarray(batch.counts)
        total = np.zeros(batch.present.shape)
        for shift in bundle.shifts_ev:
            inputs = network_input(
                counts, batch.offset + shift, batch.dispersion, batch.size, bundle.grid
            )
            total += bundle.logits(inputs)
        probability = bundle.probabilities(total / len(bundle.shifts_ev))
        probability[~_judged(batch.offset, batch.dispersion, batch.size)] = 0.0
        parts.append((batch.present, probability, batch.snr))
    present, probability, snr = (np.concatenate(values) for values in zip(*parts, strict=True))
    return present, probability, snr


def _judged(
    offset: NDArray[np.float64], dispersion: NDArray[np.float64], size: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Elements with an edge in each record, as `coreloss.identify` has it."""
    from coreloss.edges import edges_of
    from coreloss.identification.result import covers

    judged = np.zeros((offset.size, len(ELEMENTS)), dtype=bool)
    edges = [edges_of(symbol) for symbol in ELEMENTS]
    for row in range(offset.size):
        axis = EnergyAxis(float(offset[row]), float(dispersion[row]), int(size[row]))
        judged[row] = [any(covers(axis, edge) for edge in group) for group in edges]
    return judged
