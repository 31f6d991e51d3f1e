"""Figures of fitted edges and of detection limits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from coreloss.plot import _COLOURS, _FAINT, _INK, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from coreloss.evaluate.sensitivity import Sensitivity
    from coreloss.simulate.gaussian.fit import FittedEdge

__all__ = ["edge_fit", "sensitivity"]


def edge_fit(result: FittedEdge, path: str | os.PathLike[str] | None = None) -> Figure:
    """A record with its background, the fitted edge with its parts, and what is left.

    Made without pyplot; written to ``path`` as well, if given.
    """
    from matplotlib.figure import Figure

    shape = result.shape
    inside = result.fit > 0
    low, high = result.energies[inside][[0, -1]]
    margin = 0.25 * (high - low)
    shown = (result.energies > low - margin) & (result.energies < high + 0.4 * margin)
    energy = result.energies[shown]
    net = (result.counts - result.background)[shown]

    figure = Figure(figsize=(8.5, 7.5), dpi=130, layout="constrained")
    record, edge, rest = figure.subplots(3, 1, height_ratios=(1.0, 1.4, 0.5), sharex=True)
    record.plot(energy, result.counts[shown], color=_INK, linewidth=0.9, label="record")
    record.plot(energy, result.background[shown], color=_COLOURS[1], label="background A·E⁻ʳ")
    edge.plot(energy, net, color=_FAINT, linewidth=0.9, label="background subtracted")
    fitted = result.energies[inside]
    for number, step in enumerate(shape.steps):
        curve = result.scale * step.intensity(fitted)
        edge.plot(fitted, curve, "--", color=_COLOURS[2], label=None if number else "tail")
    for number, peak in enumerate(shape.peaks):
        curve = result.scale * peak.intensity(fitted)
        label = None if number else f"{len(shape.peaks)} Gaussians"
        edge.plot(fitted, curve, color=_COLOURS[5], linewidth=0.9, label=label)
    edge.plot(fitted, result.fit[inside], color=_COLOURS[0], linewidth=1.6, label="fit")
    in_window = (result.energies[shown] >= low) & (result.energies[shown] <= high)
    left = np.where(in_window, net - result.fit[shown], np.nan)
    rest.plot(energy, left, color=_INK, linewidth=0.8)
    rest.axhline(0.0, color=_FAINT, linewidth=0.8)
    record.set_title(f"{shape.label}: {shape.name}", loc="left", fontsize=11, color=_INK)
    record.set_title(
        f"jump ratio {result.jump_ratio:.3g}, residual {100 * result.residual:.2g} % of the peak",
        loc="right",
        fontsize=9,
        color=_INK,
    )
    for axes, label in ((record, "counts"), (edge, "edge [counts]"), (rest, "left")):
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    record.legend(frameon=False, fontsize=8)
    edge.legend(frameon=False, fontsize=8)
    rest.set_xlabel("Energy loss [eV]")
    if path is not None:
        save(figure, path)
    return figure


def sensitivity(result: Sensitivity, path: str | os.PathLike[str] | None = None) -> Figure:
    """Detection limits: jump ratio and PSNR of each edge, and the dose that it takes.

    Made without pyplot; written to ``path`` as well, if given.
    """
    from matplotlib.figure import Figure

    with_doses = any(limit.doses for limit in result.limits)
    rows = 1 + with_doses
    figure = Figure(figsize=(10.5, 4.6 * rows), dpi=130, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False)
    _against_onset(panels[0, 0], result, "jump_ratio", "least jump ratio")
    _against_onset(panels[0, 1], result, "psnr", "least peak signal-to-noise ratio")
    if with_doses:
        grid = panels[1, 0].get_gridspec()
        for panel in panels[1]:
            panel.remove()
        _doses(figure.add_subplot(grid[1, :]), result)
    figure.suptitle(f"Faintest edges recognised by model {result.model}", fontsize=11, color=_INK)
    if path is not None:
        save(figure, path)
    return figure


def _against_onset(axes: Axes, result: Sensitivity, name: str, label: str) -> None:
    from coreloss.evaluate.sensitivity import PUBLISHED

    onset = [limit.onset_ev for limit in result.limits]
    values = [getattr(limit, name) for limit in result.limits]
    axes.plot(onset, values, "o", color=_COLOURS[0], markersize=5, label="this model")
    if result.published:
        column = 0 if name == "psnr" else 1
        known = [limit for limit in result.limits if limit.element in PUBLISHED]
        axes.plot(
            [limit.onset_ev for limit in known],
            [PUBLISHED[limit.element][column] for limit in known],
            "D",
            color=_COLOURS[1],
            markersize=4,
            fillstyle="none",
            label="Kong et al. 2022, Table 4",
        )
        axes.legend(frameon=False, fontsize=8)
    _names(axes, result, values)
    _logarithmic(axes)
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _doses(axes: Axes, result: Sensitivity) -> None:
    onset = [limit.onset_ev for limit in result.limits]
    ratios = list(result.limits[0].doses)
    for number, ratio in enumerate(ratios):
        dose = [limit.doses[ratio] for limit in result.limits]
        axes.plot(
            onset, dose, "o", color=_COLOURS[number], markersize=4, label=f"jump ratio {ratio:g}"
        )
        if number == len(ratios) - 1:
            _names(axes, result, dose)
    _logarithmic(axes)
    axes.set_ylabel("Least dose [electrons/eV of background at the onset]")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _logarithmic(axes: Axes) -> None:
    """Two logarithmic scales with plain numbers, over onsets."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(LogLocator(subs="all"))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.set_xlabel("Onset [eV]")


def _names(axes: Axes, result: Sensitivity, values: list[float]) -> None:
    for limit, value in zip(result.limits, values, strict=True):
        if np.isfinite(value):
            axes.annotate(
                limit.element,
                (limit.onset_ev, value),
                xytext=(3, 3),
                textcoords="offset points",
                fontsize=6.5,
                color=_INK,
            )
