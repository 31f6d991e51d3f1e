"""Work that a cluster's own processes can import, and a cluster that gives up soon."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from coreloss.maps.source import Block


def slow(counts: np.ndarray, block: Block) -> dict[str, np.ndarray]:
    """Something that takes a while, for a worker to be killed in."""
    time.sleep(0.1)
    return {"value": counts.sum(axis=1) ** 1.5}


def dies(counts: np.ndarray, block: Block) -> dict[str, np.ndarray]:
    """The end of the process that does it, as want of memory is."""
    os._exit(1)


def waits(seconds: float) -> bytes:
    """Nothing, after a while."""
    time.sleep(seconds)
    return b""


def holds(name: str) -> bytes:
    """Lock a file for as long as this process lives, ten minutes at most."""
    import fcntl

    with Path(name).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write("locked")
        stream.flush()
        time.sleep(600.0)
    return b""


@contextmanager
def one_frail_worker() -> Iterator[str]:
    """The scheduler of one process whose work is not tried again where it dies of it."""
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
    ):
        yield cluster.scheduler_address
