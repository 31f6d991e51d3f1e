"""What there is of an element: whether it is there, and whether its amount can be told.

Two questions, each with one answer for maps and quantification alike.

Whether an element is there, network and fit of the evidence tell together, in sums of the spectra
that may hold it (below) or, of a single spectrum, as `coreloss.identify` does. They see its edges
whole: white lines, and every edge at the place where it lies. The fit of a quantification sees
less, and does not take back what they found: where near-edge regions are left out it has no white
lines, in a record that ends soon after M4,5 next to nothing else, and in the sum of all spectra a
layer of few pixels is diluted. What it tells is how much there is. An amount that it does not need
(`significance`) is flagged; one that the edges of others may feign (`untold`) is not given.

Single spectra of an image are noisy, and what the network mistakes in one (Co for Ba, whose edges
lie 2 eV apart) it mistakes in all like it, so that the wrong map is as coherent as the right one.
In the sum of the spectra beside those (`coreloss.maps.neighbours`) the noise is gone: there the
network is asked again, and the joint fit of all candidates says whether the element explains
anything that the others do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis
from coreloss.fit import LinearFit, Mismatch, fit_spectra
from coreloss.identification import Identification
from coreloss.identification.evidence import gather
from coreloss.identification.result import mended

__all__ = ["BORNE_OUT", "SIGNIFICANT", "Proof", "Support", "significance", "untold"]

#: `significance` from which the amount of an element counts as such: three standard errors.
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
        counts = mended(result.counts, result.axis)

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


def significance(fit: LinearFit) -> NDArray[np.float64]:
    """2 Δ ln L of each element, (n, n_elements), the noise scaled up to what the fit misses."""
    unit = np.maximum(np.nan_to_num(fit.reduced_chi2, nan=1.0), 1.0)
    return np.asarray(fit.likelihood_ratio / unit[:, None])


def untold(
    fit: LinearFit, mismatch: Mismatch, sums: Sequence[Identification] = ()
) -> dict[str, str]:
    """Elements of which the edges of the others may feign as much as there is, and why.

    Asked of the sum of all spectra and of those sums in which the element is found: of a layer
    of few pixels too little is left in the sum of all.

    Parameters
    ----------
    fit : LinearFit
        Of the sum of all.
    mismatch : Mismatch
        Of that fit.
    sums : sequence of Identification
        Of other sums of spectra of the same record.
    """
    elements = fit.design.elements
    asked, fits = np.ones((1 + len(sums), len(elements)), dtype=bool), [fit]
    for number, part in enumerate(sums, start=1):
        asked[number] = [symbol in part.found for symbol in elements]
    if sums:
        counts = np.stack([_on_axis(part, fit.design.axis) for part in sums])
        fits.append(fit_spectra(counts, fit.design, gain=fit.gain, correlation=fit.correlation))
    share = np.concatenate(
        [f.amounts / np.hypot(mismatch.feigned(f.amounts), f.errors) for f in fits]
    )
    most = np.where(asked, share, 0.0).max(axis=0)
    return {
        symbol: "its amount cannot be told: the edges of the others may feign as much as is found "
        f"({part:.2g} standard errors of the model)"
        for symbol, part in zip(elements, most, strict=True)
        if part < 1.0 and most.max() >= 1.0
    }


def _on_axis(part: Identification, axis: EnergyAxis) -> NDArray[np.float64]:
    """The counts of an identified sum, (n_energy,); NaN where its record had none."""
    out = np.full(axis.size, np.nan)
    first = axis.index(part.axis.offset)
    out[first : first + part.counts.size] = part.counts
    return out
