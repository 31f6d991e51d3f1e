"""Poisson-weighted fits of a linear model to many spectra, without negative amounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.fit.active_set import factorised, masked, non_negative_solutions, solved
from coreloss.fit.channel_groups import ChannelGroups, group_starts
from coreloss.fit.design import Design

__all__ = ["LinearFit", "fit_spectra", "non_negative_solutions"]

# a model that vanishes somewhere must not make a channel's weight infinite
_LEAST_OF_MEAN = 1e-3
_BLOCK_BYTES = 64_000_000
_IN_CACHE = 128
_CACHE_BYTES = 2_000_000
# a round that moves no solution by more than a hundredth of a standard error is the last
_CONVERGED = 1e-4
# groups of channels pay from so many channels a group, on average
_LEAST_SAVING = 4


@dataclass(frozen=True)
class LinearFit:
    """Fits of n spectra.

    Attributes
    ----------
    design : Design
    coefficients : ndarray, (n, n_columns)
    covariance : ndarray, (n, n_elements, n_elements)
        Of the elements' amounts, in the units of ``amounts`` squared: the inverse of the Fisher
        information, whose diagonal is the Cramér–Rao bound, with the background and near-edge
        columns that are in use free.
    chi2 : ndarray, (n,)
        Σ (counts - model)² / variance.
    degrees : ndarray, (n,)
        Channels fitted less columns in use.
    likelihood_ratio : ndarray, (n, n_elements)
        2 Δ ln L: how much -2 ln L rises when an element is left out and the rest fitted again,
        to second order about the fit; NaN if not asked for. Here near-edge structure, too,
        is held above zero: below it would be evidence of nothing.
    counts : ndarray, (n, n_energy)
        As given.
    gain, read_noise, correlation : float
        The variance of a channel was taken as gain · model + read_noise², that of a sum over
        many as ``correlation`` times more.
    """

    design: Design
    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64] = field(repr=False)
    chi2: NDArray[np.float64] = field(repr=False)
    degrees: NDArray[np.intp] = field(repr=False)
    likelihood_ratio: NDArray[np.float64] = field(repr=False)
    counts: NDArray[np.floating] = field(repr=False)
    gain: float = 1.0
    read_noise: float = 0.0
    correlation: float = 1.0

    @property
    def amounts(self) -> NDArray[np.float64]:
        """Amount of each element, (n, n_elements) [atoms/nm² if the design is absolute]."""
        return self.coefficients[:, self.design.amplitude]

    @property
    def errors(self) -> NDArray[np.float64]:
        """One standard error of ``amounts``, (n, n_elements)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def reduced_chi2(self) -> NDArray[np.float64]:
        """χ² per degree of freedom, (n,); NaN without any."""
        return np.where(self.degrees > 0, self.chi2 / np.maximum(self.degrees, 1), np.nan)

    def model(self) -> NDArray[np.float64]:
        """The fitted spectra, (n, n_energy) [counts]."""
        return _product(self.design.matrix, self.coefficients)

    def background(self) -> NDArray[np.float64]:
        """The fitted backgrounds, (n, n_energy) [counts]."""
        places = self.design.background
        return _product(self.design.matrix[..., places], self.coefficients[:, places])

    def residuals(self) -> NDArray[np.float64]:
        """Counts less model, (n, n_energy); NaN in channels not fitted."""
        rest = np.asarray(self.counts, dtype=float) - self.model()
        return np.where(self.design.use, rest, np.nan)

    def log_likelihood(self) -> NDArray[np.float64]:
        """ln L less that of a model that goes through every count, (n,).

        Poisson's, -Σ (y ln (y/m) - y + m) / gain, without read noise; else -χ²/2.
        """
        if self.read_noise > 0:
            return -0.5 * self.chi2
        y = np.where(self.design.use, np.asarray(self.counts, dtype=float), np.nan)
        m = self.model()
        m = np.maximum(m, 1e-12 * (np.abs(m).max(initial=0.0) or 1.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(y > 0, y * np.log(y / m), 0.0)
        return np.asarray(-np.nansum(logs - y + m, axis=1) / self.gain)


def fit_spectra(
    counts: ArrayLike,
    design: Design,
    *,
    gain: float = 1.0,
    read_noise: float = 0.0,
    correlation: float = 1.0,
    iterations: int = 3,
    likelihood_ratios: bool = True,
) -> LinearFit:
    """Fit every spectrum by maximum likelihood, amounts and backgrounds held above zero.

    Least squares weighted with the inverse of the variance that the model itself has, repeated:
    its fixed point is the maximum of Poisson's likelihood (both have Σ_E A (y - m)/m = 0).
    The first round takes the mean spectrum's shape for all weights, so that every spectrum has
    the same normal matrix. In the others the normal matrices of all spectra are one matrix
    product of the weights with the products of every two columns, which are made once.
    Neighbouring channels in which no column changes by more than a tenth share a weight, so that
    these products are summed over them beforehand (`coreloss.fit.channel_groups`).

    Parameters
    ----------
    counts : array_like, (n, n_energy) or (n_energy,) [electrons, or ``gain`` of them a count]
        NaN and infinite channels are left out.
    design : Design
    gain : float
        Counts per electron: their variance over their mean.
    read_noise : float [counts]
        Standard deviation of a channel's noise without any electron.
    correlation : float
        Of neighbouring channels, see `coreloss.fit.Noise`; multiplies ``covariance`` and divides
        ``likelihood_ratio``.
    iterations : int
        Rounds after the first, at most.
    likelihood_ratios : bool
        Whether to compute them; each element costs a further solution.

    Returns
    -------
    LinearFit

    Raises
    ------
    ValueError
        If counts are not real numbers or their shape does not fit, or a parameter is
        impossible.
    """
    values = np.asarray(counts)
    if values.dtype.kind not in "iufb":
        raise ValueError(
            f"counts are of type {values.dtype}; real numbers are needed to fit a spectrum"
        )
    values = np.atleast_2d(values)
    if values.ndim != 2 or values.shape[1] != design.axis.size:
        raise ValueError(
            f"counts have shape {values.shape}; the design is for spectra of "
            f"{design.axis.size} channels (n, n_energy)"
        )
    own = design.matrix.ndim == 3
    if own and design.matrix.shape[0] != values.shape[0]:
        raise ValueError(
            f"the design holds {design.matrix.shape[0]} models for {values.shape[0]} spectra; "
            "their numbers must agree"
        )
    if not (gain > 0 and correlation > 0) or read_noise < 0 or iterations < 1:
        raise ValueError(
            f"gain {gain}, correlation {correlation}, read noise {read_noise}, iterations "
            f"{iterations}: the first two must be positive, read noise not negative and "
            "iterations at least 1"
        )
    problem = _Problem(design, gain, read_noise, iterations, likelihood_ratios)
    p = design.matrix.shape[-1]
    # counts and weights, a design of its own, and some copies of the normal matrix
    one = 8 * (design.axis.size * (2 + own * p) + 4 * p * p)
    size = max(1, min(_BLOCK_BYTES // one, max(256, _CACHE_BYTES // (8 * p * p))))
    parts = [
        problem.fitted(values[i : i + size], slice(i, i + size))
        for i in range(0, values.shape[0], size)
    ]
    x, covariance, chi2, degrees, ratio = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return LinearFit(
        design,
        x,
        covariance * correlation,
        chi2,
        degrees,
        ratio / correlation,
        values,
        gain,
        read_noise,
        correlation,
    )


class _Problem:
    """What all blocks of spectra share."""

    def __init__(
        self, design: Design, gain: float, read_noise: float, iterations: int, ratios: bool
    ) -> None:
        self.design, self.ratios = design, ratios
        self.gain, self.variance, self.iterations = gain, read_noise**2, iterations
        self.own = design.matrix.ndim == 3
        self.used = np.flatnonzero(design.use)
        p = design.matrix.shape[-1]
        self.rows, self.columns = np.tril_indices(p)
        self.signed = np.zeros(p, dtype=bool) if design.signed is None else design.signed
        self.groups: ChannelGroups | None = None
        if not self.own:
            self.matrix = np.ascontiguousarray(design.matrix[self.used])
            # the product of every two columns: weights times these are all normal matrices
            self.products = self.matrix[:, self.rows] * self.matrix[:, self.columns]
            starts = group_starts(self.matrix)
            if starts.size * _LEAST_SAVING <= self.used.size:
                self.groups = ChannelGroups(self.matrix, starts)

    def normal(
        self, weights: NDArray[np.float64], matrix: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Normal matrices (p, p, n) for weights (n, n_used)."""
        if self.own:
            full = np.swapaxes(matrix, 1, 2) @ (weights[:, :, None] * matrix)
            return np.ascontiguousarray(np.moveaxis(full, 0, 2))
        return self.unpacked(self.products.T @ weights.T)

    def unpacked(self, packed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Symmetric matrices (p, p, n) of their lower triangles (p (p + 1) / 2, n)."""
        p = self.design.matrix.shape[-1]
        out = np.empty((p, p, packed.shape[1]))
        out[self.rows, self.columns] = packed
        out[self.columns, self.rows] = packed
        return out

    def fitted(self, counts: NDArray, block: slice) -> tuple[NDArray, ...]:
        total = counts.sum(axis=1, dtype=float)
        if self.groups is not None and (
            np.isfinite(total).all() or np.isfinite(counts.take(self.used, axis=1)).all()
        ):
            return self.fitted_in_groups(counts, self.groups)
        matrix = self.design.matrix[block][:, self.used] if self.own else self.matrix
        y = counts.take(self.used, axis=1).astype(float)
        total = y.sum(axis=1)
        number = np.full(y.shape[0], y.shape[1])
        valid: NDArray[np.bool_] | None = None
        if not np.isfinite(total).all():
            valid = np.isfinite(y)
            y = np.where(valid, y, 0.0)
            number, total = valid.sum(axis=1), y.sum(axis=1)
        level = _above_nil(np.abs(total) / np.maximum(number, 1))
        even = _even_weights((1.0 / level) @ y / y.shape[0])
        if valid is None and not self.own:
            weighted = even[:, None] * matrix
            gram = np.repeat(self.normal(even[None], matrix), y.shape[0], axis=2)
            right = np.asarray(weighted.T @ y.T)
        else:
            weights = np.repeat(even[None], y.shape[0], axis=0)
            if valid is not None:
                weights *= valid
            gram, right = self.normal(weights, matrix), _transposed(y * weights, matrix)
        x = non_negative_solutions(gram, right, signed=self.signed)
        return self.settled(x, number, lambda x: self.weighted(y, valid, level, matrix, x))

    def fitted_in_groups(self, counts: NDArray, groups: ChannelGroups) -> tuple[NDArray, ...]:
        """The same for spectra without gaps and with one design: sums over groups alone."""
        along, square = groups.sums(counts, self.used)
        size = (groups.ends - groups.starts)[:, None]
        level = _above_nil(np.sqrt(square.sum(axis=0) / self.used.size))
        root = np.sqrt(square / size)
        even = _even_weights((root / level).mean(axis=1))[:, None]
        gram = self.unpacked(groups.products.T @ even)
        right = np.einsum("gn,gkn->kn", even, along)
        # the first round needs no more than a model to weigh by: the columns that the mean
        # spectrum has are solved for together, and what comes out negative is left out
        mean = right.mean(axis=1, keepdims=True)
        chosen = non_negative_solutions(gram, mean, signed=self.signed) != 0
        x = solved(factorised(masked(gram, chosen)), np.where(chosen, right, 0.0)[..., None])
        x = np.where(self.signed[:, None], x[..., 0], np.maximum(x[..., 0], 0.0))

        def weighted(
            x: NDArray[np.float64],
        ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
            weights = np.maximum(groups.mean @ np.maximum(x, 0.0), _LEAST_OF_MEAN * level)
            weights = 1.0 / (weights * self.gain + self.variance)
            gram = self.unpacked(groups.products.T @ weights)
            return gram, np.einsum("gn,gkn->kn", weights, along), (weights * square).sum(axis=0)

        return self.settled(x, np.full(counts.shape[0], self.used.size), weighted)

    def settled(
        self,
        x: NDArray[np.float64],
        number: NDArray[np.intp],
        weighted: Callable[
            [NDArray[np.float64]],
            tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
        ],
    ) -> tuple[NDArray, ...]:
        """Rounds with the variance of the last model until nothing moves, from a first x."""
        for _ in range(self.iterations):
            gram, right, square = weighted(x)
            before, x = x, non_negative_solutions(gram, right, start=x > 0, signed=self.signed)
            if np.max(_quadratic(gram, x - before), initial=0.0) < _CONVERGED:
                break
        chi2 = square - 2.0 * np.einsum("in,in->n", right, x) + _quadratic(gram, x)
        degrees = number - (x != 0).sum(axis=0)
        return (
            x.T.copy(),
            self.covariance(gram, x),
            np.maximum(chi2, 0.0),
            degrees,
            self.likelihood_ratios(gram, right, x),
        )

    def weighted(
        self,
        y: NDArray[np.float64],
        valid: NDArray[np.bool_] | None,
        level: NDArray[np.float64],
        matrix: NDArray[np.float64],
        x: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Normal matrices, right-hand sides and Σ y²/variance with the variance of the model x.

        Few spectra at a time, so that their channels stay in the processor's cache.
        """
        p, n = x.shape
        gram, right, square = np.empty((p, p, n)), np.empty((p, n)), np.empty(n)
        for begin in range(0, n, _IN_CACHE):
            rows = slice(begin, begin + _IN_CACHE)
            part = matrix[rows] if self.own else matrix
            # negative structure may take a model to zero, where weights would be infinite
            weights = _product(part, np.maximum(x[:, rows], 0.0).T)
            np.maximum(weights, (_LEAST_OF_MEAN * level[rows])[:, None], out=weights)
            if self.gain != 1.0:
                weights *= self.gain
            if self.variance > 0:
                weights += self.variance
            np.reciprocal(weights, out=weights)
            if valid is not None:
                weights *= valid[rows]
            gram[:, :, rows] = self.normal(weights, part)
            weights *= y[rows]
            right[:, rows] = _transposed(weights, part)
            square[rows] = np.einsum("ne,ne->n", weights, y[rows])
        return gram, right, square

    def covariance(self, gram: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        amplitude = self.design.amplitude
        chosen = x != 0
        # an element fitted as absent still has an error: how much of it could hide
        chosen[amplitude] = True
        p, n = x.shape
        diagonal = gram[np.arange(p), np.arange(p)]
        scale = 1.0 / np.sqrt(np.maximum(diagonal, 1e-300))
        gram = gram * scale[:, None] * scale[None]
        gram[np.arange(p), np.arange(p)] = 1.0
        units = np.zeros((p, amplitude.size, n))
        units[amplitude, np.arange(amplitude.size)] = 1.0
        inverse = solved(factorised(masked(gram, chosen)), units)[amplitude]
        inverse = inverse * scale[amplitude][:, None] * scale[amplitude][None]
        # a spectrum without channels says nothing
        inverse[:, :, ~(diagonal > 0).any(axis=0)] = np.inf
        return np.ascontiguousarray(np.moveaxis(inverse, 2, 0))

    def likelihood_ratios(
        self, gram: NDArray[np.float64], right: NDArray[np.float64], x: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        def height(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return _quadratic(gram, values) - 2.0 * np.einsum("in,in->n", right, values)

        rise = np.full((x.shape[1], len(self.design.elements)), np.nan)
        if not self.ratios:
            return rise
        if self.signed.any():
            x = non_negative_solutions(gram, right, start=x > 0)
        best = height(x)
        for number in range(rise.shape[1]):
            without = self.design.element_of != number
            other = non_negative_solutions(gram, right, start=x > 0, allowed=without)
            rise[:, number] = np.maximum(height(other) - best, 0.0)
        return rise


def _above_nil(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels (n,), those of empty spectra put to next to nothing beside the others'."""
    return np.asarray(np.maximum(levels, 1e-12 * (levels.max(initial=0.0) or 1.0)))


def _even_weights(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights for all spectra from the shape of their mean."""
    return np.asarray(1.0 / np.maximum(shape, 0.02 * max(float(shape.mean()), 1e-12)))


def _quadratic(gram: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """xᵀGx of each problem, (n,)."""
    return np.asarray(np.einsum("in,in->n", np.einsum("ijn,jn->in", gram, x), x))


def _product(matrix: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectra (n, n_energy) of coefficients (n, n_columns)."""
    if matrix.ndim == 2:
        return np.asarray(coefficients @ matrix.T)
    return np.asarray((matrix @ coefficients[:, :, None])[..., 0])


def _transposed(values: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right-hand sides (n_columns, n) of weighted counts (n, n_used)."""
    if matrix.ndim == 2:
        return np.asarray(matrix.T @ values.T)
    return np.asarray((np.swapaxes(matrix, 1, 2) @ values[:, :, None])[..., 0].T)
