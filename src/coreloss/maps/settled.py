"""The energy axis of a whole image, judged on its mean spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import Spectra, total_of
from coreloss.identification import ModelBundle, identify_spectra
from coreloss.maps.source import SpectrumImage

__all__ = ["settled_axis"]


def settled_axis(
    image: SpectrumImage,
    sample: NDArray[np.floating],
    mode: str | float,
    bundle: ModelBundle,
    threads: int,
) -> tuple[SpectrumImage, list[str], float]:
    """The image on the axis that ``mode`` says, what was found in words, and the axis's error.

    The error [eV] is that of the correction, or of what was measured and not corrected; 0 where the
    axis was not judged.

    Parameters
    ----------
    image : SpectrumImage
    sample : ndarray, (n, n_energy)
        Usable spectra of it.
    mode : str or float
        As ``axis_mode`` of `coreloss.identify`.
    bundle : ModelBundle
    threads : int
    """
    if mode == "as-recorded":
        return image, [], 0.0
    mean = total_of(sample) / sample.shape[0]
    estimate = identify_spectra(
        Spectra(mean, image.axis), model=bundle, threads=threads, axis_mode=mode
    )[0].axis_estimate
    if estimate is None:
        return image, [], 0.0
    left = 0.0 if estimate.corrected else estimate.measured_ev
    error = float(np.hypot(left, estimate.error_ev))
    said = [estimate.sentence()]
    return image.with_axis(estimate.applied(image.axis)), said, error if error < np.inf else 0.0
