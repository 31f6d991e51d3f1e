"""Spectrum images read a block at a time, so that memory does not grow with the file."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis, Spectra
from coreloss.io import ReadError, load
from coreloss.io.assemble import MIN_CHANNELS, unsigned, unsigned_note
from coreloss.io.axes import DeclaredAxis
from coreloss.io.datasets import DataSet, choose
from coreloss.io.errors import extension, plain
from coreloss.io.rosetta import _data_set, _silence, plugins_for
from coreloss.io.sniff import ARCHIVE_DIRECTORIES, HDF5_EXTENSIONS, first_bytes, kind_of

__all__ = ["Block", "NavigationAxis", "SpectrumImage", "open_image"]

# A block's counts as stored; its working copies are a few times this.
BLOCK_BYTES = 24_000_000
# Files below this are read whole, with all the checks and repairs of `coreloss.io.load`.
SMALL_BYTES = 200_000_000


@dataclass(frozen=True)
class NavigationAxis:
    """One axis of an image: position = offset + scale * index, in ``unit``."""

    size: int
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    name: str = ""


@dataclass(frozen=True)
class Block:
    """Part of an image: index ranges of its navigation axes, and where its spectra begin."""

    ranges: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(end - begin for begin, end in self.ranges)

    @property
    def slices(self) -> tuple[slice, ...]:
        """For indexing an array of the image's shape."""
        return tuple(slice(begin, end) for begin, end in self.ranges)


