"""What is done with the spectra of a block before any model: faults, denoising, clusters."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coreloss.maps.source import SpectrumImage

__all__ = [
    "DEAD",
    "SATURATED",
    "USABLE",
    "Clusters",
    "Denoiser",
    "Saturation",
    "states",
    "unrecorded",
    "usable_sample",
]

USABLE, DEAD, SATURATED = 0, 1, 2
_SAMPLE = 8192
_FEATURES = 64
_LEAST_PLATEAU = 3
_STARTS = 4


@dataclass(frozen=True)
class Saturation:
    """The count at which the detector ends, ``inf`` where nothing hints at one."""

    level: float = np.inf

    @classmethod
    def of(cls, image: SpectrumImage, sample: NDArray[np.floating]) -> Saturation:
        """From the largest value of integer counts, or one that repeats side by side.

        A ceiling is a value that three neighbouring channels of a spectrum share, that no
        channel exceeds and that is above a hundred of the smallest steps between counts.
        """
        finite = sample[np.isfinite(sample)]
        if finite.size == 0:
            return cls()
        kind = np.dtype(image.data.dtype)
        if kind.kind in "iu" and image.bin == 1 and finite.max() >= np.iinfo(kind).max:
            return cls(float(np.iinfo(kind).max))
        top = float(finite.max())
        at_top = sample == top
        plateau = at_top[:, 2:] & at_top[:, 1:-1] & at_top[:, :-2]
        if top <= 0 or not plateau.any():
            return cls()
        # in few counts three alike are chance; what a count is, in whatever unit, data tell
        steps = np.diff(np.unique(finite))
        return cls(top) if steps.size and top > 100 * float(steps.min()) else cls()


def states(counts: NDArray[np.floating], saturation: Saturation) -> NDArray[np.uint8]:
    """USABLE, DEAD or SATURATED for each spectrum, (n,).

    Dead: no channel, or fewer than 8, with a finite number, none above zero, or all the same.
    """
    finite = np.isfinite(counts)
    number = finite.sum(axis=1)
    high = np.where(finite, counts, -np.inf).max(axis=1)
    low = np.where(finite, counts, np.inf).min(axis=1)
    out = np.zeros(counts.shape[0], dtype=np.uint8)
    if np.isfinite(saturation.level):
        full = (counts >= saturation.level).sum(axis=1)
        out[full >= _LEAST_PLATEAU] = SATURATED
    out[(number < 8) | (high <= 0) | (high == low)] = DEAD
    return out


@dataclass(frozen=True)
class Denoiser:
    """Spectra rebuilt from the leading principal components of an image.

    Components are those of counts over the root of the mean spectrum, which evens Poisson
    noise out (M. R. Keenan, P. G. Kotula, Surf. Interface Anal. 36, 203 (2004)).
    """

    root: NDArray[np.float64] = field(repr=False)
    components: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, sample: NDArray[np.floating], number: int) -> Denoiser:
        """Of sample spectra (n, n_energy); needs scikit-learn."""
        if importlib.util.find_spec("sklearn") is None:
            raise ImportError(
                "denoising needs scikit-learn; install it with: pip install 'coreloss[maps]'"
            )
        from sklearn.decomposition import TruncatedSVD

        if not 1 <= number < min(sample.shape):
            raise ValueError(
                f"{number} principal components: give 1 to {min(sample.shape) - 1} for "
                f"{sample.shape[0]} spectra of {sample.shape[1]} channels"
            )
        values = np.nan_to_num(sample.astype(float))
        mean = np.maximum(values.mean(axis=0), 0.0)
        root = np.sqrt(np.maximum(mean, 1e-3 * float(mean.mean()) or 1.0))
        svd = TruncatedSVD(number, random_state=0).fit(values / root)
        return cls(root, np.asarray(svd.components_, dtype=float))

    def applied(self, counts: NDArray[np.floating]) -> NDArray[np.floating]:
        """Counts (n, n_energy) projected on the components; NaN channels stay NaN."""
        scaled = np.nan_to_num(counts.astype(float)) / self.root
        out = (scaled @ self.components.T) @ self.components * self.root
        return np.where(np.isfinite(counts), out, np.nan).astype(counts.dtype)


@dataclass(frozen=True)
class Clusters:
    """Groups of spectra of like shape."""

    centres: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, sample: NDArray[np.floating], number: int) -> Clusters:
        """k-means of the shapes of sample spectra; more than one group needs SciPy."""
        points = shapes(sample)
        if number == 1:
            return cls(np.zeros((1, points.shape[1])))
        from scipy.cluster.vq import kmeans2, vq

        number = min(number, np.unique(points, axis=0).shape[0])
        found = []
        for seed in range(_STARTS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a group that lost all its spectra
                centres, _ = kmeans2(points, number, minit="++", seed=seed)
            found.append((float(np.square(vq(points, centres)[1]).sum()), seed, centres))
        return cls(min(found)[2])

    def labels(self, counts: NDArray[np.floating]) -> NDArray[np.intp]:
        """The nearest group of each spectrum (n, n_energy), (n,)."""
        distance = (self.centres**2).sum(axis=1) - 2.0 * shapes(counts) @ self.centres.T
        return np.argmin(distance, axis=1)


def shapes(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Spectra as points: roots of the shares of their counts in 64 windows, (n, 64).

    The root evens Poisson noise out; the share does away with thickness and dose.
    """
    values = np.maximum(np.nan_to_num(counts.astype(float)), 0.0)
    bounds = np.linspace(0, values.shape[1], min(_FEATURES, values.shape[1]) + 1).astype(int)
    total = np.add.reduceat(values, bounds[:-1], axis=1)
    whole = total.sum(axis=1, keepdims=True)
    return np.sqrt(total / np.where(whole > 0, whole, 1.0))


def usable_sample(image: SpectrumImage) -> tuple[NDArray[np.floating], Saturation]:
    """Usable spectra spread over the image, and the detector's ceiling.

    Raises ValueError if none is usable.
    """
    sample = image.sample(_SAMPLE)
    saturation = Saturation.of(image, sample)
    state = states(sample, saturation)
    if not (state == USABLE).any():
        dead, full = (state == DEAD).sum(), (state == SATURATED).sum()
        raise ValueError(
            f"{image.name}: none of its {image.number} spectra is usable ({dead} without counts, "
            f"{full} saturated among {state.size} looked at); "
            + (
                "record it with a shorter exposure"
                if full > dead
                else "give an image with counts in it"
            )
        )
    return sample[state == USABLE], saturation


def unrecorded(sample: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Channels at the ends that hold nothing, or zero, in every sample spectrum, (n_energy,)."""
    empty = (np.nan_to_num(sample) == 0).all(axis=0)
    full = np.flatnonzero(~empty)
    inside = np.zeros(empty.size, dtype=bool)
    if full.size:
        inside[full[0] : full[-1] + 1] = True
    return ~inside
