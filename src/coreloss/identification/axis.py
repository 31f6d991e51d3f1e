"""Whether a record's energy axis is right, and by how much not.

The network, asked about the record under many axes, answers least ambiguously near the right
one. Where its answer is clear the edges of the elements it sees are looked for, each by
itself, and a straight line through their distances from the table gives shift and stretch.
Which of the readings is right is told by a conditional logit model (D. McFadden, in Frontiers
in Econometrics, 1974) fitted on simulated spectra; its weights lie in ``data/judgement.json``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.identification.axis_estimate import (
    BEYOND_CHEMISTRY_EV,
    LEAST_CORRECTION_EV,
    PRIOR_SHIFT_EV,
    SIGNIFICANT,
    AxisEstimate,
    Reading,
    moved,
)
from coreloss.identification.bundle import ModelBundle
from coreloss.identification.judgement import judgement
from coreloss.identification.physics import binned, columns_of, fit_hypotheses
from coreloss.identification.positions import FoundEdge, distinct, edge_kind, found_edges
from coreloss.identification.result import bridged

__all__ = [
    "estimate_axis",
    "parse_axis",
    "readings",
]

Floats = NDArray[np.float64]

#: Shifts [eV] and stretches at which the network is asked.
_STEP_EV = 6.0
SHIFTS_EV = np.arange(-42.0, 43.0, _STEP_EV)
STRETCHES = np.array([0.97, 1.0, 1.03])
# a stretch is looked for where it moves the ends of the record by at least this [eV]
_LEAST_STRETCH_EV = 4.0
_REGIONS = 3
# so many of the likeliest axes have those beside them asked about
_BESIDE = 4
_APART_EV = 9.0
_SAME_EV = 5.0
#: Probability from which an element's edges tell of the axis.
SEEN = 0.3
_MOST_ELEMENTS = 6
_LEAST_SNR = 4.0
# how often edges are looked for, if they lie farther than this from where they were expected
_FOLLOWED, _FAR_EV = 3, 3.0
# no dispersion is known to err by more, nor a shift than was asked about and its error [eV]
_MOST_STRETCH, _MOST_SHIFT_EV = 0.06, 45.0
# how far solids move an edge from the table, and the shape hides its onset [eV]
_SPREAD_EV = {"sharp": 1.3, "white_lines": 1.8, "resonance": 2.5, "delayed": 5.0}
_PRIOR_STRETCH = 0.025
# -2 log of the odds that a dispersion is wrong
_STRETCH_COST = 4.0
# one edge suffices where the network sees another element as well, from so many standard errors on;
# or so far off that no chemistry moves it there, in a reading as probable as this
_BACKED, _SURE = 3.0, 0.7


def parse_axis(text: str) -> str | float:
    """'auto', 'as-recorded', or the number of 'shift=8.2'; raises ValueError else."""
    if text in ("auto", "as-recorded"):
        return text
    if text.startswith("shift="):
        try:
            value = float(text.removeprefix("shift="))
        except ValueError:
            value = float("nan")
        if np.isfinite(value):
            return value
    raise ValueError(
        f"axis is {text!r}; give 'auto', 'as-recorded' or 'shift=' with electronvolts to add"
    )


def estimate_axis(
    counts: NDArray, axis: EnergyAxis, bundle: ModelBundle, *, threads: int = 0
) -> AxisEstimate:
    """Judge the axis of one record.

    Parameters
    ----------
    counts : ndarray, (n_energy,)
        NaN in gaps.
    axis : EnergyAxis
        As recorded.
    bundle : ModelBundle
    threads : int
    """
    model = judgement()
    weights = np.array(model["cells"])
    cells = scanned(counts, axis, bundle, weights, threads=threads)
    found = readings(counts, axis, bundle, cells, weights, threads=threads)
    features = np.stack([reading.features for reading in found])
    score = features @ np.array(model["readings"])
    probability = np.exp(score - score.max())
    probability /= probability.sum()
    ranked = [
        Reading(**{**reading.__dict__, "probability": float(p)})
        for reading, p in zip(found, probability, strict=True)
    ]
    return decided(ranked, float(model["least_probability"]))


def decided(ranked: list[Reading], least_probability: float) -> AxisEstimate:
    """The correction that readings, the first of them the home one, justify."""
    home = ranked[0]
    best = max(ranked, key=lambda reading: reading.probability)
    # far away the record must be sure; near home the edges alone decide
    if best is not home and best.probability < least_probability:
        best = home
    others = tuple(
        sorted(
            (r for r in ranked if r is not best and r.probability >= 0.1 and r.elements),
            key=lambda r: -r.probability,
        )
    )
    told = bool(best.used)
    off, error = abs(best.shift_ev), best.error_ev
    corrected = (
        told
        and off >= max(LEAST_CORRECTION_EV, SIGNIFICANT * error)
        and (len(best.used) > 1 or best is not home or _one_suffices(best))
    )
    return AxisEstimate(
        "auto",
        best.shift_ev if corrected else 0.0,
        best.stretch if corrected else 1.0,
        best.shift_ev if told else float("nan"),
        error if told else float("nan"),
        best.probability,
        best.used,
        others,
    )


def _one_suffices(reading: Reading) -> bool:
    """Whether a single edge near home tells of the axis and not of chemistry.

    It does where a second element, its edge too faint to measure, speaks for the same shift, or
    where it lies too far off.
    """
    off = abs(reading.shift_ev)
    backed = len(reading.elements) > 1 and off >= _BACKED * reading.error_ev
    return backed or (off >= BEYOND_CHEMISTRY_EV and reading.probability >= _SURE)


@dataclass(frozen=True)
class Cells:
    """The network's answers on a coarse grid of axes.

    Attributes
    ----------
    shift_ev, stretch : ndarray, (n_cells,)
    logits : ndarray, (n_cells, n_elements)
    """

    shift_ev: Floats
    stretch: Floats
    logits: NDArray[np.floating]


def cell_grid(axis: EnergyAxis) -> tuple[Floats, Floats]:
    """Shifts and stretches worth asking about, (n_cells,) each."""
    span = axis.size * axis.dispersion
    bent = 0.5 * span * (STRETCHES[-1] - 1.0) >= _LEAST_STRETCH_EV
    stretch, shift = np.meshgrid(STRETCHES if bent else np.ones(1), SHIFTS_EV, indexing="ij")
    return shift.ravel(), stretch.ravel()


def scanned(
    counts: NDArray,
    axis: EnergyAxis,
    bundle: ModelBundle,
    weights: Floats | None = None,
    *,
    threads: int = 0,
) -> Cells:
    """Ask the network about a record (n_energy,) on axes of the coarse grid.

    Without ``weights`` (11,), see `readings`, that is all of them. With them it is every second
    one with a wrong dispersion, by turns, and then those beside the likeliest, which takes three
    quarters of the time: of 300 simulated records with wrong axes none then had another.
    """
    shift, stretch = cell_grid(axis)

    def asked(which: NDArray[np.bool_]) -> Cells:
        said = _logits(counts, axis, bundle, shift[which], stretch[which], threads)
        return Cells(shift[which], stretch[which], said)

    if weights is None or np.all(stretch == 1.0):
        return asked(np.ones(shift.size, dtype=bool))
    odd = np.rint((shift - SHIFTS_EV[0]) / _STEP_EV).astype(int) % 2 == 1
    first = (stretch == 1.0) | np.where(stretch < 1.0, ~odd, odd)
    cells = asked(first)
    beside = np.zeros_like(first)
    for cell in np.argsort(-_scores(bundle, cells, weights))[:_BESIDE]:
        away = np.abs(shift - cells.shift_ev[cell])
        bent = stretch == cells.stretch[cell]
        beside |= (bent & (away < 1.5 * _STEP_EV)) | (
            (cells.stretch[cell] == 1.0) & (away < 0.5 * _STEP_EV)
        )
    beside &= ~first
    if not beside.any():
        return cells
    more = asked(beside)
    return Cells(
        np.concatenate([cells.shift_ev, more.shift_ev]),
        np.concatenate([cells.stretch, more.stretch]),
        np.concatenate([cells.logits, more.logits]),
    )


def _scores(bundle: ModelBundle, cells: Cells, weights: Floats) -> Floats:
    """How likely each cell (n_cells,) is by the network and by how wrong axes are, in log odds."""
    told = network_features(bundle, cells.logits)
    return np.asarray(
        np.concatenate([told, prior_features(cells.shift_ev, cells.stretch)], axis=1) @ weights
    )


def _logits(
    counts: NDArray, axis: EnergyAxis, bundle: ModelBundle, shift: Floats, stretch: Floats,
    threads: int,
) -> Floats:  # fmt: skip
    middle = axis.offset + 0.5 * (axis.size - 1) * axis.dispersion
    return bundle.recorded_logits(
        np.repeat(bridged(np.asarray(counts, dtype=float))[None], shift.size, axis=0),
        middle + shift + stretch * (axis.offset - middle),
        stretch * axis.dispersion,
        np.full(shift.size, axis.size),
        threads=threads,
    )


def network_features(bundle: ModelBundle, logits: NDArray[np.floating]) -> Floats:
    """How clear the network's answers (n, n_elements) are: (n, 6)."""
    p = np.clip(bundle.probabilities(logits), 1e-9, 1.0 - 1e-9)
    entropy = -(p * np.log(p) + (1.0 - p) * np.log1p(-p)).sum(axis=1)
    number = p.sum(axis=1)
    odds = np.logaddexp(0.0, np.clip(logits, -8.0, 8.0).astype(float) - 2.0).sum(axis=1)
    return np.stack(
        [entropy, np.log(entropy + 0.1), number, np.log(number + 0.1), p.max(axis=1), odds], axis=1
    )


