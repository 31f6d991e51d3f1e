"""One function for every forward model: the recipe says which."""

from __future__ import annotations

from typing import Any

from coreloss.simulate.batch import SimulatedBatch
from coreloss.simulate.gos import simulate as simulate_gos
from coreloss.simulate.recipe import SimulationRecipe

__all__ = ["simulate"]


def simulate(
    recipe: Any, n: int, seed: int, *, xp: Any = None, device: Any = None
) -> SimulatedBatch:
    """Simulate n spectra by the forward model of a recipe.

    Parameters
    ----------
    recipe : SimulationRecipe or GaussianRecipe
    n : int
        Number of spectra, at least 1.
    seed : int
        The same seed gives the same batch, bit for bit, on the same kind of device.
    xp : array namespace, optional
        NumPy (default) or torch; the heavy arrays live there, ``counts`` comes back there.
    device : optional
        A device of ``xp``.

    Raises
    ------
    ValueError
        If n is below 1.
    """
    if isinstance(recipe, SimulationRecipe):
        return simulate_gos(recipe, n, seed, xp=xp, device=device)
    from coreloss.simulate.gaussian.forward import simulate_gaussian

    return simulate_gaussian(recipe, n, seed, xp=xp, device=device)
