"""What lies beside the spectra in which an element was found, to ask about it there.

An element that a network finds in one noisy spectrum in fifty may be there, or noise may have made
it up. The sum of just those spectra cannot tell: their noise was selected for looking like the
element, and in the sum it still does (the same counts chosen by and tested on; W. Fithian, D. Sun,
J. Taylor, arXiv:1410.2597). Splitting every spectrum's counts in two (A. Neufeld et al.,
Biostatistics 25, 270 (2023); J. Leiner et al., J. Am. Stat. Assoc. 120, 135 (2025)) cures that,
where the noise is of a known law, and halves the dose that the network is given. An image has
something better: a neighbour holds much the same, and its noise is its own. So what is summed are
the spectra whose *neighbours* show the element, whatever they seem to show themselves. Nothing need
be known of the noise but that it is not shared, which the counts tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import filled

__all__ = ["beside", "unshared_step"]

# Images put on another grid share noise between neighbours: this far away it is looked for …
_FARTHEST = 4
# … and with a correlation below this it counts as another's
_SHARED = 0.2
_MOST_PAIRS = 128


def beside(found: NDArray[np.bool_], step: int = 1) -> NDArray[np.uint8]:
    """How many of a pixel's neighbours show something.

    Parameters
    ----------
    found : ndarray, (n, *shape) bool
        Of n things.
    step : int
        How many pixels away neighbours are, along each axis either way.

    Returns
    -------
    ndarray, (n, *shape)
    """
    out = np.zeros(found.shape, dtype=np.uint8)
    for axis in range(1, found.ndim):
        if step >= found.shape[axis]:
            continue
        first: list[slice] = [slice(None)] * found.ndim
        other = list(first)
        first[axis], other[axis] = slice(0, -step), slice(step, None)
        out[tuple(first)] += found[tuple(other)]
        out[tuple(other)] += found[tuple(first)]
    return out


def unshared_step(
    counts: NDArray[np.floating], shape: tuple[int, ...], usable: NDArray[np.bool_]
) -> int:
    """How many pixels away a spectrum's noise is its own: 1 of images as recorded.

    Noise is told by second differences along energy, in which no background shows, less those of
    the mean spectrum, in which edges and a detector's pattern do; its correlation from medians of
    squares, which white lines that come and go do not move. Where it is shared at any distance,
    as in images rebuilt from principal components, going far gains nothing: 1.

    Parameters
    ----------
    counts : ndarray, (n, n_energy)
        Of a block of this shape.
    shape : tuple of int
    usable : ndarray, (n,) bool
    """
    place = np.arange(usable.size).reshape(shape)
    mean = filled(counts[usable].mean(axis=0, dtype=float)[None])[0]
    if not mean.max() > 0:
        return 1  # negative throughout, which no counts are: what is noise cannot be told
    level = np.sqrt(np.maximum(mean, 1e-3 * float(mean.max())))

    def noise(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        values = counts[rows].astype(float)
        share = np.nansum(values, axis=1, keepdims=True) / max(float(mean.sum()), 1e-300)
        return np.asarray(np.diff((values - share * mean) / level, n=2, axis=1))

    def shared(step: int) -> bool:
        for axis, size in enumerate(shape):
            if step >= size:
                continue
            first = np.take(place, np.arange(size - step), axis=axis).ravel()
            other = np.take(place, np.arange(step, size), axis=axis).ravel()
            pairs = np.flatnonzero(usable[first] & usable[other])
            pairs = pairs[:: max(1, pairs.size // _MOST_PAIRS)]
            if not pairs.size:
                continue
            one, two = noise(first[pairs]), noise(other[pairs])
            known = np.isfinite(one) & np.isfinite(two)
            if not known.any():
                continue
            own = float(np.median(np.concatenate([one[known], two[known]]) ** 2))
            if own > 0 and np.median((one - two)[known] ** 2) < 2.0 * (1.0 - _SHARED) * own:
                return True
        return False

    for step in range(1, _FARTHEST + 1):
        if not shared(step):
            return step
    return 1