def prior_features(shift: Floats, stretch: Floats) -> Floats:
    """How far axes are from the recorded one: (n, 5)."""
    away, bent = np.abs(shift), np.abs(stretch - 1.0)
    return np.stack(
        [
            np.minimum((away / 2.0) ** 2, 4.0),
            np.minimum(away, 10.0) / 10.0,
            away / 10.0,
            np.minimum(bent / 0.005, 1.0),
            100.0 * bent,
        ],
        axis=1,
    )


def readings(
    counts: NDArray,
    axis: EnergyAxis,
    bundle: ModelBundle,
    cells: Cells,
    weights: Floats,
    *,
    threads: int = 0,
) -> list[Reading]:
    """The likely readings of a record, the one nearest to the recorded axis first.

    ``weights`` (11,) score the cells by their network and prior features.
    """
    probability = bundle.probabilities(cells.logits)
    score = _scores(bundle, cells, weights)
    score -= score.max() + np.log(np.exp(score - score.max()).sum())
    near = np.abs(cells.shift_ev) <= _APART_EV
    chosen = [int(np.argmax(np.where(near, score, -np.inf)))]
    for cell in np.argsort(-score, kind="stable"):
        if len(chosen) == _REGIONS:
            break
        if all(abs(cells.shift_ev[cell] - cells.shift_ev[k]) > _APART_EV for k in chosen):
            chosen.append(int(cell))
    partial = []
    for cell in chosen:
        order = np.argsort(-probability[cell])[:_MOST_ELEMENTS]
        symbols = distinct(
            [bundle.elements[i] for i in order if probability[cell, i] >= SEEN],
            moved(axis, float(cells.shift_ev[cell]), float(cells.stretch[cell])),
        )
        partial.append((cell, symbols, *_followed(counts, axis, cells, cell, symbols)))
    shift = np.array([p[3] for p in partial])
    stretch = np.array([p[4] for p in partial])
    network = network_features(bundle, _logits(counts, axis, bundle, shift, stretch, threads))
    prior = prior_features(shift, stretch)
    bins = binned(counts, axis)
    out: list[Reading] = []
    for k, (cell, symbols, edges, move, bend, error, used, misfit) in enumerate(partial):
        # two regions whose edges lead to one axis are one reading; the first is home
        if out and (abs(bend - 1.0) > _MOST_STRETCH or abs(move) > _MOST_SHIFT_EV):
            continue
        if any(abs(move - other.shift_ev) < _SAME_EV for other in out):
            continue
        strength = float(sum(np.arcsinh(edge.snr) for edge in edges))
        missing = float(sum(all(e.snr < 3.0 for e in edges if e.symbol == s) for s in symbols))
        start = moved(axis, move, bend).start
        columns = [column for symbol in symbols for column in columns_of(symbol, start)]
        fit = fit_hypotheses(bins, columns, np.array([move]), np.array([bend]))
        number = bins.counts.size
        joint = float(np.log(fit.chi2[0] / number + 0.3))
        physical = [score[cell], len(used), misfit, strength, missing, len(symbols)]
        physical += [np.sqrt(number) * joint, 0.1 * number * joint]
        features = np.concatenate([network[k], prior[k], physical])
        out.append(Reading(move, bend, error, symbols, tuple(edges), used, features))
    return out


