"""Relativistic kinematics of a fast electron that loses energy.

Source: R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope,
3rd ed. (Springer, 2011), chapter 3.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BOHR_RADIUS_M",
    "ELECTRON_REST_ENERGY_KEV",
    "RYDBERG_EV",
    "characteristic_angle_mrad",
    "effective_collection_mrad",
    "lorentz_factor",
    "nonrelativistic_energy_ev",
]

ELECTRON_REST_ENERGY_KEV = 510.99895
RYDBERG_EV = 13.605693
BOHR_RADIUS_M = 5.29177211e-11


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


def effective_collection_mrad(alpha_mrad: Any, beta_mrad: Any) -> Any:
    """Collection semi-angle [mrad] that stands for a convergent beam of semi-angle α.

    For α below β the aperture collects nearly all; beyond, the illumination is spread over
    a disc that the aperture no longer covers, and the collected fraction falls as (β/α)².
    Here that fraction is turned into a smaller collection angle, exact in the limits of
    small and of large α (Egerton 2011, section 4.5).
    """
    return beta_mrad / (1.0 + (alpha_mrad / beta_mrad) ** 2) ** 0.5
