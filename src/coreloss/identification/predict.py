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
    probability = probabilities(counts, axis, bundle, threads=threads)
    judged = frozenset(
        symbol for symbol in bundle.elements if any(covers(axis, e) for e in edges_of(symbol))
    )
    return [
        Identification(
            dict(zip(bundle.elements, map(float, row), strict=True)),
            limit,
            f"{bundle.name} {bundle.version}",
            axis,
            np.asarray(record, dtype=float),
            judged,
            spectra.notes,
        )
        for row, record in zip(probability, counts, strict=True)
    ]


def probabilities(
    counts: NDArray, axis: EnergyAxis, bundle: ModelBundle, *, threads: int = 0
) -> NDArray[np.float64]:
    """Calibrated probabilities (n, n_elements) of spectra (n, n_energy); raises SpectrumError."""
    _check_axis(axis, bundle)
    out = np.empty((counts.shape[0], len(bundle.elements)))
    for begin in range(0, counts.shape[0], _BLOCK):
        block = slice(begin, begin + _BLOCK)
        record, first, last = _mended(np.asarray(counts[block], dtype=float))
        n = record.shape[0]
        total = np.zeros((n, len(bundle.elements)))
        for shift in bundle.shifts_ev:
            inputs = network_input(
                record,
                np.full(n, axis.offset + first * axis.dispersion + shift),
                np.full(n, axis.dispersion),
                np.full(n, last - first),
                bundle.grid,
            )
            total += bundle.logits(inputs, threads=threads)
        out[block] = bundle.probabilities(total / len(bundle.shifts_ev))
    return out


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


def _mended(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], int, int]:
    """Counts without NaN, and the range of channels that any spectrum recorded.

    Channels that are NaN in every spectrum at either end are cut off; other gaps are bridged
    by straight lines.
    """
    finite = np.isfinite(counts)
    if finite.all():
        first, last = 0, counts.shape[1]
        record = counts
    else:
        anywhere = np.nonzero(finite.any(axis=0))[0]
        if anywhere.size < _FEWEST_CHANNELS:
            raise SpectrumError(
                f"only {anywhere.size} channels hold numbers, the rest is NaN or infinite; "
                f"at least {_FEWEST_CHANNELS} are needed"
            )
        first, last = int(anywhere[0]), int(anywhere[-1]) + 1
        record = counts[:, first:last].copy()
        channel = np.arange(record.shape[1])
        for row, good in zip(record, finite[:, first:last], strict=True):
            if not good.all():
                row[~good] = (
                    np.interp(channel[~good], channel[good], row[good]) if good.any() else 0.0
                )
    flat = np.ptp(record, axis=1) == 0
    if flat.all():
        raise SpectrumError(
            f"every channel holds the same value ({record[0, 0]:g}); this is no spectrum"
        )
    return record, first, last
