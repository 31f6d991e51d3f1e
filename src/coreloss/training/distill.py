"""Distillation: a student trained on what another model, an ensemble mostly, says."""

from __future__ import annotations

import torch
from torch import Tensor

from coreloss.identification import load_model
from coreloss.training.recipe import TrainingRecipe
from coreloss.training.source import Records

__all__ = ["Teacher"]


class Teacher:
    """Another model's answers as targets (Hinton, Vinyals & Dean 2015)."""

    def __init__(self, recipe: TrainingRecipe) -> None:
        self.weight = recipe.distillation.weight
        try:
            self.model = load_model(recipe.distillation.teacher)
        except ValueError as error:
            raise ValueError(f"{recipe.source}: teacher: {error}") from None
        if self.model.elements != recipe.simulation.elements:
            raise ValueError(
                f"{recipe.source}: teacher {self.model.name} knows other elements than these"
            )

    def target(self, records: Records) -> Tensor:
        """(n, n_elements): the teacher's probabilities, mixed with the labels."""
        said = self.model.predict(
            records.counts.cpu().numpy(), records.offset, records.dispersion, records.size
        )
        mixed = self.weight * said + (1.0 - self.weight) * records.present
        return torch.as_tensor(mixed, dtype=torch.float32, device=records.counts.device)
