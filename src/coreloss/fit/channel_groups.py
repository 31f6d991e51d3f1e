"""Neighbouring channels that share a weight, so that a fit's sums over them are made once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChannelGroups", "group_starts"]

# by how much no column, and so no model, changes within a group
_TOLERANCE = 0.1
_MOST_CHANNELS = 16
# of a column's largest value; what is below changes no weight
_FLOOR = 1e-3


def group_starts(matrix: NDArray[np.float64]) -> NDArray[np.intp]:
    """First channel of each group of a design matrix (n_energy, n_columns), (n_groups,).

    Within a group no column changes by more than a tenth, nor does any sum of columns with
    non-negative coefficients. A group ends at an onset.
    """
    size = np.abs(matrix)
    logs = np.log(np.maximum(size, _FLOOR * np.maximum(size.max(axis=0), 1e-300)))
    steps = np.abs(np.diff(logs, axis=0)).max(axis=1)
    way = np.cumsum(np.maximum(steps, _TOLERANCE / _MOST_CHANNELS))
    number = np.concatenate([[0], np.floor(way / _TOLERANCE)])
    return np.flatnonzero(np.diff(number, prepend=-1.0) > 0)


class ChannelGroups:
    """Sums over groups of channels of the products that normal equations are made of.

    The variance that Poisson noise gives a channel is taken from the mean of the model over the
    channel's group. Any weights leave a fit unbiased; these err by less than a twentieth, which
    costs about a thousandth of its precision, and the mean of χ² stays what it is.

    Parameters
    ----------
    matrix : ndarray, (n_energy, n_columns)
    starts : ndarray, (n_groups,)
        As of `group_starts`.
    """

    def __init__(self, matrix: NDArray[np.float64], starts: NDArray[np.intp]) -> None:
        self.matrix, self.starts = matrix, starts
        self.ends = np.append(starts[1:], matrix.shape[0])
        rows, columns = np.tril_indices(matrix.shape[1])
        self.mean = np.add.reduceat(matrix, starts, axis=0) / (self.ends - starts)[:, None]
        self.products = np.add.reduceat(matrix[:, rows] * matrix[:, columns], starts, axis=0)

    def sums(
        self, counts: NDArray, used: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Σ column · counts, (n_groups, n_columns, n), and Σ counts², (n_groups, n).

        Parameters
        ----------
        counts : ndarray, (n, n_all)
        used : ndarray, (n_energy,)
            The channels that ``matrix`` is of.
        """
        along = np.empty((self.starts.size, self.matrix.shape[1], counts.shape[0]))
        square = np.empty((self.starts.size, counts.shape[0]))
        for number, (begin, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            part = counts.take(used[begin:end], axis=1).astype(float)
            np.matmul(self.matrix[begin:end].T, part.T, out=along[number])
            np.einsum("ne,ne->n", part, part, out=square[number])
        return along, square
