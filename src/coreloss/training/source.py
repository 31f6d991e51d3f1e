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
        return _simulated(self.recipe.simulation, n, seed, self.device)

    def _mixed(self, n: int, seed: int) -> Records:
        """Records of the recipe's simulation, and its mixture's share of the other one's."""
        other = self.recipe.mixture.simulation
        if other is None:
            return self._records(n, seed)
        rng = np.random.default_rng(seed)
        few = int(rng.binomial(n, self.recipe.mixture.share))
        if not few:
            return self._records(n, seed)
        parts = [_simulated(other, few, seed, self.device)]
        if few < n:
            parts.append(self._records(n - few, seed))
        return _shuffled(
            parts, [other.elements, self.recipe.simulation.elements], rng.permutation(n)
        )

    def chunk(self, number: int) -> Records:
        plan = self.recipe.schedule
        return self._mixed(plan.chunk, plan.seed * 1_000_003 + number)

    def validation(self, n: int) -> Records:
        return self._mixed(n, _VALIDATION_SEED)

    def calibration(self, n: int) -> Records:
        # probabilities and threshold are those of the recipe's own simulation
        return self._records(n, CALIBRATION_SEED)


def _simulated(recipe: Any, n: int, seed: int, device: Any) -> Records:
    batch = simulate(recipe, n, seed, xp=torch, device=device)
    # what a recipe labels whatever its size is never ambiguous
    snr = batch.snr if recipe.labels == "detectable" else None
    return Records(batch.counts, batch.offset, batch.dispersion, batch.size, batch.present, snr)


def _shuffled(
    parts: list[Records], elements: list[tuple[str, ...]], order: NDArray[np.int64]
) -> Records:
    """Records of several simulations in a new order, by the elements of the last of them."""
    width = max(part.counts.shape[1] for part in parts)
    columns = {symbol: k for k, symbol in enumerate(elements[-1])}

    def placed(values: NDArray[Any], symbols: tuple[str, ...]) -> NDArray[Any]:
        out = np.zeros((values.shape[0], len(columns)), dtype=values.dtype)
        out[:, [columns[symbol] for symbol in symbols]] = values
        return out

    present, snr = [], []
    for part, symbols in zip(parts, elements, strict=False):
        present.append(placed(part.present, symbols))
        clear = np.where(part.present, np.inf, 0.0)
        snr.append(placed(clear if part.snr is None else part.snr, symbols))
    counts = torch.cat(
        [torch.nn.functional.pad(part.counts, (0, width - part.counts.shape[1])) for part in parts]
    )
    return Records(
        counts[torch.as_tensor(order, device=counts.device)],
        np.concatenate([part.offset for part in parts])[order],
        np.concatenate([part.dispersion for part in parts])[order],
        np.concatenate([part.size for part in parts])[order],
        np.concatenate(present)[order],
        np.concatenate(snr)[order],
    )


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
