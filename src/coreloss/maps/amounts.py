"""What a quantification found."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.fit import Design, Noise
from coreloss.maps.elements import ElementMaps
from coreloss.maps.microscope import Microscope
from coreloss.maps.pixels import USABLE
from coreloss.maps.source import NavigationAxis
from coreloss.maps.support import SIGNIFICANT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Quantification", "atomic_percent"]

# share of the spectra: in fewer an amount may be significant by chance
_WORTH_SAYING = 0.01


def atomic_percent(
    amounts: NDArray[np.float64], covariance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Atomic percent and its one-sigma errors, both (n, n_elements) [at%].

    c_i = N_i / Σ N, with the whole covariance of the amounts: ∂c_i/∂N_j = (δ_ij - c_i) / Σ N.

    Parameters
    ----------
    amounts : ndarray, (n, n_elements)
    covariance : ndarray, (n, n_elements, n_elements)
    """
    total = amounts.sum(axis=1, keepdims=True)
    known = np.asarray(total > 0)
    share = np.where(known, amounts / np.where(known, total, 1.0), np.nan)
    jacobian = (np.eye(amounts.shape[1])[None] - share[:, :, None]) / np.where(known, total, 1.0)[
        :, :, None
    ]
    finite = np.where(np.isfinite(covariance), covariance, 0.0)
    variance = np.einsum(
        "nij,njk,nik->ni", np.nan_to_num(jacobian), finite, np.nan_to_num(jacobian)
    )
    known = known & np.asarray(np.isfinite(covariance).all(axis=(1, 2)))[:, None]
    return 100.0 * share, np.where(known, 100.0 * np.sqrt(np.maximum(variance, 0.0)), np.nan)


