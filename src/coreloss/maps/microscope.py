"""What a quantification must know of the microscope, from the file or from the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Microscope", "microscope_of"]

_NAMES = {
    "beam_energy_kev": ("the beam energy", "--beam-energy KEV"),
    "alpha_mrad": ("the convergence semi-angle α", "--alpha MRAD"),
    "beta_mrad": ("the collection semi-angle β", "--beta MRAD"),
}


@dataclass(frozen=True)
class Microscope:
    """Parameters on which cross sections depend.

    Attributes
    ----------
    beam_energy_kev : float [keV]
    alpha_mrad, beta_mrad : float [mrad]
        Convergence and collection semi-angles.
    """

    beam_energy_kev: float
    alpha_mrad: float
    beta_mrad: float

    def to_dict(self) -> dict[str, float]:
        """As keyword arguments of `coreloss.fit.design_matrix`."""
        return {
            "beam_energy_kev": self.beam_energy_kev,
            "alpha_mrad": self.alpha_mrad,
            "beta_mrad": self.beta_mrad,
        }


def microscope_of(
    source: str,
    metadata: Mapping[str, Any],
    *,
    beam_energy_kev: float | None = None,
    alpha_mrad: float | None = None,
    beta_mrad: float | None = None,
) -> Microscope:
    """The parameters given, else the file's.

    Raises
    ------
    ValueError
        Naming every parameter that neither has, or that is impossible.
    """
    given = {
        "beam_energy_kev": beam_energy_kev,
        "alpha_mrad": alpha_mrad,
        "beta_mrad": beta_mrad,
    }
    values = {name: metadata.get(name) if v is None else v for name, v in given.items()}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        what = " and ".join(_NAMES[name][0] for name in missing)
        how = " ".join(_NAMES[name][1] for name in missing)
        raise ValueError(
            f"{source}: {what} {'is' if len(missing) == 1 else 'are'} not in the file, and cross "
            f"sections depend on {'it' if len(missing) == 1 else 'them'}; give {how} "
            f"(in Python {', '.join(missing)})"
        )
    found = Microscope(*(float(values[name]) for name in given))  # type: ignore[arg-type]
    if not (found.beam_energy_kev > 0 and found.beta_mrad > 0 and found.alpha_mrad >= 0):
        raise ValueError(
            f"{source}: beam energy {found.beam_energy_kev:g} keV, α {found.alpha_mrad:g} mrad, "
            f"β {found.beta_mrad:g} mrad: beam energy and β must be positive, α not negative"
        )
    if not 10 <= found.beam_energy_kev <= 3000:
        raise ValueError(
            f"{source}: a beam energy of {found.beam_energy_kev:g} keV is none of an electron "
            "microscope; give it in keV"
        )
    return found
