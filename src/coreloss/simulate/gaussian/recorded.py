"""From a spectrum of Kong et al. to a record as laboratories keep it.

The paper's spectra all have one length, one channel width and one kind of noise. Real ones
cover part of the range, in channels of their own, with counting noise, an offset, a steeper
background and plural scattering. Everything here is off in the published recipe.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.simulate.detector import Noise, sample_channels
from coreloss.simulate.gaussian.recipe import GaussianRecipe

__all__ = [
    "WITHIN_EV",
    "RecordDraws",
    "axis_errors",
    "detectability",
    "draw_record",
    "log_uniform",
    "on_channels",
    "windows",
]

WITHIN_EV = 20.0  # above an onset, of an edge's signal that counts for its detection
_SEEN_BEFORE_EV = 10.0  # of background before an onset, with less of which it is harder to see

Floats = NDArray[np.float64]


@dataclass
class RecordDraws:
    """What the paper does not have, of n spectra; arrays are (n,) unless said otherwise.

    Attributes
    ----------
    channel_ev : [eV]
        Width of the recorded channels, true energies.
    dose : [electrons/eV]
        Mean over the record; infinite for no counting noise.
    gain : standard deviation of the detector's fixed pattern
    level : constant under the spectrum, over the lowest background in the record
    thickness : t/λ of plural scattering behind an edge
    plasmon_ev, plasmon_fwhm_ev : [eV]
    peaks : (n, n_slots), factor on the peaks of an edge over its tail
    """

    channel_ev: Floats
    dose: Floats
    gain: Floats
    level: Floats
    thickness: Floats
    plasmon_ev: Floats
    plasmon_fwhm_ev: Floats
    peaks: Floats

    def take(self, rows: Any) -> RecordDraws:
        """Those of some of the spectra."""
        return RecordDraws(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def log_uniform(rng: np.random.Generator, limits: tuple[float, float], shape: Any) -> Floats:
    return np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), shape))


def draw_record(rng: np.random.Generator, n: int, slots: int, recipe: GaussianRecipe) -> Any:
    """`RecordDraws` of n spectra; None for a recipe that asks for none of it."""
    if not recipe.channel_ev[1]:
        return None
    dose = log_uniform(rng, recipe.dose, n)
    level = log_uniform(rng, recipe.level, n)
    return RecordDraws(
        channel_ev=log_uniform(rng, recipe.channel_ev, n),
        dose=np.where(rng.uniform(size=n) < recipe.dose_fraction, dose, np.inf),
        gain=rng.uniform(*recipe.gain, n),
        level=np.where(rng.uniform(size=n) < recipe.level_fraction, level, 0.0),
        thickness=rng.uniform(*recipe.thickness, n),
        plasmon_ev=rng.uniform(*recipe.plasmon_ev, n),
        plasmon_fwhm_ev=rng.uniform(*recipe.plasmon_fwhm_ev, n),
        peaks=log_uniform(rng, recipe.peaks, (n, slots)),
    )


def windows(
    rng: np.random.Generator, onset: Floats, recipe: GaussianRecipe
) -> tuple[Floats, Floats]:
    """First and last energies (n,) [eV] of records with edges at ``onset`` (n, n_slots) [eV].

    Infinite onsets are none. With ``window_on_edge`` a window holds an edge of the spectrum.
    """
    n = onset.shape[0]
    low, high = recipe.range_ev
    cut = rng.uniform(size=n) < recipe.window_fraction
    length = np.minimum(log_uniform(rng, recipe.window_ev, n), high - low)
    if not recipe.window_on_edge:
        begin = rng.uniform(low, high - length)
    else:
        some = np.argmax(rng.uniform(size=onset.shape) * np.isfinite(onset), axis=1)
        place = onset[np.arange(n), some]
        place = np.where(np.isfinite(place), place, rng.uniform(low, high, n))
        # at least a sixth of the window lies on either side of the onset
        first = np.clip(place - 5.0 / 6.0 * length, low, high - length)
        last = np.clip(place - 1.0 / 6.0 * length, low, high - length)
        begin = rng.uniform(first, last)
    return np.where(cut, begin, low), np.where(cut, begin + length, high)


def axis_errors(
    rng: np.random.Generator, start: Floats, end: Floats, recipe: GaussianRecipe
) -> tuple[Floats, Floats]:
    """Shift (n,) [eV] and stretch (n,) of the axes of records from ``start`` to ``end``."""
    n = start.size
    if recipe.shift_scale_ev:
        # Laplace: most axes are nearly right, some are far off
        share = rng.uniform(-1.0, 1.0, n)
        reach = -np.expm1(-recipe.shift_ev / recipe.shift_scale_ev)
        shift = -recipe.shift_scale_ev * np.sign(share) * np.log1p(-np.abs(share) * reach)
    else:
        shift = rng.uniform(-recipe.shift_ev, recipe.shift_ev, n)
    stretch = 1.0 + rng.uniform(-recipe.stretch, recipe.stretch, n)
    if recipe.stretch_about == "middle":
        shift = shift + (1.0 - stretch) * 0.5 * (start + end)
    return shift, stretch


def on_channels(
    xp: Any,
    noise: Noise,
    spectra: Any,
    first_ev: Floats,
    size: NDArray[np.int64],
    draws: RecordDraws,
    white: Floats,
    recipe: GaussianRecipe,
) -> tuple[Any, Floats]:
    """Spectra (n, channels) on ``range_ev`` as noisy records (n, size.max()), and their means.

    ``first_ev`` (n,) is the centre of the first recorded channel [eV]; ``white`` (n,) the
    standard deviation of white noise.
    """

    def put(values: Any, dtype: Any = np.float32) -> Any:
        return xp.asarray(np.asarray(values, dtype=dtype)[:, None], device=noise.device)

    width = draws.channel_ev / recipe.dispersion_ev
    start = (first_ev - recipe.range_ev[0]) / recipe.dispersion_ev - 0.5 * width
    most = int(size.max())
    counts = sample_channels(xp, spectra, put(start, np.float64), put(width, np.float64), most)
    inside = xp.asarray(np.arange(most)[None, :] < size[:, None], device=noise.device)
    counts = xp.where(inside, counts, xp.zeros_like(counts))
    mean = xp.sum(counts, axis=1, keepdims=True) / put(size)
    counts = counts * (1.0 + put(draws.gain) * noise.normal((first_ev.size, most)))
    counted = np.isfinite(draws.dose)
    # electrons a channel of height 1
    per_unit = put(np.where(counted, draws.dose * draws.channel_ev, 1.0)) / xp.clip(mean, 1e-30)
    poisson = noise.poisson(counts * per_unit) / per_unit
    counts = xp.where(put(counted, bool), poisson, counts)
    if white.any():
        counts = counts + put(white) * noise.normal((first_ev.size, most))
    return counts, np.asarray(mean[:, 0].tolist())


def detectability(
    onset: Floats,
    start: Floats,
    end: Floats,
    below: Floats,
    height: Floats,
    power: Floats,
    mean: Floats,
    noise: Floats,
    white: Floats,
    draws: RecordDraws,
    recipe: GaussianRecipe,
) -> Floats:
    """Signal-to-noise ratio of edges, (n_edges,), by a filter matched to the edge.

    The root of the edge's squared height, integrated over the first 20 eV that were recorded,
    over the noise power per eV at the onset. Less than 10 eV of background before the onset
    lowers it in proportion.

    Parameters
    ----------
    onset, start, end : ndarray, (n_edges,) [eV]
        Of the edge and its record, true energies.
    below, height : ndarray, (n_edges,)
        The spectrum at the onset without the edge, and the edge's peak.
    power : ndarray, (n_edges,) [eV]
        Integral of the edge's squared shape over 20 eV, its peak being 1.
    mean, noise, white : ndarray, (n_edges,)
        Mean of the record, standard deviation of the noise before its filter and of white noise.
    draws : RecordDraws
        Of each edge's record.
    recipe : GaussianRecipe
    """
    level = below + 0.5 * height
    density = noise**2 * recipe.dispersion_ev + white**2 * draws.channel_ev
    density = density + level * mean / draws.dose
    density = density + (draws.gain * level) ** 2 * draws.channel_ev
    seen = np.clip((end - onset) / WITHIN_EV, 0.0, 1.0)
    before = np.clip((onset - start) / _SEEN_BEFORE_EV, 0.0, 1.0)
    return np.asarray(before * height * np.sqrt(power * seen / np.maximum(density, 1e-60)))
