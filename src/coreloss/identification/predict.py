"""Identification: from counts and an energy axis to probabilities."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis, Spectra
from coreloss.identification.bundle import ModelBundle, load_model
from coreloss.identification.result import Identification, covers
from coreloss.networks.inputs import network_input

__all__ = ["SpectrumError", "identify", "identify_spectra", "probabilities"]

_FEWEST_CHANNELS = 8
_LEAST_EV = 15.0
_BLOCK = 1024


class SpectrumError(ValueError):
    """A spectrum that cannot be judged; says why and what to do."""


def identify(
    counts: ArrayLike,
    energy: EnergyAxis | ArrayLike,
    *,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    threshold: float | None = None,
    threads: int = 0,
) -> Identification | list[Identification]:
    """Which elements are in a spectrum, or in each of a batch.

    Parameters
    ----------
    counts : array_like, (n_energy,) or (n, n_energy)
        Counts in any unit; NaN, negative and zero channels are allowed.
    energy : EnergyAxis or array_like, (n_energy,) [eV]
        Evenly spaced energy losses, ascending or descending.
    model : str, path or ModelBundle, optional
        A shipped model's name or a bundle directory; the default model without it.
    threshold : float, optional
        Probability from which an element is called present; the model's own without it.
    threads : int
        Processor threads; 0 takes all.

    Returns
    -------
    Identification, or a list of them for a batch

    Raises
    ------
    SpectrumError
        For counts or energies that cannot be judged.
    ModelError
        For a model that cannot be used.
    """
    values = np.asarray(counts)
    if values.dtype.kind not in "iufb":
        raise SpectrumError(
            f"counts are of type {values.dtype}; real numbers are needed "
            "(take the magnitude of complex data)"
        )
    if values.ndim not in (1, 2):
        raise SpectrumError(
            f"counts have shape {values.shape}; give one spectrum (n_energy,) or a batch "
            "(n, n_energy)"
        )
    if isinstance(energy, EnergyAxis):
        axis = energy
    else:
        points = np.asarray(energy, dtype=float)
        if points.ndim == 1 and points.size > 1 and points[0] > points[-1]:
            points, values = points[::-1], values[..., ::-1]
        try:
            axis = EnergyAxis.from_energies(points)
        except ValueError as error:
            raise SpectrumError(str(error)) from None
    if values.shape[-1] != axis.size:
        raise SpectrumError(
            f"counts have {values.shape[-1]} channels and the energy axis {axis.size}; "
            "they must agree"
        )
    results = identify_spectra(
        Spectra(np.atleast_2d(values), axis), model=model, threshold=threshold, threads=threads
    )
    return results[0] if values.ndim == 1 else results


def identify_spectra(
    spectra: Spectra,
    *,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    threshold: float | None = None,
    threads: int = 0,
) -> list[Identification]:
    """Identify every spectrum of ``spectra``, in the order of its navigation axes.

    Parameters and errors as in `identify`.
    """
    bundle = load_model(model)
    limit = bundle.threshold if threshold is None else float(threshold)
    if not 0.0 < limit < 1.0:
        raise SpectrumError(f"threshold is {limit}; it must lie between 0 and 1")
    axis = spectra.axis
    counts = spectra.counts.reshape(-1, axis.size)
    probability, first, size = _judge(counts, axis, bundle, threads)
    judged: dict[EnergyAxis, frozenset[str]] = {}
    results = []
    for row, record, begin, length in zip(probability, counts, first, size, strict=True):
        notes, part, whole = spectra.notes, axis, np.asarray(record, dtype=float)
        elements: frozenset[str] = frozenset()
        if length:
            if length < axis.size:
                part = EnergyAxis(
                    axis.offset + int(begin) * axis.dispersion, axis.dispersion, int(length)
                )
                whole = whole[begin : begin + length]
            if part not in judged:
                judged[part] = frozenset(
                    s for s in bundle.elements if any(covers(part, e) for e in edges_of(s))
                )
            elements = judged[part]
        else:
            notes = (*notes, "not judged: too few channels hold numbers, or all hold the same")
        results.append(
            Identification(
                dict(zip(bundle.elements, map(float, row), strict=True)),
                limit,
                f"{bundle.name} {bundle.version}",
                part,
                whole,
                elements,
                notes,
            )
        )
    return results


def probabilities(
    counts: NDArray, axis: EnergyAxis, bundle: ModelBundle, *, threads: int = 0
) -> NDArray[np.float64]:
    """Calibrated probabilities (n, n_elements) of spectra (n, n_energy); raises SpectrumError."""
    return _judge(counts, axis, bundle, threads)[0]


def _judge(
    counts: NDArray, axis: EnergyAxis, bundle: ModelBundle, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Probabilities, and the first recorded channel and number of channels of each spectrum.

    A spectrum that cannot be judged has no channels and probabilities 0; if none of them can
    be, a SpectrumError says why.
    """
    _check_axis(axis, bundle)
    out = np.zeros((counts.shape[0], len(bundle.elements)))
    first = np.zeros(counts.shape[0], dtype=np.intp)
    size = np.zeros(counts.shape[0], dtype=np.intp)
    reasons: list[SpectrumError] = []
    for begin in range(0, counts.shape[0], _BLOCK):
        block = slice(begin, begin + _BLOCK)
        record, first[block], size[block] = _mended(
            np.asarray(counts[block], dtype=float), axis, bundle, reasons
        )
        usable = np.nonzero(size[block])[0]
        record, start, length = record[usable], first[block][usable], size[block][usable]
        total = np.zeros((usable.size, len(bundle.elements)))
        for shift in bundle.shifts_ev if usable.size else ():
            inputs = network_input(
                record,
                axis.offset + start * axis.dispersion + shift,
                np.full(usable.size, axis.dispersion),
                length,
                bundle.grid,
            )
            total += bundle.logits(inputs, threads=threads)
        out[begin + usable] = bundle.probabilities(total / len(bundle.shifts_ev))
    if reasons and not size.any():
        raise reasons[0]
    return out, first, size


