"""Relativistic kinematics of a fast electron that loses energy.

Source: R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope,
3rd ed. (Springer, 2011), chapter 3.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "BOHR_RADIUS_M",
    "ELECTRON_REST_ENERGY_KEV",
    "RYDBERG_EV",
    "aperture_overlap",
    "characteristic_angle_mrad",
    "effective_collection_mrad",
    "lorentz_factor",
    "momentum_per_mrad",
    "nonrelativistic_energy_ev",
]

ELECTRON_REST_ENERGY_KEV = 510.99895
RYDBERG_EV = 13.605693
BOHR_RADIUS_M = 5.29177211e-11
_SPEED_OF_LIGHT_AU = 137.035999084


def lorentz_factor(beam_energy_kev: Any) -> Any:
    """γ of the beam electron; ``beam_energy_kev`` its kinetic energy [keV]."""
    return 1.0 + beam_energy_kev / ELECTRON_REST_ENERGY_KEV


def nonrelativistic_energy_ev(beam_energy_kev: Any) -> Any:
    """T = m₀v²/2 [eV], with the relativistic velocity v."""
    gamma = lorentz_factor(beam_energy_kev)
    beta_squared = 1.0 - 1.0 / gamma**2
    return 0.5e3 * ELECTRON_REST_ENERGY_KEV * beta_squared


def characteristic_angle_mrad(energy_loss_ev: Any, beam_energy_kev: Any) -> Any:
    """θ_E = E / (γ m₀ v²) [mrad] at an energy loss E [eV]."""
    gamma = lorentz_factor(beam_energy_kev)
    return 1e3 * energy_loss_ev / (2.0 * gamma * nonrelativistic_energy_ev(beam_energy_kev))


def momentum_per_mrad(beam_energy_kev: Any) -> Any:
    """Transverse momentum [1/bohr] of a scattering angle of one milliradian, γ m₀ v / ħ · 10⁻³."""
    gamma = lorentz_factor(beam_energy_kev)
    speed = (1.0 - 1.0 / gamma**2) ** 0.5 * _SPEED_OF_LIGHT_AU
    return 1e-3 * gamma * speed


def effective_collection_mrad(alpha_mrad: Any, beta_mrad: Any) -> Any:
    """Collection semi-angle [mrad] that stands for a convergent beam of semi-angle α.

    The usual correction, good to some per cent up to α = β. For α well above β it
    overestimates the angular factor of edges at low loss (at 200 keV, α = 30, β = 10 mrad:
    five times at 50 eV) and underestimates it at high loss; `aperture_overlap` is exact.
    """
    return beta_mrad / (1.0 + (alpha_mrad / beta_mrad) ** 2) ** 0.5


def aperture_overlap(theta_mrad: Any, alpha_mrad: Any, beta_mrad: Any, xp: Any = np) -> Any:
    """Share of electrons scattered through θ that enter the spectrometer.

    The beam fills a cone of semi-angle α evenly, the aperture takes a cone of semi-angle β
    about the same axis: the share is the area common to two discs, of radii α and β, θ
    apart, over the area of the first.

    Parameters
    ----------
    theta_mrad : array [mrad]
        Between the difference of the two angles and their sum; the share is min(1, β²/α²)
        below and 0 above.
    alpha_mrad, beta_mrad : array [mrad], positive; broadcast with ``theta_mrad``
    xp : array namespace
    """

    def arc(cosine: Any) -> Any:
        return xp.acos(xp.clip(cosine, -1.0, 1.0))

    first = arc((theta_mrad**2 + alpha_mrad**2 - beta_mrad**2) / (2 * theta_mrad * alpha_mrad))
    second = arc((theta_mrad**2 + beta_mrad**2 - alpha_mrad**2) / (2 * theta_mrad * beta_mrad))
    # twice the triangle between the centres and a corner of the lens
    kite = beta_mrad * theta_mrad * xp.sin(second)
    area = alpha_mrad**2 * first + beta_mrad**2 * second - kite
    return xp.clip(area / (math.pi * alpha_mrad**2), 0.0, 1.0)
