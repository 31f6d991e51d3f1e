"""From a clean spectrum to a record: channels, dose, noise and the detector's faults."""

from __future__ import annotations

from typing import Any

import numpy as np

from coreloss.simulate.draws import Draws
from coreloss.simulate.recipe import SimulationRecipe

__all__ = ["Noise", "imperfections", "sample_channels"]


class Noise:
    """Random arrays on the device of the array namespace ``xp``, from one seed."""

    def __init__(self, xp: Any, seed: int, device: Any = None) -> None:
        self.xp = xp
        self.device = device
        self._torch = "torch" in xp.__name__
        if self._torch:
            import torch

            self._generator: Any = torch.Generator(device=device or "cpu")
            self._generator.manual_seed(seed)
        else:
            self._generator = np.random.default_rng(seed)

    def normal(self, shape: tuple[int, ...]) -> Any:
        """Standard normal numbers, float32."""
        if self._torch:
            import torch

            return torch.randn(shape, generator=self._generator, device=self.device)
        return self._generator.standard_normal(shape, dtype=np.float32)

    def poisson(self, mean: Any) -> Any:
        """Poisson counts with the given means, float32.

        Above 50 counts a rounded normal deviate with the same mean and variance stands in:
        the skewness it lacks is below 0.14.
        """
        xp = self.xp
        mean = xp.clip(mean, 0.0, None)
        large = mean > 50.0
        normal = xp.round(mean + xp.sqrt(mean) * self.normal(tuple(mean.shape)))
        small = xp.where(large, xp.zeros_like(mean), mean)
        if self._torch:
            import torch

            exact = torch.poisson(small, generator=self._generator)
        else:
            exact = self._generator.poisson(small).astype(np.float32)
        return xp.where(large, normal, exact)


def sample_channels(xp: Any, spectra: Any, start: Any, width: Any, number: int) -> Any:
    """Mean of spectra on 1 eV channels over adjacent windows: a detector's channels.

    Parameters
    ----------
    spectra : array, (n, n_grid); channel i covers i - 0.5 … i + 0.5 eV
    start : array, (n, 1) float64 [eV]
        Lower boundary of the first window.
    width : array, (n, 1) float64 [eV]
    number : int
        Windows; what lies beyond the grid counts zero.

    Returns
    -------
    array, (n, number) float32
    """
    double = xp.float64
    # double precision: a running sum over six decades of intensity
    integral = xp.cumulative_sum(spectra, axis=1, dtype=double, include_initial=True)
    last = spectra.shape[1]
    index = xp.arange(number + 1, dtype=double, device=spectra.device)[None, :]
    channel = xp.clip(start + 0.5 + width * index, 0.0, last - 1e-6)
    whole = xp.astype(channel, xp.int64)
    left = xp.take_along_axis(integral, whole, axis=1)
    right = xp.take_along_axis(integral, whole + 1, axis=1)
    area = left + (channel - xp.astype(whole, double)) * (right - left)
    return xp.astype((area[:, 1:] - area[:, :-1]) / width, xp.float32)


