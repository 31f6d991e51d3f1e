"""Where training spectra come from: the simulator, or files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coreloss.networks.inputs import network_input
from coreloss.simulate import simulate
from coreloss.training.recipe import TrainingRecipe

__all__ = ["CALIBRATION_SEED", "Records", "Source", "open_source"]

_VALIDATION_SEED = 900_000_000
CALIBRATION_SEED = 910_000_000


@dataclass
class Records:
    """Spectra with their truth.

    Attributes
    ----------
    counts : Tensor, (n, n_energy) [counts/channel]
    offset, dispersion : ndarray, (n,) [eV], [eV/channel]
    size : ndarray, (n,)
        As for `coreloss.grid.rebin`.
    present : ndarray, (n, n_elements) bool
    snr : ndarray, (n, n_elements), or None where it is not known
    """

    counts: Tensor
    offset: NDArray[np.float64]
    dispersion: NDArray[np.float64]
    size: NDArray[np.int64]
    present: NDArray[np.bool_]
    snr: NDArray[np.floating] | None

    def inputs(self, recipe: TrainingRecipe) -> Tensor:
        """What the network of a recipe sees, (n, n_channels_in, n_grid) float32."""
        device = self.counts.device
        made: Tensor = network_input(
            self.counts,
            torch.as_tensor(self.offset, device=device),
            torch.as_tensor(self.dispersion, device=device),
            torch.as_tensor(self.size, device=device),
            recipe.grid,
            recipe.channels,
        )
        return made


class Source(Protocol):
    """Spectra of a recipe; the same call gives the same spectra in any process."""

    def chunk(self, number: int) -> Records:
        """The training spectra of one chunk."""

    def validation(self, n: int) -> Records:
        """Up to n spectra that no chunk holds."""

    def calibration(self, n: int) -> Records:
        """Up to n further spectra that neither of the others holds."""


class _Simulator:
    """Spectra simulated on the way, no two of them the same."""

    def __init__(self, recipe: TrainingRecipe, device: Any) -> None:
        self.recipe, self.device = recipe, device

    def _records(self, n: int, seed: int) -> Records:
        batch = simulate(self.recipe.simulation, n, seed, xp=torch, device=self.device)
        return Records(
            batch.counts, batch.offset, batch.dispersion, batch.size, batch.present, batch.snr
        )

    def chunk(self, number: int) -> Records:
        plan = self.recipe.schedule
        return self._records(plan.chunk, plan.seed * 1_000_003 + number)

    def validation(self, n: int) -> Records:
        return self._records(n, _VALIDATION_SEED)

    def calibration(self, n: int) -> Records:
        return self._records(n, CALIBRATION_SEED)


def open_source(recipe: TrainingRecipe, device: Any) -> Source:
    """The source that a recipe asks for; raises FileNotFoundError or ValueError for files."""
    if recipe.data.folder:
        from coreloss.training.files import FileSource

        return FileSource(
            recipe.data.folder,
            recipe.schedule.chunk,
            recipe.schedule.seed,
            device=device,
            elements=recipe.simulation.elements,
        )
    return _Simulator(recipe, device)
