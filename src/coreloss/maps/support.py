"""Whether a sum of spectra bears an element out, by network and fit together.

Single spectra of an image are noisy, and what the network mistakes in one (Co for Ba, whose edges
lie 2 eV apart) it mistakes in all like it, so that the wrong map is as coherent as the right one.
In the sum of the spectra beside those (`coreloss.maps.neighbours`) the noise is gone: there the
network is asked again, and the joint fit of all candidates says whether the element explains
anything that the others do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from coreloss.identification import Identification
from coreloss.identification.evidence import gather
from coreloss.identification.result import bridged

__all__ = ["BORNE_OUT", "SIGNIFICANT", "Proof", "Support"]

#: 2 Δ ln L from which an element counts as significant: three standard errors.
SIGNIFICANT = 9.0
#: The same significance for the three shapes that an edge has in the evidence's fit: step, plural
#: scattering and near-edge structure.
BORNE_OUT = 14.2


@dataclass(frozen=True)
class Support:
    """What a summed spectrum says of an element.

    Attributes
    ----------
    network : float
        The network's probability.
    probability : float
        Of network and fit together.
    likelihood_ratio : float
        Drop of χ² that the element brings to the joint fit of those found, the model's own
        errors counted as noise; see `coreloss.identification.evidence.ElementEvidence`.
    found : bool
        The network finds the element, network and fit together still do, and the fit gains
        significantly by it.
    """

    network: float = 0.0
    probability: float = 0.0
    likelihood_ratio: float = 0.0
    found: bool = False

    def reason(self, where: str) -> str:
        """Why the element is not found, for the table."""
        if self.likelihood_ratio < BORNE_OUT:
            return f"the fit of {where} gains too little by it (LR {self.likelihood_ratio:.1f})"
        return f"{where} does not show it (probability {self.probability:.2f})"


@dataclass(frozen=True)
class Proof:
    """An identification of a summed spectrum, and what the fit says among those found.

    Attributes
    ----------
    result : Identification
        With evidence.
    likelihood_ratios : dict of str to float
        Of the elements that the network holds at least half as likely as it takes to find one.
        The less likely ones, which the evidence counts among the rivals, are left out of the
        fit: a wrong one may explain what a right one does. For the same reason an element that
        is found, and seems to bring nothing, is judged among those alone that are at least half
        as likely as itself.
    """

    result: Identification
    likelihood_ratios: dict[str, float]

    @classmethod
    def of(cls, result: Identification) -> Proof:
        """Of an identification with evidence."""
        if result.evidence is None:
            return cls(result, {})
        likely = {s: e.network for s, e in result.evidence.elements.items()}
        counts = bridged(result.counts)

        def ratios(least: float) -> dict[str, float]:
            network = dict.fromkeys(result.probabilities, 0.0)
            network |= {s: p for s, p in likely.items() if p >= least}
            found = gather(counts, result.axis, network, result.judged, result.threshold)
            return {s: e.likelihood_ratio for s, e in found.elements.items()}

        out = ratios(0.5 * result.threshold)
        for symbol in [s for s, ratio in out.items() if ratio < BORNE_OUT]:
            if likely.get(symbol, 0.0) >= result.threshold:
                among = ratios(0.5 * likely[symbol])
                out[symbol] = max(out[symbol], among.get(symbol, 0.0))
        return cls(result, out)

    def support(self, symbol: str) -> Support:
        """What it says of one element."""
        proof = None if self.result.evidence is None else self.result.evidence.elements.get(symbol)
        if proof is None or symbol not in self.result.judged:
            return Support()
        ratio = self.likelihood_ratios.get(symbol, proof.likelihood_ratio)
        likely = min(proof.network, proof.probability) >= self.result.threshold
        return Support(proof.network, proof.probability, ratio, likely and ratio >= BORNE_OUT)
