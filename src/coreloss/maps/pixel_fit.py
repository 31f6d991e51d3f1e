"""What is fitted to the spectra of a block, and with which design."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.fit import (
    Design,
    Mismatch,
    Noise,
    Response,
    design_matrix,
    fit_spectra,
    fitted_edges,
)
from coreloss.fit.solids import as_measured
from coreloss.maps.amounts import atomic_percent
from coreloss.maps.channels import without_cosmic_rays
from coreloss.maps.lowloss import LowLoss
from coreloss.maps.microscope import Microscope
from coreloss.maps.pixels import USABLE, Saturation, states
from coreloss.maps.source import Block
from coreloss.maps.support import significance

__all__ = ["PER_ELEMENT", "PixelFit", "Settings"]

PER_ELEMENT = (
    "amount", "error", "percent", "percent_error", "percent_model_error", "ratio", "residual"
)  # fmt: skip
_OWN_DESIGNS = 64  # spectra with a design of their own at once
# of the squares of an element's cross section, from which a spectrum tells of it
_SHOWN = 1e-3


@dataclass(frozen=True)
class Settings:
    """What every design of a run shares."""

    elements: tuple[str, ...]
    axis: EnergyAxis
    microscope: Microscope
    near_edge: str
    background: int
    window_ev: tuple[float, float] | None
    intensity: float | None
    measured_shapes: bool = True
    left_out: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)

    def design(self, response: Response | None) -> Design:
        if response is None and self.intensity is not None:
            response = Response.of_shift(0.0, self.axis.dispersion, intensity=self.intensity)
        design = design_matrix(
            self.elements,
            self.axis,
            response=response,
            near_edge=self.near_edge,
            background=self.background,
            window_ev=self.window_ev,
            measured_shapes=self.measured_shapes,
            beam_energy_kev=self.microscope.beam_energy_kev,
            alpha_mrad=self.microscope.alpha_mrad,
            beta_mrad=self.microscope.beta_mrad,
        )
        if self.left_out is None or not (design.use & ~self.left_out).any():
            return design
        return replace(design, use=design.use & ~self.left_out)

    def shapes_said(self) -> list[str]:
        """Which elements' edges are not those of atoms."""
        moved = [
            f"{edge.symbol} M4,5 as measured: {stretch:.2f} times as wide, {strength:.2f} as strong"
            for symbol in self.elements
            for edge in fitted_edges(symbol, self.axis, self.window_ev)
            if edge.subshell == "M5" and self.measured_shapes
            for stretch, strength in [as_measured(symbol, "M5")]
            if (stretch, strength) != (1.0, 1.0)
        ]
        return moved


@dataclass(frozen=True)
class PixelFit:
    """What is done with each block."""

    settings: Settings
    shared: Design | None
    low_loss: LowLoss | None
    noise: Noise
    mismatch: Mismatch
    saturation: Saturation
    blank: NDArray[np.bool_]
    spared: NDArray[np.bool_]
    quantified: NDArray[np.intp]
    coefficients: NDArray[np.float64]

    def __call__(self, counts: NDArray[np.floating], block: Block) -> dict[str, NDArray[Any]]:
        state = states(counts, self.saturation)
        counts = np.where(self.blank | (counts >= self.saturation.level), np.nan, counts)
        counts, struck = without_cosmic_rays(counts, self.settings.axis, self.spared)
        n, k = counts.shape[0], self.quantified.size
        out: dict[str, NDArray[Any]] = {
            name: np.full((n, k), np.nan, dtype=np.float32) for name in PER_ELEMENT
        }
        out["chi2"] = np.full(n, np.nan, dtype=np.float32)
        out["state"] = state
        sums = np.zeros((3, self.settings.axis.size))
        response = None
        if self.shared is None:
            assert self.low_loss is not None
            response = self.low_loss.of_block(block)
        good = np.flatnonzero(state == USABLE)
        step = _OWN_DESIGNS if self.shared is None else max(good.size, 1)
        for begin in range(0, good.size, step):
            rows = good[begin : begin + step]
            if response is not None:
                own = replace(response, kernel=response.kernel[rows])
                design = self.settings.design(own)
            else:
                assert self.shared is not None
                design = self.shared
            if design.matrix.ndim == 2 and response is not None:
                design = replace(design, matrix=design.matrix[None])
            self._fitted(counts[rows], rows, design.settled(self.coefficients), out, sums)
        out["_sums"], out["_struck"] = sums, np.array([struck])
        return out

    def _fitted(
        self,
        counts: NDArray[np.floating],
        rows: NDArray[np.intp],
        design: Design,
        out: dict[str, NDArray[Any]],
        sums: NDArray[np.float64],
    ) -> None:
        fit = fit_spectra(counts, design, gain=self.noise.gain, correlation=self.noise.correlation)
        chosen = self.quantified
        covariance = fit.covariance[:, chosen][:, :, chosen]
        percent, error = atomic_percent(fit.amounts[:, chosen], covariance)
        off = self.mismatch.covariance(fit.amounts)[:, chosen][:, :, chosen]
        # a spectrum that ends before an edge says nothing of the element, and has no composition
        power = design.matrix[..., design.amplitude[chosen]] ** 2 * design.use[:, None]
        shown = (np.isfinite(counts)[:, None, :].astype(float) @ power)[:, 0]
        seen = shown > _SHOWN * power.sum(axis=-2)
        whole = seen.all(axis=1)
        for name, values, known in (
            ("amount", fit.amounts[:, chosen], seen),
            ("error", fit.errors[:, chosen], seen),
            ("percent", percent, whole[:, None]),
            ("percent_error", error, whole[:, None]),
            (
                "percent_model_error",
                atomic_percent(fit.amounts[:, chosen], off)[1],
                whole[:, None],
            ),
            ("ratio", significance(fit)[:, chosen], seen),
        ):
            out[name][rows] = np.where(known, values, np.nan)
        out["chi2"][rows] = fit.reduced_chi2
        model = fit.model()
        rest = np.where(np.isfinite(counts) & design.use, counts - model, 0.0)
        noise = self.noise.gain * self.noise.correlation
        for place, number in enumerate(chosen):
            onset = fitted_edges(design.elements[number], design.axis, self.settings.window_ev)[0]
            low, high = np.clip(
                [design.axis.index(onset.onset_ev), design.axis.index(onset.onset_ev + 50.0) + 1],
                0,
                design.axis.size,
            )
            used = design.use[low:high]
            spread = np.sqrt(noise * np.maximum(model[:, low:high], 0.0)[:, used].sum(axis=1))
            known = spread > 0
            out["residual"][rows, place] = np.where(
                known, rest[:, low:high].sum(axis=1) / np.where(known, spread, 1.0), 0.0
            )
        # a gap counts as the model has it, as the sum would step where it begins
        filled = np.where(np.isfinite(counts), counts, model)
        sums[0] += np.where(self.blank, 0.0, filled)[whole].sum(axis=0)
        sums[1] += model[whole].sum(axis=0)
        sums[2] += fit.background()[whole].sum(axis=0)
