"""Non-negative least squares for many small problems at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["factorised", "non_negative_solutions", "solved"]

_TOLERANCE = 1e-9
_FULL_EXCHANGES = 3
_RANDOM_ROUNDS = 60
_LAST_ROUND = 400
# columns from which LAPACK on each system is faster than array operations over all, and
# systems up to which it is
_LARGE = 32
_FEW = 64


def factorised(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower Cholesky factors of positive definite matrices, (p, p, n) like the matrices.

    The problems lie along the last axis, so that each of the p steps is one array operation.
    """
    p = matrix.shape[0]
    lower = np.zeros_like(matrix)
    for k in range(p):
        column = matrix[k:, k].copy()
        if k:
            column -= np.einsum("ijn,jn->in", lower[k:, :k], lower[k, :k])
        # rounding may leave a pivot of collinear columns at zero or below
        column[0] = np.sqrt(np.maximum(column[0], 1e-14 * matrix[k, k]))
        column[1:] /= column[0]
        lower[k:, k] = column
    return lower


def solved(lower: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions (p, …, n) of systems with the factors of `factorised`; right (p, …, n)."""
    p = lower.shape[0]
    x = right.copy()
    for k in range(p):
        if k:
            x[k] -= np.einsum("jn,j...n->...n", lower[k, :k], x[:k])
        x[k] /= lower[k, k]
    for k in range(p - 1, -1, -1):
        if k < p - 1:
            x[k] -= np.einsum("jn,j...n->...n", lower[k + 1 :, k], x[k + 1 :])
        x[k] /= lower[k, k]
    return x


def masked(matrix: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Matrices (p, p, n) with the rows and columns not chosen (p, n) put to those of unity."""
    out = np.where(chosen[:, None] & chosen[None], matrix, 0.0)
    p = matrix.shape[0]
    out[np.arange(p), np.arange(p)] = np.where(chosen, matrix[np.arange(p), np.arange(p)], 1.0)
    return out


def _restricted(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions (p, n) of n systems; large or few ones one by one, whose p steps cost more."""
    if matrix.shape[0] >= _LARGE or matrix.shape[2] <= _FEW:
        try:
            found = np.linalg.solve(np.moveaxis(matrix, 2, 0), right.T[..., None])
            return np.ascontiguousarray(found[..., 0].T)
        except np.linalg.LinAlgError:  # collinear beyond rounding: pivots need their floor
            pass
    return solved(factorised(matrix), right)


def non_negative_solutions(
    gram: NDArray[np.float64],
    right: NDArray[np.float64],
    *,
    start: NDArray[np.bool_] | None = None,
    allowed: NDArray[np.bool_] | None = None,
    signed: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Minimise ½ xᵀGx - bᵀx over x ≥ 0 for n problems together.

    Block principal pivoting: all variables of the wrong sign change sides at once; where that
    does not reduce their number, a random half of them while they are more than three, which
    nearly always breaks a cycle, else the last alone, which ends (J. Kim, H. Park, SIAM J. Sci.
    Comput. 33, 3261 (2011), algorithm 2). Every round solves the problems not yet finished.
    The random numbers are the same in every call.

    Parameters
    ----------
    gram : ndarray, (p, p, n)
        Symmetric, positive definite.
    right : ndarray, (p, n)
    start : ndarray, (p, n) bool, optional
        Variables thought to be positive; all without it.
    allowed : ndarray, (p,) or (p, n) bool, optional
        Variables that are not stay zero.
    signed : ndarray, (p,) bool, optional
        Variables that may be negative.

    Returns
    -------
    ndarray, (p, n)
    """
    p, n = right.shape
    diagonal = gram[np.arange(p), np.arange(p)]
    scale = 1.0 / np.sqrt(np.maximum(diagonal, 1e-300))
    gram = gram * scale[:, None] * scale[None]
    # collinear columns (two elements with one shape in the window) share their amount
    gram[np.arange(p), np.arange(p)] = 1.0 + 1e-12
    right = right * scale
    may = np.ones((p, n), dtype=bool)
    if allowed is not None:
        may &= allowed if allowed.ndim == 2 else allowed[:, None]
    bound = np.ones((p, 1), dtype=bool) if signed is None else ~signed[:, None]
    passive = may & (np.ones((p, n), dtype=bool) if start is None else start | ~bound)
    x = np.zeros((p, n))
    fewest = np.full(n, p + 1)
    patience = np.full(n, _FULL_EXCHANGES)
    left = np.arange(n)
    rng = np.random.default_rng(0)
    for number_of_round in range(_LAST_ROUND):
        g, b, inside, open_ = gram[..., left], right[:, left], passive[:, left], may[:, left]
        values = _restricted(masked(g, inside), np.where(inside, b, 0.0))
        slope = np.einsum("ijn,jn->in", g, values) - b
        size = np.abs(b).max(axis=0) * _TOLERANCE
        wrong = (bound & inside & (values < -size)) | (open_ & ~inside & (slope < -size))
        number = wrong.sum(axis=0)
        x[:, left] = values
        unfinished = number > 0
        if not unfinished.any():
            break
        better = number < fewest[left]
        fewest[left] = np.where(better, number, fewest[left])
        patience[left] = np.where(better, _FULL_EXCHANGES, patience[left] - 1)
        last = p - 1 - np.argmax(wrong[::-1], axis=0)
        some = (np.arange(p)[:, None] == last) & wrong
        if number_of_round < _RANDOM_ROUNDS:
            some |= wrong & (rng.random(wrong.shape) < 0.5) & (number > 3)
        passive[:, left] ^= np.where(patience[left] >= 0, wrong, some)
        left = left[unfinished]
    return np.asarray(np.where(bound, np.maximum(x, 0.0), x) * scale)
