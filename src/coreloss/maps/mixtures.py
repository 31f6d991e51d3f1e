"""Whether spectra that hold one element, mixed, are taken for another.

Where a phase of barium begins, or shines in from beside, its edge at 781 eV stands in the sums of
the spectra there as a weak one among others, and of weak edges the network and the joint fit know
less well whether they are barium's or cobalt's, at 779. But in an image the pure phase is at hand:
what mixtures of other sums of spectra make up, no further element is needed for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import Edge, edges_of
from coreloss.energy import EnergyAxis
from coreloss.fit import background_columns, non_negative_solutions
from coreloss.identification.physics import binned, columns_of, discounted, shapes_at
from coreloss.identification.result import bridged, covers
from coreloss.maps.support import BORNE_OUT, Proof

__all__ = ["gain_over_mixtures", "is_mixture"]

# edges that lie no farther apart are taken for each other [eV]
_ALIKE_EV = 6.0
# a sum of which the network holds an element less likely than this share of its threshold lacks it
_LACKING = 0.5
_POWER_LAWS = 3
# where else the element's edges may lie [eV]
_SHIFTS_EV = (-4.0, -2.0, 0.0, 2.0, 4.0)


def is_mixture(symbol: str, proof: Proof, others: Sequence[Proof]) -> bool:
    """Whether a sum that seems to hold an element is a mixture of others that do not.

    Asked only where one of the others holds an element with edges where all of this one's are:
    else a dilute element, which one sum just shows and others just not, would be lost.

    Parameters
    ----------
    symbol : str
    proof : Proof
        Of the sum.
    others : sequence of Proof
        Of other sums of the same image.
    """
    lacking = [
        other
        for other in others
        if other.support(symbol).network < _LACKING * proof.result.threshold
    ]
    if not any(_rival(symbol, other) for other in lacking):
        return False
    sums = [bridged(other.result.counts) for other in lacking]
    gain = gain_over_mixtures(symbol, bridged(proof.result.counts), sums, proof.result.axis)
    return gain < BORNE_OUT


def gain_over_mixtures(
    symbol: str,
    counts: NDArray[np.floating],
    others: Sequence[NDArray[np.floating]],
    axis: EnergyAxis,
) -> float:
    """Drop of χ² that an element's edges bring to a fit of a sum by other sums of spectra.

    Model: a mixture of the others, without negative shares, and a background of power laws, for
    what differs in thickness. Variances are those of all the sums' noise and larger where the
    model misses more, and the unit is what χ² is then.

    Parameters
    ----------
    symbol : str
    counts : ndarray, (n_energy,), finite
    others : sequence of ndarray, (n_energy,), finite
    axis : EnergyAxis
        Of all.
    """
    first = int(np.count_nonzero(axis.energies <= 0.0))
    axis = EnergyAxis(float(axis.energies[first]), axis.dispersion, axis.size - first)
    bins = binned(counts[first:], axis)
    parts = [binned(other[first:], axis) for other in others]
    known = np.stack(
        [
            *(part.counts * (bins.scale / part.scale) for part in parts),
            *background_columns(bins.energies, _POWER_LAWS).T * bins.scale,
        ]
    )
    noise = np.stack([part.noise * (bins.scale / part.scale) ** 2 for part in parts])
    edges = [
        np.concatenate([known, shapes_at(columns_of(symbol), bins.energies - shift) * bins.scale])
        for shift in _SHIFTS_EV
    ]
    variance = bins.variance
    for _ in range(2):
        share, _ = _fitted(known, bins.counts, variance)
        wider = discounted(bins, share @ known).variance
        variance = wider + np.square(share[: len(parts)]) @ noise
    without = _fitted(known, bins.counts, variance)[1]
    best = min(_fitted(columns, bins.counts, variance)[1] for columns in edges)
    return (without - best) / max(1.0, best / bins.counts.size)


def _fitted(
    columns: NDArray[np.float64], counts: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Shares of columns (k, n), none negative, and χ²."""
    weighted = columns / np.sqrt(variance)
    size = np.sqrt((weighted**2).sum(axis=1))
    there = size > 0
    weighted = weighted[there] / size[there, None]
    target = counts / np.sqrt(variance)
    gram = weighted @ weighted.T + 1e-10 * np.eye(len(weighted))
    share = np.zeros(len(columns))
    solution = non_negative_solutions(gram[..., None], (weighted @ target)[:, None])[:, 0]
    share[there] = solution / size[there]
    return share, float(np.square(target - solution @ weighted).sum())


def _rival(symbol: str, other: Proof) -> bool:
    """Whether a sum holds another element with edges near all of an element's."""

    gaps = other.result.gaps

    def shown(name: str) -> list[Edge]:
        return [e for e in edges_of(name) if e.major and covers(other.result.axis, e, gaps)]

    own = [e.onset_ev for e in shown(symbol)]
    return any(
        all(any(abs(e.onset_ev - place) < _ALIKE_EV for e in shown(name)) for place in own)
        for name in other.result.judged
        if name != symbol and own and other.support(name).found
    )
