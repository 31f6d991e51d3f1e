"""Whether pixels of one kind lie together, as those of a phase do, or anyhow, as errors do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["morans_z"]


def morans_z(values: NDArray[np.floating] | NDArray[np.bool_]) -> float:
    """How far Moran's I of a map lies above that of a scattered one, in standard errors.

    I compares neighbours (next along each axis) with the mean; without any order its
    expectation is -1/(n-1) and its variance under randomisation as in A. D. Cliff, J. K. Ord,
    Spatial Processes (Pion, 1981), eq. 1.44 and 2.22. A map of one value, or of fewer than 3
    pixels, has no such number: NaN.

    Parameters
    ----------
    values : ndarray, navigation shape; NaN pixels are left out

    Returns
    -------
    float
    """
    x = np.asarray(values, dtype=float)
    valid = np.isfinite(x)
    n = int(valid.sum())
    if n < 4:
        return float("nan")
    z = np.where(valid, x - x[valid].mean(), 0.0)
    second = float((z**2).sum())
    if second <= 1e-12 * n:
        return float("nan")
    product, pairs = 0.0, 0
    degree = np.zeros(x.shape)
    for axis in range(x.ndim):
        first = [slice(None)] * x.ndim
        other = [slice(None)] * x.ndim
        first[axis], other[axis] = slice(0, -1), slice(1, None)
        both = valid[tuple(first)] & valid[tuple(other)]
        product += float((z[tuple(first)] * z[tuple(other)] * both).sum())
        pairs += int(both.sum())
        degree[tuple(first)] += both
        degree[tuple(other)] += both
    if pairs == 0:
        return float("nan")
    # symmetric weights of one: S0 = 2 pairs, S1 = 4 pairs, S2 = Σ (2 degree)²
    s0, s1, s2 = 2.0 * pairs, 4.0 * pairs, float((4.0 * degree**2).sum())
    moran = n / s0 * 2.0 * product / second
    kurtosis = n * float((z**4).sum()) / second**2
    a = n * ((n**2 - 3 * n + 3) * s1 - n * s2 + 3 * s0**2)
    b = kurtosis * ((n**2 - n) * s1 - 2 * n * s2 + 6 * s0**2)
    expected = -1.0 / (n - 1)
    variance = (a - b) / ((n - 1) * (n - 2) * (n - 3) * s0**2) - expected**2
    if variance <= 0:
        return float("nan")
    return (moran - expected) / float(np.sqrt(variance))
