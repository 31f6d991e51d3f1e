"""Non-negative least squares for many small problems at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["factorised", "non_negative_solutions", "solved"]

_TOLERANCE = 1e-9
_FULL_EXCHANGES = 3
_ROUNDS = 10
# share of the variables up to which only those in use are gathered
_MOSTLY = 0.7
# of single exchanges, which end by themselves but for rounding: so many for each variable
_LEAST_SINGLE_ROUNDS, _SINGLE_ROUNDS = 100, 10
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
    place = np.arange(matrix.shape[0])
    out[place, place] = np.where(chosen, matrix[place, place], 1.0)
    return out


def _restricted(
    matrix: NDArray[np.float64], right: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Solutions (p, n) of n systems for the variables chosen (p, n), the others being zero."""
    p, n = right.shape
    most = int(chosen.sum(axis=0).max(initial=0))
    if most > _MOSTLY * p:
        return _each(masked(matrix, chosen), np.where(chosen, right, 0.0))
    # as many rows and columns as any of the systems has
    order = np.argsort(~chosen, axis=0, kind="stable")[:most]
    system = np.arange(n)
    part = masked(matrix[order[:, None], order[None], system], chosen[order, system])
    out = np.zeros((p, n))
    out[order, system] = _each(part, np.where(chosen, right, 0.0)[order, system])
    return out


def _each(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions (p, n) of n systems; large or few ones one by one, whose p steps cost more."""
    if matrix.shape[0] >= _LARGE or matrix.shape[2] <= _FEW:
        try:
            found = np.linalg.solve(matrix.transpose(2, 0, 1), right.T[..., None])
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

    Block principal pivoting (J. Kim, H. Park, SIAM J. Sci. Comput. 33, 3261 (2011), algorithm
    2): all variables of the wrong sign change sides at once; where that does not reduce their
    number, the last alone. What does not end within ten rounds, as with columns that are nearly
    one another's sums, ends by the active set method, which lowers the sum of squares with
    every exchange (C. L. Lawson, R. J. Hanson, Solving Least Squares Problems, 1974, chapter
    23). Every round solves the problems not yet finished.

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
    place = np.arange(p)
    scale = 1.0 / np.sqrt(np.maximum(gram[place, place], 1e-300))
    gram = gram * scale[:, None] * scale[None]
    # collinear columns (two elements with one shape in the window) share their amount
    gram[place, place] = 1.0 + 1e-12
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
    problem = gram, right, passive, may
    for _ in range(_ROUNDS):
        g, b, inside, open_ = problem
        values = _restricted(g, b, inside)
        slope = np.einsum("ijn,jn->in", g, values) - b
        size = np.abs(b).max(axis=0) * _TOLERANCE
        wrong = (bound & inside & (values < -size)) | (open_ & ~inside & (slope < -size))
        number = wrong.sum(axis=0)
        x[:, left] = values
        unfinished = number > 0
        if not unfinished.any():
            left = left[:0]
            break
        better = number < fewest[left]
        fewest[left] = np.where(better, number, fewest[left])
        patience[left] = np.where(better, _FULL_EXCHANGES, patience[left] - 1)
        last = p - 1 - np.argmax(wrong[::-1], axis=0)
        some = (place[:, None] == last) & wrong
        inside = inside ^ np.where(patience[left] >= 0, wrong, some)
        problem = g, b, inside, open_
        if not unfinished.all():
            left = left[unfinished]
            problem = (
                g[..., unfinished],
                b[:, unfinished],
                inside[:, unfinished],
                open_[:, unfinished],
            )
    if left.size:
        x[:, left] = _one_by_one(*problem, bound)
    return np.asarray(np.where(bound, np.maximum(x, 0.0), x) * scale)


def _one_by_one(
    gram: NDArray[np.float64],
    right: NDArray[np.float64],
    passive: NDArray[np.bool_],
    may: NDArray[np.bool_],
    bound: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Solutions (p, n) by single exchanges, from a guess of the variables that are positive.

    Of a solution that leaves the bounds only the part up to the first of them is taken, and the
    variable there goes; within them the one that lowers the sum of squares most steeply comes.
    The first step, from zero, takes out all that are negative.
    """
    p, n = right.shape
    out = np.zeros((p, n))
    left, x = np.arange(n), np.zeros((p, n))
    size = np.abs(right).max(axis=0) * _TOLERANCE
    for _ in range(_LEAST_SINGLE_ROUNDS + _SINGLE_ROUNDS * p):
        values = _restricted(gram, right, passive)
        low = bound & passive & (values <= 0)
        way = np.where(low, x / np.where(low, np.maximum(x - values, 1e-300), 1.0), 1.0)
        part = way.min(axis=0)
        x = x + part * (values - x)
        gone = low & (way <= part)
        x[gone] = 0.0
        passive = passive & ~gone
        slope = np.einsum("ijn,jn->in", gram, x) - right
        down = may & ~passive & (slope < -size) & ~low.any(axis=0)
        steepest = np.argmin(np.where(down, slope, np.inf), axis=0)
        passive = passive | ((np.arange(p)[:, None] == steepest) & down)
        going = low.any(axis=0) | down.any(axis=0)
        if not going.all():
            out[:, left[~going]] = x[:, ~going]
            left, size = left[going], size[going]
            if not left.size:
                return out
            gram, right, x = gram[..., going], right[:, going], x[:, going]
            passive, may = passive[:, going], may[:, going]
    out[:, left] = x
    return out
