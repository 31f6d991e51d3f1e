"""The linear physical model of a core-loss spectrum, and its fit."""

from coreloss.fit.background import background_columns
from coreloss.fit.design import Design, design_matrix, fitted_edges
from coreloss.fit.mismatch import Mismatch, mismatch_of
from coreloss.fit.noise import Noise, apparent_gain, estimated_noise
from coreloss.fit.response import Response
from coreloss.fit.solve import LinearFit, fit_spectra, non_negative_solutions

__all__ = [
    "Design",
    "LinearFit",
    "Mismatch",
    "Noise",
    "Response",
    "apparent_gain",
    "background_columns",
    "design_matrix",
    "estimated_noise",
    "fit_spectra",
    "fitted_edges",
    "mismatch_of",
    "non_negative_solutions",
]
