"""Scores on the files of a data set, and what single-element spectra are taken for."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.evaluate.metrics import by_element, confusions, scores
from coreloss.evaluate.report import Report
from coreloss.evaluate.spectrum_metrics import spectrum_scores
from coreloss.identification import ModelBundle, load_model
from coreloss.simulate import SimulationRecipe, simulate
from coreloss.simulate.batch import SimulatedBatch
from coreloss.simulate.dataset import draw_element
from coreloss.simulate.gaussian import forward
from coreloss.simulate.gaussian.recipe import GaussianRecipe
from coreloss.simulate.gos import records
from coreloss.simulate.stored import SpectrumFile, read_rows, split_files
from coreloss.training.metrics import balanced_threshold

__all__ = [
    "confusion_of_files",
    "confusion_of_recipe",
    "evaluate_files",
    "occurrence_of_files",
    "occurrence_of_recipe",
]

_BLOCK = 512
_SEED = 930_000_000

Model = str | os.PathLike[str] | ModelBundle | None


def evaluate_files(
    folder: str | os.PathLike[str],
    *,
    model: Model = None,
    threshold: float | None = None,
    spectra: int | None = None,
) -> Report:
    """Score a model on the test split of a data set, ours or the public one of Annys et al.

    Without a threshold, the one at which precision equals recall on the validation split is
    taken, as in the paper; 'own threshold' has the scores at the model's own. The RMSE is over
    the elements of the files' labels, the 80 of the paper. The network alone is judged: of no
    element is it asked whether the record holds an edge of it.

    Parameters
    ----------
    folder : path
    model : str, path or ModelBundle, optional
    threshold : float, optional
    spectra : int, optional
        At most about this many of the split, evenly from its files; all without it.

    Raises
    ------
    FileNotFoundError, ValueError
        For a folder without the split, or files that are no data set or hold no spectra.
    """
    if spectra is not None and spectra < 1:
        raise ValueError(f"asked for {spectra} spectra of the data set; at least one is needed")
    bundle = load_model(model)
    path = Path(folder)
    files = split_files(path, "test")
    held_back = split_files(path, "validation") if threshold is None else []
    present, probability, seconds = _predicted(files, bundle, spectra)
    asked = threshold
    if threshold is None:
        tenth = None if spectra is None else max(spectra // 10, 1)
        threshold = balanced_threshold(*_predicted(held_back, bundle, tenth)[:2])
    no_carbon = np.ones_like(present)
    no_carbon[:, ELEMENTS.index("C")] = False
    averaged = np.zeros(len(ELEMENTS), dtype=bool)
    averaged[np.concatenate([file.columns for file in files])] = True

    def at(limit: float, counted: NDArray[np.bool_] | None = None) -> dict[str, float]:
        values = scores(present, probability, limit, counted=counted, averaged=averaged)
        return {**values, "threshold": limit}

    variants = {"model": at(threshold), "without C": at(threshold, no_carbon)}
    if asked is None:
        variants["own threshold"] = at(bundle.threshold)
    found = probability >= threshold
    return Report(
        f"{path.name}, test split",
        f"{bundle.name} {bundle.version}",
        present.shape[0],
        variants,
        confusions(present, found, ELEMENTS),
        by_element=by_element(present, found, ELEMENTS),
        spectrum_scores=spectrum_scores(present, found).summary(),
        seconds=seconds,
    )


def _predicted(
    files: list[SpectrumFile], bundle: ModelBundle, spectra: int | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64], float]:
    """Labels and probabilities (n, n_elements) of the first spectra of each file, and seconds."""
    seconds = 0.0
    limit = None if spectra is None else -(-spectra // len(files))
    columns = _columns(bundle.elements)
    present, probability = [], []
    for file in files:
        rows = file.n_spectra if limit is None else min(file.n_spectra, limit)
        for begin in range(0, rows, _BLOCK):
            block = np.array([[0, begin, min(_BLOCK, rows - begin)]])
            stored = read_rows([file], block)
            present.append(stored.present)
            said = np.zeros(stored.present.shape)
            begun = time.perf_counter()
            said[:, columns] = bundle.predict(
                stored.counts, stored.offset, stored.dispersion, stored.size
            )
            seconds += time.perf_counter() - begun
            probability.append(said)
    if not present:
        raise ValueError(f"{files[0].path.parent}: its files hold no spectra")
    return np.concatenate(present), np.concatenate(probability), seconds


def confusion_of_files(folder: str | os.PathLike[str], *, model: Model = None) -> NDArray[np.int64]:
    """How often single-element spectra of each element are taken for each.

    Each spectrum counts for its most probable element, as in the paper's supplement. Elements
    that the model does not know are left out.

    Returns
    -------
    ndarray, (n_elements, n_elements) int
        Rows are true, columns are said, in the order of ``coreloss.edges.ELEMENTS``.
    """
    bundle = load_model(model)
    present, probability, _ = _predicted(split_files(Path(folder), "single"), bundle, None)
    kept = present[:, _columns(bundle.elements)].any(axis=1)
    return _counted(present[kept].argmax(axis=1), probability[kept])


def confusion_of_recipe(
    recipe: SimulationRecipe | GaussianRecipe, n: int, seed: int, *, model: Model = None
) -> NDArray[np.int64]:
    """The same for n new spectra of each element; elements that the recipe cannot show are 0."""
    bundle = load_model(model)
    matrix = np.zeros((len(ELEMENTS), len(ELEMENTS)), dtype=np.int64)
    for column, symbol in enumerate(recipe.elements):
        index = ELEMENTS.index(symbol)
        if symbol not in bundle.elements:
            continue
        try:
            batch = _alone(recipe, symbol, n, np.random.default_rng((_SEED, seed, index)))
        except ValueError:
            continue
        probability = np.zeros((n, len(ELEMENTS)))
        probability[:, _columns(bundle.elements)] = bundle.predict(
            np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size
        )
        shown = batch.in_range[:, column]
        matrix += _counted(np.full(int(shown.sum()), index), probability[shown])
    return matrix


def _alone(
    recipe: SimulationRecipe | GaussianRecipe, symbol: str, n: int, rng: np.random.Generator
) -> SimulatedBatch:
    """n records of an element alone; raises ValueError where the recipe has none."""
    if isinstance(recipe, GaussianRecipe):
        plan = replace(recipe, edge_counts=(1.0,), empty_fraction=0.0)
        first = plan.elements.index(symbol)
        return forward.assembled(plan, forward.draw(rng, n, plan, first=first), rng)
    used, drawn = draw_element(rng, n, recipe, symbol, single=True)
    return records(used, drawn, rng)


def _columns(elements: Sequence[str]) -> list[int]:
    return [ELEMENTS.index(symbol) for symbol in elements]


def _counted(true: NDArray[np.integer], probability: NDArray[np.float64]) -> NDArray[np.int64]:
    matrix = np.zeros((len(ELEMENTS), len(ELEMENTS)), dtype=np.int64)
    np.add.at(matrix, (true, probability.argmax(axis=1)), 1)
    return matrix


def occurrence_of_files(folder: str | os.PathLike[str], split: str = "training") -> dict[str, int]:
    """In how many spectra of a split each element is labelled."""
    import h5py

    counts = np.zeros(len(ELEMENTS), dtype=np.int64)
    for entry in split_files(Path(folder), split):
        with h5py.File(entry.path) as file:
            counts[entry.columns] += (file["labels_identification"][:] > 0.5).sum(axis=0)
    return {symbol: int(n) for symbol, n in zip(ELEMENTS, counts, strict=True)}


def occurrence_of_recipe(
    recipe: SimulationRecipe | GaussianRecipe, n: int, seed: int
) -> dict[str, int]:
    """In how many of n new spectra each element is labelled."""
    counts = np.zeros(len(ELEMENTS), dtype=np.int64)
    for number, begin in enumerate(range(0, n, _BLOCK)):
        batch = simulate(recipe, min(_BLOCK, n - begin), (_SEED + seed) * 100_003 + number)
        counts[_columns(recipe.elements)] += batch.present.sum(axis=0)
    return {symbol: int(count) for symbol, count in zip(ELEMENTS, counts, strict=True)}
