"""Fit an edge by a sum of Gaussians on a tail, so that a library can grow from one's own data.

Kong, Ji & Xin 2022 ('Edge modeling') fit digitised edges this way; the number of peaks, which
they leave open, is chosen here by the Bayesian or Akaike information criterion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import edges_of
from coreloss.energy import EnergyAxis, Spectra
from coreloss.simulate.gaussian.shapes import EdgeShape, Peak, Step, edge_name, onset_of

__all__ = ["FittedEdge", "fit_curve", "fit_edge"]

_CRITERIA = ("bic", "aic")
_GUESSES_EV = (1.0, 2.5, 6.0, 15.0)  # widths at which a further peak is tried
_FEWEST = 12  # channels that a background needs; an edge needs twice as many
_LEAST_TOLERANCE = 0.003  # of the edge's maximum: finer is the detector's gain, not the edge
_NOISIEST = 0.5  # noise of a channel over the edge's maximum
_DRIFT_EV = 8.0  # by how much steps may leave the tabulated onsets
# how far below and above its tabulated onset an edge may rise; the widest chemical shifts are
# those of sulphates, silicates and tetrahedral borates, up to 9 eV
_EARLIEST_EV, _LATEST_EV = -8.0, 16.0
_WORTH_A_NOTE_EV = 4.0
_POOR, _POOR_SIGMA = 0.05, 3.0  # what is left, over the edge and over the noise, that is told
_EXPONENTS = (1.0, 5.0)  # of a tail
_USUAL_FALL = (1.0, 5.5)  # of backgrounds, as powers of the energy

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
    exponent : float
        The background's r in A·E^-r.
    before : (float, float) [eV]
        Where the background was fitted.
    notes : tuple of str
        What was done to the record, and what to look at.
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
    exponent: float
    before: tuple[float, float]
    notes: tuple[str, ...] = ()

    def table(self) -> str:
        """The parts of the fit as text."""
        shape = self.shape
        lines = [
            f"{shape.label} {shape.name!r}: {len(shape.peaks)} "
            f"peak{'' if len(shape.peaks) == 1 else 's'} by {self.criterion.upper()}, "
            f"jump ratio {self.jump_ratio:.3g}, residual {100 * self.residual:.2g} % of the peak",
            f"background from {self.before[0]:.5g} to {self.before[1]:.5g} eV, "
            f"falls as E^-{self.exponent:.2f}",
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
        lines += [f"note: {note}" for note in self.notes]
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
        (twelve channels at least) below the window, or, where the record begins too late, from
        there to 4 eV below the edge's tabulated onset.
    name, family, source : str
        Of the shape.
    criterion : str
        'bic' or 'aic'.
    max_peaks : int

    Raises
    ------
    ValueError
        If the record does not hold the window or the edge, has no edge to fit there or one far
        from its tabulated onset, is too noisy, or has had something subtracted.
    ImportError
        Without SciPy.
    """
    record = spectra.summed()
    energies, counts = record.axis.energies, np.asarray(record.counts, dtype=float)
    element = edges_of(element)[0].symbol
    onset = onset_of(element, edge)
    low, high = (float(value) for value in window)
    _check_window(record.axis, element, edge, low, high)
    before = background or _before(record.axis, low, onset)
    _check_background(before, element, edge, onset)
    inside = (energies >= low) & (energies <= high) & np.isfinite(counts)
    if inside.sum() < 2 * _FEWEST:
        raise ValueError(
            f"window {low:g} to {high:g} eV holds {inside.sum()} channels with a value; at least "
            f"{2 * _FEWEST} are needed: widen it"
        )
    used = inside | ((energies >= before[0]) & (energies <= before[1]))
    negative = int((counts[used] < 0).sum())
    if negative > 0.02 * used.sum():
        raise ValueError(
            f"{negative} of {used.sum()} channels are below zero; a power law fits counts only: "
            "give the record as counted, before a background or an offset is subtracted"
        )
    under, power = _power_law(energies, counts, *before)
    if not power > 0:
        raise ValueError(
            f"counts rise from {before[0]:g} to {before[1]:g} eV (as E^{-power:.2f}), so that no "
            "background falls there; choose another range with --background A B"
        )
    net = counts - under
    noise = _noise_of(net[inside])
    under_what = f"the background ({before[0]:g} to {before[1]:g} eV, r = {power:.2f})"
    nothing = (
        f"nothing rises above {under_what} in the window; check element, window and --background"
    )
    if not net[inside].max() > 3.0 * noise or noise != noise:
        raise ValueError(nothing)
    free = (energies >= before[0]) & (energies <= before[1]) & np.isfinite(counts)
    found, trials = fit_curve(
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
        tolerance=max(noise / float(net[inside].max()), _LEAST_TOLERANCE),
        independent=_independent(net[free] / np.sqrt(np.maximum(under[free], 1e-30))),
    )
    shape = _as_written(found)
    # the scale of counts, which a shape has not
    unit = shape.intensity(energies[inside])
    scale = float(unit @ net[inside] / (unit @ unit))
    if not scale > 0:
        raise ValueError(nothing)
    if not noise < _NOISIEST * scale:
        raise ValueError(
            f"the noise of a channel is {noise / scale:.2g} times the edge that is found over "
            f"{under_what}; check element and window, or sum more spectra"
        )
    notes = [*record.notes]
    away, foot = shape.onset_ev - onset, 2.0 * record.axis.dispersion
    if not _EARLIEST_EV - foot < away < _LATEST_EV + foot:
        raise ValueError(
            f"what rises in the window does so at {shape.onset_ev:.1f} eV, and {element} {edge} "
            f"lies at {onset:g} eV; if the record's axis is off, give --shift (about "
            f"{-away:.0f}), else another window or --background"
        )
    if abs(away) > _WORTH_A_NOTE_EV + foot:
        notes.append(
            f"the edge rises {abs(away):.1f} eV {'above' if away > 0 else 'below'} its tabulated "
            f"onset at {onset:g} eV: a chemical shift, or the record's axis is off (--shift)"
        )
    if not _USUAL_FALL[0] < power < _USUAL_FALL[1]:
        notes.append(
            f"a background that falls as E^-{power:.2f} is unusual: look for another edge in its "
            "range (--background A B), or an offset in the counts"
        )
    if len(shape.peaks) == max_peaks:
        notes.append(f"{max_peaks} peaks are the most allowed; a narrower window takes fewer")
    fitted = np.where(inside, scale * shape.intensity(energies), 0.0)
    left = (net - fitted)[inside]
    residual = float(np.sqrt(np.mean(left**2)) / scale)
    if residual > max(_POOR, _POOR_SIGMA * noise / scale):
        notes.append(
            f"what is left is {100 * residual:.2g} % of the peak, far more than noise: look at the "
            "fit (--plot); the window may begin within an edge, or hold another one"
        )
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
        residual,
        scale / start,
        power,
        before,
        tuple(notes),
    )