@dataclass(frozen=True)
class Quantification:
    """Amounts of elements in every pixel.

    Attributes
    ----------
    elements : tuple of str
        Quantified.
    amounts, errors : ndarray, (*shape, n_elements)
        Areal density [atoms/nm²] if ``absolute``, else proportional to it; one standard error.
    atomic_percent, atomic_percent_errors : ndarray, (*shape, n_elements) [at%]
        Among ``elements``; NaN where nothing was fitted. Errors are those of counting alone.
    atomic_percent_model_errors : ndarray, (*shape, n_elements) [at%]
        How far they may be off, all alike, because edges of solids differ from the model's and
        lie elsewhere on the axis; see `coreloss.fit.Mismatch`. The error of tabulated cross
        sections, some per cent, comes on top.
    likelihood_ratio : ndarray, (*shape, n_elements)
        2 Δ ln L of each element, the noise scaled up to what the fit misses; below 9 its amount
        is not significant.
    residual : ndarray, (*shape, n_elements)
        What the model leaves over within 50 eV above the element's first edge, in standard
        errors.
    reduced_chi2 : ndarray, shape
    state : ndarray, shape
        0 usable, 1 without counts, 2 saturated.
    absolute : bool
    total : dict
        The same of the summed spectrum, by element: ``atomic_percent``, ``error``, ``model_error``,
        ``amount``, ``amount_error``, ``likelihood_ratio``.
    not_quantified : dict of str to str
        Elements left out, and why.
    spectrum : dict of ndarray
        Means over usable pixels, (n_energy,): ``counts``, ``model``, ``background``.
    design : Design
        Of the summed spectrum.
    microscope, noise, axes, axis, metadata, notes, maps
    """

    elements: tuple[str, ...]
    amounts: NDArray[np.float32] = field(repr=False)
    errors: NDArray[np.float32] = field(repr=False)
    atomic_percent: NDArray[np.float32] = field(repr=False)
    atomic_percent_errors: NDArray[np.float32] = field(repr=False)
    atomic_percent_model_errors: NDArray[np.float32] = field(repr=False)
    likelihood_ratio: NDArray[np.float32] = field(repr=False)
    residual: NDArray[np.float32] = field(repr=False)
    reduced_chi2: NDArray[np.float32] = field(repr=False)
    state: NDArray[np.uint8] = field(repr=False)
    absolute: bool
    total: dict[str, dict[str, float]]
    not_quantified: dict[str, str]
    spectrum: dict[str, NDArray[np.float64]] = field(repr=False)
    design: Design = field(repr=False)
    microscope: Microscope
    noise: Noise
    axes: tuple[NavigationAxis, ...]
    axis: EnergyAxis
    metadata: dict[str, Any] = field(repr=False, default_factory=dict)
    notes: tuple[str, ...] = ()
    maps: ElementMaps | None = field(repr=False, default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each navigation axis."""
        return self.state.shape

    @property
    def significant(self) -> NDArray[np.bool_]:
        """Whether each element is significant in each pixel, (*shape, n_elements)."""
        return np.nan_to_num(self.likelihood_ratio) >= SIGNIFICANT

    @property
    def unit(self) -> str:
        """Of ``amounts``."""
        return "atoms/nm²" if self.absolute else "relative"

    def table(self) -> str:
        """Composition of the whole, one element a line."""
        lines = [
            f"  {'':<3} {'at%':>7}  {'± 1σ':>7}  {'± model':>7}  {'2ΔlnL':>9}   {'amount':>10}  "
            f"{self.unit}"
        ]
        for symbol in self.elements:
            row = self.total[symbol]
            flag = "" if row["likelihood_ratio"] >= SIGNIFICANT else f"   {self._faint(symbol)}"
            lines.append(
                f"  {symbol:<3} {row['atomic_percent']:7.2f}  {row['error']:7.2f}  "
                f"{row['model_error']:7.2f}  "
                f"{row['likelihood_ratio']:9.3g}   {row['amount']:10.4g}{flag}"
            )
        for symbol, reason in self.not_quantified.items():
            lines.append(f"  {symbol:<3} not quantified: {reason}")
        middle = (
            float(np.nanmedian(self.reduced_chi2))
            if np.isfinite(self.reduced_chi2).any()
            else np.nan
        )
        lines.append(f"  χ² per degree of freedom, median of spectra: {middle:.3g}")
        return "\n".join(lines)

    def _faint(self, symbol: str) -> str:
        """That the amount of an element is not significant, and where it is nevertheless."""
        usable = self.state == USABLE
        share = float(self.significant[usable][:, self.elements.index(symbol)].mean())
        if usable.sum() < 2 or share < _WORTH_SAYING:
            return "amount not significant"
        return f"amount not significant in the sum, but in {100 * share:.0f} % of the spectra"

    def csv(self) -> str:
        """The composition of the whole and the spread over pixels, as CSV."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            "element atomic_percent error_1sigma model_error amount amount_error unit "
            "likelihood_ratio significant significant_fraction_of_pixels "
            "median_atomic_percent_of_pixels median_error_of_pixels note".split()
        )
        usable = self.state == USABLE
        for k, symbol in enumerate(self.elements):
            row = self.total[symbol]
            percent = self.atomic_percent[usable][:, k]
            error = self.atomic_percent_errors[usable][:, k]
            known = np.isfinite(percent)
            writer.writerow(
                [
                    symbol,
                    f"{row['atomic_percent']:.4f}",
                    f"{row['error']:.4f}",
                    f"{row['model_error']:.4f}",
                    f"{row['amount']:.6g}",
                    f"{row['amount_error']:.6g}",
                    self.unit,
                    f"{row['likelihood_ratio']:.4g}",
                    int(row["likelihood_ratio"] >= SIGNIFICANT),
                    f"{self.significant[usable][:, k].mean():.4f}",
                    f"{np.median(percent[known]):.4f}" if known.any() else "",
                    f"{np.median(error[known]):.4f}" if known.any() else "",
                    "",
                ]
            )
        for symbol, reason in self.not_quantified.items():
            writer.writerow([symbol, *[""] * 11, reason])
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the maps, for JSON."""
        finite = self.reduced_chi2[np.isfinite(self.reduced_chi2)]
        return {
            "elements": {
                symbol: {
                    **{k: float(f"{v:.6g}") for k, v in self.total[symbol].items()},
                    "significant": self.total[symbol]["likelihood_ratio"] >= SIGNIFICANT,
                }
                for symbol in self.elements
            },
            "not_quantified": self.not_quantified,
            "unit": self.unit,
            "reduced_chi2": float(np.median(finite)) if finite.size else None,
            "microscope": self.microscope.to_dict(),
            "noise": {"gain": self.noise.gain, "correlation": self.noise.correlation},
            "shape": list(self.shape),
            "range_ev": [round(self.axis.start, 2), round(self.axis.end, 2)],
            "notes": list(self.notes),
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Fit and maps; see `coreloss.maps.figures.quantification_figure`."""
        from coreloss.maps.figures import quantification_figure

        return quantification_figure(self, path)

    def save(
        self, folder: str | os.PathLike[str], *, force: bool = False, kind: str = "hspy"
    ) -> Path:
        """Write maps, figure and table into a folder."""
        from coreloss.maps.output import save_quantification

        return save_quantification(self, folder, force=force, kind=kind)
