"""The learning rate by a grid search, as Annys et al. 2023 choose it for each network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from coreloss.training.parallel import Ranks
from coreloss.training.recipe import TrainingRecipe
from coreloss.whole import whole

__all__ = ["best_rate", "chosen_rate", "searching"]

_FILE = "learning_rates.json"


def searching(folder: Path) -> bool:
    """Whether a folder holds a search that `best_rate` began."""
    return next(folder.glob("rate-*"), None) is not None


def best_rate(
    recipe: TrainingRecipe,
    folder: Path,
    ranks: Ranks,
    device: str,
    end: float | None,
    quiet: bool,
) -> TrainingRecipe | None:
    """The recipe with the best learning rate of its grid; None where the time ends before.

    Each rate trains the recipe's network on its first ``grid_spectra`` in a folder of its
    own, so a search that was stopped or killed goes on where it was. The highest validation
    F1 decides, among equals the least loss; ``learning_rates.json`` keeps the scores, null for
    a rate at which the loss became infinite. Raises ValueError where all of them did.
    """
    from coreloss.training.loop import DivergedError, train_one

    plan = recipe.schedule
    if not (folder / _FILE).is_file():
        scores: dict[str, Any] = {}
        spectra = max(plan.grid_spectra // plan.chunk, 1) * plan.chunk
        for rate in plan.learning_rate_grid:
            trial = replace(
                plan,
                learning_rate=rate,
                learning_rate_grid=(),
                spectra=spectra,
                validate_every=spectra,
            )
            place = folder / f"rate-{rate:g}"
            tried = replace(recipe, schedule=trial)
            try:
                outcome = train_one(tried, place, ranks, device, True, end, quiet)
            except DivergedError:
                scores[f"{rate:g}"] = None
                continue
            if not outcome["finished"]:
                return None
            scores[f"{rate:g}"] = {key: outcome[key] for key in ("f1", "loss")}
        good = {key: value for key, value in scores.items() if value is not None}
        if not good:
            raise ValueError(
                f"{folder}: the loss becomes infinite at every rate of learning_rate_grid; "
                "give lower ones"
            )
        if ranks.first:
            best = max(good, key=lambda key: (good[key]["f1"], -good[key]["loss"]))
            text = json.dumps({"chosen": float(best), "scores": scores}, indent=1)
            with whole(folder / _FILE) as partial:
                partial.write_text(text + "\n", encoding="utf-8")
        ranks.agreed(None)  # none reads the file before it is there
    return chosen_rate(recipe, folder)


def chosen_rate(recipe: TrainingRecipe, folder: Path) -> TrainingRecipe:
    """The recipe with the learning rate that `best_rate` found earlier."""
    found = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return replace(recipe, schedule=replace(recipe.schedule, learning_rate=float(found["chosen"])))