def _check_window(axis: EnergyAxis, element: str, edge: str, low: float, high: float) -> None:
    """Raise ValueError for a window that cannot hold the edge."""
    onset = onset_of(element, edge)
    if not low < high:
        raise ValueError(f"window {low:g} to {high:g} eV: give the lower energy first")
    if not low < onset < high:
        raise ValueError(
            f"window {low:g} to {high:g} eV does not hold {element} {edge}, whose onset is at "
            f"{onset:g} eV"
        )
    first, last = float(axis.energies[0]), float(axis.energies[-1])
    if low < first - axis.dispersion or high > last + axis.dispersion:
        raise ValueError(
            f"the record runs from {first:.4g} to {last:.4g} eV; it does not hold the window "
            f"{low:g} to {high:g} eV: give one inside"
        )
    mine = next(e for e in edges_of(element) if edge in (e.subshell, edge_name(e)))
    pair = edge_name(mine)
    if edge != pair and any(
        low < e.onset_ev < high and e.subshell != edge and edge_name(e) == pair
        for e in edges_of(element)
    ):
        raise ValueError(
            f"window {low:g} to {high:g} eV holds both edges of {element} {pair}; "
            f"give --edge {pair}"
        )


def _check_background(before: tuple[float, float], element: str, edge: str, onset: float) -> None:
    """Raise ValueError for a background range that is none."""
    if not before[0] < before[1]:
        raise ValueError(f"--background {before[0]:g} {before[1]:g}: give the lower energy first")
    if before[1] > onset + _DRIFT_EV:
        raise ValueError(
            f"--background {before[0]:g} {before[1]:g} reaches into {element} {edge}, whose onset "
            f"is at {onset:g} eV; end it below"
        )


