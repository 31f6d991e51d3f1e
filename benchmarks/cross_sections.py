"""Time of one differential cross section: coreloss, eXSpy and pyEELSMODEL, side by side.

Run: python benchmarks/cross_sections.py   (what is not installed is left out and said so)

Each gets an axis of 3,072 channels, 200 keV, β = 10 mrad, and what it can do for K shells: we
integrate tabulated Dirac–Slater oscillator strengths over the overlap of a 10 mrad illumination
and the aperture; eXSpy and pyEELSMODEL the hydrogenic ones over a circular aperture.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from importlib.resources import files
from statistics import median

import numpy as np
from results import write

from coreloss.atom.cross_section import dsigma_de, dsigma_de_batch
from coreloss.atom.gos_table import GosTable
from coreloss.edges import edges_of

AXIS = 200.0 + 0.5 * np.arange(3072)
BEAM = {"beam_energy_kev": 200.0, "alpha_mrad": 10.0, "beta_mrad": 10.0}


def milliseconds(call: Callable[[int], object], repeats: int = 15) -> float:
    """Median processor time of a call [ms]; it gets a number that changes each time."""
    call(0)
    times = []
    for i in range(1, repeats + 1):
        begun = time.process_time()
        call(i)
        times.append(1e3 * (time.process_time() - begun))
    return median(times)


def ours() -> dict[str, float]:
    """One subshell, an element, the first call, and many conditions at once."""
    iron = [("Fe", edge.subshell) for edge in edges_of("Fe")]
    path = str(files("coreloss.data") / "gos.npz")
    tables = [GosTable.read(path) for _ in range(6)]

    def fresh(i: int) -> None:
        dsigma_de("C", "K", AXIS, **BEAM, table=tables[i])

    rng = np.random.default_rng(1)
    many = rng.uniform((60, 0, 2), (300, 30, 60), (64, 3)).T
    return {
        "coreloss, C K": milliseconds(
            lambda i: dsigma_de("C", "K", AXIS, **{**BEAM, "alpha_mrad": 10.0 + 0.1 * i})
        ),
        "coreloss, Fe, its six subshells": milliseconds(
            lambda i: dsigma_de_batch(iron, AXIS, **{**BEAM, "alpha_mrad": 10.0 + 0.1 * i})
        ),
        "coreloss, C K, its first call (unpacks the subshell)": milliseconds(fresh, 5),
        "coreloss, reading the table, once": milliseconds(lambda _: GosTable.read(path), 5),
        "coreloss, C K, one of 64 conditions at once": milliseconds(
            lambda i: dsigma_de_batch(
                [("C", "K")],
                AXIS,
                beam_energy_kev=many[0] + i,
                alpha_mrad=many[1],
                beta_mrad=many[2],
            ),
            5,
        )
        / 64,
    }


def exspy() -> dict[str, float]:
    """eXSpy's hydrogenic oscillator strengths, integrated for a new aperture each time."""
    if importlib.util.find_spec("exspy") is None:
        return {}
    from exspy._misc.eels.hydrogenic_gos import HydrogenicGOS

    gos = HydrogenicGOS("C_K")
    inside = AXIS[gos.onset_energy <= AXIS]

    def call(i: int) -> None:
        gos.integrateq(gos.onset_energy, 10e-3 + 1e-5 * i, 200.0)(inside)

    return {"eXSpy, hydrogenic C K": milliseconds(call)}


def pyeelsmodel() -> dict[str, float]:
    """pyEELSMODEL's hydrogenic K edge, evaluated for a new aperture each time."""
    if importlib.util.find_spec("pyEELSMODEL") is None:
        return {}
    from pyEELSMODEL.components.CLedge.hydrogen_coreloss_edge import HydrogenicCoreLossEdge
    from pyEELSMODEL.core.spectrum import Spectrumshape

    shape = Spectrumshape(0.5, 200.0, 3072)

    def call(i: int) -> None:
        HydrogenicCoreLossEdge(shape, 1.0, 200e3, 1e-9, 10e-3 + 1e-5 * i, "C", "K").calculate()

    return {"pyEELSMODEL, hydrogenic C K": milliseconds(call, 5)}


def main() -> None:
    """Measure and write the section."""
    rows: dict[str, float] = {}
    missing = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, measure in (("ours", ours), ("eXSpy", exspy), ("pyEELSMODEL", pyeelsmodel)):
            try:
                found = measure()
            except ImportError as error:
                found = {}
                missing.append(f"{name} cannot be imported here ({error})")
            else:
                if not found:
                    missing.append(f"{name} is not installed here")
            rows |= found
    body = "| what, 3,072 channels | ms |\n|---|---|\n"
    body += "\n".join(f"| {name} | {value:.3g} |" for name, value in rows.items())
    if missing:
        body += "\n\n" + "; ".join(missing) + "."
    write("Cross sections", "python benchmarks/cross_sections.py", body)


if __name__ == "__main__":
    main()
