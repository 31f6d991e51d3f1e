"""Sets of elements where one answer would not be honest: "Pr or Nd".

Elements are rivals where an edge of one lies so near to an edge of the other that a record
may hold either. Among rivals the smallest set that holds the true one with 95 % coverage is
given, in the sense of split conformal prediction (V. Vovk, A. Gammerman, G. Shafer,
Algorithmic Learning in a Random World, 2005; Y. Romano, M. Sesia, E. Candès, NeurIPS 33, 3581
(2020)): members are added, the more probable first, as long as those ahead hold no more of the
probability than those ahead of the true one did in 95 % of simulated spectra. Only sets so
probable are given that 95 % of them held a true one there, and in spectra far from those that
the network knows as well: the worst of several kinds decides, as conformal sets ask that are to
hold for other distributions than that they were calibrated on (M. Cauchois, S. Gupta, A. Ali,
J. Duchi, J. Am. Stat. Assoc. 119, 3033 (2024)).

Rivals exclude each other, so that the likeliest of the readings "none", "Pr", "Nd" may be an
element that is less probable than one half; it is then named, as the likeliest of its group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis
from coreloss.identification.judgement import judgement
from coreloss.identification.positions import RESONANCE_EV
from coreloss.identification.result import Ranges, covers

__all__ = [
    "CandidateSet",
    "candidate_sets",
    "likeliest_readings",
    "members",
    "others_of",
    "rival_groups",
    "rivals",
    "set_features",
    "weight_ahead",
]

# rivals' edges lie within this, or this share of the energy, of each other
_NEAR_EV = 8.0
_NEAR_SHARE = 0.012
# members less probable than this are not named
_LEAST = 0.03
_CERTAIN = 0.9
# of the other elements, below which it tells nothing [nats]
_LEAST_ENTROPY = 0.1


@dataclass(frozen=True)
class CandidateSet:
    """Elements of which one, at least, is there.

    Attributes
    ----------
    members : tuple of str
        The more probable first.
    weights : tuple of float
        Probability of each that it is the one; they sum to 1.
    probability : float
        That any of them is there.
    """

    members: tuple[str, ...]
    weights: tuple[float, ...]
    probability: float

    def __str__(self) -> str:
        return f"{' or '.join(self.members)} ({self.probability:.2f} together)"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "members": list(self.members),
            "weights": [round(w, 3) for w in self.weights],
            "probability": round(self.probability, 4),
        }


def rivals(
    symbols: Iterable[str], axis: EnergyAxis, gaps: Ranges = ()
) -> dict[str, frozenset[str]]:
    """For each of some elements those others that a record on this axis may take for it.

    Edges count that the record covers: main ones, or any where an element has no other there.
    """
    seen = {symbol: _shown(symbol, axis, gaps) for symbol in symbols}

    def near(one: tuple[float, str], other: tuple[float, str]) -> bool:
        reach = max(_NEAR_EV, _NEAR_SHARE * max(one[0], other[0]))
        if one[1] == other[1] == "resonance":
            reach = max(reach, RESONANCE_EV)
        return abs(one[0] - other[0]) <= reach

    return {
        a: frozenset(b for b in seen if b != a and any(near(x, y) for x in mine for y in seen[b]))
        for a, mine in seen.items()
    }


@lru_cache(maxsize=4096)
def _shown(symbol: str, axis: EnergyAxis, gaps: Ranges) -> tuple[tuple[float, str], ...]:
    """Onsets [eV] and shapes of an element's edges by which it is told on an axis."""
    covered = [edge for edge in edges_of(symbol) if covers(axis, edge, gaps)]
    used = [edge for edge in covered if edge.major] or covered
    return tuple((edge.onset_ev, edge.shape) for edge in used)


