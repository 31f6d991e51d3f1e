"""Every figure of the package."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from coreloss.identification.result import Identification
from coreloss.whole import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from coreloss.identification.evidence import Evidence

__all__ = ["identification", "picture_kind", "save"]

# Okabe & Ito's colours, which the colour-blind can tell apart, dark ones first
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F6A00")
_INK = "#2B2B2B"
_FAINT = "#9A9A9A"

# period, group of each element shown; lanthanides and actinides in rows of their own
_LAYOUT = """
H . . . . . . . . . . . . . . . . He
Li Be . . . . . . . . . . B C N O F Ne
Na Mg . . . . . . . . . . Al Si P S Cl Ar
K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe
Cs Ba * Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi . . .
. . . . . . . . . . . . . . . . . .
. . La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu .
. . . Th . U . . . . . . . . . . . .
"""


def identification(
    result: Identification, path: str | os.PathLike[str] | None = None, *, title: str = ""
) -> Figure:
    """A spectrum with the edges of the elements found, and a periodic table of probabilities.

    With evidence, also the fit of background and elements found: what each contributes, and the
    residual.

    Parameters
    ----------
    result : Identification
    path : path, optional
        Written there as well; the ending decides the format (png, pdf, svg).
    title : str

    Returns
    -------
    matplotlib Figure
        Made without pyplot, so nothing stays open.
    """
    from matplotlib.figure import Figure

    shown = result.evidence is not None and bool(result.found)
    figure = Figure(figsize=(10.0, 9.6 if shown else 6.6), dpi=150, layout="constrained")
    rows = (1.45, 0.85, 0.35, 1.0) if shown else (1.45, 1.0)
    panels = figure.subplots(len(rows), 1, height_ratios=rows)
    fit = result.fitted() if shown else None
    _spectrum(panels[0], result, title, fit)
    if fit is not None:
        _contributions(panels[1], panels[2], result, fit)
    _periodic_table(panels[-1], result)
    if path is not None:
        save(figure, path)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure whole or not at all.

    Raises as `picture_kind`.
    """
    kind = picture_kind(path)
    with whole(path) as partial:
        figure.savefig(partial, format=kind)


def picture_kind(path: str | os.PathLike[str]) -> str:
    """The format that a picture's ending asks for, 'png' without one.

    Raises ValueError for an ending that names no picture format.
    """
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    if kind not in ("png", "pdf", "svg", "jpg", "jpeg", "tif", "tiff"):
        raise ValueError(f"{path}: cannot write a picture as .{kind}; use .png, .pdf or .svg")
    return kind


def _spectrum(axes: Axes, result: Identification, title: str, fit: Evidence | None = None) -> None:
    energy, counts = result.axis.energies, result.counts
    good = np.isfinite(counts)
    axes.plot(energy, counts, color=_INK, linewidth=0.9, zorder=3)
    positive = counts[good & (counts > 0)]
    # beside a zero-loss peak there is nothing to be seen on a linear scale
    zero_loss = bool(result.axis.start < 0 < result.axis.end and positive.size > 0.5 * good.sum())
    steep = zero_loss or bool(
        positive.size > 0.98 * good.sum()
        and np.quantile(positive, 0.98) > 25.0 * np.quantile(positive, 0.02)
    )
    if steep:
        axes.set_yscale("log", nonpositive="mask")
        low, high = np.quantile(positive, 0.05 if zero_loss else 0.002), positive.max()
        axes.set_ylim(low * 0.7, high * (high / low) ** 0.32)
    else:
        low, high = np.quantile(counts[good], 0.002), counts[good].max()
        if fit is not None:
            low = min(low, fit.background.min())
        span = (high - low) or 1.0
        axes.set_ylim(low - 0.05 * span, high + 0.38 * span)
    axes.set_xlim(result.axis.start, result.axis.end)
    if fit is not None:
        under = fit.background
        axes.plot(
            fit.energies, np.where(under > 0, under, np.nan) if steep else under,
            color=_FAINT, linewidth=1.0, linestyle=(0, (4, 2)), zorder=3,
        )  # fmt: skip
    _edge_marks(axes, result)
    axes.set_xlabel("Energy loss [eV]")
    axes.set_ylabel("Counts")
    axes.spines[["top", "right"]].set_visible(False)
    if steep:
        axes.tick_params(axis="y", which="minor", length=0)
    else:
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=True)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=_INK)
    said = ", ".join(result.found) if result.found else "no element found"
    said += "".join(f"; {group}" for group in result.sets)
    if result.abstained:
        said = "no answer"
        axes.text(
            0.5, 0.97, fill(result.abstained, 90), transform=axes.transAxes, ha="center",
            va="top", fontsize=9, color=_INK, zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )  # fmt: skip
    if result.axis_estimate is not None and (moved := result.axis_estimate.brief()):
        said += f"  ({moved})".replace("-", "−")
    axes.set_title(said, loc="right", fontsize=11, fontweight="bold", color=_INK)