def spread_ev(edge: FoundEdge) -> float:
    """Standard deviation of an edge about its table value, measurement included [eV]."""
    kind = edge_kind(edge.symbol, edge.group, edge.onset_ev)
    return float(np.hypot(_SPREAD_EV[kind], edge.error_ev))


def _followed(
    counts: NDArray, axis: EnergyAxis, cells: Cells, cell: int, symbols: tuple[str, ...]
) -> tuple[list[FoundEdge], float, float, float, tuple[str, ...], float]:
    """Edges of a cell's elements and the line through them; see `_line`.

    Where they lie far from where the cell has them they are looked for again there.
    """
    shift, stretch = float(cells.shift_ev[cell]), float(cells.stretch[cell])
    for _ in range(_FOLLOWED):
        edges = found_edges(counts, moved(axis, shift, stretch), symbols)
        line = _line(axis, shift, stretch, edges)
        far = abs(line[0] - shift)
        shift, stretch = line[0], line[1]
        if far < _FAR_EV:
            break
    return edges, *line


def _line(
    axis: EnergyAxis, shift: float, stretch: float, edges: list[FoundEdge]
) -> tuple[float, float, float, tuple[str, ...], float]:
    """Shift, stretch, error of the shift, edges used and their misfit, for edges found.

    ``shift`` and ``stretch`` are those of the axis on which they were found. Weighted least
    squares for where the edges should lie, Gaussian priors on shift and stretch, and edges far
    from the line weighted down (Student's t, 4 degrees). Most axes are shifted and no more: the
    stretch is taken for wrong only where that explains the edges much better.
    """
    good = [edge for edge in edges if edge.snr >= _LEAST_SNR]
    if not good:
        return shift, stretch, PRIOR_SHIFT_EV, (), 0.0
    middle = axis.offset + 0.5 * (axis.size - 1) * axis.dispersion
    arm = np.array([edge.found_ev - middle - shift for edge in good]) / stretch
    away = np.array([edge.onset_ev for edge in good]) - middle - arm
    sigma = np.array([spread_ev(edge) for edge in good])
    change, rest, error, cost = _straight(arm, away, sigma, bent=False)
    if len(good) > 1 and np.ptp(arm) * _PRIOR_STRETCH > 2.0:
        bent = _straight(arm, away, sigma, bent=True)
        if bent[3] < cost - _STRETCH_COST:
            change, rest, error, cost = bent
    misfit = float(np.minimum(rest**2, 9.0).sum())
    error *= float(np.sqrt(max(1.0, misfit / len(good))))
    order = sorted(zip(good, rest, strict=True), key=lambda pair: -pair[0].snr)
    labels = tuple(
        f"{edge.label} at {(edge.found_ev - middle - shift) / stretch + middle:.1f} eV"
        for edge, distance_sigma in order
        if abs(distance_sigma) < 3.0
    )
    return float(change[0]), 1.0 + float(change[1]), error, labels, misfit


def _straight(
    arm: Floats, away: Floats, sigma: Floats, *, bent: bool
) -> tuple[Floats, Floats, float, float]:
    """A line, of slope 0 unless ``bent``, through distances ``away`` (n,) at ``arm`` (n,) [eV].

    Returns shift and slope, the distances from the line over ``sigma``, the standard error of the
    shift and the cost, -2 log posterior.
    """
    design = np.stack([np.ones_like(arm), arm * bent], axis=1)
    precision = np.diag([PRIOR_SHIFT_EV**-2, _PRIOR_STRETCH**-2])
    robust = np.ones_like(arm)
    for _ in range(5):
        weight = robust / sigma**2
        normal = design.T @ (weight[:, None] * design) + precision
        line = np.linalg.solve(normal, design.T @ (weight * away))
        rest = (away - design @ line) / sigma
        robust = 5.0 / (4.0 + rest**2)
    cost = float(5.0 * np.log1p(rest**2 / 4.0).sum() + line @ precision @ line)
    return np.asarray(line), rest, float(np.sqrt(np.linalg.inv(normal)[0, 0])), cost
