"""Training of networks on simulated spectra, from one commented recipe."""

from __future__ import annotations

from typing import Any

__all__ = ["TrainingRecipe", "combine_bundles", "export_all", "export_bundle", "train"]


def __getattr__(name: str) -> Any:
    # torch loads only when something is trained
    if name == "TrainingRecipe":
        from coreloss.training.recipe import TrainingRecipe

        return TrainingRecipe
    if name == "train":
        from coreloss.training.loop import train

        return train
    if name in ("export_all", "export_bundle"):
        from coreloss.training import export

        return getattr(export, name)
    if name == "combine_bundles":
        from coreloss.training.ensemble import combine_bundles

        return combine_bundles
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
