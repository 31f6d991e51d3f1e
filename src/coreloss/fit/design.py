"""The columns of the linear model: background, edges of each element, near-edge structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.atom.cross_section import dsigma_de
from coreloss.edges import Edge, edges_of
from coreloss.energy import EnergyAxis, Spectra
from coreloss.fit.background import background_columns
from coreloss.fit.response import Response
from coreloss.fit.solids import SolidTable

__all__ = ["NEAR_EDGE", "Design", "design_matrix", "fitted_edges"]

#: What can be done with the structure near an edge, which atoms do not tell.
NEAR_EDGE = ("exclude", "free", "none")

_NM2_PER_M2 = 1e18
_OVERSAMPLING = 4
# channels above an edge's own structure that an areal density must at least rest on [eV]
_LEAST_TAIL_EV = 12.0
_FIRST_HAT_EV = 1.0
# how far behind an onset triangles stay as fine as that: white lines and the bonds' peaks
_FINE_EV = 2.0
_HAT_GROWTH = 0.3
# Beyond the reach of K edges: the resonances and extended structure above L2,3 white lines go on
# for longer. Above M4,5 and N4,5 white lines the continuum is that of the atom, and it is what
# tells neighbouring elements apart.
_FARTHER_EV = {"K": 0.0, "L": 10.0}
_FARTHER_ELSE_EV = -20.0


@dataclass(frozen=True)
class Design:
    """A linear model of spectra: expected counts = matrix @ coefficients.

    Attributes
    ----------
    matrix : ndarray, (n_energy, n_columns) or (n, n_energy, n_columns)
        One for all spectra, or one for each of n.
    axis : EnergyAxis
    use : ndarray, (n_energy,) bool
        Channels that are fitted.
    elements : tuple of str
    element_of : ndarray, (n_columns,) int
        Index into ``elements`` that a column belongs to; -1 for the background.
    amplitude : ndarray, (n_elements,) int
        The column whose coefficient is the amount of each element.
    absolute : bool
        Whether these coefficients are areal densities [atoms/nm²]; else they are
        proportional to them.
    names : tuple of str
        Of the columns.
    near_edge : ndarray, (n_energy,) bool
        Channels in near-edge regions that triangles are fitted to.
    unfounded : tuple of str
        Elements whose edges leave too few channels to tell their amount by.
    signed : ndarray, (n_columns,) bool, optional
        Columns whose coefficients may be negative; none without it. See `settled`.
    within : ndarray, (n_elements,), optional
        With free near-edge structure: how much of the column behind ``amplitude`` makes an atom's
        edges whole.
    """

    matrix: NDArray[np.float64] = field(repr=False)
    axis: EnergyAxis
    use: NDArray[np.bool_] = field(repr=False)
    elements: tuple[str, ...]
    element_of: NDArray[np.intp] = field(repr=False)
    amplitude: NDArray[np.intp]
    absolute: bool
    names: tuple[str, ...] = field(repr=False)
    near_edge: NDArray[np.bool_] = field(repr=False)
    unfounded: tuple[str, ...] = ()
    signed: NDArray[np.bool_] | None = field(default=None, repr=False)
    within: NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def background(self) -> NDArray[np.intp]:
        """Indices of the background's columns."""
        return np.flatnonzero(self.element_of < 0)

    def columns_of(self, symbol: str) -> NDArray[np.intp]:
        """Indices of an element's columns, near-edge structure included."""
        return np.flatnonzero(self.element_of == self.elements.index(symbol))

    def atoms(self) -> NDArray[np.float64]:
        """Edges of whole atoms, near-edge regions included, (n_energy, n_elements).

        Of a design with one model, which is not settled.
        """
        whole = self.matrix[:, self.amplitude]
        if self.within is not None:
            there = self.within > 0
            whole[:, there] += self.within[there] * self.matrix[:, self.amplitude[there] + 1]
        return np.asarray(whole)

    def settled(self, coefficients: NDArray[np.float64]) -> Design:
        """The same for single spectra whose sum was fitted with ``coefficients`` (n_columns,).

        Near-edge structure that is nil in the sum is left out; the rest may be negative. Where it
        is held above zero in every spectrum by itself it takes up their noise where that is
        positive alone, and all amounts are off by up to two standard errors.
        """
        structure = self.element_of >= 0
        structure[self.amplitude] = False
        kept = ~structure | (coefficients > 0)
        place = np.cumsum(kept) - 1
        return replace(
            self,
            matrix=self.matrix[..., kept],
            element_of=self.element_of[kept],
            amplitude=place[self.amplitude],
            names=tuple(name for name, there in zip(self.names, kept, strict=True) if there),
            signed=structure[kept],
            within=None,
        )


