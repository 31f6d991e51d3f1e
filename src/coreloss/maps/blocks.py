"""Work done block by block: read ahead, kept on disk, taken up again, on one machine or many."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from coreloss import cluster
from coreloss.maps.source import Block, SpectrumImage, open_image

__all__ = ["Progress", "Source", "Store", "check_unfinished", "half_done", "run_blocks"]

Result = dict[str, NDArray[Any]]

# how often in a row a cluster may lose all its workers
_MOST_LOST = 3
# of a memory map at once
_PART_BYTES = 64_000_000
# what a run is of, whole and while it is written
_CARDS = ("run.json", "run.json.partial")


@dataclass(frozen=True)
class Source:
    """How a worker comes by an image: the file's name where there is one, else the data."""

    path: str
    signal: str | int | None
    bin: int
    image: SpectrumImage | None

    @classmethod
    def of(cls, image: SpectrumImage) -> Source:
        """Of an image; a lazy one is opened again from its file by each process."""
        if image.path and hasattr(image.data, "compute"):
            return cls(os.path.abspath(image.path), image.signal, image.bin, None)
        return cls("", None, image.bin, image)

    def open(self) -> SpectrumImage:
        """The image."""
        if self.image is not None:
            return self.image
        return _opened(self.path, self.signal).binned(self.bin)


# a core loss and its low loss
_MOST_OPENED = 2
_OPENED: dict[tuple[str, str | int | None], SpectrumImage] = {}


def _opened(path: str, signal: str | int | None) -> SpectrumImage:
    if (path, signal) not in _OPENED:
        while len(_OPENED) >= _MOST_OPENED:
            _OPENED.pop(next(iter(_OPENED)))
        _OPENED[path, signal] = open_image(path, signal=signal)
    return _OPENED[path, signal]


