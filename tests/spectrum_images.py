"""Spectrum images and low losses that tests of maps share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from coreloss.energy import EnergyAxis
from coreloss.fit import design_matrix
from coreloss.maps.output import signal_dictionary
from coreloss.maps.source import NavigationAxis

AXIS = EnergyAxis(400.0, 1.0, 360)
LOW_AXIS = EnergyAxis(-20.0, 1.0, 120)
MICROSCOPE = {"beam_energy_kev": 200.0, "alpha_mrad": 10.0, "beta_mrad": 20.0}
SHAPE = (8, 12)


def image_counts(shape: tuple[int, ...] = SHAPE, dose: float = 4000.0, seed: int = 0) -> np.ndarray:
    """O everywhere and Ti in the left half, twice as much O as Ti."""
    rng = np.random.default_rng(seed)
    design = design_matrix(["O", "Ti"], AXIS, near_edge="none", **MICROSCOPE)
    oxygen, titanium = design.matrix[:, design.amplitude].T
    left = np.zeros(shape)
    left[..., : shape[-1] // 2] = 1.0
    edges = 2.0 * oxygen + left[..., None] * titanium
    clean = dose * ((AXIS.energies / 400.0) ** -3 + 0.8 * edges / edges.max())
    return rng.poisson(clean).astype(np.float32)


def low_loss_counts(shape: tuple[int, ...] = (), thickness: float = 0.5) -> np.ndarray:
    energy = LOW_AXIS.energies
    single = np.exp(-0.5 * (energy / 1.0) ** 2)
    single += 0.06 * thickness * np.exp(-0.5 * ((energy - 22.0) / 4.0) ** 2)
    return np.broadcast_to(1e5 * single, (*shape, energy.size)).copy()


def write_hspy(path: Path, data: np.ndarray, axis: EnergyAxis, **tem: Any) -> Path:
    """A spectrum image as HyperSpy writes one, with calibrated axes."""
    from rsciio.hspy import file_writer

    shape = data.shape[:-1]
    told = signal_dictionary(data, [NavigationAxis(n, 0.5, 0.0, "nm") for n in shape], title="area")
    told["axes"] = told["axes"][: len(shape)]
    for entry in told["axes"]:
        entry["navigate"] = True
    told["axes"].append(
        {
            "_type": "UniformDataAxis",
            "size": axis.size,
            "scale": axis.dispersion,
            "offset": axis.offset,
            "units": "eV",
            "name": "Energy loss",
            "navigate": False,
            "index_in_array": len(shape),
        }
    )
    told["metadata"]["Signal"]["signal_type"] = "EELS"
    told["metadata"]["Acquisition_instrument"] = {"TEM": tem}
    file_writer(str(path), told, show_progressbar=False)
    return path


def tem(**changes: Any) -> dict[str, Any]:
    return {
        "beam_energy": 200.0,
        "convergence_angle": 10.0,
        "Detector": {"EELS": {"collection_angle": 20.0}},
        **changes,
    }
