"""A background that is linear in its parameters: a sum of fixed power laws, kept convex."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["background_columns"]


def background_columns(energies_ev: ArrayLike, number: int) -> NDArray[np.float64]:
    """Columns whose non-negative sums are convex, falling, positive backgrounds.

    The space is that of the power laws E⁻¹ … E⁻ⁿ (the linearised background of W. Van den Broek
    et al., Ultramicroscopy 254, 113830 (2023), who keep it convex as here, by quadratic
    programming). For f(E) = Σ c_r (E₀/E)^r with u = E₀/E one has E² f'' = Σ r(r+1) c_r u^r.
    A column is the f for which Σ r(r+1) c_r u^(r-1) is one Bernstein polynomial in u, none of
    which is negative for E ≥ E₀. So non-negative coefficients, which a non-negative
    least-squares fit gives anyway, make f'' ≥ 0 from the first channel to infinity, and with
    f(∞) = 0 this makes f fall and stay positive. Sums of power laws with non-negative
    coefficients lie inside.

    Parameters
    ----------
    energies_ev : array_like, (n_energy,) [eV]
        Positive, ascending.
    number : int
        Power laws, n ≥ 1.

    Returns
    -------
    ndarray, (n_energy, number)
        Each column is 1 at the first energy.

    Raises
    ------
    ValueError
        If an energy is not positive or ``number`` is below 1.
    """
    energies = np.asarray(energies_ev, dtype=float)
    if number < 1:
        raise ValueError(f"a background of {number} power laws is none; give at least 1")
    if energies.size == 0 or not energies.min() > 0:
        raise ValueError("a power-law background needs energy losses above 0 eV")
    u = energies.min() / energies
    degree = number - 1
    columns = np.zeros((energies.size, number))
    for k in range(number):
        for j in range(k, number):
            share = comb(degree, k) * comb(degree - k, j - k) * (-1.0) ** (j - k)
            columns[:, k] += share / ((j + 1) * (j + 2)) * u ** (j + 1)
    return np.asarray(columns / columns[np.argmax(u)])
