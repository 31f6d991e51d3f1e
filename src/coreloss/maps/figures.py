"""Pictures of maps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import pair_label
from coreloss.fit import fitted_edges
from coreloss.maps.source import NavigationAxis
from coreloss.maps.wording import axis_said
from coreloss.plot import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from coreloss.maps.amounts import Quantification
    from coreloss.maps.elements import ElementMaps

__all__ = ["element_maps_figure", "quantification_figure"]

_INK = "#2B2B2B"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F6A00")
_MOST = 12
_NICE = np.array([1.0, 2.0, 5.0])
# of a picture of maps [inch]: its width, that of a map that is about square, height over width
_WIDTH, _PANEL, _SHAPE = 10.4, 2.6, 0.5
_FIT_HEIGHT = 4.0


def element_maps_figure(maps: ElementMaps, path: str | os.PathLike[str] | None = None) -> Figure:
    """Probability maps side by side, with the survey image where there is one.

    One colour scale and one scale bar serve all. Line scans become curves; of a stack the mean
    over its leading axes is shown.

    Parameters
    ----------
    maps : ElementMaps
    path : path, optional
        Written there as well; the ending decides the format.
    """
    shown = maps.elements[:_MOST]
    values = [maps.probabilities[..., i] for i in range(len(shown))]
    titles = [
        f"{s}   {100 * np.nanmean(v >= maps.threshold):.0f} % of pixels"
        for s, v in zip(shown, values, strict=True)
    ]
    more = f" (and {len(maps.elements) - _MOST} more)" if len(maps.elements) > _MOST else ""
    said = ", ".join(maps.elements[:_MOST]) + more if maps.elements else "no element found"
    title = f"{maps.metadata.get('title', '')}   {said}".strip()
    if moved := axis_said(maps.notes):
        title += f"\n{moved}"
    figure = _panels(
        values, titles, maps.axes, maps.survey, "probability", (0.0, 1.0), "Blues", title
    )
    if path is not None:
        save(figure, path)
    return figure


def quantification_figure(
    result: Quantification, path: str | os.PathLike[str] | None = None
) -> Figure:
    """The mean spectrum with its fit, and maps of atomic percent and of the fit's quality."""
    from matplotlib.figure import Figure

    single = int(np.prod(result.shape)) == 1
    if single:
        figure = Figure(figsize=(10.0, 4.6), dpi=150, layout="constrained")
        _fit(figure.subplots(), result)
    else:
        shown = result.elements[: _MOST - 1]
        values: list[NDArray[Any]] = [result.atomic_percent[..., i] for i in range(len(shown))]
        titles = [f"{s}   {_percent(result, s)} at%" for s in shown]
        survey = None if result.maps is None else result.maps.survey
        pictures = [_last_two(v) for v in values]
        rows, _, width = _grid(pictures[0], len(shown) + (survey is not None) + 1, result.axes)
        height = rows * (width * _tall(pictures[0], result.axes) + 0.4) + 0.7
        if pictures[0].ndim == 1:
            height = 3.6
        whole = Figure(figsize=(11.0, _FIT_HEIGHT + height), dpi=150, layout="constrained")
        halves: Any = whole.subfigures(2, 1, height_ratios=(_FIT_HEIGHT, height))
        upper, lower = halves
        _fit(upper.subplots(), result)
        _panels(
            values,
            titles,
            result.axes,
            survey,
            "at%",
            (0.0, max(1.0, float(np.nanquantile(np.stack(values), 0.99)))),
            "viridis",
            "",
            lower,
            (result.reduced_chi2, "χ² per degree of freedom"),
        )
        figure = whole
    if path is not None:
        save(figure, path)
    return figure


