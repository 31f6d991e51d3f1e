"""Which parts of a grid are computed: short records share the rows of a batch.

Most records cover a part of the grid, and a network that sets features to zero outside of a
record need not look there. The grid is cut in units of 32 channels, the narrowest that the
compact network knows; one empty unit between two records keeps its convolutions from reaching
from one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNIT", "Packing", "pack", "pack_tightly"]

UNIT = 32  # grid channels
_BLOCK = 16  # records

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Packing:
    """Where the units of n records stand in rows.

    Attributes
    ----------
    rows, width : int
        Number of rows, and units in each.
    place : ndarray, (n_used,) int
        Places in rows (row · width + position) that are taken …
    home : ndarray, (n_used,) int
        … and the units there (record · units + unit).
    unit : ndarray, (rows · width,) int
        Unit of the grid at every place; 0 at empty ones.
    source : ndarray, (n · units,) int
        Where each unit of each record stands; rows · width for those left out.
    """

    rows: int
    width: int
    place: Ints
    home: Ints
    unit: Ints
    source: Ints


def pack(covered: NDArray[np.bool_], width: int | None = None) -> Packing:
    """Put records into rows: the longest first, each into the first row with room for it.

    Each 16 records share rows among themselves, so that processes that divide a batch have the
    rows, and the statistics of batch norm, of one process with all of it.

    Parameters
    ----------
    covered : ndarray, (n, units) bool
        Units that hold channels of each record.
    width : int, optional
        Units in a row, at least as many as the longest record has; all of the grid without it,
        or as many as all records together need.
    """
    n, units = covered.shape
    first, length = _extent(covered)
    if width is None:
        # a few short records need no whole row
        width = int(min(units, max(int(length.sum()) + n - 1, 1)))
    end: list[int] = []  # of what stands in each row, with the gap behind it
    begin = np.zeros(n, dtype=np.int64)
    for block in range(0, n, _BLOCK):
        first_row = len(end)
        for record in (block + np.argsort(-length[block : block + _BLOCK], kind="stable")).tolist():
            size = int(length[record])
            row = first_row
            while row < len(end) and end[row] + size > width:
                row += 1
            if row == len(end):
                end.append(0)
            begin[record] = row * width + end[row]
            end[row] += size + 1
    rows = max(len(end), 1)
    which = np.repeat(np.arange(n), length)
    within = np.arange(which.size) - np.repeat(np.cumsum(length) - length, length)
    place, home = begin[which] + within, which * units + first[which] + within
    unit = np.zeros(rows * width, dtype=np.int64)
    unit[place] = home % units
    source = np.full(n * units, rows * width)
    source[home] = place
    return Packing(rows, width, place, home, unit, source)


def pack_tightly(covered: NDArray[np.bool_]) -> Packing:
    """The same, in rows just wide enough for some of the longest record where that takes less.

    A record of 29 units leaves 21 of a row of 50 empty, and a network computes them all the
    same. For inference: in training the empty places are part of the statistics of batch norm.
    Parameters as in `pack`.
    """
    n, units = covered.shape
    plan = pack(covered)
    longest = int(_extent(covered)[1].max(initial=0))
    if not longest:
        return plan
    each = np.arange(1, (units + 1) // (longest + 1) + 1)
    width = each * (longest + 1) - 1
    # records no longer than the longest: no row but a block's last holds fewer than ``each``
    rows = n // _BLOCK * -(-_BLOCK // each) + -(-(n % _BLOCK) // each)
    best = int(np.argmin(rows * width))
    if rows[best] * width[best] < plan.rows * plan.width:
        return pack(covered, int(width[best]))
    return plan


def _extent(covered: NDArray[np.bool_]) -> tuple[NDArray[np.intp], Ints]:
    """First unit and number of units, (n,) each, of records (n, units)."""
    first = np.argmax(covered, axis=1)
    length = covered.shape[1] - np.argmax(covered[:, ::-1], axis=1) - first
    return first, np.where(covered.any(axis=1), length, 0)
