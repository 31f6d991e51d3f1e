"""Figures of data sets: their making, their elements, and what a model takes them for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS
from coreloss.energy import Spectra
from coreloss.grid import ANNYS_GRID, over_maximum, rebin
from coreloss.plot import save
from coreloss.simulate import load_recipe, simulate_sample
from coreloss.simulate.low_loss import low_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion_matrix", "occurrence", "preprocessing", "simulation_steps"]

_BLUE, _RED, _INK = "#0072B2", "#D55E00", "#2B2B2B"

Path = str | os.PathLike[str] | None


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    # made without pyplot, so nothing stays open
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def _saved(figure: Figure, path: Path) -> Figure:
    if path is not None:
        save(figure, path)
    return figure


def _plain(axes: Axes, title: str, *, energy: bool = True) -> None:
    axes.set_title(title, loc="left", fontsize=9.5, color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    if energy:
        axes.set_xlabel("Energy loss [eV]", fontsize=8.5)


def confusion_matrix(matrix: NDArray[np.integer], path: Path = None, *, title: str = "") -> Figure:
    """What single-element spectra are taken for, shaded by the share of each row.

    Parameters
    ----------
    matrix : ndarray, (n_elements, n_elements)
        Times that row's element is taken for column's, in the order of
        ``coreloss.edges.ELEMENTS``.
    path : path, optional
    title : str

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        For a matrix of another shape, or an empty one.
    """
    count = len(ELEMENTS)
    if matrix.shape != (count, count) or not matrix.any():
        raise ValueError(f"matrix has shape {matrix.shape}; a filled {count} × {count} is needed")
    shown = np.nonzero(matrix.any(axis=1) | matrix.any(axis=0))[0]
    part = matrix[np.ix_(shown, shown)].astype(float)
    total = part.sum(axis=1, keepdims=True)
    share = np.divide(part, total, out=np.zeros_like(part), where=total > 0)
    figure = _figure(11.0, 10.4)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    names = [ELEMENTS[i] for i in shown]
    axes.set_xticks(range(len(names)), names, fontsize=5.5, rotation=90)
    axes.set_yticks(range(len(names)), names, fontsize=5.5)
    axes.tick_params(length=0, top=True, labeltop=True)
    for row, column in zip(
        *np.nonzero((share >= 0.05) & ~np.eye(len(names), dtype=bool)), strict=True
    ):
        axes.text(
            column, row, f"{100 * share[row, column]:.0f}", fontsize=4.5, ha="center", va="center",
            color="white" if share[row, column] > 0.5 else _RED,
        )  # fmt: skip
    axes.set_xlabel("taken for")
    axes.set_ylabel("true element")
    right = np.trace(part) / max(part.sum(), 1.0)
    figure.suptitle(f"{title}   {100 * right:.1f} % right".strip(), fontsize=11)
    bar = figure.colorbar(image, ax=axes, shrink=0.5, pad=0.01)
    bar.set_label("share of the element's spectra")
    return _saved(figure, path)


def occurrence(
    counts: Mapping[str, Mapping[str, int]], path: Path = None, *, title: str = ""
) -> Figure:
    """In how many spectra each element occurs, a panel for each data set (their Figure 4).

    ``counts`` is {data set: {symbol: spectra}}. Raises ValueError for none at all.
    """
    if not counts or not any(any(values.values()) for values in counts.values()):
        raise ValueError("no element occurs in any of the data sets; there is nothing to draw")
    figure = _figure(11.0, 1.0 + 2.6 * len(counts))
    panels = figure.subplots(len(counts), 1, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, counts.items(), strict=True):
        numbers = [values.get(symbol, 0) for symbol in ELEMENTS]
        axes.bar(range(len(ELEMENTS)), numbers, color=_BLUE, width=0.75)
        axes.set_xticks(range(len(ELEMENTS)), ELEMENTS, fontsize=6)
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.8, len(ELEMENTS) - 0.2)
        axes.set_ylabel("spectra", fontsize=8.5)
        _plain(axes, f"{name}: {sum(numbers):,} occurrences", energy=False)
        axes.tick_params(axis="x", labelsize=6)
    if title:
        figure.suptitle(title, fontsize=11)
    return _saved(figure, path)


def simulation_steps(path: Path = None, *, seed: int = 3) -> Figure:
    """How a CeO₂ spectrum of the recipe ``annys2023`` is made (their Figure 2).

    Edges with and without fine structure, the low loss, plural scattering, background,
    noise: each panel is the simulator's own output with the later steps switched off, all
    from one seed.
    """
    recipe = replace(
        load_recipe("annys2023"), background_amplitude=(), readout_noise=(0.0, 0.0),
        zero_loss_fwhm_ev=(1.0, 1.0), chemical_shift_ev=0.0,
    )  # fmt: skip
    bare = replace(recipe, fine_structure_max=0.0)
    # all of an element but a trace, so that the same numbers are drawn
    trace, no_background, no_noise, thin = 1e-9, 1e4, 1e10, 1e-6
    sample = {"Ce": 1.0, "O": 2.0}

    def made(composition: Mapping[str, float], **changes: Any) -> tuple[NDArray, NDArray]:
        settings: dict[str, Any] = {
            "start_ev": 399.5, "end_ev": 1199.5, "counts": no_noise, "thickness": 0.6,
            "jump_ratio": no_background, "recipe": recipe, "seed": seed, **changes,
        }  # fmt: skip
        batch = simulate_sample(composition, **settings)
        size = int(batch.size[0])
        energy = batch.offset[0] + batch.dispersion[0] * np.arange(size)
        return energy, np.asarray(batch.counts)[0, :size]

    figure = _figure(11.0, 6.2)
    panels = figure.subplots(2, 3).ravel()
    for axes, composition, name, place in (
        (panels[0], {"Ce": 1.0, "O": trace}, "(a) Ce M4,5, on the tail of N4,5", (0.2, 0.8)),
        (panels[1], {"Ce": trace, "O": 2.0}, "(b) O K", "upper right"),
    ):
        for plan, colour, label in ((bare, _RED, "atom"), (recipe, _BLUE, "with fine structure")):
            # the jump ratio is that of Ce, of which there may be a trace only
            jump = no_background * composition["Ce"]
            energy, counts = made(composition, thickness=thin, recipe=plan, jump_ratio=jump)
            beyond = (energy > energy[-1] - 120.0) & (energy < energy[-1] - 20.0)
            axes.plot(energy, counts / max(counts[beyond].mean(), 1e-30), color=colour, lw=1.0,
                      label=label)  # fmt: skip
        axes.legend(fontsize=7.5, frameon=False, loc=place)
        axes.set_yticks([])
        _plain(axes, name)
    batch = simulate_sample(sample, start_ev=399.5, end_ev=1199.5, recipe=recipe, seed=seed,
                            thickness=0.6)  # fmt: skip
    response = low_loss(np.random.default_rng(seed), batch.draws, recipe)[0]
    loss = np.arange(response.size) - int(np.argmax(response))
    panels[2].semilogy(loss, np.maximum(response, 1e-7), color=_BLUE, lw=1.0)
    panels[2].set_xlim(-15, 120)
    panels[2].set_ylim(1e-6, 1.0)
    _plain(panels[2], "(c) low loss")
    for axes, changes, name in (
        (panels[3], {}, "(d) edges, plural scattering"),
        (panels[4], {"jump_ratio": 1.5}, "(e) and background"),
    ):
        energy, counts = made(sample, **changes)
        axes.plot(energy, counts / counts.max(), color=_BLUE, lw=1.0)
        axes.set_yticks([])
        _plain(axes, name)
    energy, counts = made(sample, jump_ratio=1.5, counts=3e4)
    whole, padded = ANNYS_GRID.energies, np.zeros(ANNYS_GRID.size)
    padded[np.clip(np.rint(energy).astype(int), 0, padded.size - 1)] = counts / counts.max()
    panels[5].plot(whole, padded, color=_BLUE, lw=0.8)
    _plain(panels[5], "(f) Poisson noise, normalised, zero padded")
    figure.suptitle("CeO₂, recipe annys2023", fontsize=11)
    return _saved(figure, path)


def _inset(
    axes: Axes,
    energy: NDArray[np.floating],
    counts: NDArray[np.floating],
    detail: tuple[float, float],
) -> None:
    """Part of a record, channel by channel, in the upper right corner."""
    part = (energy >= detail[0]) & (energy <= detail[1])
    if not part.any():
        raise ValueError(f"the record has nothing from {detail[0]:g} to {detail[1]:g} eV")
    inset = axes.inset_axes((0.45, 0.42, 0.52, 0.5))
    inset.step(energy[part], counts[part], where="mid", color=_RED, lw=0.9)
    inset.set_yticks([])
    inset.tick_params(labelsize=7)
    inset.spines[["top", "right"]].set_visible(False)


def preprocessing(
    spectra: Spectra,
    path: Path = None,
    *,
    title: str = "",
    detail: tuple[float, float] | None = None,
) -> Figure:
    """From a record to what a network of the paper sees (their Figure 3).

    The record on its own axis, on channels of 1 eV, and over its maximum on 0 … 3071 eV. A
    spectrum image counts as its sum. ``detail`` is a range [eV] to show channel by channel
    in insets. Raises ValueError for a record outside 0 to 3071 eV.
    """
    record = spectra.summed()
    counts = np.nan_to_num(np.asarray(record.counts, dtype=float))[None, :]
    axis = record.axis
    values, mask = rebin(
        counts, np.array([axis.offset]), np.array([axis.dispersion]), np.array([axis.size]),
        ANNYS_GRID,
    )  # fmt: skip
    inside = mask[0] > 0
    if not inside.any():
        raise ValueError(
            f"the record runs from {axis.start:.4g} to {axis.end:.4g} eV, all of it outside "
            "0 to 3071 eV; give a core-loss record"
        )
    figure = _figure(11.0, 3.2)
    panels = figure.subplots(1, 3)
    panels[0].plot(axis.energies, counts[0], color=_INK, lw=0.8)
    _plain(panels[0], f"as recorded, {axis.dispersion:.3g} eV/channel")
    panels[1].plot(ANNYS_GRID.energies[inside], values[0][inside], color=_BLUE, lw=0.8)
    _plain(panels[1], "resampled, 1 eV/channel")
    panels[2].plot(
        ANNYS_GRID.energies, over_maximum(values, mask, ANNYS_GRID)[0], color=_BLUE, lw=0.8
    )
    _plain(panels[2], "over its maximum, zero padded")
    if detail is not None:
        for axes, energy, record_counts in (
            (panels[0], axis.energies, counts[0]),
            (panels[1], ANNYS_GRID.energies[inside], values[0][inside]),
        ):
            _inset(axes, energy, record_counts, detail)
    for axes in panels[:2]:
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=True)
    if title:
        figure.suptitle(title, fontsize=11)
    return _saved(figure, path)
