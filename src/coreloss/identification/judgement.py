"""Weights of the small models fitted on simulated spectra by ``tools/build_judgement.py``."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from coreloss.identification.boosted import BoostedTrees

__all__ = ["edge_trees", "judgement"]


@lru_cache(maxsize=1)
def judgement() -> dict[str, Any]:
    """The numbers in ``data/judgement.json``.

    ``cells`` and ``readings`` rank energy axes, ``least_probability`` is what a reading far
    from the recorded axis must reach (`axis`); ``combine`` joins network and fit, intercept
    first (`evidence`); ``set_weight`` is what may lie ahead of the last member of
    a set of rivals, ``set_joint`` gives the probability that any is there, intercept first, and
    ``set_probability`` is the least for which a set is given (`candidates`).
    """
    text = (files("coreloss.data") / "judgement.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@lru_cache(maxsize=1)
def edge_trees() -> BoostedTrees:
    """Whether a record shows an edge (`edge_free`): the trees in ``data/edge_trees.npz``."""
    with (files("coreloss.data") / "edge_trees.npz").open("rb") as file, np.load(file) as data:
        return BoostedTrees(
            float(data["base"]),
            data["feature"].astype(np.int64),
            data["threshold"].astype(np.float64),
            data["left"].astype(np.int64),
            data["right"].astype(np.int64),
            data["value"].astype(np.float64),
        )
