"""From a spectrum to its elements."""

from coreloss.identification.bundle import ModelBundle, ModelError, list_models, load_model
from coreloss.identification.predict import SpectrumError, identify, identify_spectra
from coreloss.identification.result import Identification

__all__ = [
    "Identification",
    "ModelBundle",
    "ModelError",
    "SpectrumError",
    "identify",
    "identify_spectra",
    "list_models",
    "load_model",
]
