"""Fit an edge by a sum of Gaussians on a tail, so that a library can grow from one's own data.

Kong, Ji & Xin 2022 ('Edge modeling') fit digitised edges this way; the number of peaks, which
they leave open, is chosen here by the Bayesian or Akaike information criterion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.energy import Spectra
from coreloss.simulate.gaussian.shapes import EdgeShape, Peak, Step, onset_of

__all__ = ["FittedEdge", "fit_curve", "fit_edge"]

_CRITERIA = ("bic", "aic")
_GUESSES_EV = (1.0, 2.5, 6.0, 15.0)  # widths at which a further peak is tried
_FEWEST = 12  # channels that a background or an edge needs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FittedEdge:
    """An edge, its fit and what is left.

    Attributes
    ----------
    shape : EdgeShape
        Scaled to a maximum of 1.
    energies : ndarray, (n_energy,) [eV]
    counts : ndarray, (n_energy,) [counts]
        Of the record.
    background : ndarray, (n_energy,) [counts]
    fit : ndarray, (n_energy,) [counts]
        Of the edge, within the window; zero outside.
    scale : float [counts]
        Maximum of the fitted edge.
    criterion : str
    trials : tuple of (int, float)
        Numbers of peaks tried and the criterion's values.
    residual : float
        Root mean square of what is left, over ``scale``.
    jump_ratio : float
        Maximum of the fitted edge over the background at its onset.
    """

    shape: EdgeShape
    energies: Floats
    counts: Floats
    background: Floats
    fit: Floats
    scale: float
    criterion: str
    trials: tuple[tuple[int, float], ...]
    residual: float
    jump_ratio: float

    def table(self) -> str:
        """The parts of the fit as text."""
        shape = self.shape
        lines = [
            f"{shape.label} {shape.name!r}: {len(shape.peaks)} peaks by {self.criterion.upper()}, "
            f"jump ratio {self.jump_ratio:.3g}, residual {100 * self.residual:.2g} % of the peak",
            f"{'':<8}{'at [eV]':>10}{'height':>10}{'width [eV]':>12}",
        ]
        for step in shape.steps:
            lines.append(
                f"{'step':<8}{step.onset_ev:>10.2f}{step.height:>10.4f}{step.width_ev:>12.2f}"
                f"   falls as E^-{step.exponent:.2f}"
            )
        for peak in shape.peaks:
            lines.append(
                f"{'peak':<8}{peak.centre_ev:>10.2f}{peak.height:>10.4f}{peak.fwhm_ev:>12.2f}"
            )
        return "\n".join(lines)


def fit_edge(
    spectra: Spectra,
    element: str,
    edge: str,
    window: tuple[float, float],
    *,
    background: tuple[float, float] | None = None,
    name: str = "",
    family: str = "own",
    source: str = "",
    criterion: str = "bic",
    max_peaks: int = 12,
) -> FittedEdge:
    """Take the background off a record and fit one edge.

    Parameters
    ----------
    spectra : Spectra
        One record, or several, which are summed.
    element, edge : str
        'Mn', 'L2,3'.
    window : (float, float) [eV]
        The part of the record that is fitted; it holds the edge's onset.
    background : (float, float) [eV], optional
        Where the power law A·E^-r is fitted; without it up to a tenth of the window's start
        below the window, or, where the record begins too late, from there to 4 eV below the
        edge's tabulated onset.
    name, family, source : str
        Of the shape.
    criterion : str
        'bic' or 'aic'.
    max_peaks : int

    Raises
    ------
    ValueError
        If the record does not hold the window or the edge, or has no edge to fit there.
    ImportError
        Without SciPy.
    """
    record = spectra.summed()
    energies, counts = record.axis.energies, np.asarray(record.counts, dtype=float)
    onset = onset_of(element, edge)
    low, high = (float(value) for value in window)
    if not low < onset < high:
        raise ValueError(
            f"window {low:g} to {high:g} eV does not hold {element} {edge}, whose onset is at "
            f"{onset:g} eV"
        )
    if low < energies[0] - record.axis.dispersion or high > energies[-1] + record.axis.dispersion:
        raise ValueError(
            f"the record runs from {energies[0]:.4g} to {energies[-1]:.4g} eV; it does not hold "
            f"the window {low:g} to {high:g} eV"
        )
    before = background or _before(energies, low, onset)
    under, power = _power_law(energies, counts, *before)
    inside = (energies >= low) & (energies <= high) & np.isfinite(counts)
    if inside.sum() < 2 * _FEWEST:
        raise ValueError(f"window {low:g} to {high:g} eV holds {inside.sum()} channels; widen it")
    net = counts - under
    noise = _noise_of(net[inside])
    if not net[inside].max() > 3.0 * noise or noise != noise:
        raise ValueError(
            f"nothing rises above the background ({before[0]:g} to {before[1]:g} eV, r = "
            f"{power:.2f}) in the window; check element, window and --background"
        )
    shape, trials = fit_curve(
        energies[inside],
        net[inside],
        element,
        edge,
        name=name or f"{element} {edge}",
        family=family,
        source=source,
        end_ev=high,
        criterion=criterion,
        max_peaks=max_peaks,
        tolerance=noise / float(net[inside].max()),
    )
    # the scale of counts, which a shape has not
    unit = shape.intensity(energies[inside])
    scale = float(unit @ net[inside] / (unit @ unit))
    fitted = np.where(inside, scale * shape.intensity(energies), 0.0)
    left = (net - fitted)[inside]
    start = float(np.interp(shape.onset_ev, energies, under))
    return FittedEdge(
        shape,
        energies,
        counts,
        under,
        fitted,
        scale,
        criterion,
        trials,
        float(np.sqrt(np.mean(left**2)) / scale),
        scale / start,
    )


def _before(energies: Floats, low: float, onset: float) -> tuple[float, float]:
    """Where the background is fitted if nothing is said."""
    candidate = (max(float(energies[0]), 0.9 * low), low)
    if ((energies >= candidate[0]) & (energies <= low)).sum() >= _FEWEST:
        return candidate
    return (max(float(energies[0]), low), onset - 4.0)


def _power_law(energies: Floats, counts: Floats, low: float, high: float) -> tuple[Floats, float]:
    """A·E^-r fitted to counts between two energies, at all energies, and r."""
    inside = (energies >= low) & (energies <= high) & (counts > 0)
    if inside.sum() < _FEWEST:
        raise ValueError(
            f"only {inside.sum()} channels with counts from {low:g} to {high:g} eV to fit the "
            f"background on; at least {_FEWEST} are needed (--background A B)"
        )
    # weights of Poisson counts: those of log counts are their square roots
    slope, constant = np.polyfit(
        np.log(energies[inside]), np.log(counts[inside]), 1, w=np.sqrt(counts[inside])
    )
    return np.exp(constant + slope * np.log(np.maximum(energies, 1e-3))), float(-slope)


def _noise_of(values: Floats) -> float:
    """Standard deviation of white noise on a smooth curve, from second differences."""
    second = np.diff(values, 2)
    return float(1.4826 * np.median(np.abs(second - np.median(second))) / np.sqrt(6.0))


def fit_curve(
    energies: Floats,
    values: Floats,
    element: str,
    edge: str,
    *,
    name: str,
    family: str,
    source: str,
    end_ev: float,
    criterion: str = "bic",
    max_peaks: int = 12,
    tolerance: float = 0.003,
    drift_ev: float = 8.0,
) -> tuple[EdgeShape, tuple[tuple[int, float], ...]]:
    """Fit steps and Gaussians to a background-subtracted edge.

    The tail is a step at the onset, or, for a pair such as L2,3, one at each of the two in
    the ratio of their electrons. Peaks are added where they take most of what is left, all
    is refined by least squares each time, and the number with the lowest criterion is kept.

    Parameters
    ----------
    energies : ndarray, (n_energy,) [eV]
    values : ndarray, (n_energy,) [any]
    element, edge, name, family, source : str
    end_ev : float [eV]
    criterion : str
        'bic' or 'aic'.
    max_peaks : int
    tolerance : float
        Standard error of the values over their maximum: the fit need not be better.
    drift_ev : float [eV]
        By how much the steps may leave the tabulated onsets.

    Returns
    -------
    shape : EdgeShape, scaled to a maximum of 1
    trials : tuple of (number of peaks, criterion)

    Raises
    ------
    ValueError
        For another criterion.
    ImportError
        Without SciPy.
    """
    if criterion not in _CRITERIA:
        raise ValueError(f"criterion is {criterion!r}; choose {' or '.join(_CRITERIA)}")
    try:
        from scipy.optimize import least_squares, nnls
    except ModuleNotFoundError:
        raise ImportError(
            "fitting edges needs scipy; install it with: pip install 'coreloss[fit]'"
        ) from None
    scale = float(np.max(values))
    model = _Model(element, edge, energies, drift_ev)
    y = values / scale
    n = y.size
    best: tuple[float, Floats] | None = None
    trials = []
    parameters = model.start(y)
    worse = 0
    for number in range(max_peaks + 1):
        if number:
            parameters = model.with_peak(parameters, y, nnls)
        low, high = model.bounds(number)
        inner = np.clip(parameters, low + 1e-9 * (high - low), high - 1e-9 * (high - low))
        solved = least_squares(
            lambda p: model(p) - y, inner, bounds=(low, high), x_scale="jac", max_nfev=200
        )
        parameters = solved.x
        left = float(np.mean((model(parameters) - y) ** 2)) + tolerance**2
        price = np.log(n) if criterion == "bic" else 2.0
        value = n * float(np.log(left)) + price * parameters.size
        trials.append((number, value))
        if best is None or value < best[0]:
            best, worse = (value, parameters), 0
        else:
            worse += 1
            if worse == 2:
                break
    assert best is not None
    steps, peaks = model.parts(best[1])
    raw = EdgeShape(element, edge, name, family, source, end_ev, steps, peaks)
    top = float(raw.intensity(energies).max())
    shape = EdgeShape(
        element,
        edge,
        name,
        family,
        source,
        end_ev,
        tuple(Step(s.onset_ev, s.height / top, s.width_ev, s.exponent) for s in steps),
        tuple(Peak(p.centre_ev, p.height / top, p.fwhm_ev) for p in peaks),
    )
    return shape, tuple(trials)


class _Model:
    """Steps with one height, drift, width and exponent, then peaks of three numbers each."""

    _STEP = 4

    def __init__(self, element: str, edge: str, energies: Floats, drift_ev: float) -> None:
        self.energies = energies
        self.drift = drift_ev
        shell, _, pair = edge.partition(",")
        if pair:
            lower, upper = shell[0] + pair, shell
            onsets = (onset_of(element, lower), onset_of(element, upper))
            # electrons of the two: 2j + 1, with j = l ± ½ (L3 : L2 = 2 : 1, M5 : M4 = 3 : 2)
            share = {"3": 2 / 3, "5": 3 / 5, "7": 4 / 7}[pair]
            self.onsets: tuple[float, ...] = onsets
            self.shares: tuple[float, ...] = (share, 1.0 - share)
        else:
            self.onsets, self.shares = (onset_of(element, edge),), (1.0,)

    def start(self, y: Floats) -> Floats:
        """Parameters without peaks."""
        level = max(float(np.mean(y[-max(y.size // 6, 1) :])), 0.05)
        return np.array([level, 0.0, 1.0, 2.5])

    def bounds(self, number: int) -> tuple[Floats, Floats]:
        """Of the parameters with a number of peaks."""
        low, high = [0.0, -self.drift, 0.2, 0.0], [3.0, self.drift, 6.0, 8.0]
        span = float(self.energies[-1] - self.energies[0])
        for _ in range(number):
            low += [float(self.energies[0]), 0.0, 0.3]
            high += [float(self.energies[-1]), 3.0, max(0.7 * span, 1.0)]
        return np.array(low), np.array(high)

    def parts(self, parameters: Floats) -> tuple[tuple[Step, ...], tuple[Peak, ...]]:
        """Steps and peaks, the latter by energy."""
        height, drift, width, exponent = map(float, parameters[: self._STEP])
        steps = tuple(
            Step(onset + drift, share * height, width, exponent)
            for onset, share in zip(self.onsets, self.shares, strict=True)
        )
        rows = parameters[self._STEP :].reshape(-1, 3).tolist()
        return steps, tuple(sorted((Peak(*row) for row in rows), key=lambda p: p.centre_ev))

    def __call__(self, parameters: Floats) -> Floats:
        """The curve."""
        total = np.zeros(self.energies.size)
        steps, peaks = self.parts(parameters)
        parts: tuple[Step | Peak, ...] = (*steps, *peaks)
        for part in parts:
            total += part.intensity(self.energies)
        return total

    def with_peak(self, parameters: Floats, y: Floats, nnls: Any) -> Floats:
        """Parameters with the one more peak that takes most of the residual."""
        left = y - self(parameters)
        step = float(self.energies[1] - self.energies[0])
        gain, chosen = -np.inf, (float(self.energies[y.size // 2]), 0.05, 2.0)
        for width in _GUESSES_EV:
            half = int(np.ceil(1.5 * width / step))
            offset = step * np.arange(-half, half + 1)
            kernel = np.exp(-4.0 * np.log(2.0) * (offset / width) ** 2)
            if kernel.size > y.size:
                continue
            # least squares of one Gaussian at every place: projection over its norm
            projection = np.convolve(left, kernel, mode="same")
            norm = np.convolve(np.ones(y.size), kernel**2, mode="same")
            taken = np.where(projection > 0, projection**2 / norm, 0.0)
            place = int(np.argmax(taken))
            if taken[place] > gain:
                gain = float(taken[place])
                height = float(np.clip(projection[place] / norm[place], 1e-3, 2.0))
                chosen = (float(self.energies[place]), height, width)
        grown = np.concatenate([parameters, chosen])
        # heights anew, which are linear
        steps = self(np.concatenate([[1.0], grown[1 : self._STEP]]))
        rows = grown[self._STEP :].reshape(-1, 3).copy()
        columns = [steps] + [Peak(c, 1.0, w).intensity(self.energies) for c, _, w in rows]
        heights, _ = nnls(np.stack(columns, axis=1), y)
        grown[0] = min(heights[0], 2.9)
        rows[:, 1] = np.clip(heights[1:], 1e-4, 2.9)
        grown[self._STEP :] = rows.ravel()
        return grown