def imperfections(
    xp: Any,
    noise: Noise,
    rng: np.random.Generator,
    expected: Any,
    inside: Any,
    draws: Draws,
    recipe: SimulationRecipe,
) -> Any:
    """A noisy record from expected counts.

    Fixed-pattern gain, Poisson noise, readout noise, gain steps, detector baseline, shaded
    ends, constant offset, spikes and smoothing, each as the recipe says.

    Parameters
    ----------
    expected : array, (n, n_energy) [electrons]
    inside : array, (n, n_energy), 1 for recorded channels

    Returns
    -------
    array, (n, n_energy) float32
    """
    n, width = expected.shape

    def put(values: Any) -> Any:
        return xp.asarray(np.asarray(values, dtype=np.float32)[:, None], device=noise.device)

    bare = (draws.elements < 0).all(axis=1)

    def some(fraction: float) -> np.ndarray:
        """Records with a fault: more of those without an edge, to be told from edges."""
        share = np.where(bare, max(fraction, recipe.empty_faults), fraction)
        return rng.uniform(size=n) < share

    counts = expected
    if recipe.gain_noise[1] > 0:
        fast = noise.normal((n, width))
        slow = _smooth(xp, noise.normal((n, width)), rng.uniform(*recipe.gain_length, n), noise)
        mixture = put(rng.uniform(0.0, 1.0, n))
        size = put(rng.uniform(*recipe.gain_noise, n))
        pattern = size * (mixture * fast + (1.0 - mixture) * slow)
        counts = counts * (1.0 + pattern)
    counts = noise.poisson(counts)
    if recipe.readout_noise[1] > 0:
        # readout is per frame; deep records sum many
        readout = rng.uniform(*recipe.readout_noise, n) * rng.uniform(0, 1, n)
        counts = counts + put(readout) * noise.normal((n, width))
    peak = xp.max(expected * inside, axis=1, keepdims=True)
    if recipe.gain_step_fraction > 0:
        place = put(rng.uniform(0.1, 0.9, n) * _recorded(draws))
        ratio = rng.uniform(*recipe.gain_step, n) * rng.choice((-1.0, 1.0), n)
        ratio = put(np.where(some(recipe.gain_step_fraction), 1.0 + ratio, 1.0))
        channel = xp.asarray(np.arange(width, dtype=np.float32)[None, :], device=noise.device)
        counts = counts * xp.where(channel > place, ratio, xp.ones_like(ratio))
    if recipe.baseline_fraction > 0:
        # a scintillator's dark image: smooth, a few channels wide to the whole record
        channel = xp.asarray(np.arange(width, dtype=np.float32)[None, :], device=noise.device)
        place = put(rng.uniform(-0.5, 1.5, n) * _recorded(draws))
        spread = put(rng.uniform(0.3, 1.2, n) * _recorded(draws))
        size = put(np.where(some(recipe.baseline_fraction), rng.uniform(0.02, 0.5, n), 0.0))
        counts = counts + size * peak * xp.exp(-0.5 * ((channel - place) / spread) ** 2)
    if recipe.shading_fraction > 0:
        channel = xp.asarray(np.arange(width, dtype=np.float32)[None, :], device=noise.device)
        length = put(np.maximum(rng.uniform(0.002, 0.04, n) * _recorded(draws), 1.0))
        far_end = rng.uniform(size=n) < 0.5
        place = put(np.where(far_end, _recorded(draws) - 1.0, 0.0))
        depth = np.where(some(recipe.shading_fraction), rng.uniform(-0.3, 0.7, n), 0.0)
        counts = counts * (1.0 - put(depth) * xp.exp(-xp.abs(channel - place) / length))
    if recipe.offset_fraction > 0:
        offset = rng.uniform(*recipe.offset, n) ** 3 / max(recipe.offset[1], 1e-9) ** 2
        counts = counts + put(np.where(some(recipe.offset_fraction), offset, 0.0)) * peak
    if recipe.spike_fraction > 0:
        hit = np.nonzero(some(recipe.spike_fraction))[0]
        rows = np.repeat(hit, rng.integers(1, 4, hit.size))
        last = np.maximum(np.floor(_recorded(draws)), 1.0)[rows]
        channel = np.minimum(rng.uniform(size=rows.size) * last, last - 1).astype(np.int64)
        height = np.exp(rng.uniform(np.log(0.01), np.log(1.0), rows.size)).astype(np.float32)
        at = xp.asarray(rows, device=noise.device), xp.asarray(channel, device=noise.device)
        counts[at] += xp.asarray(height, device=noise.device) * peak[at[0], 0]
    if recipe.smoothed_fraction > 0:
        smooth = rng.uniform(size=n) < recipe.smoothed_fraction
        if smooth.any():
            rows = np.nonzero(smooth)[0]
            index = xp.asarray(rows, device=noise.device)
            length = rng.uniform(*recipe.smoothing, n)[rows]
            total = _window_sum(xp, (counts * inside)[index], length, noise)
            weight = _window_sum(xp, inside[index], length, noise)
            counts[index] = total / xp.where(weight > 0, weight, xp.ones_like(weight))
    return counts * inside


def _recorded(draws: Draws) -> np.ndarray:
    return (draws.end_ev - draws.start_ev) / draws.dispersion_ev


def _window_sum(xp: Any, values: Any, length: np.ndarray, noise: Noise) -> Any:
    """Sums over windows of whole odd numbers of channels nearest to ``length``, (n,)."""
    half = np.maximum(np.rint((length - 1.0) / 2.0).astype(np.int64), 0)[:, None]
    width = values.shape[1]
    total = xp.cumulative_sum(xp.astype(values, xp.float64), axis=1, include_initial=True)
    channel = np.arange(width)[None, :]
    high = xp.asarray(np.minimum(channel + half + 1, width), device=noise.device)
    low = xp.asarray(np.maximum(channel - half, 0), device=noise.device)
    difference = xp.take_along_axis(total, high, axis=1) - xp.take_along_axis(total, low, axis=1)
    return xp.astype(difference, xp.float32)


def _smooth(xp: Any, white: Any, length: np.ndarray, noise: Noise) -> Any:
    """White noise averaged over about ``length`` channels, back at unit variance."""
    half = np.maximum(np.rint((length - 1.0) / 2.0), 0.0)
    sums = _window_sum(xp, white, length, noise)
    norm = np.sqrt(2.0 * half + 1.0).astype(np.float32)[:, None]
    return sums / xp.asarray(norm, device=noise.device)
