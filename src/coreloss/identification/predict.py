"""Identification: from counts and an energy axis to probabilities."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis, Spectra
from coreloss.identification.abstain import reason_to_abstain, surely_judged, zero_loss_ev
from coreloss.identification.axis import SEEN, estimate_axis
from coreloss.identification.axis_estimate import AxisEstimate, by_zero_loss
from coreloss.identification.bundle import ModelBundle, load_model
from coreloss.identification.candidates import (
    candidate_sets,
    likeliest_readings,
    rival_groups,
)
from coreloss.identification.edge_free import least_edge
from coreloss.identification.evidence import Evidence, doubted, gather
from coreloss.identification.gain_steps import without_gain_steps
from coreloss.identification.result import (
    Identification,
    Ranges,
    bridged,
    covers_any,
    gaps_of,
    mended,
    unrecorded_said,
)
from coreloss.identification.spikes import without_spikes
from coreloss.io.axes import rounded_axis

__all__ = [
    "DEFAULT_AXIS_MODE",
    "SpectrumError",
    "identify",
    "identify_spectra",
    "levelled",
    "probabilities",
]

#: what is done about energy axes where nothing is said
DEFAULT_AXIS_MODE = "as-recorded"

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
    axis_mode: str | float = DEFAULT_AXIS_MODE,
    evidence: bool = False,
) -> Identification | list[Identification]:
    """Which elements are in a spectrum, or in each of a batch.

    Parameters
    ----------
    counts : array_like, (n_energy,) or (n, n_energy)
        Counts in any unit; NaN, masked, negative and zero channels are allowed.
    energy : EnergyAxis or array_like, (n_energy,) [eV]
        Evenly spaced energy losses, ascending or descending; rounded ones get their line.
    model : str, path or ModelBundle, optional
        A shipped model's name or a bundle directory; the default model without it.
    threshold : float, optional
        Probability from which an element is called present; the model's own without it. With
        evidence a lower one asks for less certain edges as well (`edge_free.least_edge`), and
        above the model's own, and in records with their zero-loss peak, no element is named for
        being the likeliest of its rivals.
    threads : int
        Processor threads; 0 takes all.
    axis_mode : str or float
        'as-recorded'; 'auto' to estimate shift and stretch of the axis from the sum of the
        spectra and correct them; or electronvolts to add to the axis.
    evidence : bool
        Fit every candidate's edges, and join network and fit in one probability.

    Returns
    -------
    Identification, or a list of them for a batch

    Raises
    ------
    SpectrumError
        For counts or energies that cannot be judged, and other arguments that make no sense.
    ModelError
        For a model that cannot be used.
    """
    if isinstance(counts, Spectra):
        raise SpectrumError("counts are Spectra; give its .counts, and its .axis as energy")
    values = np.asarray(counts)
    if values.dtype.kind not in "iufb":
        remedy = " (take the magnitude of complex data)" if values.dtype.kind == "c" else ""
        raise SpectrumError(f"counts are of type {values.dtype}; real numbers are needed{remedy}")
    if np.ma.isMaskedArray(counts):
        values = np.ma.filled(np.ma.asarray(counts, dtype=np.result_type(values, "f4")), np.nan)
    if values.ndim not in (1, 2):
        raise SpectrumError(
            f"counts have shape {values.shape}; give one spectrum (n_energy,) or a batch "
            "(n, n_energy), an image as counts.reshape(-1, n_energy)"
        )
    notes: tuple[str, ...] = ()
    if isinstance(energy, EnergyAxis):
        axis = energy
    else:
        points = _real_energies(energy)
        if points.ndim == 1 and points.size > 1 and points[0] > points[-1]:
            points, values = points[::-1], values[..., ::-1]
        try:
            axis = EnergyAxis.from_energies(points)
        except ValueError as error:
            sound = points.ndim == 1 and points.size > 2 and bool(np.isfinite(points).all())
            rounded = rounded_axis(points) if sound else None
            if rounded is None:
                raise SpectrumError(str(error)) from None
            axis, notes = rounded[0], (rounded[1],)
    if values.shape[-1] != axis.size:
        raise SpectrumError(
            f"counts have {values.shape[-1]} channels and the energy axis {axis.size}; "
            "they must agree"
        )
    results = identify_spectra(
        Spectra(np.atleast_2d(values), axis, notes=notes),
        model=model,
        threshold=threshold,
        threads=threads,
        axis_mode=axis_mode,
        evidence=evidence,
    )
    return results[0] if values.ndim == 1 else results


def _real_energies(energy: ArrayLike) -> NDArray[np.float64]:
    try:
        given = np.asarray(energy)
        if given.dtype.kind != "c":
            return given.astype(float)
    except (TypeError, ValueError):  # ragged, or text
        pass
    raise SpectrumError("energies are no real numbers; give one in eV for each channel")


def identify_spectra(
    spectra: Spectra,
    *,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    threshold: float | None = None,
    threads: int = 0,
    axis_mode: str | float = DEFAULT_AXIS_MODE,
    evidence: bool = False,
) -> list[Identification]:
    """Identify every spectrum of ``spectra``, in the order of its navigation axes.

    Parameters and errors as in `identify`.
    """
    bundle = load_model(model)
    try:
        limit = bundle.threshold if threshold is None else float(threshold)
    except (TypeError, ValueError):
        raise SpectrumError(f"threshold is {threshold!r}; give a number") from None
    if not 0.0 < limit < 1.0:
        raise SpectrumError(f"threshold is {limit}; it must lie between 0 and 1")
    recorded = spectra.axis
    counts, joins = levelled(spectra.counts.reshape(-1, recorded.size), recorded)
    estimate = _axis_estimate(counts, recorded, bundle, threads, axis_mode)
    axis = estimate.applied(recorded) if estimate is not None else recorded
    probability, first, size = _judge(counts, axis, bundle, threads)
    lowest, highest = bundle.grid.boundaries[[0, -1]]
    sure = surely_judged(counts, axis)
    judged: dict[tuple[EnergyAxis, Ranges], frozenset[str]] = {}
    results = []
    for number, (row, record, begin, length) in enumerate(
        zip(probability, counts, first, size, strict=True)
    ):
        notes, part, whole = spectra.notes, axis, np.asarray(record, dtype=float)
        notes = (*notes, joins[number]) if number in joins else notes
        elements: frozenset[str] = frozenset()
        gaps: Ranges = ()
        values = dict(zip(bundle.elements, map(float, row), strict=True))
        proof: Evidence | None = None
        abstained, shows_edge = "", True
        if length:
            if length < axis.size:
                part = EnergyAxis(
                    axis.offset + int(begin) * axis.dispersion, axis.dispersion, int(length)
                )
                whole = whole[begin : begin + length]
            gaps = gaps_of(np.isfinite(whole), part)
            if (part, gaps) not in judged:
                judged[part, gaps] = frozenset(
                    s
                    for s in bundle.elements
                    if covers_any(
                        [e for e in edges_of(s) if lowest < e.onset_ev < highest], part, gaps
                    )
                )
            elements = judged[part, gaps]
            notes += tuple(map(unrecorded_said, gaps))
            abstained = "" if sure[number] else reason_to_abstain(bridged(whole), part)
            if abstained:
                elements, values = frozenset(), dict.fromkeys(values, 0.0)
            elif evidence:
                alone = estimate is not None and estimate.by_one_edge
                shown = least_edge(limit, bundle.threshold, searched=alone)
                proof = gather(mended(whole, part), part, values, elements, limit, shown=shown)
                values |= {s: e.probability for s, e in proof.elements.items()}
                shows_edge = proof.shows_edge
            if estimate is not None and estimate.corrected:
                values = {s: p * estimate.certainty(s) for s, p in values.items()}
                if proof is not None:
                    proof = doubted(proof, estimate.certainty, limit)
        else:
            reasons: list[SpectrumError] = []
            _mended(whole[None], axis, bundle, reasons)
            abstained = str(reasons[0])
        groups = rival_groups(values, elements, part, gaps) if shows_edge else []
        # beside a zero-loss peak plasmons feign edges: no one is named for being the likeliest
        likeliest = limit <= bundle.threshold and bool(groups)
        likeliest = likeliest and zero_loss_ev(bridged(whole), part) is None
        result = Identification(
            values,
            limit,
            f"{bundle.name} {bundle.version}",
            part,
            whole,
            elements,
            notes,
            estimate,
            proof,
            candidate_sets(values, groups, limit),
            likeliest_readings(values, groups, limit) if likeliest else (),
            abstained,
        )
        if proof is not None:
            if not result.found and any(values[s] >= limit for s in elements):
                said = f"no element is named: the probability of any edge is {proof.edge:.2f}"
            else:
                said = proof.unexplained(named := _named(result))
                if said and not named:
                    said += (
                        ": an element outside the list (H, He, Po and all after it but Th and U), "
                        "plasmons, a wrong axis or the detector may make it"
                    )
            if said:
                result = replace(result, notes=(*notes, said))
        results.append(result)
    if estimate is not None and estimate.symbols:
        gone = {s for s in estimate.symbols if not _seen(s, results)}
        if estimate.corrected and gone == estimate.symbols:
            # what moved the axis is not there, be it a plasmon or an element outside the list
            results = identify_spectra(
                spectra,
                model=bundle,
                threshold=threshold,
                threads=threads,
                axis_mode="as-recorded",
                evidence=evidence,
            )
            told = estimate.withdrawn()
        else:
            told = estimate.without(gone)
        results = [replace(result, axis_estimate=told) for result in results]
    return results


def _named(result: Identification) -> set[str]:
    """Elements found, and members of sets of which one is there."""
    return {*result.found, *(member for group in result.sets for member in group.members)}


def _seen(symbol: str, results: Sequence[Identification]) -> bool:
    """Whether an element seems to be in any spectrum, be it as one of rivals."""
    return any(
        (r.probabilities[symbol] >= SEEN and (r.evidence is None or r.evidence.shows_edge))
        or symbol in _named(r)
        for r in results
    )


def levelled(counts: NDArray, axis: EnergyAxis) -> tuple[NDArray, dict[int, str]]:
    """Spectra (n, n_energy) without spikes and steps of gain, and what was done to which."""
    counts, notes = without_spikes(counts, axis)
    counts, joins = without_gain_steps(counts, axis)
    for row, note in joins.items():
        notes[row] = f"{notes[row]}; {note}" if row in notes else note
    return counts, notes


def _axis_estimate(
    counts: NDArray, axis: EnergyAxis, bundle: ModelBundle, threads: int, mode: str | float
) -> AxisEstimate | None:
    """What is said about the axis that all spectra share; None as recorded."""
    if mode == "as-recorded":
        return None
    if isinstance(mode, int | float | np.number) and np.isfinite(mode):
        return AxisEstimate("given", float(mode), 1.0, float("nan"), 0.0, 1.0)
    if mode != "auto":
        raise SpectrumError(
            f"axis mode is {mode!r}; give 'as-recorded', 'auto' or electronvolts to add"
        )
    _check_axis(axis, bundle)
    finite = np.isfinite(counts)
    total = np.where(finite, counts, 0.0).sum(axis=0, dtype=float)
    total[~finite.any(axis=0)] = np.nan
    record, first, size = _mended(total[None], axis, bundle, [])
    length = int(size[0])
    if not length:
        return None
    begin = axis.offset + int(first[0]) * axis.dispersion
    part, record = EnergyAxis(begin, axis.dispersion, length), record[0, :length]
    if reason_to_abstain(record, part):
        return None
    zero = zero_loss_ev(record, part)
    if zero is not None:
        return by_zero_loss(zero, part.dispersion)
    seen = total[int(first[0]) :][:length]
    estimate = estimate_axis(mended(seen, part), part, bundle, threads=threads)
    # it is stated for the middle of the recorded channels, which may not be the axis's own
    move = (part.offset + 0.5 * (length - 1) * part.dispersion) - (
        axis.offset + 0.5 * (axis.size - 1) * axis.dispersion
    )
    return replace(estimate, shift_ev=estimate.shift_ev - (estimate.stretch - 1.0) * move)


def probabilities(
    counts: NDArray,
    axis: EnergyAxis,
    bundle: ModelBundle,
    *,
    drift_ev: NDArray[np.float64] | None = None,
    threads: int = 0,
) -> NDArray[np.float64]:
    """Calibrated probabilities (n, n_elements) of spectra (n, n_energy); raises SpectrumError.

    ``drift_ev``, (n,) [eV], is how much too high the axis of each reads: the axis of a spectrum
    moves, its counts stay as they are.
    """
    return _judge(counts, axis, bundle, threads, drift_ev)[0]


def _judge(
    counts: NDArray,
    axis: EnergyAxis,
    bundle: ModelBundle,
    threads: int,
    drift_ev: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Probabilities, and the first recorded channel and number of channels of each spectrum.

    A spectrum that cannot be judged has no channels and probabilities 0; if none of them can
    be, a SpectrumError says why.
    """
    _check_axis(axis, bundle)
    out = np.zeros((counts.shape[0], len(bundle.elements)))
    drift = np.zeros(counts.shape[0]) if drift_ev is None else drift_ev
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
        if usable.size:
            out[begin + usable] = bundle.predict(
                record,
                axis.offset + start * axis.dispersion - drift[begin + usable],
                np.full(usable.size, axis.dispersion),
                length,
                threads=threads,
            )
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
