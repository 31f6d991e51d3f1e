"""From counts and an axis as declared to checked `Spectra`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.energy import Spectra
from coreloss.io.axes import settle_rows, uniform
from coreloss.io.errors import ReadError, plain, size_text

__all__ = [
    "MAX_BYTES",
    "MIN_CHANNELS",
    "assemble",
    "check_bytes",
    "given_energies",
    "unsigned",
    "unsigned_note",
]

MAX_BYTES = 8_000_000_000
MIN_CHANNELS = 8
# No detector's counts compress by more than this; deflate itself ends near 1,030.
BOMB_RATIO = 1000
BOMB_BYTES = 64_000_000
# What detectors count and theory calculates, and what the arithmetic to come can take.
LEAST, MOST = 1e-30, 1e60
# Steps between neighbours over nearly all that integers of a few bits hold, which say that
# counts ran beyond; no spectrum that is not negative has one.
WRAPS, NEARLY_ALL = 3, 0.75
# Channels beside a dead stretch that must all hold counts before zeros mean "not recorded".
NEIGHBOURS = 16


def check_bytes(source: str | os.PathLike[str], n_bytes: float, on_disk: float) -> None:
    """Refuse data that cannot fit in memory or cannot lie in ``on_disk`` bytes (0: no file)."""
    if on_disk and n_bytes > BOMB_BYTES and n_bytes > BOMB_RATIO * on_disk:
        raise ReadError(
            source,
            f"declares {size_text(n_bytes)} of data in a file of {size_text(on_disk)}",
            "copy it again, as its data are missing or it was made to fill the memory",
        )
    if n_bytes > MAX_BYTES:
        raise ReadError(
            source,
            f"declares {size_text(n_bytes)} of data",
            f"at most {size_text(MAX_BYTES)} are read, so crop or bin it, or copy it again if "
            "it is damaged",
        )


def given_energies(source: str | os.PathLike[str], energies: ArrayLike) -> NDArray[np.float64]:
    """The caller's channel energies as (n_energy,) floats [eV]."""
    try:
        values = np.asarray(energies, dtype=float)
    except (TypeError, ValueError):
        values = np.empty((0, 0))
    if values.ndim != 1 or values.size < 1:
        raise ReadError(
            source,
            "the energies given with it are not a one-dimensional list of numbers",
            "give one energy in eV for each channel",
        )
    return values


def unsigned(
    source: str | os.PathLike[str], counts: NDArray[Any], stored: np.dtype[Any]
) -> np.dtype[Any] | None:
    """The unsigned type of integers that were declared signed; None where they are sound.

    Parameters
    ----------
    counts : array, (..., n_energy)
        A sample is enough.
    stored : dtype
        In the file.

    Raises
    ------
    ReadError
        If they ran beyond the unsigned type as well.
    """
    if stored.kind != "i" or stored.itemsize > 2 or counts.shape[-1] < MIN_CHANNELS:
        return None
    span = float(2 ** (8 * stored.itemsize))

    def wraps(values: NDArray[Any]) -> int:
        return int(np.count_nonzero(np.abs(np.diff(values.astype(float))) > NEARLY_ALL * span))

    before = wraps(counts)
    if before < WRAPS:
        return None
    if wraps(counts % span) >= WRAPS:
        raise ReadError(
            source,
            f"its counts ran beyond what its {8 * stored.itemsize} bits hold, and jump by "
            f"{span:,.0f}",
            "write it again with 32 bits or as floating-point numbers",
        )
    return np.dtype(f"{stored.byteorder}u{stored.itemsize}")


def unsigned_note(stored: np.dtype[Any]) -> str:
    """What is said of integers that were declared signed."""
    return (
        f"counts are declared as signed {8 * stored.itemsize}-bit integers, and jump by all that "
        "these hold: they were read as unsigned ones"
    )


def _as_counts(source: str | os.PathLike[str], data: Any) -> NDArray[np.floating]:
    """Native floating-point counts; a sentence for anything that is not counts."""
    data = np.ma.filled(data, np.nan) if np.ma.isMaskedArray(data) else np.asarray(data)
    kind = data.dtype.kind
    if kind == "c":
        raise ReadError(
            source,
            "holds complex numbers, as a Fourier transform does",
            "give the measured spectrum, in counts",
        )
    if data.dtype.names is not None:
        raise ReadError(
            source,
            f"holds records with the fields {plain(', '.join(data.dtype.names))}, "
            "as a colour picture does",
            "give a spectrum, with one number in each channel",
        )
    if kind not in "fiub":
        raise ReadError(
            source,
            f"holds values of type {plain(data.dtype)}, not numbers",
            "give counts as integers or floating-point numbers",
        )
    if kind == "f" and data.dtype.itemsize in (4, 8):
        return data.astype(data.dtype.newbyteorder("="), copy=False)
    return data.astype(np.float64 if data.dtype.itemsize > 2 else np.float32)


