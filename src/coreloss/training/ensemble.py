"""Ensembles: several networks trained, and several bundles made one (Annys et al. 2023)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coreloss.identification import ModelBundle, load_model
from coreloss.identification.bundle import ModelError
from coreloss.simulate import simulate, simulation_from_table
from coreloss.training.calibration import scored
from coreloss.training.loop import train_one, trained_by
from coreloss.training.parallel import Ranks
from coreloss.training.recipe import TrainingRecipe
from coreloss.training.source import CALIBRATION_SEED, Source
from coreloss.training.writing import bundle_folder, check_target, write_card
from coreloss.whole import whole

__all__ = ["combine_bundles", "member_folders", "train_members"]

_CHUNK = 1024


def member_folders(recipe: TrainingRecipe, folder: Path) -> list[Path]:
    """Where the networks of an ensemble are trained: ``1-vit``, ``2-vit``, ``3-unet``, …"""
    return [folder / f"{i + 1}-{name}" for i, name in enumerate(recipe.members)]


def train_members(
    recipe: TrainingRecipe,
    folder: Path,
    ranks: Ranks,
    device: str,
    resume: bool,
    end: float | None,
    quiet: bool,
) -> dict[str, Any]:
    """Train the networks of an ensemble one after the other; see `coreloss.training.train`.

    Each begins with other weights and sees other spectra. Returns the sum of the spectra
    seen, whether all are finished, and the scores of the last.
    """
    kept, places = folder / "recipe.toml", member_folders(recipe, folder)
    members = [(recipe.member(number), place) for number, place in enumerate(places, start=1)]
    if (kept.is_file() or any(place.is_dir() for place in places)) and not resume:
        raise FileExistsError(f"{folder}: holds a training run; give --resume to continue it")
    if not all(trained_by(*each) for each in ((recipe, folder), *members)):
        raise ValueError(f"{folder}: was trained with another recipe; choose another folder")
    ranks.agreed(None)  # all have looked before anything is written
    if ranks.first:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(kept) as partial:
            partial.write_text(recipe.text, encoding="utf-8")
    total: dict[str, Any] = {"spectra": 0, "finished": True}
    for member, place in members:
        outcome = train_one(member, place, ranks, device, True, end, quiet)
        total = {
            **outcome,
            "spectra": total["spectra"] + outcome["spectra"],
            "finished": total["finished"] and outcome["finished"],
        }
        if not outcome["finished"]:
            break
    return total


def combine_bundles(
    members: Sequence[str | Path],
    bundle_dir: str | Path,
    *,
    name: str = "ensemble",
    version: str = "1",
    calibration_spectra: int = 8192,
    card_extra: Mapping[str, Any] | None = None,
    force: bool = False,
    source: Source | None = None,
) -> Path:
    """Make one bundle of several: the mean of their probabilities, calibrated anew.

    Parameters
    ----------
    members : sequence of path
        Bundles, each with its own network, input and calibration.
    bundle_dir : path
        Directory to write; it holds copies of the members.
    name, version : str
    calibration_spectra : int
        Simulated by the first member's forward model; calibration and threshold of the mean
        are set on the first half, the scores of the card are those on the second.
    card_extra : mapping, optional
        Further entries of the card.
    force : bool
        Replace an existing bundle.
    source : Source, optional
        Of the spectra for calibration, instead of the forward model.

    Raises
    ------
    FileExistsError
        If the bundle exists and ``force`` is false.
    ModelError
        If a member is no bundle, is an ensemble itself, knows other elements than the first,
        or, for the first, its card has no forward model.
    """
    target = Path(bundle_dir)
    check_target(target, force)
    bundles = [load_model(member) for member in members]
    for bundle in bundles:
        if bundle.members:
            raise ModelError(f"{bundle.path}: is an ensemble; give its members instead")
        if bundle.elements != bundles[0].elements:
            raise ModelError(f"{bundle.path}: knows other elements than {bundles[0].path}")
    training = bundles[0].card.get("training", {})
    if "simulation" not in training:
        raise ModelError(
            f"{bundles[0].path}: its card has no forward model to calibrate with; "
            "export the model again"
        )
    recipe = simulation_from_table(training["simulation"], source=str(bundles[0].path))
    names = [f"{i}-{_kind(bundle)}" for i, bundle in enumerate(bundles, start=1)]
    card: dict[str, Any] = {
        "format": 1,
        "name": name,
        "version": version,
        "members": names,
        "elements": list(bundles[0].elements),
        "input": bundles[0].card["input"],
        "threshold": 0.5,
        "calibration": {"slope": 1.0, "intercept": 0.0},
        "training": {
            "networks": [_kind(bundle) for bundle in bundles],
            "spectra_seen": sum(_seen(bundle) for bundle in bundles),
            "simulation": training["simulation"],
        },
    }
    with bundle_folder(target, force) as partial:
        for bundle, place in zip(bundles, names, strict=True):
            shutil.copytree(bundle.path, partial / place)
        write_card(partial, card)
        joint = ModelBundle.open(partial)
        if source is None:
            logits, present = _predicted(joint, recipe, calibration_spectra)
        else:
            given = source.calibration(calibration_spectra)
            logits = joint.recorded_logits(
                given.counts.numpy(), given.offset, given.dispersion, given.size
            )
            present = given.present
        write_card(partial, {**card, **scored(logits, present)}, card_extra)
    return target


def _kind(bundle: ModelBundle) -> str:
    return str(bundle.card.get("training", {}).get("network", "network"))


def _seen(bundle: ModelBundle) -> int:
    return int(bundle.card.get("training", {}).get("spectra_seen", 0))


def _predicted(bundle: ModelBundle, recipe: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the uncalibrated mean and labels of n newly simulated spectra."""
    logits, present = [], []
    for number, begin in enumerate(range(0, n, _CHUNK)):
        batch = simulate(recipe, min(_CHUNK, n - begin), CALIBRATION_SEED + number)
        p = bundle.predict(np.asarray(batch.counts), batch.offset, batch.dispersion, batch.size)
        logits.append(np.log(p / (1.0 - p)))
        present.append(batch.present)
    return np.concatenate(logits), np.concatenate(present)