def fitted_edges(
    symbol: str, axis: EnergyAxis, window_ev: tuple[float, float] | None = None
) -> tuple[Edge, ...]:
    """The edges of an element that begin inside a record, or in a window of it.

    Edges that begin ahead of the record belong to its background.
    """
    low, high = _window(axis, window_ev)
    return tuple(e for e in edges_of(symbol) if low + axis.dispersion < e.onset_ev < high)


def design_matrix(
    elements: Sequence[str],
    energy_ev: EnergyAxis | ArrayLike,
    *,
    beam_energy_kev: float,
    alpha_mrad: float,
    beta_mrad: float,
    low_loss: Spectra | None = None,
    response: Response | None = None,
    background: int = 5,
    near_edge: str = "exclude",
    near_edge_ev: tuple[float, float] = (4.0, 30.0),
    window_ev: tuple[float, float] | None = None,
    measured_shapes: bool = True,
) -> Design:
    """The design of the linear model background + Σ areal density · cross section.

    counts(E) = Σ b_k B_k(E) + Σ_elements N (dσ/dE ⊗ low loss)(E) · dispersion, where dσ/dE is
    summed over all subshells of the element that begin in the record: they share one areal
    density, so overlapping edges are told apart by all of them (J. Verbeeck, S. Van Aert,
    Ultramicroscopy 101, 207 (2004)).

    Parameters
    ----------
    elements : sequence of str
    energy_ev : EnergyAxis or array_like, (n_energy,) [eV]
    beam_energy_kev : float [keV]
    alpha_mrad, beta_mrad : float [mrad]
        Convergence and collection semi-angles.
    low_loss : Spectra, optional
        One low-loss spectrum, convolved with the edges as a shape of
        unit area. For more than a shape, and for one a spectrum, give ``response``.
    response : Response, optional
        Kernels that the edges are convolved with; see `coreloss.fit.Response`.
    background : int
        Power laws in the background; see `background_columns`.
    near_edge : str
        'exclude' leaves out the channels near edges, where solids differ from atoms; 'free'
        replaces the cross section there by overlapping triangles of free, non-negative
        height, and as much of the atom's, whose step triangles cannot make up, all of which the
        low loss is convolved with as well; 'none' takes atoms as they are.
    near_edge_ev : pair of float [eV]
        How far near-edge structure reaches below and above the onset of a K edge; 10 eV more
        above L edges, 20 eV less above M and N edges.
    window_ev : pair of float, optional [eV]
        Fit only these energies.
    measured_shapes : bool
        Delayed M4,5 maxima of As to Xe and Hf to Bi where solids have them, as strong
        (`coreloss.fit.solids`); the free atom's without it.

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        If no channel is left, an element has no edge in the window, two responses are given or
        a parameter is unknown or impossible.
    """
    axis = energy_ev if isinstance(energy_ev, EnergyAxis) else EnergyAxis.from_energies(energy_ev)
    if near_edge not in NEAR_EDGE:
        raise ValueError(f"near_edge is {near_edge!r}; it must be one of {', '.join(NEAR_EDGE)}")
    if min(near_edge_ev) < 0:
        raise ValueError(f"near-edge reach {near_edge_ev} eV: both numbers must not be negative")
    if low_loss is not None:
        if response is not None:
            raise ValueError("give either a low loss or a response, not both")
        if low_loss.counts.ndim != 1:
            low_loss = low_loss.summed()
        response = Response.of_low_loss(low_loss.counts, low_loss.axis, axis.dispersion)
    response = response or Response(np.ones((1, 1)), 0)
    low, high = _window(axis, window_ev)
    symbols = tuple(dict.fromkeys(edges_of(s)[0].symbol for s in elements))
    for symbol in symbols:
        if not fitted_edges(symbol, axis, window_ev):
            raise ValueError(
                f"{symbol} has no edge between {low:.4g} and {high:.4g} eV, so its amount cannot "
                "be fitted; leave it out or widen the window"
            )
    energies = axis.energies
    use = (energies >= low) & (energies <= high) & (energies > 0)
    long = EnergyAxis(axis.offset, axis.dispersion, axis.size + response.zero)
    edges: list[NDArray[np.float64]] = []
    names: list[str] = []
    owner: list[int] = []
    amplitude: list[int] = []
    unfounded: list[str] = []
    inside_regions = np.zeros(len(symbols))
    free = np.zeros(axis.size, dtype=bool)
    for number, symbol in enumerate(symbols):
        own = fitted_edges(symbol, axis, (low, high))
        regions = [] if near_edge == "none" else _regions(own, near_edge_ev)
        column = np.zeros(long.size)
        hats = _hats(long, regions) if near_edge == "free" else np.zeros((0, long.size))
        for edge in own:
            column += channel_averages(
                edge,
                long,
                float(beam_energy_kev),
                float(alpha_mrad),
                float(beta_mrad),
                measured_shapes,
            )
        if near_edge == "free":
            covered = hats.sum(axis=0)
            free |= covered[: axis.size] > 0
            # the atom's own step, which no triangles make up, as far as it is there
            within = column * covered
            column = column - within
            if within.max(initial=0.0) > 0:
                hats = np.vstack([within / within.max(), hats])
                inside_regions[number] = within.max() * _NM2_PER_M2 * axis.dispersion
        elif near_edge == "exclude":
            for region in regions:
                use &= (energies < region.begin) | (energies > region.end)
        amplitude.append(len(edges))
        edges += [column * (_NM2_PER_M2 * axis.dispersion), *hats]
        names += [symbol, *(f"{symbol} near-edge {i + 1}" for i in range(len(hats)))]
        owner += [number] * (1 + len(hats))
    inside = np.flatnonzero((energies >= low) & (energies <= high) & (energies > 0))
    if inside.size == 0 or not use.any():
        raise ValueError(
            f"no channel is left to fit between {low:.4g} and {high:.4g} eV; widen the window, "
            "shorten the near-edge regions or let near-edge structure free"
        )
    for number, symbol in enumerate(symbols):
        founded = use & (edges[amplitude[number]][: axis.size] > 0)
        if founded.sum() * axis.dispersion < _LEAST_TAIL_EV:
            unfounded.append(symbol)
    base = np.zeros((axis.size, background))
    base[inside] = background_columns(energies[inside], background)
    matrix = response.applied(np.array(edges).reshape(len(edges), long.size), axis.size)
    whole = np.concatenate(
        [
            np.broadcast_to(base, (matrix.shape[0], *base.shape)),
            np.swapaxes(matrix, 1, 2),
        ],
        axis=2,
    )
    return Design(
        whole[0] if whole.shape[0] == 1 else whole,
        axis,
        use,
        symbols,
        np.array([-1] * background + owner, dtype=np.intp),
        np.array(amplitude, dtype=np.intp) + background,
        response.absolute,
        (*(f"background {i + 1}" for i in range(background)), *names),
        free,
        tuple(unfounded),
        within=inside_regions if near_edge == "free" else None,
    )


