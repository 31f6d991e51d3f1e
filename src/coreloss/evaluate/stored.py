"""Scores on the files of a data set, and what single-element spectra are taken for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.evaluate.metrics import by_element, confusions, scores
from coreloss.evaluate.report import Report
from coreloss.evaluate.spectrum_metrics import spectrum_scores
from coreloss.identification import ModelBundle, load_model
from coreloss.simulate import SimulationRecipe, simulate
from coreloss.simulate.dataset import draw_element
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
    taken, as in the paper; 'own threshold' has the scores at the model's own.

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
        For a folder without the split, or files that are no data set.
    """
    bundle = load_model(model)
    path = Path(folder)
    present, probability = _predicted(split_files(path, "test"), bundle, spectra)
    asked = threshold
    if threshold is None:
        tenth = None if spectra is None else max(spectra // 10, 1)
        threshold = balanced_threshold(*_predicted(split_files(path, "validation"), bundle, tenth))
    no_carbon = np.ones_like(present)
    no_carbon[:, ELEMENTS.index("C")] = False
    variants = {
        "model": {**scores(present, probability, threshold), "threshold": threshold},
        "without C": {
            **scores(present, probability, threshold, counted=no_carbon),
            "threshold": threshold,
        },
    }
    if asked is None:
        variants["own threshold"] = {
            **scores(present, probability, bundle.threshold),
            "threshold": bundle.threshold,
        }
    found = probability >= threshold
    return Report(
        f"{path.name}, test split",
        f"{bundle.name} {bundle.version}",
        present.shape[0],
        variants,
        confusions(present, found, ELEMENTS),
        by_element=by_element(present, found, ELEMENTS),
        spectrum_scores=spectrum_scores(present, found).summary(),
    )


def _predicted(
    files: list[SpectrumFile], bundle: ModelBundle, spectra: int | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels and probabilities (n, n_elements) of the first spectra of each file."""
    limit = None if spectra is None else -(-spectra // len(files))
    columns = [ELEMENTS.index(symbol) for symbol in bundle.elements]
    present, probability = [], []
    for file in files:
        rows = file.n_spectra if limit is None else min(file.n_spectra, limit)
        for begin in range(0, rows, _BLOCK):
            block = np.array([[0, begin, min(_BLOCK, rows - begin)]])
            stored = read_rows([file], block)
            present.append(stored.present)
            said = np.zeros(stored.present.shape)
            said[:, columns] = bundle.predict(
                stored.counts, stored.offset, stored.dispersion, stored.size
            )
            probability.append(said)
    return np.concatenate(present), np.concatenate(probability)


def confusion_of_files(folder: str | os.PathLike[str], *, model: Model = None) -> NDArray[np.int64]:
    """How often single-element spectra of each element are taken for each.

    Each spectrum counts for its most probable element, as in the paper's supplement.

    Returns
    -------
    ndarray, (n_elements, n_elements) int
        Rows are true, columns are said, in the order of ``coreloss.edges.ELEMENTS``.
    """
    bundle = load_model(model)
    present, probability = _predicted(split_files(Path(folder), "single"), bundle, None)
    return _counted(present.argmax(axis=1)[present.any(axis=1)], probability[present.any(axis=1)])


def confusion_of_recipe(
    recipe: SimulationRecipe, n: int, seed: int, *, model: Model = None
) -> NDArray[np.int64]:
    """The same for n new spectra of each element; elements that the recipe cannot show are 0."""
    bundle = load_model(model)
    matrix = np.zeros((len(ELEMENTS), len(ELEMENTS)), dtype=np.int64)
    for index, symbol in enumerate(ELEMENTS):
        rng = np.random.default_rng((_SEED, seed, index))
        try:
            used, drawn = draw_element(rng, n, recipe, symbol, single=True)
        except ValueError:
            continue
        batch = records(used, drawn, rng)
        probability = bundle.predict(
            np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size
        )
        shown = batch.in_range[:, index]
        matrix += _counted(np.full(int(shown.sum()), index), probability[shown])
    return matrix


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


def occurrence_of_recipe(recipe: SimulationRecipe, n: int, seed: int) -> dict[str, int]:
    """In how many of n new spectra each element is labelled."""
    counts = np.zeros(len(ELEMENTS), dtype=np.int64)
    for number, begin in enumerate(range(0, n, _BLOCK)):
        batch = simulate(recipe, min(_BLOCK, n - begin), (_SEED + seed) * 100_003 + number)
        counts += batch.present.sum(axis=0)
    return {symbol: int(count) for symbol, count in zip(ELEMENTS, counts, strict=True)}
