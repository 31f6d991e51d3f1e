"""Oscillator strengths from the community's ``.gosh`` files, in place of ours.

The layout (HDF5) is that of the files of Segger, Guzzinati & Kohl (doi:10.5281/zenodo.7645765,
density-functional) and of Zhang et al. (doi:10.5281/zenodo.12800856, Dirac), which eXSpy reads:
``/<element>/<table>`` holds ``free_energies`` [eV], ``q`` [1/m] and ``data`` [1/eV] over (q,
energy); ``/metadata/edges_info/<subshell>`` names the table and the share of its electrons.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreloss.atom.gos_table import Strengths
from coreloss.atom.kinematics import BOHR_RADIUS_M
from coreloss.edges import edges_of

__all__ = ["GoshTable"]

Floats = NDArray[np.float64]
_N_MOMENTA = 256


@dataclass(frozen=True)
class _LogScale:
    """Momentum transfers evenly spaced in ln q, the same at all energies."""

    onset_ev: float
    lowest: float
    highest: float

    def coordinate(self, excess_ev: Any, q: Any) -> Floats:
        place = np.log(np.asarray(q, dtype=float) / self.lowest)
        return np.asarray(place / np.log(self.highest / self.lowest) + 0.0 * np.asarray(excess_ev))

    def momenta(self, excess_ev: Any, t: Floats) -> Floats:
        row = self.lowest * (self.highest / self.lowest) ** np.asarray(t)
        return np.asarray(row + np.zeros((np.atleast_1d(excess_ev).size, 1)))


class GoshTable:
    """A ``.gosh`` file as a source of cross sections.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    ValueError
        If the file is missing or has another layout.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._read: dict[tuple[str, str], Strengths] = {}
        with self._open() as file:
            if "metadata/edges_info" not in file:
                raise ValueError(
                    f"{path}: no 'metadata/edges_info' in it, so not a .gosh file of "
                    "oscillator strengths"
                )
            reference = file.get("metadata/data_ref")
            #: where the numbers are published; empty if the file does not say
            self.doi = str(reference.attrs.get("data_doi", "")) if reference is not None else ""

    def _open(self) -> Any:
        import h5py

        try:
            return h5py.File(self.path, "r")
        except FileNotFoundError:
            raise ValueError(f"{self.path}: no such file") from None
        except OSError as error:
            raise ValueError(f"{self.path}: not an HDF5 file, so not a .gosh file") from error

    def strengths(self, symbol: str, subshell: str) -> Strengths:
        """One subshell, with the onset of our edge table.

        Raises ValueError where the file or the edge table has none.
        """
        name = (symbol, subshell)
        if name not in self._read:
            onsets = {edge.subshell: edge.onset_ev for edge in edges_of(symbol)}
            if subshell not in onsets:
                raise ValueError(f"the edge table has no {symbol} {subshell}")
            with self._open() as file:
                info = file["metadata/edges_info"]
                place = f"{symbol}/{info[subshell].attrs['table']}" if subshell in info else ""
                if not place or place not in file:
                    raise ValueError(f"{self.path}: no oscillator strengths of {symbol} {subshell}")
                group = file[place]
                share = float(info[subshell].attrs["occupancy_ratio"])
                values = np.squeeze(np.asarray(group["data"], dtype=float).T)
                q = np.asarray(group["q"], dtype=float).ravel() * BOHR_RADIUS_M
                free = np.asarray(group["free_energies"], dtype=float).ravel()
            if values.shape != (free.size, q.size):
                raise ValueError(
                    f"{self.path}: {place} has strengths of shape {values.shape[::-1]}, "
                    f"expected (q, energy) = ({q.size}, {free.size})"
                )
            self._read[name] = _resampled(name, onsets[subshell], free, q, share * values)
        return self._read[name]


def _resampled(
    name: tuple[str, str], onset_ev: float, free: Floats, q: Floats, values: Floats
) -> Strengths:
    """Strengths (n_energies, n_q) [1/eV] at even steps of ln q."""
    excess = free - free.min()
    if excess.size > 1 and excess[0] == 0.0:
        # the first energy is the threshold itself, which has no logarithm
        excess[0] = min(0.01, 0.5 * excess[1])
    keep = q > 0
    scale = _LogScale(onset_ev, float(q[keep].min()), float(q.max()))
    t = np.linspace(0.0, 1.0, _N_MOMENTA)
    log_q = np.log(q[keep])
    wanted = np.log(scale.momenta(excess[:1], t)[0])
    loss = onset_ev + excess
    root = np.sqrt(np.maximum(values[:, keep], 0.0) / loss[:, None])
    return Strengths(
        *name, scale, excess, np.array([np.interp(wanted, log_q, row) for row in root])
    )
