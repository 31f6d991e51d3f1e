"""Model-based quantification: areal densities and atomic percent in every pixel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import edges_of
from coreloss.energy import Spectra, total_of
from coreloss.fit import (
    Design,
    LinearFit,
    Mismatch,
    Noise,
    Response,
    apparent_gain,
    estimated_noise,
    fit_spectra,
    fitted_edges,
    mismatch_of,
)
from coreloss.fit.design import NEAR_EDGE
from coreloss.identification import ModelBundle, identify_spectra, load_model
from coreloss.identification.predict import DEFAULT_AXIS_MODE
from coreloss.maps.amounts import Quantification, atomic_percent
from coreloss.maps.blocks import Store, run_blocks
from coreloss.maps.channels import faulty_channels, settled_channels
from coreloss.maps.doubtful import doubtful
from coreloss.maps.elements import ElementMaps, _stamp, element_maps
from coreloss.maps.lowloss import DRIFTS, LowLoss, aligned_by_zero_loss, low_loss_of, opened
from coreloss.maps.microscope import Microscope, microscope_of
from coreloss.maps.pixel_fit import PER_ELEMENT, PixelFit, Settings
from coreloss.maps.pixels import USABLE, unrecorded, usable_sample
from coreloss.maps.settled import settled_axis
from coreloss.maps.source import SpectrumImage, open_image
from coreloss.maps.support import significance, untold
from coreloss.maps.thickness import thickness_by_edges, typical_low_loss
from coreloss.maps.wording import of_all

__all__ = ["atomic_percent", "quantify"]

_NOISE_SAMPLE = 512
# end over begin of a record from which its background needs one power law more
_WIDE = 3.0
# share of the spectra from which an element that is left out is worth a word
_MANY = 0.1


def quantify(
    source: str | os.PathLike[str] | Spectra | SpectrumImage,
    elements: Sequence[str] | None = None,
    *,
    signal: str | int | None = None,
    beam_energy_kev: float | None = None,
    alpha_mrad: float | None = None,
    beta_mrad: float | None = None,
    low_loss: str | os.PathLike[str] | Spectra | SpectrumImage | Literal[False] | None = None,
    simultaneous: bool = False,
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

    Elements are those found by `element_maps` (in a single spectrum by `coreloss.identify` with
    evidence), unless given; the fit takes none of them back (`coreloss.maps.support`). The model
    of `coreloss.fit` is fitted to the sum of all spectra first. An element of which no more is
    found than the edges of the others may feign (`coreloss.fit.Mismatch`), there and in the sums
    that show it best, stays in the fit, as its near-edge structure may be there, but no amount is
    given. Then every pixel is fitted, and amounts that are not significant are flagged.

    Parameters
    ----------
    source : path, Spectra or SpectrumImage
    elements : sequence of str, optional
        Quantified as given, none added or taken out.
    beam_energy_kev, alpha_mrad, beta_mrad : float, optional
        In place of the file's.
    low_loss : path, Spectra, SpectrumImage or False, optional
        One spectrum, or one for each pixel, of any dispersion; that of the same file without it,
        none for False.
    simultaneous : bool
        Whether the low loss given was recorded in the same sweep, as that of the same file was:
        its zero-loss peak then tells how the axis is off, and how it drifts from pixel to pixel.
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
        As of `coreloss.identify`; the axis is judged on the mean spectrum, after the zero-loss
        peak of a simultaneous low loss was put at 0.
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
    if beam_intensity is not None and not 0.0 < beam_intensity < np.inf:
        raise ValueError(f"the beam intensity is {beam_intensity} counts; it must be positive")
    if not (np.isfinite(shift_ev) and 0.0 < stretch < np.inf):
        raise ValueError(
            f"the axis cannot be put to {shift_ev} eV + {stretch} · recorded; give a shift in eV "
            "and a positive stretch"
        )
    if (shift_ev, stretch) != (0.0, 1.0) and isinstance(axis_mode, Real):
        raise ValueError(
            f"the axis cannot be moved twice, by {axis_mode:+g} eV and by shift and stretch; give "
            "one of them"
        )
    if not 0.0 <= least_fraction <= 1.0:
        raise ValueError(f"least fraction is {least_fraction}; it must lie between 0 and 1")
    if background is not None and background < 1:
        raise ValueError(f"a background of {background} power laws is none; give at least 1")
    if isinstance(elements, str):
        elements = (elements,)
    if elements is not None and not len(elements):
        raise ValueError("no elements are given to quantify; name some, or leave them to be found")
    if near_edge is not None and near_edge not in NEAR_EDGE:
        raise ValueError(f"near_edge is {near_edge!r}; it must be one of {', '.join(NEAR_EDGE)}")
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
    if simultaneous and (low_loss is None or low_loss is False):
        raise ValueError(
            "a simultaneous low loss is not given; give --low-loss FILE (in Python low_loss)"
        )
    if low_loss is not None and low_loss is not False:
        low_loss = opened(low_loss)
    same_sweep = low_loss if simultaneous or low_loss is False else None
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
    aligned: list[str] = []
    if axis_mode == "auto" and (shift_ev, stretch) == (0.0, 1.0):
        image, aligned = aligned_by_zero_loss(image, same_sweep)
    image, said, axis_error_ev = settled_axis(image, sample, axis_mode, load_model(model), threads)
    if (shift_ev, stretch) != (0.0, 1.0):
        said = [f"the axis was put to {shift_ev:+g} eV + {stretch:g} · recorded as asked", *said]
    said = [*aligned, *said]
    fitted_edges("O", image.axis, window_ev)  # says where a window leaves nothing of the record
    pixels = pixels.with_axis(image.axis)
    low, unused = low_loss_of(
        pixels,
        low_loss,
        ratio=exposure_ratio,
        bin=bin,
        stretch=image.axis.dispersion / recorded.dispersion,
        together=simultaneous,
    )
    said += unused
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
    maps, found_none = None, ""
    if elements is None:
        wanted, maps, found_none = _identified(
            image,
            sample,
            same_sweep,
            bin,
            model,
            threshold,
            least_fraction,
            threads,
            scheduler,
            folder,
        )
    else:
        wanted = tuple(dict.fromkeys(edges_of(s)[0].symbol for s in elements))
    not_quantified = {} if maps is None else _left_out(maps)
    fitted_from = max(image.axis.start, window_ev[0] if window_ev else -np.inf)
    fitted_to = min(image.axis.end, window_ev[1] if window_ev else np.inf)
    not_quantified |= {
        s: f"no edge between {fitted_from:.0f} and {fitted_to:.0f} eV"
        for s in wanted
        if not fitted_edges(s, image.axis, window_ev)
    }
    wanted = tuple(s for s in wanted if s not in not_quantified)
    if not wanted:
        why = "; ".join(f"{s}: {reason}" for s, reason in not_quantified.items())
        raise ValueError(
            f"{image.name}: there is nothing to quantify ({why or f'no element found{found_none}'})"
            "; name elements whose edges it holds"
        )
    settings = Settings(
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
    fit, noise = _fit_of_sum(settings, kernel, sample, gain)
    design, mismatch = fit.design, mismatch_of(fit, axis_error_ev)
    without: dict[str, str] = {}
    if elements is None:
        without = untold(fit, mismatch, () if maps is None else maps.clusters)
    without |= resonant
    for symbol in design.unfounded:
        without[symbol] = "the record ends, or another edge begins, too soon after its edge"
    not_quantified |= without
    quantified = np.array(
        [i for i, s in enumerate(settings.elements) if s not in without], dtype=np.intp
    )
    if quantified.size == 0:
        reasons = "; ".join(f"{s}: {not_quantified[s]}" for s in settings.elements)
        raise ValueError(f"{image.name}: no amount can be told ({reasons})")
    blocks = pixels.blocks()
    key = {
        "file": _stamp(pixels, folder is not None),
        "settings": repr(settings),
        "noise": repr(noise),
        "mismatch": [mismatch.scale, axis_error_ev],
        "low_loss": said if low is None else [*low.notes, low.ratio, low.mean.tolist()],
        "quantified": quantified.tolist(),
        "bin": bin,
        "spared": np.flatnonzero(spared).tolist(),
    }
    store = Store(folder / "fit" if folder is not None else None, key, pixels.shape, len(blocks))
    shared = design if low is None or low.shared is not None else None
    work = PixelFit(
        settings, shared, low, noise, mismatch, saturation, blank, spared, quantified,
        fit.coefficients[0],
    )  # fmt: skip
    run_blocks(work, pixels, store, blocks, scheduler=scheduler, label="fitting")
    notes = [*image.notes, *pixels.dropped, *said, *(low.notes if low is not None else ())]
    struck = int(np.asarray(store.get("_struck")).sum())
    if struck:
        part = "" if pixels.number == 1 else f" in {struck:,} of {pixels.number:,} spectra"
        notes.append(f"cosmic rays: single channels bridged{part}")
    if maps is not None:
        drifts = any(n.startswith(DRIFTS) for n in notes)
        new = [n for n in maps.notes if n not in notes and not (drifts and n.startswith(DRIFTS))]
        notes = [*notes, *new]
    return _assembled(
        pixels, store, settings, design, noise, mismatch, quantified, not_quantified, microscope,
        notes, maps,
    )  # fmt: skip


def _identified(
    image: SpectrumImage,
    sample: NDArray[np.floating],
    low_loss: Spectra | SpectrumImage | str | os.PathLike[str] | Literal[False] | None,
    bin: int,
    model: str | os.PathLike[str] | ModelBundle | None,
    threshold: float | None,
    least_fraction: float,
    threads: int,
    scheduler: str | None,
    folder: Path | None,
) -> tuple[tuple[str, ...], ElementMaps | None, str]:
    """The elements that are there, their maps, and what there is to say where there are none."""
    if image.number == 1:
        result = identify_spectra(
            Spectra(sample[0], image.axis),
            model=model,
            threshold=threshold,
            threads=threads,
            evidence=True,
        )[0]
        return result.found, None, f" ({result.abstained})" if result.abstained else ""
    maps = element_maps(
        image,
        model=model,
        threshold=threshold,
        least_fraction=least_fraction,
        bin=bin,
        low_loss=low_loss,
        threads=threads,
        scheduler=scheduler,
        work_folder=folder / "elements" if folder is not None else None,
    )
    return maps.elements, maps, ""


def _left_out(maps: ElementMaps) -> dict[str, str]:
    """Elements that many spectra seem to hold but maps leave out, and why."""
    return {
        row["symbol"]: f"found in {100 * row['fraction']:.0f} % of the spectra, but {row['reason']}"
        for row in maps.candidates
        if not row["kept"] and row["fraction"] >= _MANY
    }


def _typical_kernel(
    settings: Settings,
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


def _fit_of_sum(
    settings: Settings,
    kernel: Response | None,
    sample: NDArray[np.floating],
    gain: float | None,
) -> tuple[LinearFit, Noise]:
    """The fit of the summed spectrum, and the noise of single ones."""
    design, some = settings.design(kernel), _some(sample)
    first = fit_spectra(some, design, gain=gain or apparent_gain(some))
    noise = estimated_noise(first.residuals(), first.model())
    if gain is not None:
        noise = Noise(gain, noise.correlation)
    total = total_of(sample)[None]
    return fit_spectra(total, design, gain=noise.gain, correlation=noise.correlation), noise


def _assembled(
    image: SpectrumImage,
    store: Store,
    settings: Settings,
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
    usable = state == USABLE
    cut = usable & np.isnan(np.array(store.get("amount"))).any(axis=-1)
    number = int((usable & ~cut).sum())
    if not number:
        raise ValueError(
            f"{image.name}: none of its spectra was recorded at an edge of each of "
            f"{', '.join(settings.elements[i] for i in quantified)}; leave out those that were not"
        )
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
            "likelihood_ratio": float(significance(fit)[0, column]),
        }
        for i, (symbol, column) in enumerate(zip(symbols, quantified, strict=True))
    }
    if cut.any():
        said = of_all(int(cut.sum()), state.size, "was", "were")
        notes.append(
            f"{said} not recorded at an edge of each element: without at%, and not in the sum"
        )
    unusable = int((~usable).sum())
    if unusable and not any("left out" in note for note in notes):
        said = of_all(unusable, state.size, "holds no counts or is", "hold no counts or are")
        notes.append(f"{said} saturated")
    maps_of = {name: np.array(store.get(name)) for name in (*PER_ELEMENT, "chi2")}
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
