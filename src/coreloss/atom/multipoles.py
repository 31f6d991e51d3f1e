"""All multipoles of one subshell's form factor at one energy, fast: what the table is made with.

The same sum as `coreloss.atom.gos.continuum_gos`, which stays the plain statement of it. Here
the spherical Bessel functions of all orders come from one recurrence, the orders are cut off
where they add nothing, and every energy has momentum transfers of its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from coreloss.atom.gos import coupled

__all__ = ["couplings", "form_factors", "wave_index"]

Floats = NDArray[np.float64]

#: the highest multipole that is ever summed
LARGEST_MULTIPOLE = 110


def wave_index(kappa: int) -> int:
    """Place of κ in the order -1, 1, -2, 2, -3, …"""
    return 2 * (abs(kappa) - 1) + (kappa > 0)


@lru_cache(maxsize=32)
def couplings(kappa: int) -> tuple[NDArray[np.int64], Floats]:
    """Final waves and angular factors for a bound κ, multipole by multipole.

    Returns the places of κ' (-1: none) and (2λ+1)(2j'+1)(j λ j'; ½ 0 -½)², each
    (LARGEST_MULTIPOLE + 1, 2|κ|).
    """
    places = np.full((LARGEST_MULTIPOLE + 1, 2 * abs(kappa)), -1, dtype=np.int64)
    factors = np.zeros(places.shape)
    for multipole in range(LARGEST_MULTIPOLE + 1):
        for column, (kappa2, factor) in enumerate(coupled(kappa, multipole)):
            places[multipole, column] = wave_index(kappa2)
            factors[multipole, column] = factor
    return places, factors


@njit(cache=True, fastmath=True)
def _bessel_orders(x: Any, highest: int, out: Any) -> None:
    """j_0 … j_highest of ascending x > 0 into out (highest + 1, x.size)."""
    n = x.size
    inverse = 1.0 / x
    small = 0
    while small < n and x[small] < 0.6:
        small += 1
    large = small
    while large < n and x[large] < highest + 1.0:
        large += 1
    above = np.empty(n)
    for i in range(small):
        # four terms of the series
        above[i] = 1.0
    for k in range(highest + 1):
        a, b, c = 1.0 / (2.0 * k + 3.0), 0.5 / (2.0 * k + 5.0), 1.0 / (3.0 * (2.0 * k + 7.0))
        for i in range(small):
            half = 0.5 * x[i] * x[i]
            out[k, i] = above[i] * (1.0 - half * a * (1.0 - half * b * (1.0 - half * c)))
            above[i] *= x[i] * a
    if large < n:
        for i in range(large, n):
            out[0, i] = np.sin(x[i]) / x[i]
            if highest > 0:
                out[1, i] = (out[0, i] - np.cos(x[i])) / x[i]
        for k in range(1, highest):
            for i in range(large, n):
                out[k + 1, i] = (2.0 * k + 1.0) * inverse[i] * out[k, i] - out[k - 1, i]
    if large > small:
        # downward recurrence (Miller) from an order that has died out
        above = np.zeros(large - small)
        here = np.full(large - small, 1e-270)
        start = highest + 6 + int(4.0 * (highest + 1.0) ** (1.0 / 3.0))
        for k in range(start, 0, -1):
            for i in range(small, large):
                below = (2.0 * k + 1.0) * inverse[i] * here[i - small] - above[i - small]
                above[i - small] = here[i - small]
                here[i - small] = below
            if k - 1 <= highest:
                for i in range(small, large):
                    out[k - 1, i] = here[i - small]
        for i in range(small, large):
            v = x[i]
            zeroth = np.sin(v) / v
            first = (zeroth - np.cos(v)) / v
            if abs(zeroth) > abs(first) or highest == 0:
                scale = zeroth / here[i - small]
            else:
                scale = first / above[i - small]
            for k in range(highest + 1):
                out[k, i] *= scale


@njit(cache=True, fastmath=True)
def _form_factors(
    products: Any,
    places: Any,
    factors: Any,
    r: Any,
    q: Any,
    reach: float,
    share: float,
    cap: int,
) -> tuple[Any, Any]:
    """Σ over multipoles for each q, and the highest multipole used (negative: not converged)."""
    total = np.zeros(q.size)
    used = np.zeros(q.size, dtype=np.int64)
    table = np.empty((cap + 1, r.size))
    x = np.empty(r.size)
    begin = 6
    for j in range(q.size):
        highest = min(max(int(0.4 * q[j] * reach) + 6, begin), cap)
        while True:
            for i in range(r.size):
                x[i] = q[j] * r[i]
            _bessel_orders(x, highest, table)
            value = 0.0
            quiet = 0
            # bound and free wave of one κ are orthogonal: without the 1 their numerical overlap
            # would stand beside the small monopole
            for i in range(r.size):
                table[0, i] -= 1.0
            for multipole in range(highest + 1):
                part = 0.0
                # 2|κ| final waves at most, taken two at a time
                for m in range(0, places.shape[1], 2):
                    a, b = places[multipole, m], places[multipole, m + 1]
                    a = a if 0 <= a < products.shape[0] else products.shape[0] - 1
                    b = b if 0 <= b < products.shape[0] else products.shape[0] - 1
                    one, two = 0.0, 0.0
                    for i in range(r.size):
                        one += products[a, i] * table[multipole, i]
                        two += products[b, i] * table[multipole, i]
                    part += factors[multipole, m] * one * one
                    part += factors[multipole, m + 1] * two * two
                value += part
                quiet = quiet + 1 if part <= share * value else 0
                if quiet >= 3 and multipole >= 3:
                    used[j] = multipole
                    break
            total[j] = value
            if quiet >= 3:
                break
            if highest == cap:
                used[j] = -highest
                break
            highest = min(int(1.5 * highest) + 2, cap)
        begin = max(6, abs(used[j]) - 2)
    return total, used


def form_factors(
    products: Floats, kappa: int, r: Floats, q: Floats, reach: float, *, share: float = 2e-4
) -> tuple[Floats, NDArray[np.int64]]:
    """Σ (2λ+1)(2j'+1)(j λ j'; ½ 0 -½)² R² at one energy.

    Parameters
    ----------
    products : ndarray, (n_waves, n_r)
        (P P' + Q Q') times the weights of the integral, final waves in the order of
        `wave_index`; waves beyond the last are held back by their centrifugal barrier.
    kappa : int
        Of the bound orbital.
    r : ndarray, (n_r,) [bohr]
    q : ndarray, (n_q,) [1/bohr], ascending
    reach : float [bohr]
        Radius within which the orbital lies.
    share : float
        Three multipoles in turn that each add less than this share end the sum.

    Returns
    -------
    sums : ndarray, (n_q,) [1/hartree]
    used : ndarray of int, (n_q,)
        The last multipole of each sum, negative where `LARGEST_MULTIPOLE` ended it.
    """
    places, factors = couplings(kappa)
    cap = LARGEST_MULTIPOLE
    sums, used = _form_factors(
        np.ascontiguousarray(products), places, factors, r, q, reach, share, cap
    )
    return sums, used
