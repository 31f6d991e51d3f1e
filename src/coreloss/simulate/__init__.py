"""Simulated core-loss spectra with known elements, from a recipe and a seed."""

from coreloss.simulate.batch import SimulatedBatch
from coreloss.simulate.recipe import SimulationRecipe, load_recipe, simulation_from_table
from coreloss.simulate.sample import simulate_sample
from coreloss.simulate.systems import simulate

__all__ = [
    "SimulatedBatch",
    "SimulationRecipe",
    "load_recipe",
    "simulate",
    "simulate_sample",
    "simulation_from_table",
]