def _without_dead_ends(
    counts: NDArray[np.floating], notes: list[str], start: float, step: float
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Counts with NaN in the first and last channels that were never recorded; which these are.

    Aligning or padding spectra leaves exact zeros at the ends, and a sum over them falls off
    like the end of an edge. They are told from few counts by their neighbours, which hold
    counts in every spectrum.
    """
    size = counts.shape[-1]
    flat = counts.reshape(-1, size)
    dead = np.zeros(size, dtype=bool)
    if size < 4 * NEIGHBOURS:
        return counts, dead
    empty = np.count_nonzero(flat == 0, axis=0) / flat.shape[0]
    shortest, least = (3, 1.0) if flat.shape[0] == 1 else (1, 0.02)
    for ascending in (True, False):
        line = empty if ascending else empty[::-1]
        run = int(np.argmin(line >= least)) if np.any(line < least) else 0
        beside = slice(run, run + NEIGHBOURS)
        if run >= shortest and run < size // 2 and np.all(line[beside] == 0):
            dead[:run] |= ascending
            dead[size - run :] |= not ascending
    if not dead.any():
        return counts, dead
    where = np.flatnonzero(dead)
    notes.append(
        f"{where.size} channels at the ends (within {start + step * where[0]:.1f} and "
        f"{start + step * where[-1]:.1f} eV) hold exact zeros and are taken as not recorded (NaN)"
    )
    counts = counts.copy()
    counts[..., dead] = np.nan
    return counts, dead


def _count_notes(counts: NDArray[np.floating]) -> list[str]:
    """What is odd about the values, one sentence each."""
    notes = []
    for what, number in (
        ("are NaN (not measured)", np.count_nonzero(np.isnan(counts))),
        ("are negative and were kept", np.count_nonzero(counts < 0)),
        ("are zero and were kept", np.count_nonzero(counts == 0)),
    ):
        if number:
            notes.append(f"{number} of {counts.size} values {what}")
    return notes


def assemble(
    source: str | os.PathLike[str],
    data: Any,
    energies: NDArray[np.float64],
    *,
    metadata: dict[str, Any] | None = None,
    notes: tuple[str, ...] | list[str] = (),
) -> Spectra:
    """Checked spectra on a uniform ascending axis.

    Parameters
    ----------
    source : path or name for messages
    data : array, (..., n_energy) [electrons or detector units]
    energies : (n_energy,) [eV], in any order

    Raises
    ------
    ReadError
        If the counts are no spectrum (complex, text, constant, zero) or the axis is unusable.
    """
    told = list(notes)
    if isinstance(data, np.ndarray) and data.ndim:
        some = data[:: -(-len(data) // 64)] if data.ndim > 1 and len(data) else data
        counted = unsigned(source, some, data.dtype)
        if counted is not None:
            told.append(unsigned_note(data.dtype))
            data = data.view(counted)
    counts = _as_counts(source, data)
    # Measuring a single spectrum as an image of one pixel is how many programs store it.
    counts = counts.reshape(*(n for n in counts.shape[:-1] if n != 1), counts.shape[-1])
    size = counts.shape[-1]
    if size < MIN_CHANNELS or counts.size == 0:
        shape = " × ".join(str(n) for n in counts.shape)
        raise ReadError(
            source,
            f"its spectrum has {size} channel{'s' * (size != 1)}"
            if counts.size or size == 0
            else f"its data are empty ({shape})",
            f"a spectrum of at least {MIN_CHANNELS} channels is needed",
        )
    energies, counts, said = settle_rows(source, energies, counts)
    told += said
    infinite = np.isinf(counts)
    if infinite.any():
        told.append(f"{np.count_nonzero(infinite)} infinite values were set to NaN")
        counts = np.where(infinite, np.nan, counts).astype(counts.dtype)
    finite = counts[np.isfinite(counts)]
    if finite.size == 0:
        raise ReadError(
            source, "none of its values is a finite number", "give a spectrum with counts in it"
        )
    lowest, highest = float(finite.min()), float(finite.max())
    if lowest == highest:
        raise ReadError(
            source,
            f"every value is {lowest:g}",
            "give a recorded spectrum, whose counts vary with energy",
        )
    if highest <= 0:
        raise ReadError(
            source,
            f"no value is above zero (they run from {lowest:g} to {highest:g})",
            "give the spectrum as counted, before any subtraction or change of sign",
        )
    if not LEAST <= highest <= MOST:
        raise ReadError(
            source,
            f"its values reach {highest:.3g}, which nothing counts",
            "multiply them so that they resemble counts, or copy the file again if it is damaged",
        )
    axis, counts, said = uniform(source, energies, counts)
    told += said
    counts, dead = _without_dead_ends(counts, told, axis.offset, axis.dispersion)
    told += _count_notes(counts[..., ~dead])
    if axis.start <= 0 <= axis.end and axis.end < 100:
        told.append(f"the record ends at {axis.end:.1f} eV: it is a low-loss spectrum")
    return Spectra(counts, axis, dict(metadata or {}), tuple(told))
