"""The low-loss record that goes with an image: one spectrum, or one for each pixel."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit.response import FARTHEST_ZERO_LOSS_EV, Response, zero_loss_position
from coreloss.io import ReadError
from coreloss.io.datasets import choose
from coreloss.io.rosetta import _silence
from coreloss.maps.blocks import Source
from coreloss.maps.pixels import SATURATED, Saturation, states
from coreloss.maps.source import (
    Block,
    SpectrumImage,
    _items,
    _reader_extension,
    image_of,
    open_image,
)

__all__ = [
    "DRIFTS",
    "LowLoss",
    "aligned_by_zero_loss",
    "axis_drift",
    "lined_up",
    "low_loss_of",
    "opened",
]

#: How notes on drift begin.
DRIFTS = "the zero-loss peak drifts by"

_SAMPLE = 512
# a zero-loss peak farther from 0 than this was put there, and says nothing of the core loss [eV]
_FARTHEST_OFF_EV = 15.0
_LEAST_OFF_EV = 0.1
# half width of the zero-loss window, as a share of which t/λ is judged [eV]
_ZERO_LOSS_EV = 4.0
# a low loss that ends below this lacks part of what follows the zero loss [eV]
_SHORT_EV = 50.0
# axes may differ by this share of their dispersion, as stored to four digits
_SAME_DISPERSION = 5e-3
# one kernel serves all pixels if t/λ varies by less than this about its mean
_SAME_THICKNESS = 0.05
_WITHOUT_PEAK = "low-loss spectra looked at hold no zero-loss peak"


@dataclass(frozen=True)
class LowLoss:
    """Low-loss spectra for the pixels of an image.

    Attributes
    ----------
    shared : Response or None
        One for all pixels; None where each has its own.
    source : Source or None
        Where those of single pixels are read.
    axis : EnergyAxis
        Of the low loss.
    dispersion_ev : float
        Of the core-loss record.
    ratio : float or None
        Exposure of the core loss over that of the low loss.
    drift_origin_ev : float or None
        The zero-loss position from which drift counts; None without drift correction.
    thickness : float
        Mean t/λ.
    mean : ndarray, (n_low,) [counts]
        Of usable spectra; for pixels that have none.
    notes : tuple of str
    drift_ev : float
        How far apart zero-loss positions lie.
    """

    shared: Response | None
    source: Source | None
    axis: EnergyAxis
    dispersion_ev: float
    ratio: float | None
    drift_origin_ev: float | None
    thickness: float
    mean: NDArray[np.float64] = field(repr=False)
    notes: tuple[str, ...] = ()
    drift_ev: float = 0.0

    def of_block(self, block: Block) -> Response:
        """The kernels of a block's pixels, (n, n_kernel)."""
        if self.shared is not None:
            return self.shared
        counts = self._counts(block)
        return Response.of_low_loss(
            counts, self.axis, self.dispersion_ev, ratio=self.ratio, shift_ev=self._drift(counts)
        )

    def drift_of_block(self, block: Block) -> NDArray[np.float64]:
        """How much too high the axes of a block's pixels read, (n,) [eV]; (1,) zero if alike."""
        return np.zeros(1) if self.shared is not None else self._drift(self._counts(block))

    def _counts(self, block: Block) -> NDArray[np.float64]:
        assert self.source is not None
        counts = self.source.open().read(block).astype(float)
        counts[~_usable(counts, self.axis)] = self.mean
        return counts

    def _drift(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.drift_origin_ev is None:
            return np.zeros(1)
        return zero_loss_position(counts, self.axis) - self.drift_origin_ev


def low_loss_of(
    image: SpectrumImage,
    low_loss: str | os.PathLike[str] | Spectra | SpectrumImage | Literal[False] | None,
    *,
    ratio: float | None = None,
    bin: int = 1,
    stretch: float = 1.0,
    together: bool = False,
) -> tuple[LowLoss | None, list[str]]:
    """The low loss given, or the one in the image's own file; None without any, or for False.

    That of the same file, and with ``together`` that given, was taken in the same sweep: its
    zero-loss peak tells how the energy axis drifts from pixel to pixel, and the model of every
    pixel moves with it. Where nothing but the file's own may be used and it cannot, the second
    says why.

    ``stretch`` is true over recorded dispersion, of the core loss and so of a low loss of the
    same dispersion. One of another, recorded with another setting of the spectrometer, is taken
    as it says.

    A saturated zero-loss peak makes the specimen seem thicker than it is, which is noted.

    Raises
    ------
    ReadError, ValueError
        For a low loss given, or needed for a ratio, that cannot be used: other navigation
        shape, no zero loss, channels too wide, with a ratio also a saturated one.
    """
    if ratio is not None and not ratio > 0:
        raise ValueError(f"the exposure ratio is {ratio}; it must be positive")
    if low_loss is False:
        return None, []
    if low_loss is not None:
        return _used(image, opened(low_loss), ratio, bin, stretch, together=together), []
    found = _in_same_file(image)
    if not found:
        return None, []
    try:
        fits = [s for s in found if s.number == 1 or s.binned(bin).shape == image.shape]
        return _used(image, (fits or found)[0], ratio, bin, stretch, together=True), []
    except ValueError as error:
        if ratio is not None:
            raise
        return None, [f"the low loss in the file is not used: {_reason(error, image.path)}"]


def aligned_by_zero_loss(
    image: SpectrumImage,
    low_loss: str | os.PathLike[str] | Spectra | SpectrumImage | Literal[False] | None = None,
) -> tuple[SpectrumImage, list[str]]:
    """The image on the axis that puts the zero-loss peak of a simultaneous low loss at 0.

    Parameters
    ----------
    image : SpectrumImage
    low_loss : path, Spectra, SpectrumImage or False, optional
        One of the same sweep; that of the same file without it, none for False.
    """
    if low_loss is False:
        return image, []
    found = _in_same_file(image) if low_loss is None else [opened(low_loss)]
    shape = tuple(a.size for a in image.navigation)
    for source in found:
        alike = source.number == 1 or tuple(a.size for a in source.navigation) == shape
        if not alike or source.axis.size < 5:
            continue
        counts = _sample(source if source.number == 1 else source.binned(image.bin))
        counts = counts[_usable(counts, source.axis)]
        if counts.size:  # the first channel of a plateau is not its middle
            counts = counts[states(counts, Saturation.of(source, counts)) != SATURATED]
        if not counts.size:
            continue
        place = float(np.median(zero_loss_position(counts, source.axis)))
        if not _LEAST_OFF_EV < abs(place) < _FARTHEST_OFF_EV:
            return image, []
        return image.with_axis(image.axis.corrected(-place)), [
            f"the zero-loss peak of the low loss lies at {place:+.1f} eV; the energy axis is moved "
            f"by {-place:+.1f} eV"
        ]
    return image, []


def axis_drift(
    image: SpectrumImage,
    low_loss: str | os.PathLike[str] | Spectra | SpectrumImage | Literal[False] | None = None,
    *,
    bin: int = 1,
    stretch: float = 1.0,
) -> tuple[LowLoss | None, list[str]]:
    """The low loss by which the axes of an image's pixels drift, and what to say; None without.

    Of the same sweep: the one given, or that of the same file. Parameters and errors are those
    of `low_loss_of`.
    """
    low, said = low_loss_of(image, low_loss, bin=bin, stretch=stretch, together=True)
    if low is None or low.drift_origin_ev is None:
        return None, said
    said += [note for note in low.notes if _WITHOUT_PEAK in note]
    return low, [*said, f"{DRIFTS} {low.drift_ev:.2f} eV; the axis of every pixel follows it"]


def _reason(error: ValueError, path: str) -> str:
    return str(error).removeprefix(f"{path}: ")


def _used(
    image: SpectrumImage,
    source: SpectrumImage,
    ratio: float | None,
    bin: int,
    stretch: float,
    *,
    together: bool,
) -> LowLoss:
    """A low loss prepared for the fit of an image; ``together``: of the same sweep."""
    same = stretch * source.axis.dispersion / image.axis.dispersion
    if abs(same - 1.0) <= _SAME_DISPERSION:
        source = source.with_axis(source.axis.corrected(0.0, stretch))
    name = source.name
    try:
        if source.number > 1:
            source = source.binned(bin)
            if source.shape != image.shape:
                raise ValueError(
                    f"the low loss has {_by(source.shape)} spectra and the core loss "
                    f"{_by(image.shape)}; give a low loss of the same area, or one spectrum"
                )
        sample = _sample(source)
        sample = np.where(np.isfinite(sample), sample, 0.0)
        good = sample.sum(axis=1) > 0
        if not good.any():
            raise ValueError("none of the low-loss spectra holds counts; leave it out")
        full = bool((states(sample, Saturation.of(source, sample)) == SATURATED).any())
        if full and ratio is not None:
            raise ValueError(
                "the zero-loss peak is saturated, so the beam's intensity and areal densities "
                "cannot be told; record it with a shorter exposure, or leave the exposure ratio out"
            )
        fine = _usable(sample, source.axis)
        sample = sample[fine if fine.any() else good]
        typical = sample.mean(axis=0)
        mean = Response.of_low_loss(typical, source.axis, image.axis.dispersion, ratio=ratio)
        place = zero_loss_position(sample, source.axis)
    except ReadError:
        raise
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    thickness = _thickness(sample, source, place)
    spread = float(thickness.std())
    middle = float(thickness.mean())
    drift = float(np.median(place)) if together and source.number > 1 else None
    moves = drift is not None and float(place.std()) > 0.1 * source.axis.dispersion
    alone = source.number > 1 and (
        moves or ratio is not None or spread > _SAME_THICKNESS * max(middle, 0.2)
    )
    notes = [f"low loss: {name}, t/λ {middle:.2f}"]
    if alone:
        notes[0] += ", one spectrum for each pixel"
        if not fine.all():
            notes.append(
                f"{(~fine).sum()} of {fine.size} {_WITHOUT_PEAK}; their pixels take the mean one"
            )
        if moves:
            notes.append(f"{DRIFTS} {np.ptp(place):.2f} eV; edges of the model follow it")
    elif source.number > 1:
        notes[0] += ", the mean for all pixels, which are alike"
    if abs(same - 1.0) > _SAME_DISPERSION:
        notes.append(
            f"the low loss of {source.axis.dispersion:.4g} eV/channel is rebinned to the core "
            f"loss's {image.axis.dispersion:.4g}"
        )
    if source.axis.end < _SHORT_EV:
        notes.append(
            f"the low loss ends at {source.axis.end:.0f} eV; plural scattering beyond is left out"
        )
    if full:
        notes.append(
            "the low loss is saturated: t/λ is less than that, and plural scattering is overrated"
        )
    return LowLoss(
        None if alone else mean,
        Source.of(source) if alone else None,
        source.axis,
        image.axis.dispersion,
        ratio,
        drift if moves else None,
        middle,
        typical,
        tuple(notes),
        float(np.ptp(place)),
    )


def _usable(counts: NDArray[np.float64], axis: EnergyAxis) -> NDArray[np.bool_]:
    """Whether low-loss spectra (n, n_low) hold counts, most of them in a zero-loss peak, (n,)."""
    values = np.where(np.isfinite(counts), counts, 0.0)
    if axis.size < 5:
        return np.asarray(values.sum(axis=1) > 0)
    near = np.abs(zero_loss_position(values, axis)) <= FARTHEST_ZERO_LOSS_EV
    return np.asarray((values.sum(axis=1) > 0) & near)


# the last sample of a file, for which its axis, its drift and the fit ask one after another
_SAMPLED: dict[tuple[Any, ...], NDArray[np.float64]] = {}


def _sample(source: SpectrumImage) -> NDArray[np.float64]:
    """Spectra spread over a low loss, (n, n_low); not to be written to."""
    if not (source.path and hasattr(source.data, "compute")):
        return source.sample(_SAMPLE).astype(float)
    told = Path(source.path).stat()
    key = (os.path.abspath(source.path), told.st_size, told.st_mtime_ns, source.signal, source.bin)
    if key not in _SAMPLED:
        _SAMPLED.clear()
        _SAMPLED[key] = source.sample(_SAMPLE).astype(float)
    return _SAMPLED[key]


def opened(low_loss: str | os.PathLike[str] | Spectra | SpectrumImage) -> SpectrumImage:
    """A low loss as an image; raises ReadError."""
    if isinstance(low_loss, SpectrumImage):
        return low_loss
    if isinstance(low_loss, Spectra):
        return open_image(low_loss)
    # of a file with both, the low loss is wanted here
    path = Path(os.fsdecode(low_loss))
    if path.exists():
        whole = open_image(path)
        if whole.axis.start < 0.0 < whole.axis.end:
            return whole
        return next(iter(_in_same_file(replace(whole, path=str(path)))), whole)
    return open_image(path)


def _in_same_file(image: SpectrumImage) -> list[SpectrumImage]:
    """The low losses that lie beside an image's core loss in its file."""
    if not image.path or not Path(image.path).exists():
        return []
    path = Path(image.path)
    items = _items(path, _reader_extension(path)) or []
    try:
        with _silence():
            chosen = choose(path, items, image.signal)[0] if items else None
    except ReadError:
        return []
    out = []
    for number, item in enumerate(items):
        found = item.energy_axis()
        if item is chosen or found is None or item.other_kind() is not None:
            continue
        values = item.axes[found[0]].energies(found[1])
        if not (values.min() <= 0 <= values.max()) or values.size < 32:
            continue
        with suppress(ReadError), _silence():
            out.append(replace(image_of(path, item), path=str(path), signal=number))
    return out


def _thickness(
    sample: NDArray[np.float64], source: SpectrumImage, place: NDArray[np.float64]
) -> NDArray[np.float64]:
    """t/λ = ln(total / zero loss) of sample spectra, (n,)."""
    values = np.nan_to_num(sample)
    energies = source.axis.energies[None, :] - place[:, None]
    reach = max(_ZERO_LOSS_EV, 2.0 * source.axis.dispersion)
    zero = np.where(np.abs(energies) <= reach, values, 0.0).sum(axis=1)
    total = np.where(energies >= -reach, values, 0.0).sum(axis=1)
    return np.log(np.maximum(total / np.maximum(zero, 1e-300), 1.0))


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)


def lined_up(
    counts: NDArray[np.floating], axis: EnergyAxis, drift_ev: NDArray[np.float64]
) -> NDArray[np.floating]:
    """Spectra (n, n_energy) put over by whole channels so that their edges lie together.

    For sums; what is left of the drift (n,) [eV] is at most half a channel. NaN where nothing
    was recorded.
    """
    steps = np.rint(drift_ev / axis.dispersion).astype(np.intp)
    if not steps.any():
        return counts
    place = np.arange(axis.size) + steps[:, None]
    inside = (place >= 0) & (place < axis.size)
    moved = np.take_along_axis(counts, np.clip(place, 0, axis.size - 1), axis=1)
    return np.where(inside, moved, np.nan).astype(counts.dtype, copy=False)
