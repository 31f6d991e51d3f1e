"""Generalised oscillator strengths from a table: ours, which ships, or any other.

Our table (`data/gos.npz`, `coreloss gos build`) holds, for every subshell of the edge table,
ln of (df/dE)/E at 104 energies from 0.01 to 4000 eV above the onset and 96 momentum transfers
at each. Numbers are whole multiples of `_STEP`, as second differences, which compress well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.atom.gos_grid import MomentumScale

__all__ = ["GosTable", "Strengths", "gos_table", "pack", "unpack"]

Floats = NDArray[np.float64]

_STEP = 5e-4
_FLOOR = -30.0


class Scale(Protocol):
    """Coordinate of momentum transfers [1/bohr] in which a table is evenly spaced."""

    @property
    def onset_ev(self) -> float:
        """Onset of the subshell [eV]."""

    def coordinate(self, excess_ev: Any, q: Any) -> Floats:
        """0 … 1 at energies above the onset and momenta, which broadcast."""

    def momenta(self, excess_ev: Any, t: Floats) -> Floats:
        """(n_energies, n_t) momenta at coordinates."""


def _lagrange(n: int, place: Floats, size: int) -> tuple[NDArray[np.intp], list[Floats]]:
    """First of n evenly spaced points about ``place`` and the weights of all n."""
    first = np.clip(np.floor(place).astype(np.intp) - (n // 2 - 1), 0, size - n)
    x = place - first
    weights = []
    for k in range(n):
        weight = np.ones_like(x)
        for m in range(n):
            if m != k:
                weight *= (x - m) / (k - m)
        weights.append(weight)
    return first, weights


@dataclass(frozen=True)
class Strengths:
    """Generalised oscillator strengths of one subshell.

    Attributes
    ----------
    symbol, subshell : str
    scale : Scale
        Momentum transfers of the columns, and the onset.
    excess_ev : ndarray, (n_energies,) [eV], ascending and positive
        Energies above the onset.
    root : ndarray, (n_energies, n_momenta) [1/eV]
        Square root of (df/dE)/E: near its zeros this bends least.
    """

    symbol: str
    subshell: str
    scale: Scale
    excess_ev: Floats
    root: Floats

    @property
    def onset_ev(self) -> float:
        """Onset [eV] of the subshell."""
        return self.scale.onset_ev

    def gos(self, energies_ev: ArrayLike, q: ArrayLike) -> Floats:
        """df/dE (n_energies, n_q) [1/eV] at energy losses [eV] and momenta [1/bohr].

        Zero below the onset and beyond the largest tabulated momentum; below the smallest
        it is constant, as in the optical limit; beyond the last energy a power law.
        """
        energies = np.atleast_1d(np.asarray(energies_ev, dtype=float))
        excess = np.maximum(energies - self.onset_ev, self.excess_ev[0])
        inside = np.minimum(excess, self.excess_ev[-1])
        t = self.scale.coordinate(inside[:, None], np.atleast_1d(q)[None, :])
        place = np.clip(t, 0.0, 1.0) * (self.root.shape[1] - 1)
        first, weights = _lagrange(6, place, self.root.shape[1])
        low, shares = self._rows(np.log(inside))
        total = np.zeros(t.shape)
        for row, share in enumerate(shares):
            line = low[:, None] + row
            value = sum(w * self.root[line, first + k] for k, w in enumerate(weights))
            total += share[:, None] * np.log(np.maximum(np.asarray(value), 1e-9))
        strength = np.exp(2.0 * total) * energies[:, None]
        strength *= np.where(excess > inside, (excess / inside) ** -4.5, 1.0)[:, None]
        there = (energies >= self.onset_ev)[:, None] & (t <= 1.0)
        return np.asarray(np.where(there, strength, 0.0))

    def _rows(self, log_excess: Floats) -> tuple[NDArray[np.intp], list[Floats]]:
        """First of four tabulated energies about each, and their weights."""
        nodes = np.log(self.excess_ev)
        first = np.clip(np.searchsorted(nodes, log_excess) - 2, 0, nodes.size - 4)
        weights = []
        for k in range(4):
            weight = np.ones_like(log_excess)
            for m in range(4):
                if m != k:
                    weight *= (log_excess - nodes[first + m]) / (
                        nodes[first + k] - nodes[first + m]
                    )
            weights.append(weight)
        return first, weights

    def along_energy(self, values: Floats, energies_ev: Floats) -> Floats:
        """Positive ``values`` (..., n_energies) of the table at energy losses (n,) [eV].

        Cubic in the logarithms; zero below the onset, constant over the first 0.01 eV, a power
        law beyond the last energy.
        """
        excess = energies_ev - self.onset_ev
        begin = int(np.searchsorted(excess, 0.0))
        out = np.zeros((*values.shape[:-1], excess.size))
        x = np.log(np.clip(excess[begin:], self.excess_ev[0], self.excess_ev[-1]))
        first, weights = self._rows(x)
        logs = np.log(np.maximum(values, 1e-300))
        total = np.zeros((*values.shape[:-1], x.size))
        for k, weight in enumerate(weights):
            total += weight * logs[..., first + k]
        nodes = np.log(self.excess_ev)
        slope = (logs[..., -1] - logs[..., -2]) / (nodes[-1] - nodes[-2])
        beyond = np.log(np.maximum(excess[begin:] / self.excess_ev[-1], 1.0))
        out[..., begin:] = np.exp(total + slope[..., None] * beyond)
        return out

    @cached_property
    def _integrals(self) -> tuple[Floats, Floats, Floats]:
        """ln of each row's lowest momentum, steps per unit of ln q, and the integrals."""
        n = 321
        ends = self.scale.momenta(self.excess_ev, np.array([0.0, 1.0]))
        low, span = np.log(ends[:, 0]), np.log(ends[:, 1] / ends[:, 0])
        q = np.exp(low[:, None] + span[:, None] * np.linspace(0.0, 1.0, n))
        t = np.clip(self.scale.coordinate(self.excess_ev[:, None], q), 0.0, 1.0)
        first, weights = _lagrange(6, t * (self.root.shape[1] - 1), self.root.shape[1])
        rows = np.arange(self.excess_ev.size)[:, None]
        root = np.asarray(sum(w * self.root[rows, first + k] for k, w in enumerate(weights)))
        values = root**2 * (span[:, None] / (n - 1))
        # the integral over each interval of the cubic through four points
        steps = 0.5 * (values[:, 1:] + values[:, :-1])
        bend = values[:, :-3] + values[:, 3:] - values[:, 1:-2] - values[:, 2:-1]
        steps[:, 1:-1] -= bend / 24.0
        total = np.zeros_like(values)
        np.cumsum(steps, axis=1, out=total[:, 1:])
        return low, (n - 1) / span, total

    def integral(self, q: Floats) -> Floats:
        """∫ (df/dE)/E d ln q [1/eV²] from the smallest tabulated momentum to q.

        q : (..., n_energies) [1/bohr], at the table's energies.
        """
        low, scale, total = self._integrals
        place = np.clip((np.log(q) - low) * scale, 0.0, total.shape[1] - 1.0)
        first, weights = _lagrange(4, place, total.shape[1])
        rows = np.arange(total.shape[0])
        result = np.zeros_like(place)
        for k, weight in enumerate(weights):
            result += weight * total[rows, first + k]
        # below the smallest momentum the strength is that of the optical limit
        below = np.minimum(np.log(q) - low, 0.0)
        return np.asarray(result + below * self.root[:, 0] ** 2)

    def at(self, q: Floats) -> Floats:
        """(df/dE)/E [1/eV²] at momenta q (..., n_energies), at the table's energies."""
        t = np.clip(self.scale.coordinate(self.excess_ev, q), 0.0, 1.0)
        first, weights = _lagrange(4, t * (self.root.shape[1] - 1), self.root.shape[1])
        rows = np.arange(self.excess_ev.size)
        root = sum(w * self.root[rows, first + k] for k, w in enumerate(weights))
        return np.asarray(root) ** 2


