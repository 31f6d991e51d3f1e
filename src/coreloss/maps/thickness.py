"""Plural scattering where no low loss was recorded: how thick a specimen is, by its edges.

An electron that has excited an inner shell may excite a plasmon as well. In a specimen of half a
mean free path or more that moves so much of an edge to higher losses that the ratio of two edges
comes out wrong by ten per cent and more. The low loss would tell; without one a typical one is
taken, and the thickness with which the edges' shapes fit best.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.fit import Design, Response, fit_spectra

__all__ = ["THICKNESSES", "thickness_by_edges", "typical_low_loss"]

#: t/λ that are tried.
THICKNESSES = tuple(round(0.1 * k, 1) for k in range(1, 16))

# a plasmon in the middle of those of solids, as broad as they scatter [eV]
_PLASMON_EV, _WIDTH_EV = 20.0, 13.0
_ZERO_LOSS_SIGMA_EV = 0.4
_BEFORE_EV, _AFTER_EV = 20.0, 160.0
_ORDERS = 8
# drop of χ², in units of χ² per degree of freedom, from which plural scattering is believed
_BELIEVED = 25.0


def typical_low_loss(thickness: float, dispersion_ev: float) -> Response:
    """Zero loss and Drude plasmons of 20 eV, Poisson-weighted for a t/λ; of unit area.

    (R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed.,
    Springer 2011, eq. 3.43 and sec. 3.4.)
    """
    before = max(int(_BEFORE_EV / dispersion_ev), 2)
    axis = EnergyAxis(
        -before * dispersion_ev, dispersion_ev, before + max(int(_AFTER_EV / dispersion_ev), 8)
    )
    energy = axis.energies
    sigma = max(_ZERO_LOSS_SIGMA_EV, 0.4 * dispersion_ev)
    order = np.exp(-0.5 * (energy / sigma) ** 2)
    order /= order.sum()
    loss = np.maximum(energy, 0.0)
    single = loss * _WIDTH_EV / ((loss**2 - _PLASMON_EV**2) ** 2 + (_WIDTH_EV * loss) ** 2)
    single /= single.sum()
    total = order.copy()
    for number in range(1, _ORDERS):
        order = np.convolve(order, single)[before : before + energy.size] * thickness / number
        total += order
    return Response.of_low_loss(total, axis, dispersion_ev)


def thickness_by_edges(
    total: NDArray[np.float64],
    dispersion_ev: float,
    design: Callable[[Response | None], Design],
    *,
    gain: float = 1.0,
) -> float:
    """The t/λ of a typical specimen with which a summed spectrum fits best; 0 if it hardly helps.

    Parameters
    ----------
    total : ndarray, (1, n_energy)
    dispersion_ev : float [eV/channel]
    design : callable
        The design for a response.
    gain : float [counts per electron]
    """

    def misfit(thickness: float) -> tuple[float, float]:
        response = typical_low_loss(thickness, dispersion_ev) if thickness > 0 else None
        fit = fit_spectra(total, design(response), gain=gain, likelihood_ratios=False)
        return float(fit.chi2[0]), float(fit.degrees[0])

    none, _ = misfit(0.0)
    found = [(*misfit(thickness), thickness) for thickness in THICKNESSES]
    least, degrees, best = min(found)
    unit = max(1.0, least / max(degrees, 1.0))
    return best if none - least > _BELIEVED * unit else 0.0
