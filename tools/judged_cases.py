"""Simulated records as the network judges them, for ``build_judgement.py``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis
from coreloss.identification import ModelBundle
from coreloss.identification.abstain import reason_to_abstain
from coreloss.identification.axis import estimate_axis
from coreloss.identification.axis_estimate import AxisEstimate
from coreloss.identification.boosted import BoostedTrees
from coreloss.identification.candidates import likeliest_readings, rival_groups
from coreloss.identification.evidence import Evidence, gather
from coreloss.identification.predict import levelled
from coreloss.identification.result import covers
from coreloss.simulate import SimulatedBatch, SimulationRecipe, simulate

SEED = 940_000_000  # apart from training's, validation's and the tests'
BLOCK = 2048
# network probability below which nothing comes of a record
LOOKED_AT_RECORD = 0.15
# no trees, by which every record shows an edge
NO_NODES, NO_VALUES = np.zeros((0, 1), np.int64), np.zeros((0, 1))
SURE = BoostedTrees(30.0, NO_NODES, NO_VALUES, NO_NODES, NO_NODES, NO_VALUES)

Floats = NDArray[np.float64]


def record(batch: SimulatedBatch, row: int) -> tuple[Floats, EnergyAxis]:
    """One record of a batch."""
    size = int(batch.size[row])
    axis = EnergyAxis(float(batch.offset[row]), float(batch.dispersion[row]), size)
    return np.asarray(batch.counts[row, :size], dtype=float), axis


@dataclass(frozen=True)
class Case:
    """A simulated record, what the network says of it, and what is in it."""

    counts: Floats
    axis: EnergyAxis
    network: dict[str, float]
    judged: frozenset[str]
    present: frozenset[str]

    def evidence(self, limit: float, combine: Floats, trees: BoostedTrees = SURE) -> Evidence:
        """Of the fit, by models not yet in the files."""
        return gather(self.counts, self.axis, self.network, self.judged, limit, combine, trees)

    def joined(self, proof: Evidence) -> dict[str, float]:
        """Probabilities of network and fit."""
        return self.network | {s: e.probability for s, e in proof.elements.items()}

    def named(self, proof: Evidence, limit: float) -> set[str]:
        """Elements that an answer names where an edge is there at all."""
        values = self.joined(proof)
        groups = rival_groups(values, self.judged, self.axis)
        likeliest = {group.members[0] for group in likeliest_readings(values, groups, limit)}
        return {s for s in self.judged if values[s] >= limit} | likeliest


def cases(bundle: ModelBundle, recipe: SimulationRecipe, n: int, seed: int) -> Iterator[Case]:
    """Records of a recipe, levelled as in use and judged by the network."""
    for part in range(0, n, BLOCK):
        batch = simulate(recipe, min(BLOCK, n - part), seed + part)
        counts = np.array(batch.counts, dtype=float)
        for row, size in enumerate(batch.size.tolist()):
            level, _ = levelled(counts[row : row + 1, :size], record(batch, row)[1])
            counts[row, :size] = level[0]
        values = bundle.predict(counts, batch.offset, batch.dispersion, batch.size)
        for row, size in enumerate(batch.size.tolist()):
            axis = record(batch, row)[1]
            there = batch.present[row]
            yield Case(
                counts[row, :size],
                axis,
                dict(zip(bundle.elements, map(float, values[row]), strict=True)),
                judged_on(bundle, axis),
                frozenset(s for s, y in zip(batch.elements, there, strict=True) if y),
            )


def judged_on(bundle: ModelBundle, axis: EnergyAxis) -> frozenset[str]:
    """Elements with an edge that a record on this axis covers."""
    lowest, highest = bundle.grid.boundaries[[0, -1]]
    return frozenset(
        s
        for s in bundle.elements
        if any(covers(axis, e) and lowest < e.onset_ev < highest for e in edges_of(s))
    )


def searched(
    bundle: ModelBundle, recipe: SimulationRecipe, n: int, seed: int
) -> Iterator[tuple[Case, AxisEstimate]]:
    """Of n records of a recipe those whose axis is corrected, as the command corrects it.

    What the command abstains from is none of them.
    """
    for part in range(0, n, BLOCK):
        batch = simulate(recipe, min(BLOCK, n - part), seed + part)
        for row in range(batch.size.size):
            counts, recorded = record(batch, row)
            counts = levelled(counts[None], recorded)[0][0]
            if reason_to_abstain(counts, recorded):
                continue
            estimate = estimate_axis(counts, recorded, bundle, threads=1)
            axis = estimate.applied(recorded)
            if not estimate.corrected or reason_to_abstain(counts, axis):
                continue
            (values,) = bundle.predict(
                counts[None],
                np.array([axis.offset]),
                np.array([axis.dispersion]),
                np.array([axis.size]),
                threads=1,
            )
            there = zip(batch.elements, batch.present[row], strict=True)
            case = Case(
                counts,
                axis,
                dict(zip(bundle.elements, map(float, values), strict=True)),
                judged_on(bundle, axis),
                frozenset(s for s, y in there if y),
            )
            yield case, estimate
