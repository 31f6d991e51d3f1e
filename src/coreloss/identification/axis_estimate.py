"""What is said about an energy axis, and how sure it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.identification.positions import FoundEdge

__all__ = ["AxisEstimate", "Reading", "by_zero_loss", "moved", "one_edge_wrong"]

Floats = NDArray[np.float64]

#: a correction smaller than this many standard errors, or electronvolts, is none
SIGNIFICANT, LEAST_CORRECTION_EV = 2.5, 2.0
#: farther than any chemistry moves an edge [eV]
BEYOND_CHEMISTRY_EV = 12.0
#: how far wrong axes of public records are off [eV]
PRIOR_SHIFT_EV = 20.0
# of public records, by more than 3 eV
_WRONG_SHARE = 0.4


def moved(axis: EnergyAxis, shift_ev: float, stretch: float) -> EnergyAxis:
    middle = axis.offset + 0.5 * (axis.size - 1) * axis.dispersion
    return axis.corrected(middle * (1.0 - stretch) + shift_ev, stretch)


@dataclass(frozen=True)
class Reading:
    """A record read under one axis.

    Attributes
    ----------
    shift_ev : float [eV]
        True less recorded energy in the middle of the record.
    stretch : float
        True over recorded dispersion.
    error_ev : float [eV]
        Standard error of the shift.
    elements : tuple of str
        Seen there by the network.
    edges : tuple of FoundEdge
        On the axis of this reading before its shift was refined by them.
    used : tuple of str
        Labels of the edges that say so.
    features : ndarray
        What the choice between readings is made by.
    probability : float
        That this is the right one of the readings.
    """

    shift_ev: float
    stretch: float
    error_ev: float
    elements: tuple[str, ...]
    edges: tuple[FoundEdge, ...] = field(repr=False)
    used: tuple[str, ...]
    features: Floats = field(repr=False)
    probability: float = 0.0


@dataclass(frozen=True)
class AxisEstimate:
    """What is said about an energy axis.

    Attributes
    ----------
    mode : str
        'auto', 'as-recorded' or 'given'.
    shift_ev : float [eV]
        Correction applied in the middle of the record: true less recorded energy.
    stretch : float
        Correction applied: true over recorded dispersion.
    measured_ev, error_ev : float [eV]
        Shift measured and its standard error, applied or not; NaN where no edge tells.
    probability : float
        Of the reading taken.
    evidence : tuple of str
        The edges that say so.
    alternatives : tuple of Reading
        Other readings that are possible, the more probable first.
    """

    mode: str
    shift_ev: float
    stretch: float
    measured_ev: float
    error_ev: float
    probability: float
    evidence: tuple[str, ...] = ()
    alternatives: tuple[Reading, ...] = ()

    @property
    def corrected(self) -> bool:
        """Whether the axis was changed."""
        return self.shift_ev != 0.0 or self.stretch != 1.0

    def applied(self, axis: EnergyAxis) -> EnergyAxis:
        """The corrected axis."""
        return moved(axis, self.shift_ev, self.stretch) if self.corrected else axis

    @property
    def by_one_edge(self) -> bool:
        """Whether a single edge, and no zero-loss peak, changed the axis."""
        found = len(self.evidence) == 1 and len(self.symbols) == 1
        return self.mode == "auto" and self.corrected and found

    def certainty(self, symbol: str) -> float:
        """Probability of the readings that show an element, of which this is the likeliest.

        1 where nothing was corrected: an element where the record has it needs no reading.
        """
        if self.mode != "auto" or not self.corrected or not np.isfinite(self.probability):
            return 1.0
        others = sum(r.probability for r in self.alternatives if symbol in r.elements)
        return min(1.0, self.probability + others)

    @property
    def symbols(self) -> frozenset[str]:
        """Elements whose edges are its evidence; a zero-loss peak is of none."""
        return frozenset(label.split()[0] for label in self.evidence if label[0].isupper())

    def without(self, symbols: Collection[str]) -> AxisEstimate:
        """The same less the edges of elements that in the end hardly seem to be there.

        A correction stays as it was made. Where no edge is left, none tells of the axis.
        """
        kept = tuple(label for label in self.evidence if label.split()[0] not in symbols)
        if self.corrected or kept == self.evidence:
            return self
        if not kept:
            return replace(self, evidence=(), measured_ev=float("nan"), error_ev=float("nan"))
        return replace(self, evidence=kept)

    def withdrawn(self) -> AxisEstimate:
        """The axis as recorded, after a correction by edges that in the end are not there."""
        nothing = float("nan")
        return AxisEstimate("auto", 0.0, 1.0, nothing, nothing, nothing)

    def brief(self) -> str:
        """What was done to the axis, for pictures; empty where nothing was."""
        if not self.corrected:
            return ""
        if self.mode == "given":
            return f"axis moved by {self.shift_ev:+.4g} eV as asked"
        way = "low" if self.shift_ev > 0 else "high"
        text = f"axis read {abs(self.shift_ev):.1f} ± {self.error_ev:.1f} eV {way}"
        if abs(self.stretch - 1.0) >= 5e-4:
            text += f", dispersion {1 / self.stretch - 1:+.1%}"
        return f"{text}; corrected"

    def sentence(self) -> str:
        """What was found and done, in one sentence."""
        if self.mode == "as-recorded":
            return "the axis was taken as recorded"
        if self.mode == "given":
            return f"the axis was moved by {self.shift_ev:+.4g} eV as asked"
        if self.corrected:
            way = "low" if self.shift_ev > 0 else "high"
            text = f"the axis reads {abs(self.shift_ev):.1f} ± {self.error_ev:.1f} eV {way}"
            if self.stretch != 1.0:
                text += f" in its middle and its dispersion is off by {1 / self.stretch - 1:+.1%}"
            said = ", ".join(self.evidence)
            if self.by_one_edge and abs(self.shift_ev) >= BEYOND_CHEMISTRY_EV:
                said += " alone, farther off than chemistry moves an edge"
            text += f" ({said}); corrected"
        elif self.undecided:
            way = "below" if self.measured_ev > 0 else "above"
            text = (
                f"{self.evidence[0]} lies {abs(self.measured_ev):.1f} ± {self.error_ev:.1f} eV "
                f"{way} its place, but one edge cannot tell whether the axis is wrong "
                f"({_odds(self.measured_ev, self.error_ev)}); taken as recorded"
            )
        elif abs(self.measured_ev) >= LEAST_CORRECTION_EV:
            way = "low" if self.measured_ev > 0 else "high"
            text = (
                f"the axis may read {abs(self.measured_ev):.1f} ± {self.error_ev:.1f} eV {way} "
                f"({', '.join(self.evidence)}), which is not sure enough; taken as recorded"
            )
        elif np.isfinite(self.measured_ev):
            text = f"the axis agrees with {', '.join(self.evidence)}"
            text += f" ({-self.measured_ev:+.1f} ± {self.error_ev:.1f} eV); taken as recorded"
        else:
            text = "no edge tells whether the axis is right; taken as recorded"
        for other in self.alternatives:
            way = "low" if other.shift_ev > 0 else "high"
            text += (
                f"; also possible ({100 * other.probability:.0f} %): {' '.join(other.elements)}, "
                f"the axis reading {abs(other.shift_ev):.0f} eV {way}"
            )
        return text

    @property
    def undecided(self) -> bool:
        """Whether an edge lies off its place and yet nothing was corrected."""
        off = abs(self.measured_ev) >= max(LEAST_CORRECTION_EV, SIGNIFICANT * self.error_ev)
        return self.mode == "auto" and not self.corrected and bool(off)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; ``one_edge_wrong`` where one edge off its place cannot tell."""

        def number(value: float, digits: int) -> float | None:
            return round(value, digits) if np.isfinite(value) else None

        return {
            "mode": self.mode,
            "shift_ev": round(self.shift_ev, 2),
            "stretch": round(self.stretch, 5),
            "measured_ev": number(self.measured_ev, 2),
            "error_ev": number(self.error_ev, 2),
            "probability": number(self.probability, 3),
            "evidence": list(self.evidence),
            **(
                {"one_edge_wrong": round(one_edge_wrong(self.measured_ev, self.error_ev), 3)}
                if self.undecided
                else {}
            ),
            "alternatives": [
                {
                    "shift_ev": round(other.shift_ev, 1),
                    "stretch": round(other.stretch, 4),
                    "elements": list(other.elements),
                    "probability": round(other.probability, 3),
                }
                for other in self.alternatives
            ],
            "sentence": self.sentence(),
        }


