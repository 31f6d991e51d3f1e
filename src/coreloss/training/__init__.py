"""Training of networks on simulated spectra, from one commented recipe."""

from __future__ import annotations

from typing import Any

__all__ = ["TrainingRecipe", "export_bundle", "train"]


def __getattr__(name: str) -> Any:
    # torch loads only when something is trained
    if name == "TrainingRecipe":
        from coreloss.training.recipe import TrainingRecipe

        return TrainingRecipe
    if name == "train":
        from coreloss.training.loop import train

        return train
    if name == "export_bundle":
        from coreloss.training.export import export_bundle

        return export_bundle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
