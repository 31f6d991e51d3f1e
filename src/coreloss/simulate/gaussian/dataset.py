"""Files of Kong et al.'s spectra, with the structure of those of `coreloss.simulate.dataset`.

In the file of an element are spectra of which it was drawn first. All elements are as likely
to be, so files of equal length make up what the recipe describes, without remainder.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.grid import KONG_GRID, rebin
from coreloss.simulate.gaussian.forward import assembled, draw, shape_table
from coreloss.simulate.gaussian.recipe import GaussianRecipe

__all__ = ["gaussian_file"]

_BLOCK = 512  # spectra simulated at a time


def gaussian_file(
    recipe: GaussianRecipe,
    n: int,
    symbol: str,
    seed: tuple[int, ...],
    append: Callable[[Any, str, NDArray[Any]], None],
) -> bytes:
    """One HDF5 file of n spectra; the same arguments give the same ones anywhere.

    Spectra stand over their maximum on 4,550 channels of 0.2 eV from 90 to 1,000 eV, the
    network's window in the paper, zero outside the record.

    Parameters
    ----------
    recipe : GaussianRecipe
    n : int
    symbol : str
        Of the element drawn first.
    seed : tuple of int
    append : callable
        Adds rows to a data set of an HDF5 file.

    Raises
    ------
    ValueError
        If the recipe has no edge of the element.
    """
    import h5py

    if symbol not in recipe.elements:
        raise ValueError(
            f"the recipe gives no spectra of {symbol}; [dataset] elements takes some of "
            f"{' '.join(recipe.elements)}"
        )
    rng = np.random.default_rng(seed)
    labels = [shape.label for shape in shape_table(recipe).shapes]
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["elements"] = list(recipe.elements)
        file.attrs["element"] = symbol
        file.attrs["recipe"] = json.dumps(recipe.to_dict())
        file["energies"] = KONG_GRID.energies.astype(np.float32)
        edges = []
        for begin in range(0, n, _BLOCK):
            drawn = draw(rng, min(_BLOCK, n - begin), recipe, first=recipe.elements.index(symbol))
            batch = assembled(recipe, drawn, rng)
            values, _ = rebin(batch.counts, batch.offset, batch.dispersion, batch.size, KONG_GRID)
            maximum = np.maximum(values.max(axis=1), 1e-30)
            append(file, "spectra", (values / maximum[:, None]).astype(np.float32))
            append(file, "labels_identification", batch.present.astype(np.uint8))
            append(file, "snr", batch.snr)
            append(file, "maximum", maximum.astype(np.float32))
            append(file, "parameters", _parameters(drawn))
            edges.append(_edges(batch, labels, begin))
        file.create_dataset("edges", data=np.concatenate(edges), compression="gzip")
    return buffer.getvalue()


def _parameters(drawn: Any) -> NDArray[Any]:
    """Every number drawn for a spectrum as a whole."""
    columns: dict[str, NDArray[Any]] = {}
    for part in (drawn, drawn.record):
        for field in fields(part) if part is not None else ():
            values = getattr(part, field.name)
            if isinstance(values, np.ndarray) and values.ndim == 1:
                columns[field.name] = values
    out = np.zeros(drawn.exponent.size, dtype=[(name, "f4") for name in columns])
    for name, values in columns.items():
        out[name] = values
    return out


def _edges(batch: Any, labels: list[str], begin: int) -> NDArray[Any]:
    """Every edge in the records of a block, rows counted from the file's beginning."""
    edges = batch.edges
    kind = [("spectrum", "u4"), ("edge", "S8"), ("onset_ev", "f4"), ("jump_ratio", "f4")]
    out = np.zeros(edges["spectrum"].size, dtype=kind)
    out["spectrum"] = edges["spectrum"] + begin
    out["edge"] = np.array(labels, dtype="S8")[edges["group"]]
    out["onset_ev"], out["jump_ratio"] = edges["onset_ev"], edges["jump_ratio"]
    return out