def candidate_sets(
    probabilities: Mapping[str, float],
    groups: Sequence[Sequence[str]],
    threshold: float,
    *,
    weight: float | None = None,
    least: float | None = None,
) -> tuple[CandidateSet, ...]:
    """Groups of rivals of which one is there, but which one is open.

    Parameters
    ----------
    probabilities : mapping of str to float
    groups : sequence of sequence of str
        Rivals, as of `rival_groups`.
    threshold : float
        Joint probability below which no set is given.
    weight, least : float, optional
        Share of the probability that those ahead of a member may hold, and joint probability
        from which sets cover the truth often enough; the calibrated ones without.
    """
    share = float(judgement()["set_weight"]) if weight is None else weight
    threshold = max(threshold, float(judgement()["set_probability"]) if least is None else least)
    out = []
    for group in groups:
        value = np.array([probabilities[s] for s in group])
        number = members(value, share)
        if number > 1:
            made = _set_of(group[:number], value[:number], others_of(probabilities, group))
            if made.probability >= threshold:
                out.append(made)
    return tuple(out)


def others_of(probabilities: Mapping[str, float], group: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities of the elements that are not in a group."""
    return np.array([p for symbol, p in probabilities.items() if symbol not in group])


def _set_of(
    group: Sequence[str], values: NDArray[np.float64], others: NDArray[np.float64]
) -> CandidateSet:
    """The set of some rivals, with the calibrated probability that any of them is there."""
    intercept, *slopes = judgement()["set_joint"]
    logit = intercept + float(np.dot(slopes, set_features(values, others)))
    weights = tuple(float(w) for w in values / values.sum())
    return CandidateSet(tuple(group), weights, float(1.0 / (1.0 + np.exp(-logit))))


def likeliest_readings(
    probabilities: Mapping[str, float],
    groups: Sequence[Sequence[str]],
    threshold: float,
) -> tuple[CandidateSet, ...]:
    """Groups of rivals none of which is found, yet the first is more probable than none at all.

    Parameters as in `candidate_sets`; ``threshold`` is the one from which elements are found.
    """
    out = []
    for group in groups:
        value = np.array([probabilities[s] for s in group])
        if value[0] < threshold:
            made = _set_of(group, value, others_of(probabilities, group))
            if value[0] > 1.0 - made.probability:
                out.append(made)
    return tuple(out)


def members(values: NDArray[np.float64], share: float) -> int:
    """How many of a group, (n,) descending, a set holds."""
    return int((weight_ahead(values) <= share).sum())


def set_features(values: NDArray[np.float64], others: NDArray[np.float64]) -> list[float]:
    """What tells how probable it is that any member of a set is there, (3,).

    Log odds were each member its own matter, and were they exclusive; and the logarithm of the
    entropy of the elements outside its group: where much else is open the network is on ground it
    does not know, and its odds mean less.
    """
    alone = float(np.clip(1.0 - np.prod(1.0 - values), 1e-4, 1.0 - 1e-4))
    exclusive = float(np.clip(values.sum(), 1e-4, 1.0 - 1e-4))
    p = np.clip(others, 1e-9, 1.0 - 1e-9)
    entropy = float(-(p * np.log(p) + (1.0 - p) * np.log1p(-p)).sum())
    odds = [float(np.log(p / (1.0 - p))) for p in (alone, exclusive)]
    return [*odds, float(np.log(entropy + _LEAST_ENTROPY))]


def weight_ahead(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the probability held by the members ahead of each, (n,); descending values."""
    return np.asarray((np.cumsum(values) - values) / values.sum())


def rival_groups(
    probabilities: Mapping[str, float],
    judged: frozenset[str],
    axis: EnergyAxis,
    gaps: Ranges = (),
) -> list[list[str]]:
    """Elements that are possible and rival with the most probable of their group.

    A group has two members or more, the more probable first, and no element is in two.
    Nothing is open about an element that is almost certain.
    """
    possible = [s for s in judged if _LEAST <= probabilities[s] < _CERTAIN]
    if len(possible) < 2:
        return []
    table = rivals(possible, axis, gaps)
    left = sorted(possible, key=lambda s: (-probabilities[s], s))
    out = []
    while left:
        leader = left.pop(0)
        group = [leader, *(s for s in left if s in table[leader])]
        if len(group) == 1:
            continue
        left = [s for s in left if s not in group]
        out.append(group)
    return out
