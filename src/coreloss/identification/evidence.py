"""Why an element is in an answer, or not: every edge's step, and the fit without it.

The record is fitted with a smooth background and the edges of all candidates together
(`physics`); each candidate is then left out in turn and the rest fitted again. Network and fit
give one probability by a logistic model fitted on simulated spectra (``data/judgement.json``);
nothing is named where the record hardly shows an edge at all (`edge_free`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.fit import non_negative_solutions
from coreloss.identification.axis import spread_ev
from coreloss.identification.boosted import BoostedTrees
from coreloss.identification.edge_free import (
    LIKELY,
    SHOWN,
    Likeliest,
    edge_features,
    edge_probability,
)
from coreloss.identification.judgement import edge_trees, judgement
from coreloss.identification.physics import (
    Bins,
    Column,
    Problem,
    binned,
    columns_of,
    designs,
    discounted,
    problem_of,
    shapes_at,
    solutions,
)
from coreloss.identification.positions import FoundEdge, found_edges, window_bins

__all__ = ["FEATURES", "ElementEvidence", "Evidence", "combined", "doubted", "gather"]

Floats = NDArray[np.float64]

#: Probability of the network from which an element is looked at.
LOOKED_AT = 0.02
_MOST = 12
# a step that is no more than this many standard errors is not seen
_SEEN_SNR = 3.0
_STEP_BINS = 6
# over the largest count: the noise of bins in which nothing was recorded is beyond it
_DARK = 1e3
# how far an edge of a compound may lie from its place in the table
_CHEMICAL_EV = 3.0
# standard errors from which a step that no element explains is told
_UNEXPLAINED = 8.0
# relative error of edge shapes and of the detector, for such steps
_SHAPE_ERROR = 0.012
# below it lie the zero loss and plasmons, and no edge of the table
_FIRST_EDGE_EV = 30.0

FEATURES = (
    "network log odds",
    "log likelihood ratio",
    "best edge",
    "share of edges missing",
)


@dataclass(frozen=True)
class ElementEvidence:
    """What speaks for and against an element.

    Attributes
    ----------
    symbol : str
    network : float
        The network's calibrated probability.
    probability : float
        Network and fit combined.
    likelihood_ratio : float
        Drop of χ² that the element brings to the joint fit, over χ² per channel where that
        is above 1: 2 Δ ln L with the model's own errors counted as noise.
    bic : float
        The same less ln(channels) for each of its columns in use; positive speaks for it.
    edges : tuple of FoundEdge
        Those in range, the clearest first.
    reason : str
        Why it was rejected; empty for what was found.
    """

    symbol: str
    network: float
    probability: float
    likelihood_ratio: float
    bic: float
    edges: tuple[FoundEdge, ...]
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        out: dict[str, Any] = {
            "symbol": self.symbol,
            "network": round(self.network, 4),
            "probability": round(self.probability, 4),
            "likelihood_ratio": round(self.likelihood_ratio, 1),
            "bic": round(self.bic, 1),
            "edges": [
                {
                    "label": edge.label,
                    "table_ev": edge.onset_ev,
                    "found_ev": round(edge.found_ev, 1),
                    "error_ev": round(edge.error_ev, 1),
                    "farther": edge.farther,
                    "step": float(f"{edge.height:.4g}"),
                    "snr": round(edge.snr, 1),
                    "jump_ratio": (
                        float(f"{edge.jump_ratio:.3g}") if np.isfinite(edge.jump_ratio) else None
                    ),
                }
                for edge in self.edges
            ],
        }
        if self.reason:
            out["reason"] = self.reason
        return out


@dataclass(frozen=True)
class Evidence:
    """The joint fit of a record and what it says of each candidate.

    Attributes
    ----------
    elements : dict of str to ElementEvidence
        Every element looked at, the more probable first.
    energies : ndarray, (n,) [eV]
    counts, background : ndarray, (n,)
        The record in bins, and what is no edge.
    contributions : dict of str to ndarray (n,)
        Of each element.
    sigma : ndarray, (n,)
        Standard deviation of the noise.
    edge_features : ndarray, (n_features,)
        What tells whether the record shows an edge; see ``edge_free.EDGE_FEATURES``.
    edge : float
        Probability that it does; `shows_edge` tells whether it is high enough.
    shown : float
        Probability from which it is.
    """

    elements: dict[str, ElementEvidence]
    energies: Floats = field(repr=False)
    counts: Floats = field(repr=False)
    background: Floats = field(repr=False)
    contributions: dict[str, Floats] = field(repr=False)
    sigma: Floats = field(repr=False)
    edge_features: Floats = field(repr=False)
    edge: float
    shown: float = SHOWN

    @property
    def shows_edge(self) -> bool:
        """Whether the record shows enough of an edge for elements to be named."""
        return self.edge >= self.shown

    @property
    def strongest_rest(self) -> tuple[float, float]:
        """Where the residual steps up most [eV], and by how many standard errors."""
        return _strongest_step(self.energies, self.counts, self.residual, self.sigma)

    @property
    def residual(self) -> Floats:
        """Counts less everything fitted, (n,)."""
        total = self.counts - self.background
        for part in self.contributions.values():
            total = total - part
        return np.asarray(total)

    def rejected(self, found: tuple[str, ...]) -> tuple[ElementEvidence, ...]:
        """Candidates not in ``found`` that the network or the fit held likely."""
        return tuple(
            e
            for s, e in self.elements.items()
            if s not in found and (e.network >= 0.2 or e.probability >= 0.1)
        )

    def unexplained(self, symbols: Iterable[str]) -> str:
        """That a clear step belongs to none of some elements; empty where all do."""
        energy, size = self.strongest_rest
        onsets = [c.onset_ev for symbol in symbols for c in columns_of(symbol)]
        # near an edge's own onset it is its structure, which atoms do not tell
        if size < _UNEXPLAINED or any(-15.0 < energy - onset < 60.0 for onset in onsets):
            return ""
        return (
            f"a step near {energy:.0f} eV ({size:.0f} standard errors) belongs to no element found"
        )

    def text(self, found: tuple[str, ...]) -> str:
        """A table of every edge of the elements found, then why others were rejected."""
        lines = []
        if any(symbol in self.elements for symbol in found):
            lines.append(
                "  edge        found at [eV]   table      step       SNR   jump    "
                "LR without element"
            )
        for symbol in found:
            element = self.elements.get(symbol)
            if element is None:
                continue
            for number, edge in enumerate(element.edges):
                tail = f"{element.likelihood_ratio:10.0f}" if number == 0 else ""
                jump = f"{edge.jump_ratio:.2f}" if np.isfinite(edge.jump_ratio) else "-"
                said = f"{edge.found_ev:9.1f} ± {edge.error_ev:<4.1f}"
                if edge.farther:
                    way = "above" if edge.found_ev > edge.onset_ev else "below"
                    said = f"{f'{way} {edge.found_ev:.0f}':>14}  "
                if edge.snr < _SEEN_SNR:
                    tail += "  (no clear step by itself)"
                lines.append(
                    f"  {edge.label:<10}{said}"
                    f"{edge.onset_ev:8.1f}{edge.height:10.3g}{edge.snr:10.1f}{jump:>7}{tail}"
                )
            if not element.edges:
                lines.append(f"  {symbol:<10}no edge of it can be measured in this record")
        if not self.shows_edge and self.rejected(found):
            lines.append(
                f"  an edge of any element is there with a probability of {self.edge:.2f}: "
                "background and faults of a detector may be all"
            )
        for element in self.rejected(found):
            lines.append(f"  not {element.symbol}: {element.reason}")
        return "\n".join(lines)


def gather(
    counts: NDArray,
    axis: EnergyAxis,
    network: Mapping[str, float],
    judged: frozenset[str],
    threshold: float,
    weights: Floats | None = None,
    trees: BoostedTrees | None = None,
    shown: float = SHOWN,
) -> Evidence:
    """Evidence for the elements that a network holds possible.

    Parameters
    ----------
    counts : ndarray, (n_energy,)
        NaN in gaps.
    axis : EnergyAxis
        The right one.
    network : mapping of str to float
        Calibrated probabilities.
    judged : frozenset of str
        Elements with an edge in range.
    threshold : float
        Probability from which an element is found.
    weights : ndarray, optional
        Of the logistic model of elements, intercept first; the shipped ones without.
    trees : BoostedTrees, optional
        That tell whether the record shows an edge; the shipped ones without.
    shown : float
        Probability of any edge from which elements are named; see `edge_free.least_edge`.
    """
    if weights is None:
        weights = np.array(judgement()["combine"])
    if trees is None:
        trees = edge_trees()
    ranked = sorted((s for s in judged if network[s] >= LOOKED_AT), key=lambda s: -network[s])
    symbols = ranked[:_MOST]
    bins = binned(counts, axis)
    edges = found_edges(counts, axis, symbols)
    columns = [
        column
        for symbol in symbols
        for column in _where_found(symbol, edges if network[symbol] >= 0.5 else [], axis.start)
        if bins.energies[0] < column.onset_ev < bins.energies[-1]
    ]
    owner = np.array([symbols.index(column.symbol) for column in columns], dtype=int)
    shapes = shapes_at(columns, bins.energies[None])[:, 0] * bins.scale
    for again in (True, False):
        problem = problem_of(bins, designs(bins, columns, np.zeros(1), np.ones(1)))
        (fits,) = solutions([problem])
        amplitude = fits.amplitudes[:, 0]
        if again:
            rest = bins.counts - amplitude @ shapes
            bins = discounted(bins, bins.counts - rest + _background_of(bins, rest))
    chi2 = float(fits.chi2[0])
    number = bins.counts.size
    unit = max(1.0, chi2 / number)
    ratios = np.maximum(_without_each(problem, amplitude, owner, len(symbols)) - chi2, 0.0) / unit
    parts = {
        symbol: np.asarray(amplitude[owner == k] @ shapes[owner == k])
        for k, symbol in enumerate(symbols)
    }
    rest = bins.counts - sum(parts.values(), np.zeros(number))
    background = _background_of(bins, rest)
    by_symbol = {
        symbol: sorted((e for e in edges if e.symbol == symbol), key=lambda e: -e.snr)
        for symbol in symbols
    }
    joined = {
        symbol: combined(features_of(network[symbol], float(ratios[k]), by_symbol[symbol]), weights)
        for k, symbol in enumerate(symbols)
    }
    likely = [column for column in columns if network[column.symbol] >= LIKELY]
    sigma = np.sqrt(bins.noise)
    record = edge_features(
        bins,
        likely,
        _likeliest(joined, network, columns, by_symbol, counts, axis),
        _strongest_step(bins.energies, bins.counts, rest - background, sigma)[1],
    )
    edge = edge_probability(record, trees)
    elements = {}
    for k, symbol in enumerate(symbols):
        own = by_symbol[symbol]
        used = int((amplitude[owner == k] > 0).sum())
        bic = float(ratios[k]) - used * float(np.log(number))
        probability = joined[symbol]
        element = ElementEvidence(
            symbol, network[symbol], probability, float(ratios[k]), bic, tuple(own)
        )
        if probability < threshold or edge < shown:
            reason = _reason(element, symbols, edges, threshold)
            element = ElementEvidence(**{**element.__dict__, "reason": reason})
        elements[symbol] = element
    ordered = dict(sorted(elements.items(), key=lambda item: -item[1].probability))
    return Evidence(
        ordered,
        bins.energies,
        bins.counts,
        background,
        parts,
        sigma,
        record,
        edge,
        shown,
    )


def _where_found(symbol: str, edges: list[FoundEdge], start_ev: float) -> list[Column]:
    """An element's columns, each edge where it was found as far as that is known.

    Chemistry moves edges by a few electronvolts, over which white lines fall and rise.
    """
    moves = {}
    for edge in edges:
        if edge.symbol == symbol and edge.snr >= _SEEN_SNR:
            known = _CHEMICAL_EV**2 / (_CHEMICAL_EV**2 + edge.error_ev**2)
            moves[edge.group] = known * (edge.found_ev - edge.onset_ev)
    columns = columns_of(symbol, start_ev)
    # shells that lie near each other share their columns, so they move as the lowest of them
    together = {
        group: next((moves[g] for g in column.groups if g in moves), 0.0)
        for column in columns
        if column.kind == "atom"
        for group in column.groups
    }
    return [column.moved(together[column.groups[0]]) for column in columns]


def _strongest_step(
    energies: Floats, counts: Floats, residual: Floats, sigma: Floats
) -> tuple[float, float]:
    """Where a residual (n,) steps up most [eV], and by how many standard errors.

    The means of six bins after and before, all of them recorded; the model's own error counts as
    noise.
    """
    dark = sigma > _DARK * np.abs(counts).max(initial=0.0)
    sigma = np.sqrt(sigma**2 + (_SHAPE_ERROR * counts) ** 2)
    scaled = residual / np.where(sigma > 0, sigma, np.inf)
    if scaled.size < 4 * _STEP_BINS:
        return float("nan"), 0.0
    total = np.concatenate([[0.0], np.cumsum(scaled)])
    mean = (total[_STEP_BINS:] - total[:-_STEP_BINS]) / _STEP_BINS
    step = (mean[_STEP_BINS:] - mean[:-_STEP_BINS]) * np.sqrt(0.5 * _STEP_BINS)
    gone = np.concatenate([[0], np.cumsum(dark)])
    step[gone[2 * _STEP_BINS :] > gone[: -2 * _STEP_BINS]] = 0.0
    # the ends of a record are often shaded
    inner = step[_STEP_BINS:-_STEP_BINS]
    if inner.size == 0:
        return float("nan"), 0.0
    at = energies[2 * _STEP_BINS :][: inner.size]
    inner = np.where(at >= _FIRST_EDGE_EV, inner, 0.0)
    place = int(np.argmax(inner)) + _STEP_BINS
    return float(energies[place + _STEP_BINS]), float(step[place])


def _background_of(bins: Bins, rest: Floats) -> Floats:
    """The smooth background that fits counts less all edges, (n,)."""
    return np.asarray(bins.basis @ (bins.basis.T @ (rest * bins.weight)) / bins.weight)


def _without_each(problem: Problem, amplitude: Floats, owner: NDArray[np.intp], n: int) -> Floats:
    """χ² of the joint fit without each of n elements, (n,).

    ``amplitude`` (n_columns,) is the fit with all, ``owner`` (n_columns,) whose a column is.
    """
    out = np.repeat(problem.chi2(amplitude[:, None]), n)
    # leaving out what has no part in the fit changes nothing
    some = np.unique(owner[amplitude > 0])
    if some.size:
        gram = np.repeat(problem.gram, some.size, axis=2)
        right = np.repeat(problem.right, some.size, axis=1)
        start = np.repeat((amplitude > 0)[:, None], some.size, axis=1)
        allowed = problem.used & (owner[:, None] != some)
        fits = non_negative_solutions(gram, right, start=start, allowed=allowed)
        out[some] = Problem(problem.total, gram, right, allowed).chi2(fits)
    return out


def _likeliest(
    joined: Mapping[str, float],
    network: Mapping[str, float],
    columns: list[Column],
    edges: Mapping[str, list[FoundEdge]],
    counts: NDArray,
    axis: EnergyAxis,
) -> Likeliest:
    """What is known of the likeliest of some elements of a record (n_energy,)."""
    middle_ev = 0.5 * (axis.start + axis.end)
    ranked = sorted(joined, key=lambda symbol: -joined[symbol])
    if not ranked:
        return Likeliest(0.0, 0.0, 0.0, 0.0, middle_ev, 0.0, None, None)
    first = ranked[0]
    clearest = edges[first][0] if edges[first] else None
    own = [column for column in columns if column.symbol == first and column.kind == "atom"]
    lowest = min(own, key=lambda column: (not column.major, column.onset_ev), default=None)
    return Likeliest(
        joined[first],
        network[first],
        joined[ranked[1]] if len(ranked) > 1 else 0.0,
        1.0 - float(np.prod([1.0 - p for p in joined.values()])),
        lowest.onset_ev if lowest else middle_ev,
        lowest.delay_ev if lowest else 0.0,
        clearest,
        window_bins(counts, axis, clearest.window) if clearest else None,
    )


def features_of(network: float, likelihood_ratio: float, edges: list[FoundEdge]) -> Floats:
    """Features of the logistic model, (n_features,); see ``FEATURES``."""
    p = min(max(network, 1e-6), 1.0 - 1e-6)
    best = max((edge.snr for edge in edges), default=0.0)
    missing = float(np.mean([edge.snr < _SEEN_SNR for edge in edges])) if edges else 0.0
    return np.array(
        [
            np.log(p / (1.0 - p)),
            np.log1p(likelihood_ratio),
            np.log1p(best),
            missing,
        ]
    )


def doubted(proof: Evidence, certainty: Callable[[str], float], threshold: float) -> Evidence:
    """The same where the axis may be another: probabilities times how certain its reading is."""
    elements = {}
    for symbol, element in proof.elements.items():
        sure = certainty(symbol)
        probability = sure * element.probability
        reason = element.reason
        if not reason and probability < threshold:
            reason = f"the axis was read this way with a probability of {sure:.2f} only"
        elements[symbol] = replace(element, probability=probability, reason=reason)
    return replace(proof, elements=elements)


def combined(features: Floats, weights: Floats) -> float:
    """Probability of the logistic model; weights (1 + n_features,), intercept first."""
    z = float(np.clip(weights[0] + features @ weights[1:], -30.0, 30.0))
    return float(1.0 / (1.0 + np.exp(-z)))


def _reason(
    element: ElementEvidence,
    symbols: list[str],
    edges: list[FoundEdge],
    threshold: float,
) -> str:
    """Why a candidate is not in the answer, in a few words."""
    if not element.edges:
        return (
            "none of its edges can be measured in this record, and the network alone "
            f"gives {element.network:.2f}"
        )
    best = element.edges[0]
    near = [
        e
        for e in edges
        if e.symbol != element.symbol
        and e.symbol in symbols
        and abs(e.onset_ev - best.onset_ev) < 15.0
        and e.snr >= best.snr
    ]
    if best.snr < _SEEN_SNR:
        return f"no step at {best.onset_ev:.0f} eV where its {best.label} lies (SNR {best.snr:.1f})"
    if element.likelihood_ratio < 4.0:
        said = f", which {near[0].label} explains" if near else ""
        return (
            f"the fit gains nothing from it (LR {element.likelihood_ratio:.1f}) at "
            f"{best.onset_ev:.0f} eV{said}"
        )
    lacking = [e for e in element.edges if e.snr < _SEEN_SNR]
    if lacking:
        return f"its {lacking[0].label} at {lacking[0].onset_ev:.0f} eV is missing"
    if element.probability >= threshold:
        return f"what rises at {best.found_ev:.0f} eV may be no edge at all"
    distance = best.found_ev - best.onset_ev
    if abs(distance) > 2.0 * spread_ev(best):
        return f"the step lies {distance:+.1f} eV from {best.label} ({best.onset_ev:.0f} eV)"
    return (
        f"network {element.network:.2f}, with the fit (LR {element.likelihood_ratio:.0f}) "
        f"{element.probability:.2f}: a fit takes any broad rise, the network knows edges' shapes"
    )