class Progress:
    """A line that says how far a run is, with the time left; silent off a terminal.

    Parameters
    ----------
    total : int
        Spectra.
    label : str
    stream : file, optional
        Standard error without it.
    """

    def __init__(self, total: int, label: str, stream: TextIO | None = None) -> None:
        self.total, self.label = total, label
        self.stream = stream or sys.stderr
        self.shown = self.stream.isatty()
        self.begun = self.last = time.monotonic()
        self.first: int | None = None

    def update(self, done: int) -> None:
        """Say that so many spectra are done."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.begun = done, now
        # nothing for runs of under two seconds
        if not self.shown or now - self.begun < 2.0 or now - self.last < 0.3:
            return
        self.last = now
        rate = (done - self.first) / (now - self.begun)
        left = (self.total - done) / rate if rate > 0 else 0.0
        self.stream.write(
            f"\r{self.label}: {done:,} of {self.total:,} spectra, {rate:,.0f}/s, "
            f"{left / 60:.0f} min {left % 60:.0f} s left \x1b[K"
        )
        self.stream.flush()

    def end(self) -> None:
        """Clear the line."""
        if self.shown and self.last > self.begun:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


class Store:
    """Arrays of results on disk, filled block by block, so that a run can be taken up again.

    Parameters
    ----------
    folder : path, optional
        Where; in memory without it.
    key : dict
        What the results depend on; a store left by a run with another key is refused.
    shape : tuple of int
        The image's navigation shape.
    n_blocks : int

    Raises
    ------
    ValueError
        If the folder holds results of another run.
    """

    def __init__(
        self,
        folder: Path | None,
        key: dict[str, Any],
        shape: tuple[int, ...],
        n_blocks: int,
    ) -> None:
        self.folder, self.shape, self.n_blocks = folder, shape, n_blocks
        self.done = np.zeros(n_blocks, dtype=bool)
        self._memory: Result = {}
        if folder is None:
            return
        digest = hashlib.sha256(
            json.dumps([key, shape, n_blocks], sort_keys=True, default=str).encode()
        ).hexdigest()
        card, partial = (folder / name for name in _CARDS)
        if card.is_file():
            if json.loads(card.read_text(encoding="utf-8")).get("key") != digest:
                raise ValueError(
                    f"{folder}: holds an unfinished run of another file or with other settings; "
                    "remove the folder or give --force to begin anew"
                )
            self.done = self._finished()
            return
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(
            json.dumps({"key": digest, "blocks": n_blocks, "settings": key}, default=str)
        )
        os.replace(partial, card)

    def _finished(self) -> NDArray[np.bool_]:
        assert self.folder is not None
        done = np.zeros(self.n_blocks, dtype=bool)
        for path in self.folder.glob("done-*"):
            done[int(path.name.split("-")[1])] = True
        return done

    def put(self, number: int, block: Block, result: Result) -> None:
        """Keep a block's results: (n, …) per pixel, or, named ``_…``, one array per block."""
        for name, values in result.items():
            target = self._array(name, values)
            if name.startswith("_"):
                target[number] = values
            else:
                target[block.slices] = values.reshape(*block.shape, *values.shape[1:])
            if isinstance(target, np.memmap):
                target.flush()
        self.done[number] = True
        if self.folder is not None:
            # an empty file after the data are written: the block is whole or not there
            (self.folder / f"done-{number}").touch()

    def _array(self, name: str, values: NDArray[Any] | None = None) -> NDArray[Any]:
        if self.folder is None:
            if name not in self._memory:
                assert values is not None
                self._memory[name] = np.zeros(self._full(name, values), values.dtype)
            return self._memory[name]
        path = self.folder / f"{name}.npy"
        if path.is_file():
            # opened anew each time, so that pages written do not count as this process's memory
            return np.lib.format.open_memmap(path, mode="r+")
        assert values is not None
        return np.lib.format.open_memmap(
            path, mode="w+", dtype=values.dtype, shape=self._full(name, values)
        )

    def _full(self, name: str, values: NDArray[Any]) -> tuple[int, ...]:
        if name.startswith("_"):
            return (self.n_blocks, *values.shape)
        return (*self.shape, *values.shape[1:])

    def get(self, name: str) -> NDArray[Any]:
        """A whole array; from disk as a memory map."""
        return self._array(name)

    def column(self, name: str, place: int) -> NDArray[np.float32]:
        """One number of each pixel, of an array with several; read in parts.

        Pages of a memory map count as this process's memory until it is closed.
        """
        out = np.empty(self.shape, dtype=np.float32)
        whole = self.get(name)
        if self.folder is None:
            out[...] = whole[..., place]
            return out
        step = max(1, _PART_BYTES // max(whole[0].nbytes, 1))
        for begin in range(0, self.shape[0], step):
            rows = slice(begin, begin + step)
            out[rows] = self.get(name)[rows][..., place]
        return out


def check_unfinished(folder: Path) -> None:
    """Raise ValueError where the place of unfinished results holds anything else."""
    if not folder.exists():
        return
    files = (
        [path for path in folder.rglob("*") if not path.is_dir()] if folder.is_dir() else [folder]
    )
    for path in files:
        kept = path.suffix == ".npy" or path.name.startswith("done-")
        ours = _begun(path) if path.name == _CARDS[0] else path.name in _CARDS
        if not ours and not (kept and _begun(path.parent / _CARDS[0])):
            raise ValueError(
                f"{folder}: is where unfinished results are kept, and {path.name} is none of them; "
                "move it, or give the results another name"
            )


def _begun(card: Path) -> bool:
    """Whether a file is the card of a store."""
    try:
        text = json.loads(card.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(text, dict) and {"key", "blocks"} <= text.keys()


def half_done(folder: Path) -> bool:
    """Whether a folder holds a store in which blocks are missing."""
    for card in folder.rglob("run.json"):
        blocks = json.loads(card.read_text(encoding="utf-8")).get("blocks")
        if blocks is None or sum(1 for _ in card.parent.glob("done-*")) < blocks:
            return True
    return False


def run_blocks(
    work: Callable[[NDArray[np.floating], Block], Result],
    image: SpectrumImage,
    store: Store,
    blocks: Sequence[Block],
    *,
    scheduler: str | None = None,
    label: str = "",
) -> None:
    """Do ``work`` on every block of an image that the store lacks.

    Parameters
    ----------
    work : callable
        Takes counts (n, n_energy) and their block; must be picklable with a scheduler.
    image : SpectrumImage
    store : Store
    blocks : sequence of Block
    scheduler : str, optional
        Address of a dask.distributed scheduler, 'tcp://host:8786'; in this process without it.
        Workers must see the file under the same name. Blocks and their results are the same
        either way.
    label : str
        For the progress line.
    """
    left = [number for number in range(len(blocks)) if not store.done[number]]
    progress = Progress(image.number, label)
    done = sum(int(np.prod(blocks[i].shape)) for i in range(len(blocks)) if store.done[i])
    progress.update(done)
    finished = (
        _distributed(work, image, blocks, left, scheduler)
        if scheduler
        else _here(work, image, blocks, left)
    )
    try:
        for number, result in finished:
            store.put(number, blocks[number], result)
            done += int(np.prod(blocks[number].shape))
            progress.update(done)
    finally:
        progress.end()


def _here(
    work: Callable[[NDArray[np.floating], Block], Result],
    image: SpectrumImage,
    blocks: Sequence[Block],
    left: Sequence[int],
) -> Iterator[tuple[int, Result]]:
    """One block after the other, the next read meanwhile."""
    if not left:
        return
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(image.read, blocks[left[0]])
        for place, number in enumerate(left):
            counts = coming.result()
            if place + 1 < len(left):
                coming = reader.submit(image.read, blocks[left[place + 1]])
            yield number, work(counts, blocks[number])


def _remote(
    source: Source, work: Callable[[NDArray[np.floating], Block], Result], block: Block
) -> Result:
    return work(source.open().read(block), block)


def _distributed(
    work: Callable[[NDArray[np.floating], Block], Result],
    image: SpectrumImage,
    blocks: Sequence[Block],
    left: Sequence[int],
    scheduler: str,
) -> Iterator[tuple[int, Result]]:
    """Blocks on the workers of a cluster, a few for each ahead; lost ones are done again."""
    client = cluster.connected(scheduler)
    from distributed import CancelledError, KilledWorker, as_completed

    try:
        lost = 0
        held = _sent(client, scheduler, Source.of(image), work)
        waiting = iter(left)
        numbers: dict[Any, tuple[int, list[Any]]] = {}

        def submit(number: int) -> Any:
            future = client.submit(_remote, *held, blocks[number], pure=False, retries=2)
            numbers[future.key] = number, held
            return future

        ahead = 2 * max(1, sum(client.nthreads().values())) + 2
        with client.as_current():
            running = as_completed([submit(number) for number in islice(waiting, ahead)])
        for future in running:
            number, by = numbers.pop(future.key)
            try:
                result = future.result()
            except CancelledError:
                # every worker that had been sent image and work is gone; others may have come
                if by is held:
                    lost += 1
                    if lost > _MOST_LOST:
                        raise OSError(f"{cluster.DIED} and run it again") from None
                    held = _sent(client, scheduler, Source.of(image), work)
                running.add(submit(number))
                continue
            lost = 0
            yield number, result
            for following in islice(waiting, 1):
                running.add(submit(following))
    except KilledWorker:
        raise OSError(f"{cluster.DIED} and run it again") from None
    finally:
        client.close()


def _sent(client: Any, scheduler: str, *things: Any) -> list[Any]:
    """Futures of what all workers get; waits for one to be there."""
    died = 0
    while True:
        try:
            return list(client.scatter(list(things), broadcast=True, hash=False))
        except TimeoutError:
            raise cluster.no_workers(scheduler) from None
        except OSError:  # one died meanwhile
            died += 1
            if died > _MOST_LOST:
                raise OSError(f"{cluster.DIED} and run it again") from None
            time.sleep(1.0)