def _window(axis: EnergyAxis, window_ev: tuple[float, float] | None) -> tuple[float, float]:
    low, high = axis.start, axis.end
    if window_ev is not None:
        if not np.isfinite(window_ev).all():
            raise ValueError(f"the window {window_ev} eV holds no number; give two energies")
        low, high = max(low, float(window_ev[0])), min(high, float(window_ev[1]))
    if not low < high:
        raise ValueError(
            f"the window {window_ev} eV leaves nothing of the record, which runs from "
            f"{axis.start:.4g} to {axis.end:.4g} eV"
        )
    return low, high


@dataclass(frozen=True)
class _Region:
    """Where near-edge structure lies: of edges whose regions touch, together [eV]."""

    begin: float
    end: float
    onsets: tuple[float, ...]


def has_structure(edge: Edge) -> bool:
    """Whether an edge has near-edge structure to speak of; s subshells but K have none."""
    return edge.subshell == "K" or not edge.subshell.endswith("1")


def _regions(edges: Sequence[Edge], reach_ev: tuple[float, float]) -> list[_Region]:
    """The near-edge regions of an element's edges, ascending."""
    regions: list[_Region] = []
    for edge in sorted(edges, key=lambda e: e.onset_ev):
        if not has_structure(edge):
            continue
        begin, end = edge.onset_ev - reach_ev[0], edge.onset_ev + reach_ev[1]
        end += _FARTHER_EV.get(edge.subshell[0], _FARTHER_ELSE_EV)
        if end <= edge.onset_ev:
            continue
        if regions and begin <= regions[-1].end:
            last = regions[-1]
            regions[-1] = _Region(last.begin, end, (*last.onsets, edge.onset_ev))
        else:
            regions.append(_Region(begin, end, (edge.onset_ev,)))
    return regions