def _fit(axes: Axes, result: Quantification) -> None:
    energy = result.axis.energies
    spectrum = result.spectrum
    axes.plot(energy, spectrum["counts"], color=_INK, linewidth=0.8, label="mean spectrum")
    axes.plot(energy, spectrum["model"], color=_COLOURS[1], linewidth=1.2, label="model")
    axes.plot(energy, spectrum["background"], color=_COLOURS[0], linewidth=1.0, label="background")
    used = result.design.use
    top = float(np.nanmax(spectrum["counts"]))
    axes.fill_between(
        energy, 0, 1, where=~used, transform=axes.get_xaxis_transform(), color="#E8E8E8",
        linewidth=0, label="not fitted" if not used.all() else None,
    )  # fmt: skip
    for number, symbol in enumerate(result.design.elements):
        named: set[str] = set()
        for edge in fitted_edges(symbol, result.axis):
            if edge.major:
                axes.axvline(edge.onset_ev, color=_COLOURS[number % 7], linewidth=0.7, zorder=0)
                if pair_label(edge) in named:
                    continue
                named.add(pair_label(edge))
                axes.annotate(
                    pair_label(edge), (edge.onset_ev, 0.98 - 0.07 * (number % 4)),
                    xycoords=("data", "axes fraction"), xytext=(2, 0),
                    textcoords="offset points", va="top", fontsize=7.5,
                    color=_COLOURS[number % 7],
                )  # fmt: skip
    axes.set_ylim(0, 1.12 * top)
    axes.set_xlim(result.axis.start, result.axis.end)
    moved = axis_said(result.notes)
    axes.set_xlabel(f"Energy loss [eV]{'; ' if moved else ''}{moved}")
    axes.set_ylabel("Counts")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    said = "  ".join(f"{s} {_percent(result, s)}" for s in result.elements)
    axes.set_title(f"{said}  at%", loc="left", fontsize=10)


def _percent(result: Quantification, symbol: str) -> str:
    """At% of the whole with one standard error of counting and of the model together."""
    row = result.total[symbol]
    return f"{row['atomic_percent']:.1f} ± {np.hypot(row['error'], row['model_error']):.1f}"


def _tall(picture: NDArray[Any], axes: Sequence[NavigationAxis]) -> float:
    """Height over width of a map as it is drawn, within limits."""
    tall = picture.shape[0] / picture.shape[1] * _aspect(axes) if picture.ndim == 2 else 1.0
    return min(max(tall, 0.08), 1.6)


