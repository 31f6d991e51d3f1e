"""The generic low-loss spectrum that core-loss edges are convolved with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.simulate.draws import Draws
from coreloss.simulate.library import MARGIN
from coreloss.simulate.recipe import SimulationRecipe

__all__ = ["GAIN_CHANNELS", "convolve", "low_loss"]

# Complex numbers are multiplied by a function here: of a * b, NumPy puts the result in the place of
# either temporary, whichever nobody else holds (a profiler may), and b·a rounds otherwise than a·b.

_LOSS = 192  # channels of energy loss; the fourth plasmon of 30 eV is at 120 eV
GAIN_CHANNELS = 48  # channels below zero loss, for the tails of the zero-loss peak


def low_loss(
    rng: np.random.Generator, draws: Draws, recipe: SimulationRecipe
) -> NDArray[np.float32]:
    """Unit-area response, (n, _LOSS + GAIN_CHANNELS) float32; zero loss at GAIN_CHANNELS.

    n-fold scattering has probability Pₙ = (t/λ)ⁿ exp(-t/λ) / n!. Single scattering is a
    sum of Drude plasmons, E W E_p² / ((E² - E_p²)² + (E W)²); zero loss is a Gaussian or
    Lorentzian of the given FWHM with the Lorentzian tails of the detector.
    """
    n = draws.thickness.size
    energy = np.arange(_LOSS, dtype=np.float32)[None, :]
    single = np.zeros((n, _LOSS), dtype=np.float32)
    number = rng.integers(*recipe.plasmons, size=n, endpoint=True)
    for i in range(recipe.plasmons[1]):
        position = _drawn(rng, recipe.plasmon_energy_ev, n, recipe.integer_plasmons)
        width = _drawn(rng, recipe.plasmon_width_ev, n, recipe.integer_plasmons)
        weight = rng.uniform(0.2, 1.0, n).astype(np.float32)[:, None] * (number > i)[:, None]
        drude = energy * width * position**2
        drude = drude / ((energy**2 - position**2) ** 2 + (energy * width) ** 2 + 1e-3)
        total = drude.sum(axis=1, keepdims=True)
        single += np.where(total > 0, weight * drude / np.maximum(total, 1e-12), 0.0)
    single /= np.maximum(single.sum(axis=1, keepdims=True), 1e-12)

    # all orders at once: exp(t/λ (ŝ - 1)) is the Poisson sum in Fourier space
    length = _LOSS + GAIN_CHANNELS
    axis = np.arange(length, dtype=np.float32)[None, :] - GAIN_CHANNELS
    sigma = np.maximum(draws.zero_loss_fwhm_ev, 0.3).astype(np.float32)[:, None] / 2.3548
    if recipe.zero_loss == "lorentzian":
        half = 0.5 * draws.zero_loss_fwhm_ev.astype(np.float32)[:, None]
        # what falls into each channel: the line is not much wider than one
        core = np.arctan((axis + 0.5) / half) - np.arctan((axis - 0.5) / half)
    else:
        # the 1 eV channel itself broadens; below half a channel the Gaussian is that channel
        core = np.exp(-0.5 * (axis / np.maximum(sigma, 0.35)) ** 2)
    core /= core.sum(axis=1, keepdims=True)
    hwhm = draws.tail_hwhm_ev.astype(np.float32)[:, None]
    tails = hwhm / (axis**2 + np.maximum(hwhm, 1e-3) ** 2) / np.float32(np.pi)
    tails[:, GAIN_CHANNELS] = 0.0
    share = np.minimum(tails.sum(axis=1, keepdims=True), 0.8)
    tails[:, GAIN_CHANNELS] = 1.0 - share[:, 0]
    size = 512
    spectrum = np.fft.rfft(single, n=size, axis=1)
    shape = np.multiply(np.fft.rfft(core, n=size, axis=1), np.fft.rfft(tails, n=size, axis=1))
    thickness = draws.thickness.astype(np.float32)[:, None]
    shape = np.multiply(shape, np.exp(thickness * (spectrum - 1.0)))
    response = np.fft.irfft(shape, n=size, axis=1)
    # both kernels start GAIN_CHANNELS channels early, so the product does 2 · GAIN_CHANNELS
    response = response[:, GAIN_CHANNELS : GAIN_CHANNELS + length]
    return np.asarray(response, dtype=np.float32)


def _drawn(
    rng: np.random.Generator, limits: tuple[float, float], n: int, whole: bool
) -> NDArray[np.float32]:
    low, high = limits
    if whole:
        return rng.integers(int(low), int(high), n, endpoint=True).astype(np.float32)[:, None]
    return rng.uniform(low, high, n).astype(np.float32)[:, None]


def convolve(xp: Any, spectra: Any, response: Any) -> Any:
    """Spectra (n, n_grid) convolved with the responses of `low_loss`, all on 1 eV channels.

    The last ``MARGIN`` channels are cleared first so that little wraps around to low energy.
    """
    n, n_grid = spectra.shape
    device = spectra.device
    keep = xp.asarray((np.arange(n_grid) < n_grid - MARGIN).astype(np.float32), device=device)
    spectra = spectra * keep[None, :]
    blank = xp.zeros((n, n_grid - response.shape[1]), dtype=spectra.dtype, device=device)
    # zero loss to channel 0, gain side to the end
    kernel = xp.concat([response[:, GAIN_CHANNELS:], blank, response[:, :GAIN_CHANNELS]], axis=1)
    product = xp.multiply(xp.fft.rfft(spectra, axis=1), xp.fft.rfft(kernel, axis=1))
    return xp.fft.irfft(product, n=n_grid, axis=1)
