"""What an identification says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import Edge, edges_of
from coreloss.energy import EnergyAxis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from coreloss.identification.axis_estimate import AxisEstimate
    from coreloss.identification.candidates import CandidateSet
    from coreloss.identification.evidence import Evidence

__all__ = [
    "Identification",
    "Ranges",
    "bridged",
    "covers",
    "covers_any",
    "gaps_of",
    "mended",
    "unrecorded_said",
]

Ranges = tuple[tuple[float, float], ...]

# behind an onset, by which a delayed edge has risen [eV]
_DELAY_EV = 20.0


@dataclass(frozen=True, eq=False)  # arrays have no single truth of being equal
class Identification:
    """The elements of one spectrum.

    Attributes
    ----------
    probabilities : dict of str to float
        Calibrated probability that each element is present with an edge in the record.
    threshold : float
        From which an element counts as found.
    model : str
        Name and version.
    axis : EnergyAxis
        Of the recorded channels: NaN at the ends of the record is cut off.
    counts : ndarray, (n_energy,)
        The spectrum that was judged, on ``axis``.
    judged : frozenset of str
        Elements with at least one edge inside the record, and in none of its gaps; of the others
        nothing is said.
    notes : tuple of str
        What was done to the record.
    axis_estimate : AxisEstimate, optional
        What is said about the energy axis, and its correction; ``axis`` is the corrected one.
    evidence : Evidence, optional
        Every edge of the candidates, where it was asked for.
    sets : tuple of CandidateSet
        Rivals of which one is there: "Pr or Nd".
    open : tuple of CandidateSet
        Rivals below the threshold, of which the first is more probable than that none is there;
        it counts as found.
    abstained : str
        Why nothing is said of this record; empty where something is.
    """

    probabilities: dict[str, float]
    threshold: float
    model: str
    axis: EnergyAxis
    counts: NDArray[np.float64] = field(repr=False)
    judged: frozenset[str] = field(repr=False)
    notes: tuple[str, ...] = ()
    axis_estimate: AxisEstimate | None = None
    evidence: Evidence | None = field(default=None, repr=False)
    sets: tuple[CandidateSet, ...] = ()
    open: tuple[CandidateSet, ...] = ()
    abstained: str = ""

    @property
    def found(self) -> tuple[str, ...]:
        """Symbols of the elements judged present, most probable first.

        None where the evidence says that the record hardly shows an edge at all.
        """
        likeliest = {group.members[0] for group in self.open}
        if self.evidence is not None and not self.evidence.shows_edge:
            return ()
        present = [
            s
            for s, p in self.probabilities.items()
            if s in self.judged and (p >= self.threshold or s in likeliest)
        ]
        return tuple(sorted(present, key=lambda s: -self.probabilities[s]))

    @property
    def absent(self) -> tuple[str, ...]:
        """Symbols judged absent."""
        found = set(self.found)
        return tuple(s for s in self.probabilities if s in self.judged and s not in found)

    @property
    def not_judged(self) -> tuple[str, ...]:
        """Symbols that have no edge inside the record."""
        return tuple(s for s in self.probabilities if s not in self.judged)

    @property
    def gaps(self) -> Ranges:
        """Wider ranges [eV] inside the record in which nothing was recorded."""
        return gaps_of(np.isfinite(self.counts), self.axis)

    def edges(self, symbol: str) -> list[dict[str, Any]]:
        """The edges of an element inside the record, majors first, as plain dicts.

        ``covered`` tells whether the record shows the edge: some channels before its onset,
        and some after, and no gap there.
        """
        inside = [e for e in edges_of(symbol) if self.axis.start <= e.onset_ev <= self.axis.end]
        return [
            {
                "label": edge.label,
                "onset_ev": edge.onset_ev,
                "major": edge.major,
                "shape": edge.shape,
                "covered": covers(self.axis, edge, self.gaps),
            }
            for edge in sorted(inside, key=lambda e: (not e.major, e.onset_ev))
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the counts, for JSON."""
        likeliest = {group.members[0]: list(group.members) for group in self.open}
        out: dict[str, Any] = {
            "elements": [
                {
                    "symbol": symbol,
                    "probability": round(self.probabilities[symbol], 4),
                    "edges": self.edges(symbol),
                    **({"likeliest_of": likeliest[symbol]} if symbol in likeliest else {}),
                }
                for symbol in self.found
            ],
            "probabilities": {s: round(p, 4) for s, p in self.probabilities.items()},
            "not_judged": list(self.not_judged),
            "threshold": self.threshold,
            "model": self.model,
            "range_ev": [round(self.axis.start, 2), round(self.axis.end, 2)],
            "notes": list(self.notes),
            "sets": [group.to_dict() for group in self.sets],
            "abstained": self.abstained or None,
        }
        if self.axis_estimate is not None:
            out["axis"] = self.axis_estimate.to_dict()
        if self.evidence is not None:
            out["evidence"] = [self.evidence.elements[s].to_dict() for s in self.evidence.elements]
            out["edge_probability"] = round(self.evidence.edge, 4)
        return out

    def table(self) -> str:
        """A short text table: the elements found, then the nearest of those not."""
        if self.abstained:
            return f"  no answer: {self.abstained}"
        lines = []
        rivals = {group.members[0]: group.members[1:] for group in self.open}
        if self.found:
            for symbol in self.found:
                covered = [e for e in self.edges(symbol) if e["covered"]]
                names = ", ".join(
                    f"{e['label'].split()[1]} {e['onset_ev']:.0f}" for e in covered[:5]
                )
                instead = " or ".join(rivals.get(symbol, ()))
                lines.append(
                    f"  {symbol:<3} {100 * self.probabilities[symbol]:5.1f} %   {names} eV"
                    + (f"; could be {instead} instead" if instead else "")
                )
        else:
            lines.append(f"  no element found: {self._nothing_else()}")
        for group in self.sets:
            weights = zip(group.members, group.weights, strict=True)
            said = ", ".join(f"{s} {100 * w:.0f} %" for s, w in weights)
            lines.append(f"  {group}, of this {said}")
        rest = sorted(self.absent, key=lambda s: -self.probabilities[s])
        near = [s for s in rest if self.probabilities[s] >= 0.1][:4]
        if near:
            said = ", ".join(f"{s} {100 * self.probabilities[s]:.0f} %" for s in near)
            # above the threshold, too, where the record hardly shows an edge of any element
            where = (
                "if there is an edge at all"
                if self.probabilities[near[0]] >= self.threshold
                else f"below the threshold of {100 * self.threshold:.3g} %"
            )
            lines.append(f"  possible, {where}: {said}")
        if self.not_judged:
            shown = " ".join(self.not_judged[:12])
            more = " …" if len(self.not_judged) > 12 else ""
            where = "in range" if not self.gaps else "in range and outside the gaps"
            lines.append(f"  no edge {where}, not judged: {shown}{more}")
        return "\n".join(lines)

    def _nothing_else(self) -> str:
        """What a record shows of which no element is found."""
        if self.evidence is not None and self.evidence.unexplained(()):
            return "the clearest step in this record belongs to none of those that it could show"
        return "no edge of one stands out in this record"

    def explain(self) -> str:
        """Every edge of the elements found and why others were rejected, as text.

        Raises ValueError where the identification was made without evidence.
        """
        if self.abstained:
            return f"  no answer: {self.abstained}"
        if self.evidence is None:
            raise ValueError("identified without evidence; identify with evidence=True")
        text = self.evidence.text(self.found)
        if self.axis_estimate is not None and self.axis_estimate.corrected:
            return f"  energies are those of the corrected axis\n{text}"
        return text

    def fitted(self) -> Evidence:
        """The joint fit of background and the elements found, and of nothing else.

        Where candidates were rejected `evidence` has their part in the fit as well, which may
        be large: what a broad edge explains a background could. Raises ValueError where the
        identification was made without evidence.
        """
        from coreloss.identification.evidence import gather

        if self.evidence is None:
            raise ValueError("identified without evidence; identify with evidence=True")
        candidates = self.evidence.elements
        if set(candidates) == set(self.found):
            return self.evidence
        network = dict.fromkeys(self.probabilities, 0.0)
        network |= {s: candidates[s].network for s in self.found if s in candidates}
        counts = mended(self.counts, self.axis)
        return gather(counts, self.axis, network, self.judged, self.threshold)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """The spectrum with its edges, and a periodic table; see `coreloss.plot.identification`."""
        from coreloss.plot import identification

        return identification(self, path)