def _check_axis(axis: EnergyAxis, bundle: ModelBundle) -> None:
    bounds = bundle.grid.boundaries
    start, end = max(axis.start, float(bounds[0])), min(axis.end, float(bounds[-1]))
    if axis.size < _FEWEST_CHANNELS:
        raise SpectrumError(
            f"the spectrum has {axis.size} channels; at least {_FEWEST_CHANNELS} are needed"
        )
    if end - start < _LEAST_EV:
        hint = (
            "is the axis in keV?"
            if 0 < axis.end < 10
            else "give a core-loss record or correct its energy axis"
        )
        raise SpectrumError(
            f"the record runs from {axis.start:.4g} to {axis.end:.4g} eV, of which "
            f"{max(end - start, 0.0):.4g} eV lie within the {bounds[0]:.0f} to {bounds[-1]:.0f} eV "
            f"in which elements are identified (at least {_LEAST_EV:.0f} eV are needed); {hint}"
        )


def _mended(
    counts: NDArray[np.float64],
    axis: EnergyAxis,
    bundle: ModelBundle,
    reasons: list[SpectrumError],
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Spectra without NaN, moved to begin at channel 0, and the channels each one recorded.

    NaN at the ends was not measured and is cut off, for each spectrum by itself so that its
    answer does not hang on its neighbours; gaps within are bridged by straight lines. Why a
    spectrum is unusable (0 channels) is added to ``reasons``.
    """
    n, width = counts.shape
    first, size = np.zeros(n, dtype=np.intp), np.full(n, width, dtype=np.intp)
    finite = np.isfinite(counts)
    if not finite.all():
        counts = counts.copy()
        for i in np.nonzero(~finite.all(axis=1))[0]:
            good = np.nonzero(finite[i])[0]
            if good.size < _FEWEST_CHANNELS:
                reasons.append(
                    SpectrumError(
                        f"only {good.size} channels hold numbers, the rest is NaN or infinite; "
                        f"at least {_FEWEST_CHANNELS} are needed"
                    )
                )
                counts[i], size[i] = 0.0, 0
                continue
            first[i], size[i] = good[0], good[-1] + 1 - good[0]
            bridged = np.interp(np.arange(good[0], good[-1] + 1), good, counts[i, good])
            counts[i, : size[i]], counts[i, size[i] :] = bridged, 0.0
            try:
                _check_axis(
                    EnergyAxis(
                        axis.offset + int(first[i]) * axis.dispersion, axis.dispersion, int(size[i])
                    ),
                    bundle,
                )
            except SpectrumError as error:
                reasons.append(error)
                size[i] = 0
    beyond = np.arange(width) >= size[:, None]
    flat = (size > 0) & (np.where(beyond, counts[:, :1], counts) == counts[:, :1]).all(axis=1)
    if flat.any():
        value = counts[np.nonzero(flat)[0][0], 0]
        reasons.append(
            SpectrumError(f"every channel holds the same value ({value:g}); this is no spectrum")
        )
        size[flat] = 0
    return counts, first, size
