"""From a spectrum to its elements."""

from coreloss.identification.axis_estimate import AxisEstimate
from coreloss.identification.bundle import ModelBundle, ModelError, list_models, load_model
from coreloss.identification.candidates import CandidateSet
from coreloss.identification.evidence import Evidence
from coreloss.identification.predict import SpectrumError, identify, identify_spectra
from coreloss.identification.result import Identification

__all__ = [
    "AxisEstimate",
    "CandidateSet",
    "Evidence",
    "Identification",
    "ModelBundle",
    "ModelError",
    "SpectrumError",
    "identify",
    "identify_spectra",
    "list_models",
    "load_model",
]