def bridged(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """One spectrum (n_energy,) with straight lines over its gaps."""
    good = np.isfinite(counts)
    if good.all():
        return counts
    places = np.arange(counts.size)
    return np.asarray(np.interp(places, places[good], counts[good]))


def mended(counts: NDArray[np.float64], axis: EnergyAxis) -> NDArray[np.float64]:
    """One spectrum (n_energy,) with straight lines over dead channels; NaN is left in its gaps."""
    out = bridged(counts)
    for start, end in gaps_of(np.isfinite(counts), axis):
        first, last = (round((e - axis.start) / axis.dispersion) for e in (start, end))
        out = np.where((np.arange(out.size) < first) | (np.arange(out.size) >= last), out, np.nan)
    return out


def gaps_of(recorded: NDArray[np.bool_], axis: EnergyAxis) -> Ranges:
    """Ranges [eV] within a record that no channel (n_energy,) recorded.

    Those left out are no wider than what `covers` asks for around an onset: dead channels are
    bridged, and an edge shows nevertheless.
    """
    steps = np.diff(np.concatenate([[True], recorded, [True]]).astype(int))
    return tuple(
        (float(axis.start + first * axis.dispersion), float(axis.start + end * axis.dispersion))
        for first, end in zip(np.nonzero(steps < 0)[0], np.nonzero(steps > 0)[0], strict=True)
        if (end - first) * axis.dispersion > 2.0 * _margin(axis)
    )


def unrecorded_said(gap: tuple[float, float]) -> str:
    """What is said of a gap [eV]."""
    return f"nothing was recorded from {gap[0]:.0f} to {gap[1]:.0f} eV; edges there are not judged"


def covers(axis: EnergyAxis, edge: Edge, gaps: Ranges = ()) -> bool:
    """Whether a record shows an edge: some of it before the onset, and some after.

    What rises slowly must be recorded farther behind its onset. ``gaps`` as of `gaps_of`.
    """
    margin = _margin(axis)
    behind = edge.onset_ev + (margin if edge.shape in ("sharp", "white_lines") else _DELAY_EV)
    return axis.start + margin <= edge.onset_ev <= axis.end - margin and not any(
        start < behind and edge.onset_ev - margin < end for start, end in gaps
    )


def covers_any(edges: Sequence[Edge], axis: EnergyAxis, gaps: Ranges = ()) -> bool:
    """Whether a record shows any edge of an element; its main ones where they are not beyond it.

    A gap that hides these leaves steps at its ends, which lesser edges do not tell from an edge.
    """
    covered = [edge for edge in edges if covers(axis, edge)]
    main = [edge for edge in covered if edge.major] or covered
    return any(covers(axis, edge, gaps) for edge in main)


def _margin(axis: EnergyAxis) -> float:
    return max(3.0, 2.0 * axis.dispersion)
