"""Stated errors of quantification against the truth, on simulated boron nitride and titanates.

Records of a dose, thickness and axis drawn by chance, with what a fit does not know: peaks near the
edges and extended structure behind them, edges that lie elsewhere than in tables, backgrounds of
several exponents, tails of lower edges and a detector's own level.

Run: python benchmarks/quantification_errors.py [NUMBER], 30 records of each kind without it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from results import write

from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit import Response, design_matrix
from coreloss.maps import quantify

MICROSCOPE = {"beam_energy_kev": 300.0, "alpha_mrad": 0.2, "beta_mrad": 4.12}
LOW_AXIS = EnergyAxis(-40.0, 0.5, 500)
COUNTS, LOW_COUNTS = 3e6, 1e7

# peaks near an edge: place and half width [eV], and between which areas, in eV of σ 30 eV behind
# the onset
Peaks = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Element:
    """An element of a sample: how much of it there is, and how its edge differs from the atom's."""

    symbol: str
    onset_ev: float
    amount: float
    shift_ev: tuple[float, float]
    peaks: Peaks


@dataclass(frozen=True)
class Sample:
    """Two elements in a record; the background ends in ``before_ev``."""

    name: str
    axis: EnergyAxis
    plasmon_ev: float
    before_ev: float
    pair: tuple[Element, Element]
    lower_edge: str = ""


BN = Sample(
    "BN",
    EnergyAxis(130.0, 0.5, 1024),
    25.0,
    186.0,
    (
        Element("B", 188.0, 1.0, (2.0, 5.0), (
            (191.8, 0.7, 3.0, 9.0), (198.8, 1.2, 6.0, 14.0), (204.0, 2.5, 3.0, 10.0))),
        Element("N", 401.0, 1.0, (0.0, 4.0), (
            (401.3, 0.7, 2.0, 6.0), (408.0, 1.5, 5.0, 12.0), (414.0, 2.5, 2.0, 8.0))),
    ),
)  # fmt: skip
TITANATE = Sample(
    "SrTiO3",
    EnergyAxis(374.0, 0.5, 616),
    30.0,
    452.0,
    (
        Element("Ti", 456.0, 1.0, (-1.0, 1.0), (
            (457.8, 0.8, 5.0, 9.0), (460.0, 0.9, 5.0, 9.0), (463.2, 1.0, 3.0, 6.0),
            (465.4, 1.2, 4.0, 7.0))),
        Element("O", 532.0, 3.0, (0.0, 2.0), (
            (531.5, 1.0, 2.0, 5.0), (536.0, 1.5, 2.0, 5.0), (543.5, 2.2, 5.0, 12.0))),
    ),
    "C",
)  # fmt: skip


def low_loss(rng: np.random.Generator, thickness: float, axis: EnergyAxis, plasmon_ev: float):
    """Zero loss, plasmons and interband losses of a t/λ, of unit area, (n_low,)."""
    energy = axis.energies
    zero = np.exp(-0.5 * (energy / 0.45) ** 2)

    def drude(place: float, width: float) -> np.ndarray:
        loss = np.maximum(energy, 0.0)
        out = loss * width / ((loss**2 - place**2) ** 2 + (width * loss) ** 2 + 1e-9)
        return np.asarray(out / out.sum())

    single = 0.93 * drude(plasmon_ev, rng.uniform(8.0, 14.0)) + 0.07 * drude(8.0, 3.0)
    order = zero / zero.sum()
    total, start = order.copy(), axis.index(0.0)
    for number in range(1, 8):
        order = np.convolve(order, single)[start : start + energy.size] * thickness / number
        total = total + order
    return total / total.sum()


def edge(
    rng: np.random.Generator, symbol: str, onset_ev: float, axis: EnergyAxis, response: Response,
    shift_ev: float, peaks: Peaks,
) -> np.ndarray:  # fmt: skip
    """Counts of one atom per nm² with near-edge and extended structure, (n_energy,)."""
    long = EnergyAxis(axis.offset - shift_ev, axis.dispersion, axis.size + response.zero)
    atom = design_matrix([symbol], long, near_edge="none", background=1, **MICROSCOPE)
    column, energy = atom.matrix[:, atom.amplitude[0]], long.energies + shift_ev
    height = np.interp(onset_ev + shift_ev + 30.0, energy, column)
    for place, half, low, high in peaks:
        area = rng.uniform(low, high) * height / (half * np.sqrt(2.0 * np.pi))
        column = column + area * np.exp(-0.5 * ((energy - place) / half) ** 2)
    # waves scattered back by two shells of neighbours: cos 2kR, k = 0.5123 √(E - E₀) per Å
    beyond = np.maximum(energy - onset_ev - shift_ev, 0.0)
    wave, size = 0.5123 * np.sqrt(beyond), rng.uniform(0.05, 0.15)
    for radius, decay, share in ((rng.uniform(1.4, 2.1), 70.0, 1.0), (2.6, 90.0, 0.6)):
        phase = rng.uniform(0.0, 2.0 * np.pi)
        ripple = share * size * np.exp(-beyond / decay) * np.cos(2.0 * wave * radius + phase)
        column = column * (1.0 + np.where(beyond > 12.0, ripple, 0.0))
    return np.asarray(response.applied(column[None], axis.size)[0, 0])