def _contributions(upper: Axes, lower: Axes, result: Identification, fit: Evidence) -> None:
    """The record less its fitted background, each element's part, and below it the residual."""
    energy = fit.energies
    signal = fit.counts - fit.background
    upper.plot(energy, signal, color=_INK, linewidth=0.8, label="record − background")
    total = np.zeros_like(signal)
    for number, symbol in enumerate(result.found):
        part = fit.contributions.get(symbol)
        if part is None:
            continue
        total = total + part
        colour = _COLOURS[number % len(_COLOURS)]
        upper.fill_between(energy, part, color=colour, alpha=0.22, linewidth=0)
        upper.plot(energy, part, color=colour, linewidth=1.1, label=symbol)
    upper.axhline(0.0, color=_FAINT, linewidth=0.6)
    # beside a zero-loss peak, plasmons and all that is no edge found, edges would look flat
    onsets = [e["onset_ev"] for s in result.found for e in result.edges(s) if e["covered"]]
    edges = energy > min(onsets, default=energy[0]) - 15.0
    high = float(max(np.quantile(signal[edges], 0.998), total[edges].max()))
    span = (high - min(float(np.quantile(signal[edges], 0.01)), 0.0)) or 1.0
    upper.set_ylim(high - 1.12 * span, high + 0.1 * span)
    upper.set_ylabel("Counts")
    upper.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=True)
    upper.legend(fontsize=7.5, frameon=False, ncols=9, loc="upper right")
    upper.tick_params(labelbottom=False)
    sigma = np.where(fit.sigma > 0, fit.sigma, np.inf)
    rest = (signal - total) / sigma
    reach = max(3.5, float(np.quantile(np.abs(rest[edges]), 0.98)))
    lower.axhspan(-2.0, 2.0, color="#EDEDED", zorder=0)
    lower.plot(energy, np.clip(rest, -reach, reach), color=_INK, linewidth=0.6)
    lower.set_ylim(-reach, reach)
    lower.set_ylabel("residual / σ")
    lower.set_xlabel("Energy loss [eV]")
    for axes in (upper, lower):
        axes.set_xlim(result.axis.start, result.axis.end)
        axes.spines[["top", "right"]].set_visible(False)


def _edge_marks(axes: Axes, result: Identification) -> None:
    """Lines at the onsets, labelled in rows so that no label covers another."""
    marks: list[tuple[float, str, str, bool]] = []
    for number, symbol in enumerate(result.found):
        colour = _COLOURS[number % len(_COLOURS)]
        for edge in result.edges(symbol):
            if edge["covered"]:
                marks.append((edge["onset_ev"], edge["label"], colour, edge["major"]))
    span = result.axis.end - result.axis.start
    rows: list[float] = []  # right end of the last label in each row
    for onset, label, colour, major in sorted(marks):
        top = 0.68
        if major:
            width = span * (0.010 * len(label) + 0.012)
            row = next((i for i, end in enumerate(rows) if onset >= end), len(rows))
            if row == len(rows):
                rows.append(0.0)
            rows[row] = onset + width
            top = 0.985 - 0.062 * (row % 5)
        # a line ends at its own label, so that it crosses none of the rows above
        axes.axvline(
            onset,
            ymax=top,
            color=colour,
            linewidth=1.4 if major else 0.7,
            alpha=0.9 if major else 0.45,
            linestyle="-" if major else (0, (2, 2)),
            zorder=2,
        )
        if not major:
            continue
        axes.annotate(
            label,
            (onset, top),
            xycoords=("data", "axes fraction"),
            xytext=(2.5, 0),
            textcoords="offset points",
            va="top",
            fontsize=8.5,
            fontweight="bold",
            color=colour,
            zorder=4,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none",
                  "alpha": 0.75},
        )  # fmt: skip


