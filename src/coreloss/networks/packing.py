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

__all__ = ["UNIT", "Packing", "pack"]

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


def pack(covered: NDArray[np.bool_]) -> Packing:
    """Put records into rows: the longest first, each into the first row with room for it.

    Each 16 records share rows among themselves, so that processes that divide a batch have the
    rows, and the statistics of batch norm, of one process with all of it.

    Parameters
    ----------
    covered : ndarray, (n, units) bool
        Units that hold channels of each record.
    """
    n, units = covered.shape
    first = np.argmax(covered, axis=1)
    length = np.where(covered.any(axis=1), units - np.argmax(covered[:, ::-1], axis=1) - first, 0)
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
