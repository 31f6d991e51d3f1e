"""Inelastic cross sections of subshells in the dipole approximation.

The oscillator strengths are those of our own Dirac–Slater atoms (`coreloss.atom.gos`) in the
optical limit; ``tools/build_oscillator_strengths.py`` writes the packed table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.atom.kinematics import (
    BOHR_RADIUS_M,
    RYDBERG_EV,
    characteristic_angle_mrad,
    effective_collection_mrad,
    nonrelativistic_energy_ev,
)

__all__ = ["OscillatorTable", "dsigma_de", "oscillator_table"]


@dataclass(frozen=True)
class OscillatorTable:
    """Optical oscillator-strength densities of subshells.

    Attributes
    ----------
    subshells : tuple of (symbol, subshell)
    onset_ev : ndarray, (n_subshells,) [eV]
    excess_ev : ndarray, (n_excess,) [eV]
        Energies above the onset.
    df_de : ndarray, (n_subshells, n_excess) [1/eV]
    """

    subshells: tuple[tuple[str, str], ...]
    onset_ev: NDArray[np.float64]
    excess_ev: NDArray[np.float64]
    df_de: NDArray[np.float64]

    def index(self, symbol: str, subshell: str) -> int:
        """Row of a subshell; raises ValueError where the table has none."""
        try:
            return self.subshells.index((symbol, subshell))
        except ValueError:
            known = [s for e, s in self.subshells if e == symbol]
            raise ValueError(
                f"no cross section for {symbol} {subshell}; "
                f"{symbol} has {', '.join(known) if known else 'none'} between 30 and 3300 eV"
            ) from None

    def density(self, row: int, energies_ev: ArrayLike) -> NDArray[np.float64]:
        """df/dE [1/eV] at energy losses (n_energy,) [eV]; zero below the onset."""
        excess = np.asarray(energies_ev, dtype=float) - self.onset_ev[row]
        log_density = np.interp(
            np.log(np.maximum(excess, self.excess_ev[0])),
            np.log(self.excess_ev),
            np.log(np.maximum(self.df_de[row], 1e-30)),
        )
        return np.where(excess >= 0, np.exp(log_density), 0.0)


@lru_cache(maxsize=1)
def oscillator_table() -> OscillatorTable:
    """The packed table that ships with the package."""
    path = files("coreloss.data") / "oscillator_strengths.npz"
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
        names = [str(name).split() for name in data["subshell"]]
        return OscillatorTable(
            tuple((symbol, shell) for symbol, shell in names),
            data["onset_ev"].astype(float),
            data["excess_ev"].astype(float),
            data["df_de"].astype(float),
        )


def angular_factor(
    energies_ev: Any, beam_energy_kev: Any, alpha_mrad: Any, beta_mrad: Any, xp: Any = np
) -> Any:
    """ln(1 + (β/θ_E)²) / E [1/eV], the part of dσ/dE that all edges share.

    Scattering beyond the Bethe ridge, θ_r ≈ √(E/E₀), is not dipole-like and adds next to
    nothing, so the collection angle is limited to it (Egerton 2011, section 3.6).
    Arguments broadcast; the effective collection angle stands for α and β.
    """
    theta_e = characteristic_angle_mrad(energies_ev, beam_energy_kev)
    ridge = 1e3 * xp.sqrt(energies_ev / (1e3 * beam_energy_kev))
    beta = effective_collection_mrad(alpha_mrad, beta_mrad)
    beta = xp.where(ridge < beta, ridge, beta + xp.zeros_like(ridge))
    return xp.log1p((beta / theta_e) ** 2) / energies_ev


def dsigma_de(
    symbol: str,
    subshell: str,
    energies_ev: ArrayLike,
    *,
    beam_energy_kev: float,
    alpha_mrad: float,
    beta_mrad: float,
) -> NDArray[np.float64]:
    """Differential cross section of one subshell in the dipole approximation.

    Parameters
    ----------
    symbol, subshell : str
        As in ``coreloss.edges``: 'Fe', 'L3'.
    energies_ev : array_like, (n_energy,) [eV]
        Energy losses, positive.
    beam_energy_kev : float [keV]
    alpha_mrad, beta_mrad : float [mrad]
        Convergence and collection semi-angles.

    Returns
    -------
    ndarray, (n_energy,) [m²/eV]
        dσ/dE = 4π a₀² R² / T · (1/E) df/dE ln(1 + (β/θ_E)²) (Egerton 2011, eq. 3.151).

    Raises
    ------
    ValueError
        If the subshell is not in the table or a parameter is not positive.
    """
    if beam_energy_kev <= 0 or beta_mrad <= 0 or alpha_mrad < 0:
        raise ValueError(
            f"beam energy {beam_energy_kev} keV, α {alpha_mrad} mrad, β {beta_mrad} mrad: "
            "beam energy and β must be positive, α not negative"
        )
    table = oscillator_table()
    energies = np.asarray(energies_ev, dtype=float)
    density = table.density(table.index(symbol, subshell), energies)
    safe = np.maximum(energies, 1.0)
    prefactor = (
        4.0 * np.pi * BOHR_RADIUS_M**2 * RYDBERG_EV**2 / nonrelativistic_energy_ev(beam_energy_kev)
    )
    shared = angular_factor(safe, beam_energy_kev, alpha_mrad, beta_mrad)
    return np.where(energies > 0, prefactor * density * shared, 0.0)
