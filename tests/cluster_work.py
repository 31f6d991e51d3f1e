"""Work that a cluster's own processes can import."""

from __future__ import annotations

import os
import time

import numpy as np

from coreloss.maps.source import Block


def slow(counts: np.ndarray, block: Block) -> dict[str, np.ndarray]:
    """Something that takes a while, for a worker to be killed in."""
    time.sleep(0.1)
    return {"value": counts.sum(axis=1) ** 1.5}


def dies(counts: np.ndarray, block: Block) -> dict[str, np.ndarray]:
    """The end of the process that does it, as want of memory is."""
    os._exit(1)
