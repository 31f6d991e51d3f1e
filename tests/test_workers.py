"""Processes and clusters that make data sets: what ends with them, and what is said then."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster_work import dies, one_frail_worker, waits

from coreloss.simulate import workers

HOLDING = """
import sys
from cluster_work import holds
from coreloss.simulate.workers import finished

if __name__ == "__main__":
    list(finished(holds, [(name,) for name in sys.argv[1:]], [1, 1], workers=2, quiet=True))
"""


def test_workers_end_with_the_process_that_was_killed(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "holding.py").write_text(HOLDING)
    names = [tmp_path / "one", tmp_path / "two"]
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "holding.py"), *map(str, names)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not all(
        name.is_file() and name.read_text() for name in names
    ):
        time.sleep(0.05)
    process.kill()
    process.wait()
    for name in names:
        with name.open() as stream:
            free = False
            while not free and time.monotonic() < deadline:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    free = True
                except BlockingIOError:  # its process still lives
                    time.sleep(0.05)
            assert free


def test_a_cluster_without_workers_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("coreloss.cluster.WAIT_S", 0.5)
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address=":0", silence_logs=50
        ) as cluster,
        pytest.raises(OSError, match="has no workers; start some with 'dask worker"),
    ):
        list(workers.finished(waits, [(0.0,)], [1], scheduler=cluster.scheduler_address))


def test_workers_that_die_of_their_work_are_one_sentence() -> None:
    with one_frail_worker() as address, pytest.raises(OSError, match="workers died several times"):
        list(workers.finished(dies, [(None, None)], [1], scheduler=address))


def test_a_scheduler_that_goes_away_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("coreloss.cluster.WAIT_S", 5.0)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    ) as cluster:
        results = workers.finished(
            waits, [(0.0,), *[(0.2,)] * 40], [1] * 41, scheduler=cluster.scheduler_address
        )
        assert next(results) == (0, b"")
        cluster.close()
        with pytest.raises(OSError, match="went away; start it again"):
            list(results)
