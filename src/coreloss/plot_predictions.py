"""Several identified spectra in one figure, as Figure 6 of Annys et al. 2023."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from coreloss.plot import _periodic_table, _spectrum, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from coreloss.identification.result import Identification

__all__ = ["predictions"]


def predictions(
    results: Sequence[Identification],
    path: str | os.PathLike[str] | None = None,
    *,
    titles: Sequence[str] = (),
    columns: int = 2,
) -> Figure:
    """Each spectrum with its edges, above a periodic table shaded by probability.

    Parameters
    ----------
    results : sequence of Identification
    path : path, optional
        Written there as well; the ending decides the format (png, pdf, svg).
    titles : sequence of str
        One for each result, or none.
    columns : int

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        Without results, or for another number of titles.
    """
    from matplotlib.figure import Figure

    if not results or columns < 1:
        raise ValueError("there are no results to draw; give at least one, and one column")
    if titles and len(titles) != len(results):
        raise ValueError(f"{len(titles)} titles for {len(results)} results; give one for each")
    rows = -(-len(results) // columns)
    figure = Figure(figsize=(8.6 * columns, 5.8 * rows), dpi=150, layout="constrained")
    panels = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[1.25, 1.0] * rows)
    for axes in panels.flat:
        axes.set_visible(False)
    for number, result in enumerate(results):
        row, column = divmod(number, columns)
        upper, lower = panels[2 * row, column], panels[2 * row + 1, column]
        upper.set_visible(True)
        lower.set_visible(True)
        _spectrum(upper, result, titles[number] if titles else "")
        _periodic_table(lower, result)
    if path is not None:
        save(figure, path)
    return figure
