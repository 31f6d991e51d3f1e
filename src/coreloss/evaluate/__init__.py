"""How good a model is: on simulated sets, on real spectra with a manifest, on faint edges."""

from coreloss.evaluate.folder import evaluate_folder
from coreloss.evaluate.report import Report
from coreloss.evaluate.sensitivity import Sensitivity, evaluate_sensitivity
from coreloss.evaluate.simulated import evaluate_simulated
from coreloss.evaluate.stored import evaluate_files

__all__ = [
    "Report",
    "Sensitivity",
    "evaluate_files",
    "evaluate_folder",
    "evaluate_sensitivity",
    "evaluate_simulated",
]
