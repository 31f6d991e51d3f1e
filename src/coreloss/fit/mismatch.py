"""How far amounts may be off because the model is: edges of atoms are not those of solids.

Noise is not all that makes an amount err. Beyond the region in which near-edge structure is
fitted freely, extended fine structure and the tails of white lines go on, and a fit takes them for
more or less of an element. Their size can be told from what a fit leaves over; what they do to
the amounts follows from the fit's own linear response. What no residual tells is that edges of
compounds begin some electronvolts from where those of elements do, and that the energy axis may be
off: behind its near-edge region a cross section that is moved looks like one that is larger.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.widths import natural_width_ev
from coreloss.fit.design import Design, fitted_edges, has_structure
from coreloss.fit.solve import LinearFit

__all__ = ["Mismatch", "mismatch_of"]

# distances from the first onset at which an edge may differ from the atom's by itself [eV]
_KNOTS_EV = (0.0, 8.0, 16.0, 26.0, 40.0, 60.0, 90.0, 130.0, 190.0, 280.0, 400.0, 600.0)
# fine structure dies out over this distance [eV], but for a part: the tables' own error
_DECAY_EV = 40.0
_FLOOR = 0.1
_ROUNDS = 4
# how far about the onset of an s shell its step says nothing of its place [eV]
_STEP_EV = 10.0
# How far an edge of a compound may lie from the element's, one standard deviation [eV]: metals'
# by up to 2 eV, those of light elements by up to 6 eV (R. F. Egerton, Electron Energy-Loss
# Spectroscopy in the Electron Microscope, 3rd ed., Springer 2011, sec. 4.5; EELS Atlas).
_CHEMICAL_SHIFT_EV = 2.0


@dataclass(frozen=True)
class Mismatch:
    """Effect of differences between an element's true edge and the model's.

    Attributes
    ----------
    response : ndarray, (n_elements, n_knots, n_elements)
        Change of the amount of the last element for one atom per nm² of the first, were its
        cross section larger by the size that is usual about a knot, relative to ``scale``.
    scale : float
        Relative difference of cross sections near the onset, from the fit's residual.
    tails : ndarray, (n_elements, n_elements), optional
        Change of the amount of the last element for one atom per nm² of the first, by as much
        of the Lorentzian tails of its white lines as there may be.
    moved : ndarray, (n_elements, n_elements), optional [1/eV]
        Change of the amount of the last element for one atom per nm² of the first, were its edges
        to lie 1 eV higher.
    places : ndarray, (n_elements, n_elements), optional [eV²]
        Second moments of how far each element's edges lie from where the model has them.
    """

    response: NDArray[np.float64] = field(repr=False)
    scale: float
    tails: NDArray[np.float64] | None = field(default=None, repr=False)
    moved: NDArray[np.float64] | None = field(default=None, repr=False)
    places: NDArray[np.float64] | None = field(default=None, repr=False)

    def covariance(self, amounts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of amounts (n, n_elements), in their units squared: (n, n_elements, n_elements).

        Differences at different knots and of different elements are independent; places hang
        together as ``places`` says.
        """
        whole = np.einsum("nk,kil->nil", amounts**2, self._each())
        if self.moved is not None and self.places is not None:
            each = amounts[:, :, None] * self.moved
            whole += np.einsum("nki,kl,nlj->nij", each, self.places, each, optimize=True)
        return np.asarray(whole)

    def feigned(self, amounts: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much of each element the edges of the others may feign, (n, n_elements).

        One standard deviation, for amounts (n, n_elements) and in their units. An element of
        which less is found is not known to be there.
        """
        part = np.einsum("kii->ki", self._each()).copy()
        if self.moved is not None and self.places is not None:
            part += np.diag(self.places)[:, None] * self.moved**2
        np.fill_diagonal(part, 0.0)
        return np.asarray(np.sqrt(np.einsum("nk,ki->ni", amounts**2, part)))

    def _each(self) -> NDArray[np.float64]:
        """Covariance by one atom per nm² of each element, (n_elements,) * 3."""
        part = self.scale**2 * np.einsum("kji,kjl->kil", self.response, self.response)
        if self.tails is not None:
            part = part + np.einsum("ki,kl->kil", self.tails, self.tails)
        return np.asarray(part)


def mismatch_of(fit: LinearFit, axis_error_ev: float = 0.0) -> Mismatch:
    """From the fit of one spectrum with little noise: the sum of all of an image.

    Each element's cross section may differ from the atom's by independent relative amounts, of
    standard deviation s (0.1 + 0.9 exp(-d/40 eV)), at distances d from the onset, linear in
    between. A first-order change of the model by v changes the coefficients by
    (AᵀWA)⁻¹AᵀW v. s is chosen so that these changes of all amounts have, together, the variance
    that the residual outside near-edge regions would give them, were it to go on like this where
    the fit has taken it up: that of a stationary process with the residual's own autocovariance,
    less that of the noise. (The least-squares estimator's covariance under correlated errors;
    W. K. Newey, K. D. West, Econometrica 55, 703 (1987).)

    White lines have, besides, the Lorentzian tails of their hole's lifetime (`natural_width_ev`),
    which reach below the onset, where a lighter neighbour's edge is. The model lacks them, as
    records of TiO2, BN and Ca and Fe oxides fit better without. And edges lie elsewhere: each by
    itself as chemistry moves it, all alike as the axis is off. How much of the tails there is, and
    how far the edges lie off, the residual tells as far as it can: see `_shares`. What both do to
    amounts counts as error.

    Parameters
    ----------
    fit : LinearFit
        Of one spectrum, with one design.
    axis_error_ev : float [eV]
        Standard error of the energy axis.
    """
    design = fit.design
    finite = design.use & np.isfinite(fit.counts[0])
    matrix, x = design.matrix[finite], fit.coefficients[0]
    model = matrix @ x
    least = 1e-3 * float(model.mean()) or 1.0
    weight = 1.0 / (fit.gain * np.maximum(model, least) + fit.read_noise**2)
    chosen = x != 0
    chosen[design.amplitude] = True
    chosen[design.background] = True
    columns = matrix[:, chosen]
    size = np.sqrt(np.einsum("ek,e,ek->k", columns, weight, columns))
    columns = columns / np.maximum(size, 1e-300)
    places = (np.cumsum(chosen) - 1)[design.amplitude]
    inverse = np.linalg.pinv(columns.T @ (weight[:, None] * columns), rcond=1e-12, hermitian=True)
    energies = design.axis.energies[finite]
    counted = ~design.near_edge[finite]
    number = len(design.elements)
    response = np.zeros((number, len(_KNOTS_EV), number))
    for k, symbol in enumerate(design.elements):
        distance = energies - fitted_edges(symbol, design.axis)[0].onset_ev
        for j, knot in enumerate(_KNOTS_EV):
            only = np.zeros(len(_KNOTS_EV))
            only[j] = _FLOOR + (1.0 - _FLOOR) * np.exp(-knot / _DECAY_EV)
            change = matrix[:, design.amplitude[k]] * np.interp(distance, _KNOTS_EV, only)
            moved = inverse @ (columns.T @ (weight * change))
            response[k, j] = (moved / np.maximum(size, 1e-300))[places]
    tails, unlike = np.zeros((number, number)), np.zeros((number, counted.size))
    for k, symbol in enumerate(design.elements):
        if x[design.amplitude[k]] > 0:
            own = design.columns_of(symbol)
            tail = _tail(design.matrix[:, own] @ x[own], symbol, design)[finite]
            change = inverse @ (columns.T @ (weight * tail)) / np.maximum(size, 1e-300)
            tails[k] = change[places] / x[design.amplitude[k]]
            unlike[k] = tail - columns @ (inverse @ (columns.T @ (weight * tail)))
    # within near-edge regions white lines are sharper than triangles, which says nothing of tails
    root = np.sqrt(weight[counted])
    rest = root * (np.asarray(fit.counts[0], dtype=float)[finite] - model)[counted]
    unlike = root * unlike[:, counted]
    moved, later = _by_place(design, matrix, weight, finite)
    later = root * (_CHEMICAL_SHIFT_EV * x[design.amplitude][:, None] * later)[:, counted]
    later = np.where(_beside_steps(design, energies[counted]), 0.0, later)
    both = np.concatenate([unlike, later])
    before = np.eye(2 * number)
    before[number:, number:] += (axis_error_ev / _CHEMICAL_SHIFT_EV) ** 2
    # how amounts hang on the counts of each channel
    sensitivity = root * ((columns @ inverse)[counted] / np.maximum(size, 1e-300))[:, places].T
    least_variance = fit.correlation * float((sensitivity**2).sum())
    usual = float(np.einsum("k,kji->", x[design.amplitude] ** 2, response**2))
    where = np.flatnonzero(finite)[counted]
    smooth = design.background.size + number
    mean, after, scale = np.zeros(2 * number), before, 0.0
    # what of the residual is tails is none of the rest, and the less the rest, the surer tails
    for _ in range(_ROUNDS):
        process = _Process.of(rest - mean @ both, where, smooth)
        variance = float(np.trace(process.covariance(sensitivity))) - least_variance
        scale = np.sqrt(max(variance, 0.0) / usual) if usual > 0 else 0.0
        mean, after = _shares(rest, both, process, before)
    second = np.outer(mean, mean) + after
    return Mismatch(
        response,
        float(scale),
        tails * np.sqrt(np.diag(second)[:number, None]),
        moved,
        _CHEMICAL_SHIFT_EV**2 * second[number:, number:],
    )


def _by_place(
    design: Design,
    matrix: NDArray[np.float64],
    weight: NDArray[np.float64],
    finite: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`Mismatch.moved`, and what a fit leaves over of edges moved so, (n_elements, n_used).

    Of a design's channels in use, with the fit's weights, by one atom per nm² and eV. Here all
    near-edge structure counts, as it takes up what moves there whatever a fit has of it.
    """
    later = -np.gradient(design.atoms(), design.axis.dispersion, axis=0)[finite]
    size = np.maximum(np.sqrt(np.einsum("ek,e,ek->k", matrix, weight, matrix)), 1e-300)
    columns = matrix / size
    weighted = weight[:, None] * columns
    inverse = np.linalg.pinv(columns.T @ weighted, rcond=1e-12, hermitian=True)
    change = inverse @ (weighted.T @ later)
    moved = (change / size[:, None])[design.amplitude].T
    return np.asarray(moved), np.asarray((later - columns @ change).T)


def _beside_steps(design: Design, energies: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where edges without near-edge regions begin: L1 and the like, (n_used,).

    Broadened and with a structure of their own, their steps say little of where they lie.
    """
    steps = [
        edge.onset_ev
        for symbol in design.elements
        for edge in fitted_edges(symbol, design.axis)
        if not has_structure(edge)
    ]
    away = np.abs(energies[:, None] - np.array(steps)[None])
    return np.asarray((away < _STEP_EV).any(axis=1))


@dataclass(frozen=True)
class _Process:
    """A residual as a stationary process.

    Attributes
    ----------
    where : ndarray, (n_used,)
        Channels, ascending.
    spectrum : ndarray
        Fourier transform of the autocovariance, for sequences of ``size`` channels.
    size : int
    """

    where: NDArray[np.intp]
    spectrum: NDArray[np.float64]
    size: int

    @classmethod
    def of(cls, rest: NDArray[np.float64], where: NDArray[np.intp], taken_up: int) -> _Process:
        """Of a residual (n_used,) of which a fit has taken up so many smooth columns.

        The autocovariance counts as nil from where it first is not positive.
        """
        where = where - where[0]
        n = int(where[-1]) + 1
        size = 2 * n
        padded, known = np.zeros(size), np.zeros(size)
        padded[where], known[where] = rest, 1.0
        product, pairs = (
            np.fft.irfft(np.abs(np.fft.rfft(values)) ** 2, n=size)[:n] for values in (padded, known)
        )
        covariance = product / np.maximum(np.round(pairs), 1.0)
        ended = np.flatnonzero(covariance <= 0.0)
        covariance[ended[0] if ended.size else n :] = 0.0
        total = float(covariance[0] + 2.0 * covariance[1:].sum())
        # values as good as independent; those that the fit has taken up are missing
        independent = where.size * covariance[0] / total if total > 0 else float(where.size)
        covariance *= independent / max(independent - taken_up, 1.0)
        both = np.zeros(size)
        both[:n] = covariance
        both[n + 1 :] = covariance[:0:-1]
        # cut off where it is, it may miss being a covariance by a little
        return cls(where, np.maximum(np.fft.rfft(both).real, 0.0), size)

    def covariance(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of weighted sums, (m, m), for weights (m, n_used)."""
        padded = np.zeros((len(weights), self.size))
        padded[:, self.where] = weights
        moved = np.fft.irfft(np.fft.rfft(padded) * self.spectrum, n=self.size)
        return np.asarray(padded @ moved.T)


def _shares(
    rest: NDArray[np.float64],
    shapes: NDArray[np.float64],
    process: _Process,
    before: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much there is of shapes in a residual: expectation, (k,), and covariance, (k, k).

    Before looking it is nil: of tails with a standard deviation of 1, the lifetime's own; of edges
    moved by what is usual likewise. All is normal.

    Parameters
    ----------
    rest, shapes : ndarray, (n_used,), (k, n_used)
        The fit's residual, and what of the shapes the fit leaves over, in standard deviations of
        the noise.
    process : _Process
        What else there is, noise and all.
    before : ndarray, (k, k)
        Covariance of the shares before looking.
    """
    information = shapes @ shapes.T
    gain = information @ np.linalg.pinv(process.covariance(shapes), rcond=1e-10, hermitian=True)
    covariance = np.linalg.inv(np.linalg.inv(before) + gain @ information)
    covariance = 0.5 * (covariance + covariance.T)
    return covariance @ gain @ (shapes @ rest), covariance


def _tail(edge: NDArray[np.float64], symbol: str, design: Design) -> NDArray[np.float64]:
    """What its lifetime changes about a fitted edge, (n_energy,) [counts]."""
    widths = []
    for line in fitted_edges(symbol, design.axis):
        if has_structure(line):
            with suppress(ValueError):  # levels without a tabulated width
                widths.append(natural_width_ev(symbol, line.subshell))
    if not widths or not design.near_edge.any():
        return np.zeros_like(edge)
    half = 0.5 * float(np.mean(widths))
    n, step = edge.size, 0.5 * design.axis.dispersion
    off = design.axis.dispersion * np.arange(-n, n + 1)
    kernel = (np.arctan((off + step) / half) - np.arctan((off - step) / half)) / np.pi
    # beyond the record the edge goes on
    long = np.concatenate([np.zeros(n), edge, np.full(n, edge[-1])])
    return np.asarray(np.convolve(long, kernel, mode="same")[n : 2 * n] - edge)
