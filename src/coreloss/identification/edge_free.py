"""Whether a record shows any edge at all.

Networks take what a detector does, steps of gain above all, for edges. Here a smooth
background with the likely elements' edges competes with the same background and one step of
gain; what edges explain beside such a step is asked, and how well all this describes the
record. A logistic model fitted on simulated records with and without edges
(``data/judgement.json``) gives the probability that an edge is there. Where that is so low that
the likeliest element would fall below the threshold with it, no element is named; probabilities
stay as they are, calibrated on records as they come.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coreloss.identification.physics import Bins, Column, designs, problem_of, solutions

__all__ = ["EDGE_FEATURES", "edge_features", "edge_probability", "names_any", "step_of_gain"]

Floats = NDArray[np.float64]

#: Network probability from which an element takes part.
LIKELY = 0.1
EDGE_FEATURES = (
    "log odds of the likeliest element",
    "log likelihood ratio of edges",
    "the same beside a step of gain",
    "edges against a step of gain",
    "log misfit",
    "log misfit beside a step of gain",
    "misfit beyond noise",
    "log channels",
)
# common shifts of the axis under which edges may explain a record [eV]
_SHIFTS_EV = np.array([-8.0, -4.0, 0.0, 4.0, 8.0])


def edge_features(bins: Bins, columns: Sequence[Column], likeliest: float) -> Floats:
    """Features of the logistic model, (n_features,); see ``EDGE_FEATURES``.

    Parameters
    ----------
    bins : Bins
    columns : sequence of Column
        Of the elements with a network probability of ``LIKELY`` or more.
    likeliest : float
        Probability of the likeliest element.
    """
    number = bins.counts.size
    step = step_of_gain(bins)
    height = float(step @ bins.rest)
    # the edges under their best common shift, and the same beside the step
    design = designs(bins, columns, _SHIFTS_EV, np.ones_like(_SHIFTS_EV))
    plain = problem_of(bins, design)
    beside = plain.beside((design @ step).T, height)
    smooth, step_alone = plain.total, beside.total
    edges, both = (float(fits.chi2.min()) for fits in solutions([plain, beside]))
    unit, unit_both = max(1.0, edges / number), max(1.0, both / number)
    misfit = float(np.log(edges / number + 0.05))
    p = min(max(likeliest, 1e-6), 1.0 - 1e-6)
    return np.array(
        [
            np.log(p / (1.0 - p)),
            np.log1p(max(smooth - edges, 0.0) / unit),
            np.log1p(max(step_alone - both, 0.0) / unit_both),
            np.arcsinh((step_alone - edges) / unit),
            misfit,
            np.log(both / number + 0.05),
            max(misfit, 0.0),
            np.log(number),
        ]
    )


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


def edge_probability(features: Floats, weights: Floats) -> float:
    """That an edge is there; weights (1 + n_features,), intercept first."""
    z = float(np.clip(weights[0] + features @ weights[1:], -30.0, 30.0))
    return float(1.0 / (1.0 + np.exp(-z)))


def names_any(likeliest: float, edge: float, threshold: float) -> bool:
    """Whether elements are named, given the likeliest one's probability and that of any edge."""
    return likeliest * min(1.0, 2.0 * edge) >= threshold
