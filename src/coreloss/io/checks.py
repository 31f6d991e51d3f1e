"""Whether loaded spectra can be judged at all."""

from __future__ import annotations

from coreloss.energy import Spectra
from coreloss.io.errors import ReadError

__all__ = ["require_core_loss_range"]


def require_core_loss_range(spectra: Spectra, start_ev: float, end_ev: float) -> None:
    """Check that a record reaches into the range in which elements can be identified.

    Parameters
    ----------
    spectra : Spectra
    start_ev, end_ev : float
        The range judged [eV].

    Raises
    ------
    ReadError
        If no channel of the record lies between them.
    """
    axis = spectra.axis
    if axis.end > start_ev and axis.start < end_ev:
        return
    if 0 < axis.end < 10:
        remedy = "if its axis is in keV, write keV as the unit or give energies in eV"
    elif axis.start <= 0 <= axis.end:
        remedy = "this is a low-loss record, so give the core-loss record of the same area"
    else:
        remedy = "check the energy calibration or give a record within that range"
    raise ReadError(
        spectra.metadata.get("file", "the spectrum"),
        f"its energy axis runs from {axis.offset:g} to {axis.energies[-1]:g} eV, wholly outside "
        f"the {start_ev:g} to {end_ev:g} eV in which elements are identified",
        remedy,
    )
