"""Many like calls on the cores of this machine, or on a dask.distributed cluster."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from coreloss import cluster

__all__ = ["Progress", "finished"]


def finished(
    call: Callable[..., bytes],
    arguments: Sequence[tuple[Any, ...]],
    counts: Sequence[int],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    quiet: bool = False,
) -> Iterator[tuple[int, bytes]]:
    """(number, ``call(*arguments[number])``) as they are done, in any order.

    No more than two results a worker are asked for ahead, which bounds the memory. What a
    lost worker of a cluster had in hand another one does again.

    Parameters
    ----------
    call : callable
        Importable by name in another process.
    arguments : sequence of tuple
    counts : sequence of int
        Spectra of each call, for the progress.
    workers : int, optional
        Processes; the cores of this machine without it.
    scheduler : str, optional
        Address of a dask.distributed scheduler.
    quiet : bool
        No progress.

    Raises
    ------
    ImportError, ValueError
        Without dask.distributed, or where no scheduler answers.
    OSError
        Where a worker process was killed, or the cluster has no workers or loses them for good.
    """
    progress = Progress(sum(counts), quiet)
    number = workers or os.cpu_count() or 1
    if not arguments:
        return
    if scheduler is not None:
        source = _on_cluster(call, arguments, scheduler)
    elif number == 1 or len(arguments) == 1:
        source = ((i, call(*given)) for i, given in enumerate(arguments))
    else:
        source = _on_cores(call, arguments, number)
    try:
        for done, content in source:
            progress.add(counts[done])
            yield done, content
    finally:
        progress.end()


def _on_cores(
    call: Callable[..., bytes], arguments: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[tuple[int, bytes]]:
    # spawn: forking a process with threads (torch, OpenMP) may hang
    context = multiprocessing.get_context("spawn")
    todo = iter(enumerate(arguments))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        running: dict[Future[bytes], int] = {}
        try:
            while True:
                while len(running) < 2 * workers and (item := next(todo, None)) is not None:
                    running[pool.submit(call, *item[1])] = item[0]
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise OSError(
                "a worker process was killed (out of memory?); go on with --resume, perhaps with "
                "fewer --workers"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """Let a worker end where the process that began it is killed; it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _on_cluster(
    call: Callable[..., bytes], arguments: Sequence[tuple[Any, ...]], address: str
) -> Iterator[tuple[int, bytes]]:
    client = cluster.connected(address)
    from distributed import CancelledError, KilledWorker, as_completed

    with client, client.as_current():
        try:
            client.wait_for_workers(1, timeout=cluster.WAIT_S)
        except TimeoutError:
            raise cluster.no_workers(address) from None
        ahead = 2 * max(sum(client.nthreads().values()), 1)
        todo = iter(enumerate(arguments))
        numbers: dict[Any, int] = {}

        def asked() -> Any:
            item = next(todo, None)
            if item is None:
                return None
            future = client.submit(call, *item[1], pure=False)
            numbers[future.key] = item[0]
            return future

        first = [future for _ in range(ahead) if (future := asked()) is not None]
        queue = as_completed(first)
        for future in queue:
            try:
                content = future.result()
            except KilledWorker:
                raise OSError(f"{cluster.DIED} and go on with --resume") from None
            except CancelledError:
                raise OSError(
                    f"the scheduler at {address} went away; start it again and go on with --resume"
                ) from None
            done = numbers.pop(future.key)
            future.release()
            if (following := asked()) is not None:
                queue.add(following)
            yield done, content


class Progress:
    """A line with rate and time left, where a terminal shows it.

    Parameters
    ----------
    total : int
        Spectra.
    quiet : bool
        Nothing is shown.
    what : str
        Follows the word spectra.
    """

    def __init__(self, total: int, quiet: bool, what: str = "") -> None:
        self.total, self.done, self.what = total, 0, what
        self.begun = time.monotonic()
        self.shown = not quiet and sys.stderr.isatty()

    def add(self, number: int) -> None:
        """Some more are done."""
        self.done += number
        if self.shown:
            rate = self.done / max(time.monotonic() - self.begun, 1e-9)
            left = (self.total - self.done) / max(rate, 1e-9) / 60.0
            sys.stderr.write(
                f"\r{self.done:,} of {self.total:,} spectra{self.what}  {rate:.0f} spectra/s  "
                f"{left:.1f} min left   "
            )
            sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self.shown and self.done:
            sys.stderr.write("\n")