@dataclass(frozen=True)
class SpectrumImage:
    """Spectra on navigation axes, in memory or still in their file.

    Attributes
    ----------
    data : array, (*shape, n_energy) or with the energy axis elsewhere
        NumPy or dask.
    energy_index : int
        Which axis of ``data`` is energy.
    reversed : bool
        Whether ``data`` runs down in energy.
    axis : EnergyAxis
    navigation : tuple of NavigationAxis
        Of the file; ``shape`` is after binning.
    metadata, notes
        As of `coreloss.energy.Spectra`.
    survey : ndarray, (height, width), optional
        A picture of the area that the file holds.
    path : str
        The file, '' for data in memory.
    bin : int
        Pixels summed along each axis of a picture: the last two of the navigation axes. Frames
        of a stack are not summed.
    """

    data: Any = field(repr=False)
    energy_index: int
    reversed: bool
    axis: EnergyAxis
    navigation: tuple[NavigationAxis, ...]
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    survey: NDArray[np.floating] | None = field(default=None, repr=False)
    path: str = ""
    signal: str | int | None = None
    bin: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each navigation axis, binned; at least one axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def axes(self) -> tuple[NavigationAxis, ...]:
        """The navigation axes after binning."""
        if self.bin == 1:
            return self.navigation
        return tuple(
            replace(
                axis,
                size=axis.size // summed,
                scale=axis.scale * summed,
                offset=axis.offset + 0.5 * axis.scale * (summed - 1),
            )
            for axis, summed in zip(self.navigation, self._summed, strict=True)
        )

    @property
    def _summed(self) -> tuple[int, ...]:
        """Pixels summed along each navigation axis; all of one that has fewer."""
        frames = max(len(self.navigation) - 2, 0)
        picture = self.navigation[frames:]
        return (*(1 for _ in range(frames)), *(min(self.bin, a.size) for a in picture))

    @property
    def dropped(self) -> tuple[str, ...]:
        """What binning leaves over at the border, in words."""
        over = [a.size % n for a, n in zip(self.navigation, self._summed, strict=True)][-2:]
        names = ("rows", "columns") if len(self.navigation) > 1 else ("pixels",)
        said = [
            f"the last {number} of {axis.size} {name}"
            for number, axis, name in zip(over, self.navigation[-2:], names, strict=True)
            if number
        ]
        every = " of every frame" if len(self.navigation) > 2 else ""
        if not said:
            return ()
        return (f"binning by {self.bin} drops {' and '.join(said)}{every}",)

    @property
    def number(self) -> int:
        """Spectra."""
        return int(np.prod(self.shape))

    @property
    def name(self) -> str:
        """How it is named in messages."""
        return self.path or self.metadata.get("title") or "the image"

    def blocks(self, bytes_at_once: int = BLOCK_BYTES) -> list[Block]:
        """The whole image in blocks of at most about so many bytes, in order."""
        shape = self.shape
        itemsize = np.dtype(self.data.dtype).itemsize
        one = max(1, int(self.axis.size * itemsize * np.prod(self._summed)))
        pixels = max(1, bytes_at_once // one)
        sizes = list(shape)
        # whole trailing axes while they fit, then parts of one, then single steps
        room = pixels
        for number in range(len(shape) - 1, -1, -1):
            sizes[number] = min(shape[number], max(1, room))
            room //= max(shape[number], 1)
        chunk = self._stored_chunk()
        if chunk > 1 and sizes[0] > chunk:
            sizes[0] -= sizes[0] % chunk
        grid = [
            [(b, min(b + s, n)) for b in range(0, n, s)] for n, s in zip(shape, sizes, strict=True)
        ]
        blocks: list[tuple[tuple[int, int], ...]] = [()]
        for ranges in grid:
            blocks = [(*block, part) for block in blocks for part in ranges]
        return [Block(block) for block in blocks]

    def _stored_chunk(self) -> int:
        """Steps of the first axis that the file keeps together."""
        chunks = getattr(self.data, "chunks", None)
        if not chunks or self._summed[0] > 1:
            return 1
        first = 1 if self.energy_index == 0 else 0
        return int(chunks[first][0])

    def read(self, block: Block) -> NDArray[np.floating]:
        """Counts of a block, (n, n_energy) float32 or float64, ascending in energy."""
        ranges = [
            slice(begin * summed, end * summed)
            for (begin, end), summed in zip(block.ranges, self._summed, strict=True)
        ]
        index: list[slice] = list(ranges)
        index.insert(self.energy_index, slice(None))
        data = self.data
        if data.ndim == 1:
            index = [slice(None)]
        part = data[tuple(index)]
        if hasattr(part, "compute"):
            with _silence():
                part = part.compute(scheduler="synchronous")
        part = np.asarray(part)
        if part.dtype.kind == "c":
            raise ReadError(
                self.name, "holds complex numbers", "give the measured spectra, in counts"
            )
        if data.ndim > 1:
            part = np.moveaxis(part, self.energy_index, -1)
        if self.reversed:
            part = part[..., ::-1]
        wide = part.dtype.itemsize == 8
        part = part.astype(np.float64 if wide else np.float32, copy=False)
        infinite = np.isinf(part)
        if infinite.any():
            part = np.where(infinite, np.nan, part)
        if self.bin > 1:
            for number, (size, summed) in enumerate(zip(block.shape, self._summed, strict=True)):
                if summed > 1:
                    shape = (*part.shape[:number], size, summed, *part.shape[number + 1 :])
                    part = part.reshape(shape).sum(axis=number + 1)
        return np.ascontiguousarray(part.reshape(-1, self.axis.size))

    def sample(self, number: int) -> NDArray[np.floating]:
        """At most so many spectra, evenly spread over the image, (n, n_energy)."""
        step = max(1, -(-self.number // number))
        rows = np.arange(0, self.number, step)
        if step == 1 or not hasattr(self.data, "compute"):
            blocks = self.blocks()
            flat = np.unravel_index(rows, self.shape)
            parts = []
            for block in blocks:
                inside = np.ones(rows.size, dtype=bool)
                for places, (begin, end) in zip(flat, block.ranges, strict=True):
                    inside &= (places >= begin) & (places < end)
                if inside.any():
                    local = [
                        places[inside] - begin
                        for places, (begin, _) in zip(flat, block.ranges, strict=True)
                    ]
                    chosen = np.ravel_multi_index(local, block.shape)
                    parts.append(self.read(block)[chosen])
            return np.concatenate(parts)
        # reading every block of a large file for a sample would take as long as the map
        blocks = self.blocks(max(BLOCK_BYTES // 16, 1))
        wanted = blocks[:: max(1, -(-len(blocks) // 24))]
        each = max(1, number // len(wanted))
        parts = []
        for block in wanted:
            counts = self.read(block)
            parts.append(counts[:: max(1, -(-counts.shape[0] // each))])
        return np.concatenate(parts)

    def binned(self, factor: int) -> SpectrumImage:
        """The image with ``factor`` × ``factor`` pixels summed, of a stack in every frame.

        What is left over at the border is dropped (`dropped`). Raises ValueError for what is no
        number of pixels or more than the picture has.
        """
        picture = self.navigation[-2:]
        if (
            factor != int(factor)
            or factor < 1
            or (factor > 1 and factor > max(a.size for a in picture))
        ):
            what = "a frame" if len(self.navigation) > 2 else "the image"
            raise ValueError(
                f"{self.name}: cannot bin by {factor}; {what} has "
                f"{' × '.join(str(a.size) for a in picture)} pixels"
            )
        return replace(self, bin=int(factor))

    def with_axis(self, axis: EnergyAxis) -> SpectrumImage:
        """The same counts on a corrected energy axis."""
        return replace(self, axis=axis)


def open_image(
    source: str | os.PathLike[str] | Spectra | SpectrumImage, *, signal: str | int | None = None
) -> SpectrumImage:
    """A file, spectra or an image as an image that is read a block at a time.

    Files of less than 200 MB and those in formats without lazy reading are loaded whole.

    Raises
    ------
    ReadError
        If there is no usable spectrum; one sentence with the file, what was found and what to
        do.
    """
    if isinstance(source, SpectrumImage):
        return source
    if isinstance(source, Spectra):
        return _of_spectra(source)
    path = Path(os.fsdecode(source))
    size = path.stat().st_size if path.is_file() else 0
    if size >= SMALL_BYTES or extension(path) in ARCHIVE_DIRECTORIES:
        image = _lazy(path, signal)
        if image is not None:
            return image
    image = _of_spectra(load(path, signal=signal))
    declared, survey = _beside(path, signal)
    if declared and tuple(a.size for a in declared) == image.shape:
        image = replace(image, navigation=declared)
    return replace(image, path=str(path), signal=signal, survey=survey)


def _of_spectra(spectra: Spectra) -> SpectrumImage:
    counts = spectra.counts if spectra.counts.ndim > 1 else spectra.counts[None]
    return SpectrumImage(
        counts,
        counts.ndim - 1,
        False,
        spectra.axis,
        tuple(NavigationAxis(n) for n in counts.shape[:-1]),
        dict(spectra.metadata),
        spectra.notes,
    )


def _items(path: Path, ext: str) -> list[DataSet] | None:
    """The data sets of a file, not yet read; None where no reader can."""
    for plugin in plugins_for(ext):
        try:
            with _silence():
                reader = importlib.import_module(plugin["api"]).file_reader
                if "lazy" not in inspect.signature(reader).parameters:
                    continue
                raw = reader(str(path), lazy=True)
                return [_data_set(path, entry, number) for number, entry in enumerate(raw)]
        except Exception:  # what is wrong is said by `coreloss.io.load`
            continue
    return None


def _reader_extension(path: Path) -> str:
    ext = extension(path)
    if ext in ARCHIVE_DIRECTORIES:
        return "zspy"
    kind = kind_of(path, first_bytes(path))
    if kind == "hdf5":
        return ext if ext in HDF5_EXTENSIONS else "hspy"
    return kind if kind in ("dm3", "ser") else ext


@lru_cache(maxsize=4)
def _beside(
    path: Path, signal: str | int | None
) -> tuple[tuple[NavigationAxis, ...], NDArray[np.floating] | None]:
    """Calibrated navigation axes of a file, and a survey image, where it has them."""
    items = _items(path, _reader_extension(path))
    if not items:
        return (), None
    try:
        item, _ = choose(path, items, signal)
    except ReadError:
        return (), None
    found = item.energy_axis()
    if found is None:
        return (), _survey(items, item)
    _check_shape(path, item, found[0])
    return _navigation(item.axes, found[0]), _survey(items, item)


def _check_shape(source: str | os.PathLike[str], item: DataSet, energy: int) -> None:
    """Raise ReadError if the navigation axes say another shape than the data have."""
    said, there = (
        " × ".join(str(n) for i, n in enumerate(sizes) if i != energy)
        for sizes in ([a.size for a in item.axes], item.shape)
    )
    if said != there:
        raise ReadError(
            source,
            f"its axes say {said} spectra but its data hold {there}",
            "save it again from the program that wrote it, with the shape that was recorded",
        )


def _navigation(axes: Sequence[DeclaredAxis], energy: int) -> tuple[NavigationAxis, ...]:
    kept = [a for i, a in enumerate(axes) if i != energy and a.size != 1]
    return tuple(
        NavigationAxis(a.size, a.scale or 1.0, a.offset, plain(a.unit), plain(a.name)) for a in kept
    )


def _survey(items: Sequence[DataSet], chosen: DataSet) -> NDArray[np.floating] | None:
    pictures = [
        item
        for item in items
        if item is not chosen and item.energy_axis() is None and len(item.shape) == 2
    ]
    pictures = [p for p in pictures if min(p.shape) > 8 and p.data.dtype.kind in "iuf"]
    named = [p for p in pictures if "survey" in p.title.lower()]
    if not pictures:
        return None
    best = (named or sorted(pictures, key=lambda p: -int(np.prod(p.shape))))[0]
    data = best.data.compute() if hasattr(best.data, "compute") else best.data
    return np.asarray(data, dtype=np.float32)


def _lazy(path: Path, signal: str | int | None) -> SpectrumImage | None:
    items = _items(path, _reader_extension(path))
    if not items:
        return None
    item, notes = choose(path, items, signal)
    if not hasattr(item.data, "compute"):
        return None
    image = image_of(path, item, notes)
    stored = image.data.dtype
    if stored.kind == "i" and (counted := unsigned(path, image.sample(64), stored)) is not None:
        told = (*image.notes, unsigned_note(stored))
        image = replace(image, data=image.data.view(counted), notes=told)
    return replace(image, path=str(path), signal=signal, survey=_survey(items, item))


def image_of(
    source: str | os.PathLike[str], item: DataSet, notes: Sequence[str] = ()
) -> SpectrumImage:
    """An image of a data set that is not read yet.

    Raises
    ------
    ReadError
        If it holds no real numbers or has no even energy axis.
    """
    if item.data.dtype.kind not in "iufb":
        what = "complex numbers" if item.data.dtype.kind == "c" else f"{item.data.dtype} values"
        raise ReadError(source, f"holds {what}", "give the measured spectra, in counts")
    found = item.energy_axis()
    if found is None:
        raise ReadError(
            source, "has no energy axis", "calibrate its axis in the acquisition program"
        )
    index, factor, said = found
    values = item.axes[index].energies(factor)
    if values.size != item.shape[index]:
        raise ReadError(
            source,
            f"its energy axis has {values.size} channels but its data {item.shape[index]}",
            "save it again from the program that wrote it",
        )
    if values.size < MIN_CHANNELS:
        raise ReadError(
            source,
            f"its spectra have {values.size} channels",
            f"give spectra of at least {MIN_CHANNELS} channels",
        )
    _check_shape(source, item, index)
    down = bool(values.size > 1 and values[0] > values[-1])
    try:
        axis = EnergyAxis.from_energies(values[::-1] if down else values)
    except ValueError as error:
        raise ReadError(source, f"its {error}", "export it on an even axis") from None
    data = item.data
    single = [i for i, n in enumerate(item.shape) if n == 1 and i != index]
    if single:
        data = data.squeeze(tuple(single))
        index -= sum(i < index for i in single)
    navigation = _navigation(item.axes, found[0])
    if data.ndim == 1:
        data, index, navigation = data[None], 1, (NavigationAxis(1),)
    return SpectrumImage(
        data,
        index,
        down,
        axis,
        navigation,
        dict(item.metadata),
        (*notes, *([said] if said else [])),
    )
