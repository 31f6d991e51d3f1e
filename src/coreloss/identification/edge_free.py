"""Whether a record shows any edge at all.

Networks take what a detector does, steps of gain above all, for edges. Here a smooth
background with the likely elements' edges competes with the same background and one step of
gain; what edges explain beside such a step is asked, and how well all this describes the
record; where the likeliest element's clearest edge was looked for, the same with a step that
smoothing made a ramp. Asked as well is what that edge is like and where it lies, whether another is
likely beside it, how likely any is (neighbours share their probability), and what limits the
record: few counts make edges faint, a detector's pattern makes them up. Boosted trees fitted on
simulated records with and without edges (``data/edge_trees.npz``) give the probability that an edge
is there: a faint giant resonance and a step of gain are told apart by several of these together,
not by any sum of them. Where it is below ``SHOWN`` no element is named, or below what `least_edge`
has for another threshold than the model's own; probabilities stay as they are, calibrated on
records as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreloss.identification.boosted import BoostedTrees
from coreloss.identification.physics import Bins, Column, designs, problem_of, solutions
from coreloss.identification.positions import FoundEdge

__all__ = [
    "EDGE_FEATURES",
    "FOR_EDGES",
    "SEARCHED",
    "SHOWN",
    "Likeliest",
    "edge_features",
    "edge_probability",
    "least_edge",
    "smoothed_step",
    "step_of_gain",
]

Floats = NDArray[np.float64]

#: Network probability from which an element takes part.
LIKELY = 0.1
#: Probability of any edge from which elements are named, at the model's own threshold.
SHOWN = 0.5
#: The same where an edge alone, sought under many axes, moved the axis: of 7,500 backgrounds six
#: then have an element by the search, of 99 right answers on corrected axes two or so are lost.
SEARCHED = 0.95
EDGE_FEATURES = (
    "log odds of the likeliest element",
    "the same of the network alone",
    "log odds of the second likeliest element",
    "log odds of any element",
    "edges beside a step of gain",
    "edges against a step of gain",
    "edge against a smoothed step where it lies",
    "edge against no edge where it lies",
    "log misfit of a smoothed step there",
    "log misfit of the edge there",
    "log misfit",
    "the strongest step that edges leave",
    "log channels",
    "log energy of the first channel",
    "place of the likeliest element's first edge in the record",
    "how late its maximum comes",
    "log jump ratio of its clearest edge",
    "log share of the noise beside a detector's pattern",
)
#: Those that never make an edge less probable.
FOR_EDGES = EDGE_FEATURES[:8]
# relative size of a detector's fixed pattern
_PATTERN = 0.012
# jump ratios beyond which none is told from the next
_LEAST_JUMP, _MOST_JUMP = 1e-3, 20.0
# bins over which a step of gain rises
_RAMPS = (1, 2, 3, 5)
# common shifts of the axis under which edges may explain a record [eV]
_SHIFTS_EV = np.array([-8.0, -4.0, 0.0, 4.0, 8.0])


@dataclass(frozen=True)
class Likeliest:
    """What is known of the likeliest element of a record.

    Attributes
    ----------
    probability, network, second : float
        Its own, what the network alone gives it, and that of the second likeliest; 0 where
        there is none.
    any : float
        That any element is there: neighbours that share a probability are together more sure.
    onset_ev, delay_ev : float [eV]
        Of the lowest of its main edges in the record, and how far behind the maximum lies; of
        any, where none of them is there.
    clearest : FoundEdge or None
        Its clearest edge; None where none can be measured.
    bins : Bins or None
        The part of the record in which that was looked for.
    """

    probability: float
    network: float
    second: float
    any: float
    onset_ev: float
    delay_ev: float
    clearest: FoundEdge | None
    bins: Bins | None


def edge_features(
    bins: Bins, columns: Sequence[Column], likeliest: Likeliest, strongest_rest: float
) -> Floats:
    """Features of the trees, (n_features,); see ``EDGE_FEATURES``.

    None hangs on the unit of the counts.

    Parameters
    ----------
    bins : Bins
    columns : sequence of Column
        Of the elements with a network probability of ``LIKELY`` or more.
    likeliest : Likeliest
    strongest_rest : float
        Standard errors of the strongest step in what the joint fit leaves.
    """
    number = bins.counts.size
    step = step_of_gain(bins)
    height = float(step @ bins.rest)
    # the edges under their best common shift, and the same beside the step
    design = designs(bins, columns, _SHIFTS_EV, np.ones_like(_SHIFTS_EV))
    plain = problem_of(bins, design)
    beside = plain.beside((design @ step).T, height)
    step_alone = beside.total
    edges, both = (float(fits.chi2.min()) for fits in solutions([plain, beside]))
    unit, unit_both = max(1.0, edges / number), max(1.0, both / number)
    noise, level = float(np.median(bins.noise)), float(np.median(np.abs(bins.counts)))
    first, last = float(bins.energies[0]), float(bins.energies[-1])
    edge = likeliest.clearest
    jump = edge.jump_ratio if edge and np.isfinite(edge.jump_ratio) else _MOST_JUMP
    return np.array(
        [
            _log_odds(likeliest.probability, 1e-6),
            _log_odds(likeliest.network, 1e-3),
            _log_odds(likeliest.second, 1e-2),
            _log_odds(likeliest.any, 1e-6),
            np.log1p(max(step_alone - both, 0.0) / unit_both),
            np.arcsinh((step_alone - edges) / unit),
            *_where_it_lies(likeliest),
            np.log(edges / number + 0.05),
            strongest_rest,
            np.log(number),
            np.log(max(first, 1.0)),
            (likeliest.onset_ev - first) / (last - first),
            likeliest.delay_ev,
            np.log(min(max(jump, _LEAST_JUMP), _MOST_JUMP)),
            np.log(noise / max(noise + (_PATTERN * level) ** 2, 1e-30) + 1e-6),
        ]
    )


def least_edge(threshold: float, usual: float, *, searched: bool = False) -> float:
    """Probability of any edge from which elements are named at a threshold.

    Who asks for less certain elements asks for less certain edges: what is asked has odds as
    many times those of ``SHOWN`` as the threshold's are those of the model's ``usual`` one.
    An edge that was ``searched`` for under many axes, and moved the axis alone, is to be surer:
    `SEARCHED`.
    """
    shown = SEARCHED if searched else SHOWN
    odds = threshold / (1.0 - threshold) * (1.0 - usual) / usual * shown / (1.0 - shown)
    return odds / (1.0 + odds)


def _log_odds(probability: float, least: float) -> float:
    p = min(max(probability, least), 1.0 - least)
    return float(np.log(p / (1.0 - p)))


def step_of_gain(bins: Bins) -> Floats:
    """The weighted step of gain that explains most of a record, (n,).

    From one channel on, the smooth part is multiplied by a constant; every channel is tried.
    Of unit length and orthogonal to the background; zero where no step can be told from it.
    """
    weighted = bins.basis @ (bins.basis.T @ (bins.counts * bins.weight))

    def beyond(values: Floats) -> Floats:
        return np.cumsum(values[::-1], axis=0)[::-1]

    along = beyond(bins.basis * weighted[:, None])
    length = beyond(weighted * weighted) - np.einsum("nk,nk->n", along, along)
    # the first and last channels are background themselves
    good = length > 1e-6 * float(weighted @ weighted)
    good[:2] = good[-2:] = False
    if not good.any():
        return np.zeros_like(weighted)
    match = np.where(good, beyond(weighted * bins.rest) ** 2 / np.where(good, length, 1.0), 0.0)
    place = int(np.argmax(match))
    step = np.where(np.arange(weighted.size) >= place, weighted, 0.0)
    step = step - bins.basis @ (bins.basis.T @ step)
    return np.asarray(step / np.linalg.norm(step))


def _where_it_lies(likeliest: Likeliest) -> tuple[float, float, float, float]:
    """What a smoothed step explains about the clearest edge, and what the edge does."""
    edge, bins = likeliest.clearest, likeliest.bins
    if edge is None or bins is None:
        return 0.0, 0.0, 0.0, 0.0
    number, bare = bins.counts.size, float(bins.rest @ bins.rest)
    step = bare - smoothed_step(bins)
    unit = max(1.0, edge.chi2 / number)
    return (
        float(np.arcsinh((step - edge.chi2) / unit)),
        float(np.arcsinh((bare - edge.chi2) / unit)),
        float(np.log(step / number + 0.05)),
        float(np.log(edge.chi2 / number + 0.05)),
    )


def smoothed_step(bins: Bins) -> float:
    """By how much the step of gain that explains most, smoothed or not, lowers χ².

    Smoothing over some channels makes a ramp of a step; both go with the smooth part.
    """
    weighted = bins.basis @ (bins.basis.T @ (bins.counts * bins.weight))

    def beyond(values: Floats) -> Floats:
        return np.cumsum(values[::-1], axis=0)[::-1]

    along, square = beyond(bins.basis * weighted[:, None]), beyond(weighted * weighted)
    height = beyond(weighted * bins.rest)
    most = 0.0
    for width in _RAMPS:
        number = weighted.size - width + 1
        held, length = np.zeros(number), np.zeros(number)
        part = np.zeros((number, along.shape[1]))
        # a ramp is the mean of the steps in it; two steps overlap beyond the later one
        for k in range(width):
            here = slice(k, k + number)
            held = held + height[here] / width
            part = part + along[here] / width
            length = length + square[here] * (2 * k + 1) / width**2
        length = length - np.einsum("nk,nk->n", part, part)
        good = length > 1e-6 * float(weighted @ weighted)
        good[:2] = good[-2:] = False
        if good.any():
            most = max(most, float((held[good] ** 2 / length[good]).max()))
    return most


def edge_probability(features: Floats, trees: BoostedTrees) -> float:
    """That an edge is there."""
    return float(1.0 / (1.0 + np.exp(-trees.log_odds(features))))
