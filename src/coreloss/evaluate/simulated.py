"""Scores on simulated spectra, beside the ceiling that an oracle reaches."""

from __future__ import annotations

import os
import time

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.evaluate.metrics import by_element, confusions, scores
from coreloss.evaluate.report import Report
from coreloss.evaluate.spectrum_metrics import spectrum_scores
from coreloss.identification import ModelBundle, load_model
from coreloss.simulate import SimulationRecipe, simulate
from coreloss.simulate.gaussian.recipe import GaussianRecipe
from coreloss.training.metrics import balanced_threshold, exact_threshold

__all__ = ["evaluate_simulated", "oracle"]

#: keeps test seeds apart from those of training, validation and calibration
TEST_SEED = 920_000_000
_CHUNK = 2048


def oracle(
    snr: NDArray[np.floating], judged: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """What an ideal observer measures that knows every edge's shape and the background's form.

    Its estimate of an element's amplitude, in units of its standard error, scatters around
    the Cramér–Rao signal-to-noise ratio with unit width. It is not told what is absent: an
    absent element in range measures pure noise and can be a false alarm.

    Parameters
    ----------
    snr : ndarray, (n, n_elements)
        0 for elements that are not in the sample.
    judged : ndarray, (n, n_elements) bool
        Elements with an edge in the record; others are never found.
    rng : Generator

    Returns
    -------
    ndarray, (n, n_elements)
        Amplitude over its standard error; -inf where not judged. Present is what exceeds a
        threshold.
    """
    return np.where(judged | (snr > 0), snr + rng.standard_normal(snr.shape), -np.inf)


def evaluate_simulated(
    recipe: SimulationRecipe | GaussianRecipe,
    n: int,
    seed: int,
    *,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    threshold: float | None = None,
    name: str = "simulated",
) -> Report:
    """Score a model on n newly simulated spectra of a recipe.

    Without a threshold, the one at which precision equals recall is taken on as many further
    spectra as a tenth of n (Annys et al. 2023), the scores on the n ones; 'own threshold' then
    has those at the model's own, from which `coreloss.identify` finds elements.

    A model and a recipe may have different elements: spectra with an element that the model
    does not know are then left out, and what it finds beyond the recipe's elements counts as
    a false alarm. The RMSE is over the elements that the recipe's samples may hold: with recipe
    `annys2023` the 80 of the paper. As in `coreloss.identify`, an element without an edge in a
    record is never found in it.

    Returns
    -------
    Report
        With the variants 'model', 'without C' and 'oracle'; 'in common', where the elements
        that only the model knows count neither way; and, where labels go by detectability,
        'clear', where elements within a factor two of that limit do not count. The oracle (see
        `oracle`) decides by the recipe's ``snr_present``; where the recipe labels every element
        however faint, by the threshold at which most of the further spectra are exactly right.
        For a ``GaussianRecipe`` the peak signal-to-noise ratio stands in for the Cramér–Rao one.

    Raises
    ------
    ValueError
        For fewer than 10 spectra, or where fewer hold only elements that the model knows.
    """
    if n < 10:
        raise ValueError(f"asked for {n} simulated spectra; at least 10 are needed")
    bundle = load_model(model)
    rng = np.random.default_rng(seed)
    present, probability, snr, judged, seconds = _predicted(recipe, n, TEST_SEED + 2 * seed, bundle)
    limit, asked = recipe.snr_present, threshold
    if threshold is None or recipe.labels != "detectable":
        # where most spectra are left out, a tenth would be too few
        further = max(n // 10, 10) if present.shape[0] == n else n
        extra = _predicted(recipe, further, TEST_SEED + 2 * seed + 1, bundle)
        if threshold is None:
            threshold = balanced_threshold(extra[0], extra[1])
        if recipe.labels != "detectable":
            # the search is over 0.2 to 0.8, here 2 to 8 standard errors
            limit = 10.0 * exact_threshold(extra[0], oracle(extra[2], extra[3], rng) / 10.0)
    ideal = (oracle(snr, judged, rng) >= limit).astype(float)
    no_carbon = np.ones_like(present)
    no_carbon[:, [symbol == "C" for symbol in bundle.elements]] = False
    common = np.ones_like(present)
    common[:, [symbol not in recipe.elements for symbol in bundle.elements]] = False
    may_occur = set(recipe.elements) - set(getattr(recipe, "elements_left_out", ()))
    averaged = np.array([symbol in may_occur for symbol in bundle.elements])

    def at(limit: float, counted: NDArray[np.bool_] | None = None) -> dict[str, float]:
        values = scores(present, probability, limit, counted=counted, averaged=averaged)
        return {**values, "threshold": limit}

    variants = {
        "model": at(threshold),
        "without C": at(threshold, no_carbon),
        "oracle": scores(present, ideal, 0.5, averaged=averaged),
    }
    if asked is None:
        variants["own threshold"] = at(bundle.threshold)
    if not common.all():
        variants["in common"] = at(threshold, common)
    if recipe.labels == "detectable":
        variants["clear"] = at(threshold, (snr <= 0.5 * limit) | (snr >= 2.0 * limit))
    kept = present.shape[0]
    return Report(
        name if kept == n else f"{name}, those of {n:,} without elements the model does not know",
        f"{bundle.name} {bundle.version}",
        kept,
        variants,
        confusions(present, probability >= threshold, bundle.elements),
        by_element=by_element(present, probability >= threshold, bundle.elements),
        spectrum_scores=spectrum_scores(present, probability >= threshold).summary(),
        seconds=seconds * kept / n,
    )


def _predicted(
    recipe: SimulationRecipe | GaussianRecipe, n: int, seed: int, bundle: ModelBundle
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float32], NDArray[np.bool_], float]:
    """Labels, probabilities, signal-to-noise ratios and whether an element can be judged.

    Of n spectra, (n, n_elements) each. Columns are the model's elements; spectra with others
    are left out. Last the time [s] that the probabilities of all n took.
    """
    seconds = 0.0
    parts: list[tuple[NDArray, ...]] = []
    known = [i for i, symbol in enumerate(recipe.elements) if symbol in bundle.elements]
    unknown = [i for i in range(len(recipe.elements)) if i not in known]
    columns = [bundle.elements.index(recipe.elements[i]) for i in known]
    for number, begin in enumerate(range(0, n, _CHUNK)):
        # a seed of a chunk's own: (seed, chunk) pairs never meet
        batch = simulate(recipe, min(_CHUNK, n - begin), seed * 100_003 + number)
        counts = np.asarray(batch.counts)
        begun = time.perf_counter()
        probability = bundle.predict(counts, batch.offset, batch.dispersion, batch.size)
        seconds += time.perf_counter() - begun
        judged = _judged(batch.offset, batch.dispersion, batch.size, bundle.elements)
        probability[~judged] = 0.0
        kept = ~batch.in_range[:, unknown].any(axis=1)
        truth = np.zeros(probability.shape, dtype=bool)
        truth[:, columns] = batch.present[:, known]
        ratio = np.zeros(probability.shape, dtype=np.float32)
        ratio[:, columns] = batch.snr[:, known]
        parts.append((truth[kept], probability[kept], ratio[kept], judged[kept]))
    present, probability, snr, judged = (np.concatenate(v) for v in zip(*parts, strict=True))
    if n >= 10 > len(present):
        raise ValueError(
            f"only {len(present)} of {n} simulated spectra hold no element beyond the "
            f"{len(bundle.elements)} that model {bundle.name!r} knows; ask for more spectra"
        )
    return present, probability, snr, judged, seconds


def _judged(
    offset: NDArray[np.float64],
    dispersion: NDArray[np.float64],
    size: NDArray[np.int64],
    elements: tuple[str, ...],
) -> NDArray[np.bool_]:
    """Elements with an edge in each record, as `coreloss.identify` has it."""
    from coreloss.edges import edges_of
    from coreloss.identification.result import covers

    judged = np.zeros((offset.size, len(elements)), dtype=bool)
    edges = [edges_of(symbol) for symbol in elements]
    for row in range(offset.size):
        axis = EnergyAxis(float(offset[row]), float(dispersion[row]), int(size[row]))
        judged[row] = [any(covers(axis, edge) for edge in group) for group in edges]
    return judged