def pack(log_strength: Floats) -> tuple[float, NDArray[np.int16]]:
    """Peak and code of ln values (n_energies, n_momenta), in multiples of the table's step."""
    peak = float(log_strength.max())
    whole = np.rint(np.maximum(log_strength - peak, _FLOOR) / _STEP).astype(np.int64)
    difference = np.diff(np.diff(whole, axis=0, prepend=0), axis=1, prepend=0)
    # differences are kept modulo 2¹⁶, in which sums come out right
    return peak, difference.astype(np.uint16).view(np.int16)


def unpack(peak: float, code: NDArray[np.int16]) -> Floats:
    """The inverse of `pack`, to half a step."""
    whole = np.cumsum(np.cumsum(code.view(np.uint16), axis=1, dtype=np.uint16), axis=0)
    # all are negative or zero and above -2¹⁶
    return np.asarray(peak - _STEP * ((-whole.astype(np.int64)) % 65536))


class GosTable:
    """The packed table.

    Parameters
    ----------
    arrays : dict of str to ndarray
        As in the file.

    Attributes
    ----------
    subshells : tuple of (symbol, subshell)
    provenance : dict
        Theory, settings and versions that made it.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        names = [str(name).split() for name in arrays["subshell"]]
        self.subshells = tuple((symbol, shell) for symbol, shell in names)
        self.provenance: dict[str, Any] = json.loads(str(arrays["provenance"]))
        self._row = {name: i for i, name in enumerate(self.subshells)}
        self._arrays = arrays
        self._decoded: dict[tuple[str, str], Strengths] = {}

    @classmethod
    def read(cls, path: str | Path) -> GosTable:
        """A table that `coreloss gos build` wrote.

        Raises ValueError if the file is no such table.
        """
        try:
            with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as data:
                return cls({name: data[name] for name in data.files})
        except (KeyError, ValueError, EOFError, BadZipFile) as error:
            raise ValueError(
                f"{path}: not a table of oscillator strengths; 'coreloss gos build' makes one"
            ) from error

    def strengths(self, symbol: str, subshell: str) -> Strengths:
        """One subshell; raises ValueError where the table has none."""
        name = (symbol, subshell)
        if name not in self._decoded:
            if name not in self._row:
                known = [shell for element, shell in self.subshells if element == symbol]
                raise ValueError(
                    f"no cross section for {symbol} {subshell}; "
                    f"{symbol} has {', '.join(known) if known else 'none'} between 30 and 3300 eV"
                )
            row, data = self._row[name], self._arrays
            scale = MomentumScale(*(float(value) for value in data["scale"][row]))
            excess = data["excess_ev"][int(data["element"][row])].astype(float)
            logs = unpack(float(data["peak"][row]), data["code"][row])
            self._decoded[name] = Strengths(symbol, subshell, scale, excess, np.exp(0.5 * logs))
        return self._decoded[name]


@lru_cache(maxsize=1)
def gos_table() -> GosTable:
    """The table that ships with the package."""
    return GosTable.read(str(files("coreloss.data") / "gos.npz"))
