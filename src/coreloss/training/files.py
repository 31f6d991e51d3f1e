"""Training spectra from the files of a data set, ours or the public one of Annys et al."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.simulate.stored import SpectrumFile, StoredSpectra, read_rows, split_files
from coreloss.training.source import Records

__all__ = ["FileSource"]

# Rows read at a time: whole chunks of the files that we write, so nothing is unpacked twice.
_ROWS = 16


class FileSource:
    """Chunks of a data set's training spectra, in another order in each epoch.

    Spectra are read in blocks of 16 that lie together in a file, the blocks in random order
    and shuffled within a chunk.

    Parameters
    ----------
    folder : path
    chunk : int
        Spectra in a chunk.
    seed : int
    device : optional
    elements : sequence of str
        Of the labels' columns.
    """

    def __init__(
        self,
        folder: str | Path,
        chunk: int,
        seed: int,
        *,
        device: Any = "cpu",
        elements: Sequence[str] = ELEMENTS,
    ) -> None:
        self.columns = np.array([ELEMENTS.index(symbol) for symbol in elements])
        self.folder, self.size, self.seed, self.device = Path(folder), chunk, seed, device
        self.files = split_files(self.folder, "training")
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.zeros((0, 3), dtype=np.int64))
        self.per_epoch = int(self._epoch(0)[:, 2].sum()) // chunk
        if not self.per_epoch:
            raise ValueError(
                f"{folder}: holds fewer training spectra than a chunk of {chunk}; "
                "set a smaller chunk in [training]"
            )

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        """Blocks of an epoch, in its order."""
        if self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            blocks = _blocks(self.files, rng, self.size)
            self._order = (epoch, blocks)
        return self._order[1]

    def chunk(self, number: int) -> Records:
        blocks = self._epoch(number // self.per_epoch)
        rows = np.cumsum(blocks[:, 2])
        begin = number % self.per_epoch * self.size
        part = blocks[(rows > begin) & (rows <= begin + self.size)]
        order = np.random.default_rng((self.seed, number, 1)).permutation(self.size)
        return self._records(read_rows(self.files, part), order)

    def validation(self, n: int) -> Records:
        return self._held_back(n)[0]

    def calibration(self, n: int) -> Records:
        return self._held_back(n)[1]

    def _held_back(self, n: int) -> tuple[Records, Records]:
        """Of the validation split: n spectra of its first half, and n of its second."""
        files = split_files(self.folder, "validation")
        parts = []
        for half in range(2):
            blocks = []
            for number, file in enumerate(files):
                middle = file.n_spectra // 2
                span = (0, middle) if half == 0 else (middle, file.n_spectra)
                rows = min(span[1] - span[0], -(-n // len(files)))
                if rows:
                    blocks.append((number, span[0], rows))
            if not blocks:
                raise ValueError(f"{self.folder}: its validation split holds too few spectra")
            stored = read_rows(files, np.array(blocks))
            # calibration and scores are made on a half each, which must not differ in elements
            order = np.random.default_rng(half).permutation(stored.size.size)
            parts.append(self._records(stored, order))
        return parts[0], parts[1]

    def _records(self, stored: StoredSpectra, order: NDArray[np.int64]) -> Records:
        return Records(
            torch.as_tensor(stored.counts[order], device=self.device),
            stored.offset[order],
            stored.dispersion[order],
            stored.size[order],
            stored.present[order][:, self.columns],
            None if stored.snr is None else stored.snr[order][:, self.columns],
        )


def _blocks(files: list[SpectrumFile], rng: np.random.Generator, chunk: int) -> NDArray[np.int64]:
    """Blocks of rows of all files in random order; what is left over differs by epoch."""
    rows = int(np.gcd(_ROWS, chunk))
    while rows > min(file.n_spectra for file in files) and rows > 1:
        rows //= 2
    parts = []
    for number, file in enumerate(files):
        first = int(rng.integers(file.n_spectra % rows, endpoint=True))
        starts = np.arange(first, file.n_spectra - rows + 1, rows)
        parts.append(np.stack([np.full_like(starts, number), starts, np.full_like(starts, rows)]))
    return rng.permutation(np.concatenate(parts, axis=1).T)
