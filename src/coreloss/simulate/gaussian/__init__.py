"""The forward model of Kong, Ji & Xin, Sci. Rep. 12, 22183 (2022): multi-Gaussian edges."""

from coreloss.simulate.gaussian.forward import GaussianDraws, assembled, simulate_gaussian
from coreloss.simulate.gaussian.recipe import GaussianRecipe
from coreloss.simulate.gaussian.shapes import EdgeShape, Peak, Step, read_shapes, write_shapes

__all__ = [
    "EdgeShape",
    "GaussianDraws",
    "GaussianRecipe",
    "Peak",
    "Step",
    "assembled",
    "read_shapes",
    "simulate_gaussian",
    "write_shapes",
]