def _periodic_table(axes: Axes, result: Identification) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    shades = LinearSegmentedColormap.from_list("presence", ["#FFFFFF", "#9CC9E4", "#0B4F86"])
    rows = [line.split() for line in _LAYOUT.strip().splitlines()]
    judged = set(result.judged)
    found = set(result.found)
    for row, symbols in enumerate(rows):
        y = row * 1.0 - (0.45 if row > 5 else 0.0)
        for column, symbol in enumerate(symbols):
            if symbol in (".", "*"):
                continue
            probability = result.probabilities.get(symbol)
            if probability is None or symbol not in judged:
                face: Any = "#F1F1F1"
                text, edge = "#BDBDBD", "#E4E4E4"
            else:
                face = shades(probability)
                text = "white" if probability > 0.62 else _INK
                edge = "#B9C4CC"
            strong = symbol in found
            axes.add_patch(
                Rectangle(
                    (column, y),
                    0.94,
                    0.9,
                    facecolor=face,
                    edgecolor="#D55E00" if strong else edge,
                    linewidth=1.8 if strong else 0.5,
                    zorder=3 if strong else 2,
                )
            )
            shown = probability is not None and symbol in judged and probability >= 0.1
            axes.text(
                column + 0.47, y + (0.32 if shown else 0.46), symbol, ha="center", va="center",
                fontsize=7.6, color=text, fontweight="bold" if strong else "normal", zorder=4,
            )  # fmt: skip
            if shown:
                axes.text(
                    column + 0.47, y + 0.7, f"{100 * float(probability or 0):.0f}", ha="center",
                    va="center", fontsize=5.6, color=text, zorder=4,
                )  # fmt: skip
    axes.set_xlim(-0.1, 24.5)
    axes.set_ylim(8.6, -0.1)
    axes.set_aspect("equal")
    axes.axis("off")
    _legend(axes, shades, result)


def _legend(axes: Axes, shades: Any, result: Identification) -> None:
    from matplotlib.patches import Rectangle

    x = 19.2
    axes.text(x, 0.45, "probability [%]", fontsize=7.5, color=_INK, va="center")
    for i in range(50):
        axes.add_patch(
            Rectangle((x + 0.08 * i, 0.9), 0.085, 0.5, facecolor=shades(i / 49), edgecolor="none")
        )
    for value in (0, 50, 100):
        axes.text(
            x + 0.04 * value, 1.78, str(value), fontsize=6.5, ha="center", va="center", color=_INK
        )
    for y, face, edge, width, text in (
        (2.6, shades(0.9), "#D55E00", 1.8, f"found (≥ {100 * result.threshold:.0f} %)"),
        (3.6, "#FFFFFF", "#B9C4CC", 0.5, "judged absent"),
        (
            4.6,
            "#F1F1F1",
            "#E4E4E4",
            0.5,
            "not judged: no edge in range" + (" and outside gaps" if result.gaps else ""),
        ),
    ):
        axes.add_patch(
            Rectangle((x, y), 0.75, 0.7, facecolor=face, edgecolor=edge, linewidth=width)
        )
        axes.text(x + 1.0, y + 0.37, text, fontsize=7, va="center", color=_INK)
    axes.text(x, 6.0, f"model {result.model}", fontsize=6.5, color=_FAINT, va="center")