def by_zero_loss(place_ev: float, dispersion_ev: float) -> AxisEstimate:
    """The axis of a record that holds its zero-loss peak, which tells more than any edge.

    Parameters
    ----------
    place_ev : float [eV]
        Of the peak, as recorded.
    dispersion_ev : float [eV]
        Of a channel, which is taken for the error.
    """
    off = abs(place_ev) >= max(LEAST_CORRECTION_EV, SIGNIFICANT * dispersion_ev)
    said = (f"zero-loss peak at {place_ev + 0.0:.1f} eV",)
    shift = -place_ev if off else 0.0
    return AxisEstimate("auto", shift, 1.0, -place_ev, dispersion_ev, 1.0, said)


def one_edge_wrong(measured_ev: float, error_ev: float) -> float:
    """Probability that an axis is wrong of which one edge off its place is all that is known.

    Bayes' theorem with the share of public records whose axis is wrong and how far those are;
    an edge on a right axis is off as far as its error says, in Student's t of 4 degrees, for
    chemistry moves some farther.
    """
    wide = float(np.hypot(error_ev, PRIOR_SHIFT_EV))
    wrong = _WRONG_SHARE * np.exp(-0.5 * (measured_ev / wide) ** 2) / (np.sqrt(2.0 * np.pi) * wide)
    right = (1.0 - _WRONG_SHARE) * 0.375 / error_ev
    right *= (1.0 + (measured_ev / error_ev) ** 2 / 4.0) ** -2.5
    return float(wrong / (wrong + right))


def _odds(measured_ev: float, error_ev: float) -> str:
    """Both readings of one edge, the likelier first."""
    wrong = one_edge_wrong(measured_ev, error_ev)
    way = "low" if measured_ev > 0 else "high"
    both = [
        (wrong, f"the axis reads {abs(measured_ev):.1f} eV {way}: {100 * wrong:.0f} %"),
        (1.0 - wrong, f"it is right and the edge lies there: {100 * (1.0 - wrong):.0f} %"),
    ]
    return ", ".join(text for _, text in sorted(both, reverse=True))