def _hats(axis: EnergyAxis, regions: Sequence[_Region]) -> NDArray[np.float64]:
    """Overlapping triangles over each region, (n_hats, n_energy), which sum to 1 inside.

    Fine about every onset, where the structure is, and wider with the distance from it. The
    last falls to 0 at the region's end, where the atomic cross section takes over.
    """
    energies = axis.energies
    first = max(_FIRST_HAT_EV, 2.0 * axis.dispersion)
    rows = []
    for region in regions:
        knots = [region.begin, region.onsets[0] - first]
        while True:
            here = knots[-1]
            behind = min(here - onset for onset in region.onsets if onset - first <= here)
            step = first + _HAT_GROWTH * max(behind - _FINE_EV, 0.0)
            # not past the next onset, about which they are fine again
            following = [o - first - here for o in region.onsets if o - first > here]
            if following:
                step = max(min(step, following[0]), first)
            if here + 1.5 * step >= region.end:
                break
            knots.append(here + step)
        knots = [region.begin - first, *(k for k in knots if k >= region.begin), region.end]
        for i in range(1, len(knots) - 1):
            rows.append(np.interp(energies, knots[i - 1 : i + 2], [0.0, 1.0, 0.0]))
    return np.array(rows).reshape(-1, energies.size)


@lru_cache(maxsize=512)
def channel_averages(
    edge: Edge,
    axis: EnergyAxis,
    beam_energy_kev: float,
    alpha_mrad: float,
    beta_mrad: float,
    measured_shapes: bool = True,
) -> NDArray[np.float64]:
    """dσ/dE [m²/eV] of one subshell averaged over each channel, (n_energy,)."""
    first = int(np.clip(np.floor((edge.onset_ev - axis.start) / axis.dispersion) - 1, 0, axis.size))
    out = np.zeros(axis.size)
    number = axis.size - first
    if number > 0:
        step = axis.dispersion / _OVERSAMPLING
        start = axis.start + first * axis.dispersion + 0.5 * step
        fine = start + step * np.arange(number * _OVERSAMPLING)
        values = dsigma_de(
            edge.symbol,
            edge.subshell,
            fine,
            beam_energy_kev=beam_energy_kev,
            alpha_mrad=alpha_mrad,
            beta_mrad=beta_mrad,
            table=SolidTable.shipped() if measured_shapes else None,
        )
        out[first:] = values.reshape(number, _OVERSAMPLING).mean(axis=1)
    out.flags.writeable = False
    return out
