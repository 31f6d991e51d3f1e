"""How good a model is: on simulated sets, on real spectra with a manifest."""

from coreloss.evaluate.folder import evaluate_folder
from coreloss.evaluate.report import Report
from coreloss.evaluate.simulated import evaluate_simulated

__all__ = ["Report", "evaluate_folder", "evaluate_simulated"]