def record(
    sample: Sample, rng: np.random.Generator, *, off: bool, displaced: bool
) -> tuple[Spectra, Spectra]:
    """A core-loss record and its low loss; ``off``: with a wrong axis."""
    shift = rng.uniform(-6.0, 6.0) if off else 0.0
    stretch = 1.0 + (rng.choice([0.0, rng.uniform(-0.03, 0.03)]) if off else 0.0)
    true = sample.axis.corrected(shift, stretch)
    low_true = LOW_AXIS.corrected(0.0, stretch)
    low = low_loss(rng, rng.uniform(0.2, 1.2), low_true, sample.plasmon_ev)
    response = Response.of_low_loss(low, low_true, true.dispersion)
    energy = true.energies
    exponent = rng.uniform(2.6, 4.2)
    background = (energy / energy[0]) ** -exponent
    # steeper and, as plural scattering bends it, shallower parts
    for share, place, other in (
        (rng.uniform(0.0, 0.5), 0.0, exponent + rng.uniform(1.0, 3.0)),
        (rng.uniform(0.0, 0.3), rng.uniform(40.0, 110.0), rng.uniform(1.5, 2.5)),
    ):
        bent = ((energy - place) / (energy[0] - place)) ** -other
        background = (1.0 - share) * background + share * bent
    if sample.lower_edge:
        wide = EnergyAxis(250.0, true.dispersion, int((true.end - 250.0) / true.dispersion) + 2)
        tail = edge(rng, sample.lower_edge, 284.0, wide, response, 0.0, ())
        tail = np.interp(energy, wide.energies, tail)
        background = background + rng.uniform(0.0, 0.6) * tail / tail[0]
        background = background + rng.uniform(0.0, 0.08)
    edges = np.zeros(energy.size)
    for number, element in enumerate(sample.pair):
        moved = rng.uniform(*element.shift_ev) if displaced else 0.0
        column = element.amount * edge(
            rng, element.symbol, element.onset_ev, true, response, moved, element.peaks
        )
        if number == 0:
            behind = np.interp(element.onset_ev + 45.0, energy, column)
            unit = np.interp(sample.before_ev, energy, background) / behind
        edges = edges + column
    clean = background + rng.uniform(0.3, 1.0) * unit * edges
    counts = rng.poisson(COUNTS * clean / clean.max()).astype(float)
    return (
        Spectra(counts, sample.axis, {"title": sample.name}),
        Spectra(rng.poisson(LOW_COUNTS * low).astype(float), LOW_AXIS),
    )


def ratio_of(sample: Sample, record: Spectra, low: Spectra | None, *, auto: bool):
    """ln of the ratio over the true one and its stated error; None where one is not found."""
    first, second = sample.pair
    result = quantify(
        record,
        None if auto else (first.symbol, second.symbol),
        low_loss=False if low is None else low,
        axis_mode="auto" if auto else "as-recorded",
        **MICROSCOPE,
    )
    if not {first.symbol, second.symbol} <= set(result.elements):
        return None
    one, two = (result.total[e.symbol] for e in sample.pair)
    share = one["amount"] / (one["amount"] + two["amount"])
    error = np.hypot(one["error"], one["model_error"]) / 100.0 / (share * (1.0 - share))
    off = one["amount"] / two["amount"] / (first.amount / second.amount)
    return np.log(off), error


def run(number: int) -> None:
    """All kinds, one row each."""
    lines = [
        "| sample | axis | edges | low loss | records | mean error | scatter | stated (median) | "
        "rms pull | within 4 % | within 2 σ |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for sample, off, displaced, with_low in (
        (BN, False, False, True), (BN, False, True, True), (BN, True, False, True),
        (BN, True, True, True), (TITANATE, False, True, True), (TITANATE, False, True, False),
    ):  # fmt: skip
        found = []
        for seed in range(number):
            rng = np.random.default_rng(1000 + seed)
            core, low = record(sample, rng, off=off, displaced=displaced)
            one = ratio_of(sample, core, low if with_low else None, auto=off)
            if one is not None:
                found.append(one)
        error, stated = np.array(found).T
        pull = error / stated
        lines.append(
            f"| {sample.name} | {'wrong, automatic' if off else 'right'} | "
            f"{'displaced' if displaced else 'as in tables'} | {'yes' if with_low else 'no'} | "
            f"{error.size} of {number} | {100 * error.mean():+.1f} % | "
            f"{100 * error.std():.1f} % | {100 * np.median(stated):.1f} % | "
            f"{np.sqrt((pull**2).mean()):.2f} | {(np.abs(error) < 0.04).mean():.2f} | "
            f"{(np.abs(pull) < 2.0).mean():.2f} |"
        )
        print(lines[-1], flush=True)
    lines += [
        "",
        "Ratio of B to N and of Ti to O over the true one. Elements are given where the axis is "
        "right and found where it is wrong; displaced edges lie 2 to 5 (B), 0 to 4 (N), -1 to 1 "
        "(Ti) and 0 to 2 eV (O) behind their tables; t/λ 0.2 to 1.2.",
    ]
    write(
        "Stated errors of quantification, simulated",
        "python benchmarks/quantification_errors.py",
        "\n".join(lines),
    )


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