def _grid(
    picture: NDArray[Any], number: int, axes: Sequence[NavigationAxis]
) -> tuple[int, int, float]:
    """Rows, columns and the width of a panel [inch]: wide maps in fewer columns."""
    tall = _tall(picture, axes)

    def odd(columns: int) -> float:
        height = -(-number // columns) * (_WIDTH / columns * tall + 0.4)
        return float(abs(np.log(height / (_SHAPE * _WIDTH))))

    columns = min(range(1, min(number, 4) + 1), key=odd) if tall < _SHAPE else min(number, 4)
    width = _WIDTH / columns if tall < _SHAPE else _PANEL
    return -(-number // columns), columns, width


def _panels(
    values: Sequence[NDArray[Any]],
    titles: Sequence[str],
    axes: Sequence[NavigationAxis],
    survey: NDArray[Any] | None,
    label: str,
    limits: tuple[float, float],
    colours: str,
    title: str,
    figure: Any = None,
    last: tuple[NDArray[Any], str] | None = None,
) -> Any:
    from matplotlib.figure import Figure

    flat = [_last_two(v) for v in values]
    line = not flat or flat[0].ndim == 1
    number = (1 if line else len(flat)) + (survey is not None) + (last is not None)
    rows, columns, width = (1, number, _PANEL) if line else _grid(flat[0], number, axes)
    if figure is None:
        height = width * _tall(flat[0], axes) + 0.4 if flat else 0.0
        figure = Figure(
            figsize=(10.0 if line else width * columns + 0.8, 3.6 if line else height * rows + 0.5),
            dpi=150,
            layout="constrained",
        )
    if title:
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in places:
        place.axis("off")
    if survey is not None:
        place = places.pop(0)
        place.imshow(survey, cmap="gray")
        place.set_title("survey", fontsize=8, loc="left")
    if line:
        if flat:
            _curves(places[0], flat, titles, axes, label)
        if last is not None:
            _curves(places[1], [_last_two(last[0])], [last[1]], axes, last[1])
        return figure
    drawn: Any = None
    used = []
    for picture, name in zip(flat, titles, strict=True):
        place = places.pop(0)
        drawn = place.imshow(
            picture, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest",
            aspect=_aspect(axes),
        )  # fmt: skip
        place.set_title(name, fontsize=8, loc="left")
        used.append(place)
    if used:
        _scale_bar(used[0], axes, flat[0].shape)
        figure.colorbar(drawn, ax=used, label=label, shrink=0.8, fraction=0.03, pad=0.01)
    if last is not None:
        place = places.pop(0)
        quality = _last_two(last[0])
        finite = quality[np.isfinite(quality)]
        top = float(np.quantile(finite, 0.99)) if finite.size else 1.0
        image = place.imshow(
            quality, cmap="magma", vmin=0, vmax=max(top, 1e-9), interpolation="nearest",
            aspect=_aspect(axes),
        )  # fmt: skip
        place.set_title(last[1], fontsize=8, loc="left")
        # beneath it: beside it there is the scale of the others
        figure.colorbar(image, ax=place, location="bottom", fraction=0.06, pad=0.02)
    return figure


def _last_two(values: NDArray[Any]) -> NDArray[np.floating]:
    picture = np.asarray(values, dtype=float)
    while picture.ndim > 2:
        known = np.isfinite(picture)
        number = known.sum(axis=0)
        total = np.where(known, picture, 0.0).sum(axis=0)
        picture = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return picture


def _curves(
    place: Axes,
    values: Sequence[NDArray[Any]],
    names: Sequence[str],
    axes: Sequence[NavigationAxis],
    label: str,
) -> None:
    place.axis("on")
    axis = axes[-1]
    position = axis.offset + axis.scale * np.arange(axis.size)
    for number, (curve, name) in enumerate(zip(values, names, strict=True)):
        place.plot(
            position, curve, color=_COLOURS[number % len(_COLOURS)], linewidth=1.2,
            linestyle="-" if number < len(_COLOURS) else "--", label=name,
        )  # fmt: skip
    place.set_xlabel(f"Position [{axis.unit}]" if axis.unit else "Spectrum")
    place.set_ylabel(label)
    place.set_ylim(bottom=0)
    place.spines[["top", "right"]].set_visible(False)
    place.legend(frameon=False, fontsize=7.5)


def _aspect(axes: Sequence[NavigationAxis]) -> float:
    """Height of a pixel over its width; image files may give pixels that are not square."""
    if len(axes) < 2 or axes[-1].unit != axes[-2].unit:
        return 1.0
    ratio = abs(axes[-2].scale / axes[-1].scale) if axes[-1].scale else 1.0
    return float(ratio) if 0.05 < ratio < 20 else 1.0


def _scale_bar(place: Axes, axes: Sequence[NavigationAxis], shape: tuple[int, ...]) -> None:
    axis = axes[-1]
    if not axis.unit or not axis.scale:
        return
    wanted = 0.3 * shape[1] * abs(axis.scale)
    power = 10.0 ** np.floor(np.log10(wanted))
    length = float((_NICE * power)[_NICE * power <= wanted].max())
    pixels = length / abs(axis.scale)
    x, y = 0.04 * shape[1] - 0.5, shape[0] * 0.94 - 0.5
    place.plot([x, x + pixels], [y, y], color="white", linewidth=4.5, solid_capstyle="butt")
    place.plot([x, x + pixels], [y, y], color=_INK, linewidth=2.5, solid_capstyle="butt")
    place.annotate(
        f"{length:g} {axis.unit}", (x + 0.5 * pixels, y), xytext=(0, 3),
        textcoords="offset points", ha="center", va="bottom", fontsize=7, color=_INK,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none",
              "alpha": 0.7},
    )  # fmt: skip
