"""Inelastic cross sections of subshells.

`dsigma_de` and `partial_cross_section` integrate the generalised oscillator strengths of our
own Dirac–Slater atoms (`coreloss.atom.gos_table`) over momentum transfer. The simulator needs them
for thousands of spectra a second: the same integrals as `angular_factor`, which all edges
share, times `oscillator_table`, which ``tools/build_oscillator_strengths.py`` makes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.atom.gos_table import Strengths, gos_table
from coreloss.atom.kinematics import aperture_overlap, characteristic_angle_mrad
from coreloss.atom.scattering import Convergence, cross_section_rows

__all__ = [
    "OscillatorTable",
    "StrengthTable",
    "dsigma_de",
    "dsigma_de_batch",
    "oscillator_table",
    "partial_cross_section",
]

# Gauss–Legendre nodes and weights on 0 … 1
_GAUSS = np.polynomial.legendre.leggauss(8)
_NODES = ((0.5 * _GAUSS[0] + 0.5).tolist(), (0.5 * _GAUSS[1]).tolist())


@dataclass(frozen=True)
class OscillatorTable:
    """Oscillator-strength densities of subshells for dipole scattering, and what is collected.

    Attributes
    ----------
    subshells : tuple of (symbol, subshell)
    onset_ev : ndarray, (n_subshells,) [eV]
    excess_ev : ndarray, (n_excess,) [eV]
        Energies above the onset.
    df_de : ndarray, (n_subshells, n_excess) [1/eV]
        The optical limit.
    reach : ndarray, (n_reach,) [1/bohr], ascending
        Largest momentum across the beam that the spectrometer collects.
    collected : ndarray, (n_reach, n_subshells, n_excess)
        dσ/dE within that reach over what the optical limit and `angular_factor` give: below 1
        where strength falls with momentum, above where other multipoles add to it.
    """

    subshells: tuple[tuple[str, str], ...]
    onset_ev: NDArray[np.float64]
    excess_ev: NDArray[np.float64]
    df_de: NDArray[np.float64]
    reach: NDArray[np.float64]
    collected: NDArray[np.float64]

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

    def density(
        self, row: int, energies_ev: ArrayLike, reach: int | None = None
    ) -> NDArray[np.float64]:
        """df/dE [1/eV] at energy losses (n_energy,) [eV]; zero below the onset.

        The optical limit, or what is collected within ``self.reach[reach]``.
        """
        excess = np.asarray(energies_ev, dtype=float) - self.onset_ev[row]
        values = self.df_de[row]
        if reach is not None:
            values = values * self.collected[reach, row]
        log_density = np.interp(
            np.log(np.maximum(excess, self.excess_ev[0])),
            np.log(self.excess_ev),
            np.log(np.maximum(values, 1e-30)),
        )
        return np.where(excess >= 0, np.exp(log_density), 0.0)


@lru_cache(maxsize=1)
def oscillator_table() -> OscillatorTable:
    """The packed table that ships with the package."""
    path = files("coreloss.data") / "oscillator_strengths.npz"
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
        names = [str(name).split() for name in data["subshell"]]
        numbers = [
            data[key].astype(float)
            for key in ("onset_ev", "excess_ev", "df_de", "reach", "collected")
        ]
        return OscillatorTable(tuple((symbol, shell) for symbol, shell in names), *numbers)


def angular_factor(
    energies_ev: Any, beam_energy_kev: Any, alpha_mrad: Any, beta_mrad: Any, xp: Any = np
) -> Any:
    """Angular integral of dipole scattering over E [1/eV], the part that all edges share.

    ∫ 2θ dθ / (θ² + θ_E²) times the share of the electrons scattered through θ that reach
    the detector; for a parallel beam that is ln(1 + (β/θ_E)²). Scattering beyond the Bethe
    ridge, θ_r ≈ √(E/E₀), is not dipole-like and adds next to nothing; so the integral ends
    there (Egerton 2011, section 3.6). Arguments broadcast, energies along the last axis.
    """
    theta_e = characteristic_angle_mrad(energies_ev, beam_energy_kev)
    ridge = 1e3 * xp.sqrt(energies_ev / (1e3 * beam_energy_kev))
    beta = beta_mrad + xp.zeros_like(ridge)
    alpha = alpha_mrad + xp.zeros_like(ridge)
    alpha = xp.where(alpha > 1e-3 * beta, alpha, 1e-3 * beta)
    near, far = xp.abs(alpha - beta), alpha + beta
    near, far = (xp.where(limit < ridge, limit, ridge) for limit in (near, far))
    share = xp.where(alpha > beta, (beta / alpha) ** 2, xp.ones_like(beta))
    total = share * xp.log1p((near / theta_e) ** 2)
    # the rest in y = ln(θ² + θ_E²), in which the scattering is even
    low, high = xp.log(near**2 + theta_e**2), xp.log(far**2 + theta_e**2)
    for node, weight in zip(*_NODES, strict=True):
        y = low + (high - low) * node
        theta = xp.sqrt(xp.clip(xp.exp(y) - theta_e**2, 0.0, None)) + 1e-6
        total = total + weight * (high - low) * aperture_overlap(theta, alpha, beta, xp)
    return total / energies_ev


class StrengthTable(Protocol):
    """Where oscillator strengths come from: `GosTable`, `GoshTable`."""

    def strengths(self, symbol: str, subshell: str) -> Strengths:
        """One subshell; raises ValueError where the table has none."""


def dsigma_de(
    symbol: str,
    subshell: str,
    energies_ev: ArrayLike,
    *,
    beam_energy_kev: float,
    alpha_mrad: float,
    beta_mrad: float,
    convergence: Convergence = "overlap",
    transverse: bool = False,
    table: StrengthTable | None = None,
) -> NDArray[np.float64]:
    """Differential cross section of one subshell.

    Parameters
    ----------
    symbol, subshell : str
        As in ``coreloss.edges``: 'Fe', 'L3'.
    energies_ev : array_like, (n_energy,) [eV], ascending
        Energy losses.
    beam_energy_kev : float [keV]
    alpha_mrad, beta_mrad : float [mrad]
        Convergence and collection semi-angles.
    convergence, transverse
        As in `coreloss.atom.scattering.cross_section_rows`, which states the physics.
    table : StrengthTable, optional
        Other oscillator strengths than those that ship with the package.

    Returns
    -------
    ndarray, (n_energy,) [m²/eV]
        Zero below the onset.

    Raises
    ------
    ValueError
        If the subshell is not in the table or a parameter is not positive.
    """
    return dsigma_de_batch(
        [(symbol, subshell)],
        energies_ev,
        beam_energy_kev=beam_energy_kev,
        alpha_mrad=alpha_mrad,
        beta_mrad=beta_mrad,
        convergence=convergence,
        transverse=transverse,
        table=table,
    )[0, 0]


def dsigma_de_batch(
    edges: Sequence[tuple[str, str]],
    energies_ev: ArrayLike,
    *,
    beam_energy_kev: ArrayLike,
    alpha_mrad: ArrayLike,
    beta_mrad: ArrayLike,
    convergence: Convergence = "overlap",
    transverse: bool = False,
    table: StrengthTable | None = None,
) -> NDArray[np.float64]:
    """Differential cross sections of many subshells under many conditions.

    Parameters
    ----------
    edges : sequence of (symbol, subshell), n_edges
    energies_ev : array_like, (n_energy,) [eV], ascending
    beam_energy_kev, alpha_mrad, beta_mrad : array_like, (n,) or scalar [keV, mrad]
    convergence, transverse, table
        As in `dsigma_de`.

    Returns
    -------
    ndarray, (n, n_edges, n_energy) [m²/eV]

    Raises
    ------
    ValueError
        As `dsigma_de`, and for energies that do not ascend.
    """
    energies = np.asarray(energies_ev, dtype=float)
    if energies.ndim != 1 or np.any(np.diff(energies) < 0):
        raise ValueError("energies must be one ascending row")
    source = table if table is not None else gos_table()
    parts = []
    for symbol, subshell in edges:
        strengths = source.strengths(symbol, subshell)
        rows = cross_section_rows(
            strengths,
            beam_energy_kev,
            alpha_mrad,
            beta_mrad,
            convergence=convergence,
            transverse=transverse,
        )
        parts.append(strengths.along_energy(rows, energies))
    return np.stack(parts, axis=1)


def partial_cross_section(
    symbol: str,
    subshells: Sequence[str],
    window_ev: tuple[float, float],
    *,
    beam_energy_kev: float,
    alpha_mrad: float,
    beta_mrad: float,
    convergence: Convergence = "overlap",
    transverse: bool = False,
    table: StrengthTable | None = None,
) -> float:
    """Cross section [m²] of subshells together for losses from a window [eV].

    Parameters
    ----------
    symbol : str
    subshells : sequence of str
        ('L2', 'L3') for the pair.
    window_ev : (float, float) [eV]
        First and last energy loss.
    beam_energy_kev, alpha_mrad, beta_mrad, convergence, transverse, table
        As in `dsigma_de`.

    Raises
    ------
    ValueError
        As `dsigma_de`, and for a window that is empty.
    """
    start, end = window_ev
    if not start < end:
        raise ValueError(f"the window {start:g} to {end:g} eV is empty")
    source = table if table is not None else gos_table()
    total = 0.0
    for subshell in subshells:
        onset = source.strengths(symbol, subshell).onset_ev
        if end <= onset:
            continue
        # evenly in the logarithm of the excess, where edges are smooth
        first = max(start - onset, 1e-3)
        excess = np.geomspace(first, end - onset, 600)
        values = dsigma_de(
            symbol,
            subshell,
            onset + excess,
            beam_energy_kev=beam_energy_kev,
            alpha_mrad=alpha_mrad,
            beta_mrad=beta_mrad,
            convergence=convergence,
            transverse=transverse,
            table=source,
        )
        total += float(np.trapezoid(values * excess, np.log(excess)))
        total += float(values[0]) * max(0.0, first - max(start - onset, 0.0))
    return total