def _as_written(shape: EdgeShape) -> EdgeShape:
    """The shape to the five decimals that a library's file keeps, so that it reads back equal."""
    return replace(
        shape,
        end_ev=round(shape.end_ev, 5),
        steps=tuple(Step(*(round(v, 5) for v in vars(s).values())) for s in shape.steps),
        peaks=tuple(Peak(*(round(v, 5) for v in vars(p).values())) for p in shape.peaks),
    )


def _before(axis: EnergyAxis, low: float, onset: float) -> tuple[float, float]:
    """Where the background is fitted if nothing is said."""
    first = float(axis.energies[0])
    start = max(first, min(0.9 * low, low - _FEWEST * axis.dispersion))
    if ((axis.energies >= start) & (axis.energies <= low)).sum() >= _FEWEST:
        return (start, low)
    return (max(first, low), onset - 4.0)


def _power_law(energies: Floats, counts: Floats, low: float, high: float) -> tuple[Floats, float]:
    """A·E^-r fitted to counts between two energies, at all energies, and r."""
    inside = (energies >= max(low, 1.0)) & (energies <= high) & (counts > 0)
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


def _independent(values: Floats) -> float:
    """Share of values that count as independent where neighbours are alike.

    A detector's point spread makes noise that an information criterion takes for structure;
    n values of a first-order autoregression with correlation ρ tell as much of their mean as
    n (1 - ρ)/(1 + ρ) independent ones (Bayley & Hammersley 1946).
    """
    if values.size < 2 * _FEWEST:
        return 1.0
    rest = values - np.poly1d(np.polyfit(np.arange(values.size), values, 2))(np.arange(values.size))
    alike = float(rest[1:] @ rest[:-1] / max(rest @ rest, 1e-300))
    return (1.0 - alike) / (1.0 + alike) if 0.0 < alike < 0.9 else (1.0 if alike <= 0 else 0.05)


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
    tolerance: float = _LEAST_TOLERANCE,
    drift_ev: float = _DRIFT_EV,
    independent: float = 1.0,
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
    independent : float
        Share of the values that are independent of their neighbours.

    Returns
    -------
    shape : EdgeShape, scaled to a maximum of 1
    trials : tuple of (number of peaks, criterion)

    Raises
    ------
    ValueError
        For another criterion, or a number of peaks below zero.
    ImportError
        Without SciPy.
    """
    if criterion not in _CRITERIA:
        raise ValueError(f"criterion is {criterion!r}; choose {' or '.join(_CRITERIA)}")
    if max_peaks < 0:
        raise ValueError(f"max_peaks is {max_peaks}; it takes no number below zero")
    try:
        from scipy.optimize import least_squares, nnls
    except ModuleNotFoundError:
        raise ImportError(
            "fitting edges needs scipy; install it with: pip install 'coreloss[fit]'"
        ) from None
    scale = float(np.max(values))
    model = _Model(element, edge, energies, drift_ev)
    y = values / scale
    n = independent * y.size
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
        # a channel is the finest that can be told
        channel = float(np.median(np.diff(self.energies)))
        sharpest, narrowest = max(0.2, 0.5 * channel), max(0.3, 2.0 * channel)
        low = [0.0, -self.drift, sharpest, _EXPONENTS[0]]
        high = [3.0, self.drift, max(6.0, 2.0 * channel), _EXPONENTS[1]]
        span = float(self.energies[-1] - self.energies[0])
        for _ in range(number):
            low += [float(self.energies[0]), 0.0, narrowest]
            high += [float(self.energies[-1]), 3.0, max(0.7 * span, 2.0 * narrowest)]
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
