"""Model-based quantification: areal densities and atomic percent in every pixel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis, Spectra, total_of
from coreloss.fit import (
    Design,
    LinearFit,
    Mismatch,
    Noise,
    Response,
    apparent_gain,
    design_matrix,
    estimated_noise,
    fit_spectra,
    fitted_edges,
    mismatch_of,
)
from coreloss.fit.solids import as_measured
from coreloss.identification import ModelBundle, identify_spectra, load_model
from coreloss.identification.predict import DEFAULT_AXIS_MODE
from coreloss.maps.amounts import Quantification, atomic_percent
from coreloss.maps.blocks import Store, run_blocks
from coreloss.maps.channels import faulty_channels, settled_channels, without_cosmic_rays
from coreloss.maps.doubtful import doubtful
from coreloss.maps.elements import ElementMaps, _stamp, element_maps
from coreloss.maps.lowloss import LowLoss, low_loss_of
from coreloss.maps.microscope import Microscope, microscope_of
from coreloss.maps.pixels import USABLE, Saturation, states, unrecorded, usable_sample
from coreloss.maps.settled import settled_axis
from coreloss.maps.source import Block, SpectrumImage, open_image
from coreloss.maps.support import SIGNIFICANT
from coreloss.maps.thickness import thickness_by_edges, typical_low_loss

__all__ = ["atomic_percent", "quantify"]

_NOISE_SAMPLE = 512
# end over begin of a record from which its background needs one power law more
_WIDE = 3.0
_PER_ELEMENT = (
    "amount", "error", "percent", "percent_error", "percent_model_error", "ratio", "residual"
)  # fmt: skip
_OWN_DESIGNS = 64  # spectra with a design of their own at once


@dataclass(frozen=True)
class _Settings:
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
class _Fit:
    """What is done with each block."""

    settings: _Settings
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
            name: np.full((n, k), np.nan, dtype=np.float32) for name in _PER_ELEMENT
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
        out["amount"][rows] = fit.amounts[:, chosen]
        out["error"][rows] = fit.errors[:, chosen]
        out["percent"][rows], out["percent_error"][rows] = percent, error
        off = self.mismatch.covariance(fit.amounts)[:, chosen][:, :, chosen]
        out["percent_model_error"][rows] = atomic_percent(fit.amounts[:, chosen], off)[1]
        out["ratio"][rows] = fit.likelihood_ratio[:, chosen]
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
        whole = np.where(np.isfinite(counts), counts, model)
        sums[0] += np.where(self.blank, 0.0, whole).sum(axis=0)
        sums[1] += model.sum(axis=0)
        sums[2] += fit.background().sum(axis=0)


def quantify(
    source: str | os.PathLike[str] | Spectra | SpectrumImage,
    elements: Sequence[str] | None = None,
    *,
    signal: str | int | None = None,
    beam_energy_kev: float | None = None,
    alpha_mrad: float | None = None,
    beta_mrad: float | None = None,
    low_loss: str | os.PathLike[str] | Spectra | SpectrumImage | None = None,
    exposure_ratio: float | None = None,
    beam_intensity: float | None = None,
    thickness: float | None = None,
    near_edge: str | None = None,
    background: int | None = None,
    window_ev: tuple[float, float] | None = None,
    measured_shapes: bool = True,
    axis_mode: str | float = DEFAULT_AXIS_MODE,
    shift_ev: float = 0.0,
    stretch: float = 1.0,
    gain: float | None = None,
    bin: int = 1,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    threshold: float | None = None,
    least_fraction: float = 0.01,
    threads: int = 0,
    scheduler: str | None = None,
    work_folder: str | os.PathLike[str] | None = None,
) -> Quantification:
    """Quantify the elements of a spectrum, line scan, spectrum image or stack.

    Elements are those found by `element_maps` (in a single spectrum by `coreloss.identify`),
    unless given. The model of `coreloss.fit` is fitted to the mean spectrum first; an element
    whose likelihood ratio there, with the noise scaled to the misfit, stays below 9 is taken out,
    as in the presence of the others nothing speaks for it. One of which no more is found than
    the edges of the others may feign (`coreloss.fit.Mismatch`) stays in the fit, as its
    near-edge structure may be there, but no amount is given. Then every pixel is fitted.

    Parameters
    ----------
    source : path, Spectra or SpectrumImage
    elements : sequence of str, optional
        Quantified as given, none added or taken out.
    beam_energy_kev, alpha_mrad, beta_mrad : float, optional
        In place of the file's.
    low_loss : path, Spectra or SpectrumImage, optional
        One spectrum, or one for each pixel; that of the same file without it.
    exposure_ratio : float, optional
        Exposure of the core loss over that of the low loss; makes amounts areal densities.
    beam_intensity : float, optional
        Zero-loss intensity in the core loss's own counts; the same without a low loss.
    thickness : float, optional
        t/λ to assume where there is no low loss: plural scattering is then that of a typical
        solid (`coreloss.maps.thickness`); 0 for none. Estimated from the edges' shapes without
        it, if near-edge structure is left out and no beam intensity is given.
    near_edge : str, optional
        See `coreloss.fit.design_matrix`; 'free' with a low loss and 'exclude' without.
    background : int, optional
        Power laws in the background: 5, or 6 if the record ends at more than three times the
        energy at which it begins. Over a wide range the background of a thick specimen, plural
        scattering included, is less of one power law.
    window_ev : pair of float, optional [eV]
    measured_shapes : bool
        See `coreloss.fit.design_matrix`.
    axis_mode : str or float
        As of `coreloss.identify`; the axis is judged on the mean spectrum.
    shift_ev, stretch : float
        Before that the axis is put to shift_ev + stretch · recorded. The low loss is stretched
        as the core loss is.
    gain : float, optional
        Counts per electron; estimated from the scatter of the spectra without it.
    bin, signal, model, threshold, least_fraction, threads, scheduler, work_folder
        As of `element_maps`.

    Raises
    ------
    ReadError, ValueError
        One sentence for what is missing or cannot be fitted.
    """
    if gain is not None and not gain > 0:
        raise ValueError(f"the gain is {gain} counts per electron; it must be positive")
    if background is not None and background < 1:
        raise ValueError(f"a background of {background} power laws is none; give at least 1")
    if isinstance(elements, str):
        elements = (elements,)
    if elements is not None and not len(elements):
        raise ValueError("no elements are given to quantify; name some, or leave them to be found")
    image = open_image(source, signal=signal)
    microscope = microscope_of(
        image.name,
        image.metadata,
        beam_energy_kev=beam_energy_kev,
        alpha_mrad=alpha_mrad,
        beta_mrad=beta_mrad,
    )
    if exposure_ratio is not None and beam_intensity is not None:
        raise ValueError("give either an exposure ratio or a beam intensity, not both")
    recorded = image.axis
    image = image.with_axis(recorded.corrected(shift_ev, stretch))
    pixels = image.binned(bin)
    sample, saturation = usable_sample(pixels)
    blank = unrecorded(sample)
    sample = np.where(blank | (sample >= saturation.level), np.nan, sample)
    if not np.nansum(sample, dtype=float) > 0:
        raise ValueError(
            f"{image.name}: its counts are negative in sum, so their noise cannot be told; give "
            "spectra as recorded, with their background"
        )
    sample, spared = settled_channels(sample, image.axis)
    faulty, told_of_channels = faulty_channels(sample, image.axis)
    blank |= faulty
    sample = np.where(blank, np.nan, sample)
    image, said = settled_axis(image, sample, axis_mode, load_model(model), threads)
    pixels = pixels.with_axis(image.axis)
    low = low_loss_of(
        pixels,
        low_loss,
        ratio=exposure_ratio,
        bin=bin,
        stretch=image.axis.dispersion / recorded.dispersion,
    )
    if low is None and exposure_ratio is not None:
        raise ValueError(
            f"{image.name}: an exposure ratio says nothing without a low loss; give --low-loss FILE"
        )
    if thickness is not None:
        if not 0.0 <= thickness <= 5.0:
            raise ValueError(f"the thickness is t/λ {thickness}; it must lie between 0 and 5")
        if low is not None or beam_intensity is not None:
            raise ValueError(
                "give either a thickness or what tells it: a low loss, or a beam intensity"
            )
    folder = Path(work_folder) if work_folder is not None else None
    maps = None
    if elements is None:
        wanted, maps = _identified(
            image, sample, bin, model, threshold, least_fraction, threads, scheduler, folder
        )
    else:
        wanted = tuple(dict.fromkeys(edges_of(s)[0].symbol for s in elements))
    not_quantified = {
        s: f"no edge between {image.axis.start:.0f} and {image.axis.end:.0f} eV"
        for s in wanted
        if not fitted_edges(s, image.axis, window_ev)
    }
    wanted = tuple(s for s in wanted if s not in not_quantified)
    if not wanted:
        raise ValueError(
            f"{image.name}: "
            + (
                "none of the elements given has an edge in the record"
                if elements
                else "no element was found"
            )
            + ", so there is nothing to quantify; name elements whose edges it holds"
        )
    settings = _Settings(
        wanted,
        image.axis,
        microscope,
        near_edge or ("exclude" if low is None else "free"),
        background or (5 if image.axis.end < _WIDE * max(image.axis.start, 1.0) else 6),
        window_ev,
        beam_intensity,
        measured_shapes,
        blank,
    )
    resonant, told = doubtful(wanted, image.axis, window_ev)
    said = [*said, *told_of_channels, *settings.shapes_said(), *told]
    kernel = None if low is None else _mean_kernel(low, pixels)
    if low is None:
        kernel, told = _typical_kernel(settings, sample, gain, thickness)
        said = [*said, *told]
    settings, fit, noise, mismatch, dropped, feigned = _supported(
        settings, kernel, sample, gain, prune=elements is None
    )
    design = fit.design
    feigned |= {s: why for s, why in resonant.items() if s in settings.elements}
    not_quantified |= dropped | feigned
    for symbol in design.unfounded:
        not_quantified[symbol] = "the record ends, or another edge begins, too soon after its edge"
    quantified = np.array(
        [i for i, s in enumerate(settings.elements) if s not in (*design.unfounded, *feigned)],
        dtype=np.intp,
    )
    if quantified.size == 0:
        reasons = "; ".join(f"{s}: {not_quantified[s]}" for s in settings.elements)
        raise ValueError(f"{image.name}: no amount can be told ({reasons})")
    blocks = pixels.blocks()
    key = {
        "file": _stamp(pixels),
        "settings": repr(settings),
        "noise": repr(noise),
        "mismatch": mismatch.scale,
        "low_loss": list(low.notes) if low is not None else said,
        "bin": bin,
        "spared": np.flatnonzero(spared).tolist(),
    }
    store = Store(folder / "fit" if folder is not None else None, key, pixels.shape, len(blocks))
    shared = design if low is None or low.shared is not None else None
    work = _Fit(
        settings, shared, low, noise, mismatch, saturation, blank, spared, quantified,
        fit.coefficients[0],
    )  # fmt: skip
    run_blocks(work, pixels, store, blocks, scheduler=scheduler, label="fitting")
    notes = [*image.notes, *said, *(low.notes if low is not None else ())]
    struck = int(np.asarray(store.get("_struck")).sum())
    if struck:
        notes.append(f"cosmic rays: single channels bridged in {struck} of {pixels.number} spectra")
    if maps is not None:
        notes = [*notes, *(n for n in maps.notes if n not in notes)]
    return _assembled(
        pixels, store, settings, design, noise, mismatch, quantified, not_quantified, microscope,
        notes, maps,
    )  # fmt: skip


def _identified(
    image: SpectrumImage,
    sample: NDArray[np.floating],
    bin: int,
    model: str | os.PathLike[str] | ModelBundle | None,
    threshold: float | None,
    least_fraction: float,
    threads: int,
    scheduler: str | None,
    folder: Path | None,
) -> tuple[tuple[str, ...], ElementMaps | None]:
    if image.number == 1:
        result = identify_spectra(
            Spectra(sample[0], image.axis), model=model, threshold=threshold, threads=threads
        )[0]
        return result.found, None
    maps = element_maps(
        image,
        model=model,
        threshold=threshold,
        least_fraction=least_fraction,
        bin=bin,
        threads=threads,
        scheduler=scheduler,
        work_folder=folder / "elements" if folder is not None else None,
    )
    return maps.elements, maps


def _typical_kernel(
    settings: _Settings,
    sample: NDArray[np.floating],
    gain: float | None,
    thickness: float | None,
) -> tuple[Response | None, list[str]]:
    """Plural scattering without a low loss, as given or by the edges, and what to say of it."""
    if thickness is None:
        if settings.near_edge != "exclude" or settings.intensity is not None:
            return None, []
        found = thickness_by_edges(
            total_of(sample)[None],
            settings.axis.dispersion,
            settings.design,
            gain=gain or apparent_gain(_some(sample)),
        )
    else:
        found = float(thickness)
    if found == 0.0:
        return None, []
    how = "by the shapes of the edges" if thickness is None else "as given"
    return typical_low_loss(found, settings.axis.dispersion), [
        f"no low loss: plural scattering of a typical solid of t/λ {found:.1f}, {how}"
    ]


def _some(sample: NDArray[np.floating]) -> NDArray[np.floating]:
    """Enough spectra to tell the noise by."""
    return sample[:: max(1, -(-sample.shape[0] // _NOISE_SAMPLE))]


def _mean_kernel(low: LowLoss, image: SpectrumImage) -> Response:
    if low.shared is not None:
        return low.shared
    blocks = image.blocks()
    response = low.of_block(blocks[len(blocks) // 2])
    return replace(response, kernel=response.kernel.mean(axis=0, keepdims=True))


def _supported(
    settings: _Settings,
    kernel: Response | None,
    sample: NDArray[np.floating],
    gain: float | None,
    *,
    prune: bool,
) -> tuple[_Settings, LinearFit, Noise, Mismatch, dict[str, str], dict[str, str]]:
    """Settings with the elements that the summed spectrum speaks for, its fit, noise, misfit.

    Last come those taken out and those whose amount cannot be told, and why.
    """
    dropped: dict[str, str] = {}
    some, total = _some(sample), total_of(sample)[None]
    rough = gain or apparent_gain(some)
    while True:
        design = settings.design(kernel)
        first = fit_spectra(some, design, gain=rough)
        noise = estimated_noise(first.residuals(), first.model())
        if gain is not None:
            noise = Noise(gain, noise.correlation)
        fit = fit_spectra(total, design, gain=noise.gain, correlation=noise.correlation)
        ratio = fit.likelihood_ratio[0] / max(
            1.0, float(np.nan_to_num(fit.reduced_chi2[0], nan=1.0))
        )
        weakest = int(np.argmin(ratio))
        if not prune or len(settings.elements) == 1 or ratio[weakest] >= SIGNIFICANT:
            mismatch = mismatch_of(fit)
            feigned = _feigned(fit, mismatch) if prune else {}
            return settings, fit, noise, mismatch, dropped, feigned
        symbol = settings.elements[weakest]
        dropped[symbol] = f"not supported by the fit (likelihood ratio {ratio[weakest]:.2g})"
        settings = replace(settings, elements=tuple(s for s in settings.elements if s != symbol))


def _feigned(fit: LinearFit, mismatch: Mismatch) -> dict[str, str]:
    """Elements of which the edges of the others may feign as much as is found, and why."""
    share = fit.amounts[0] / np.hypot(mismatch.feigned(fit.amounts)[0], fit.errors[0])
    return {
        symbol: "the edges of the others may feign as much as is found "
        f"({part:.2g} standard errors of the model)"
        for symbol, part in zip(fit.design.elements, share, strict=True)
        if part < 1.0 and share.max() >= 1.0
    }


def _assembled(
    image: SpectrumImage,
    store: Store,
    settings: _Settings,
    design: Design,
    noise: Noise,
    mismatch: Mismatch,
    quantified: NDArray[np.intp],
    not_quantified: dict[str, str],
    microscope: Microscope,
    notes: list[str],
    maps: ElementMaps | None,
) -> Quantification:
    state = np.array(store.get("state"))
    number = int((state == USABLE).sum())
    sums = np.asarray(store.get("_sums")).sum(axis=0)
    sums = np.where(sums[0] != 0, sums, np.nan)
    symbols = tuple(settings.elements[i] for i in quantified)
    fit: LinearFit = fit_spectra(sums[:1], design, gain=noise.gain, correlation=noise.correlation)
    percent, error = atomic_percent(
        fit.amounts[:, quantified], fit.covariance[:, quantified][:, :, quantified]
    )
    off = mismatch.covariance(fit.amounts)[:, quantified][:, :, quantified]
    model_error = atomic_percent(fit.amounts[:, quantified], off)[1]
    total = {
        symbol: {
            "atomic_percent": float(percent[0, i]),
            "error": float(error[0, i]),
            "model_error": float(model_error[0, i]),
            "amount": float(fit.amounts[0, column]) / number,
            "amount_error": float(fit.errors[0, column]) / number,
            "likelihood_ratio": float(fit.likelihood_ratio[0, column]),
        }
        for i, (symbol, column) in enumerate(zip(symbols, quantified, strict=True))
    }
    unusable = state.size - number
    if unusable and not any("left out" in note for note in notes):
        notes.append(f"{unusable} of {state.size} spectra hold no counts or are saturated")
    maps_of = {name: np.array(store.get(name)) for name in (*_PER_ELEMENT, "chi2")}
    return Quantification(
        symbols,
        maps_of["amount"],
        maps_of["error"],
        maps_of["percent"],
        maps_of["percent_error"],
        maps_of["percent_model_error"],
        maps_of["ratio"],
        maps_of["residual"],
        maps_of["chi2"],
        state,
        design.absolute,
        total,
        not_quantified,
        {
            "counts": sums[0] / max(number, 1),
            "model": sums[1] / max(number, 1),
            "background": sums[2] / max(number, 1),
        },
        design,
        microscope,
        noise,
        image.axes,
        image.axis,
        image.metadata,
        tuple(notes),
        maps,
    )
