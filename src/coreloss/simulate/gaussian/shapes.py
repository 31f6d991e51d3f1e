"""Edge shapes as sums of Gaussians on a tail, and the file that holds a library of them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreloss.edges import edges_of, pair_label
from coreloss.whole import whole

__all__ = [
    "EdgeShape",
    "Peak",
    "Step",
    "edge_name",
    "format_library",
    "onset_of",
    "read_shapes",
    "shipped_shapes",
    "write_shapes",
]

_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


def _erf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The error function to 1.5e-7 (Abramowitz & Stegun 1964, 7.1.26); NumPy has none."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t
              + 0.254829592) * t  # fmt: skip
    return np.asarray(np.sign(x) * (1.0 - series * np.exp(-x * x)))


@dataclass(frozen=True)
class Step:
    """A tail: an error-function step that falls as a power of the energy.

    ``height · ½ (1 + erf((E - onset_ev) / (√2 width_ev))) · (E / onset_ev)^-exponent``
    """

    onset_ev: float
    height: float
    width_ev: float
    exponent: float

    def intensity(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of energies (n_energy,) [eV]."""
        rise = 0.5 * (1.0 + _erf((energies - self.onset_ev) / (np.sqrt(2.0) * self.width_ev)))
        fall = (np.maximum(energies, 1.0) / self.onset_ev) ** -self.exponent
        return np.asarray(self.height * rise * fall)


@dataclass(frozen=True)
class Peak:
    """A Gaussian."""

    centre_ev: float
    height: float
    fwhm_ev: float

    def intensity(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of energies (n_energy,) [eV]."""
        sigma = self.fwhm_ev / _FWHM
        return np.asarray(self.height * np.exp(-0.5 * ((energies - self.centre_ev) / sigma) ** 2))


@dataclass(frozen=True)
class EdgeShape:
    """One edge in one substance, background subtracted (Kong et al. 2022, 'Edge modeling').

    Attributes
    ----------
    element, edge : str
        'Mn', 'L2,3'.
    name : str
        Of this shape, unique within the edge.
    family : str
        The kind of substance.
    source : str
        Where it was taken from.
    end_ev : float [eV]
        Up to here the sum of steps and peaks holds; beyond, the forward model extends it by a
        power law.
    steps : tuple of Step
    peaks : tuple of Peak
    """

    element: str
    edge: str
    name: str
    family: str
    source: str
    end_ev: float
    steps: tuple[Step, ...]
    peaks: tuple[Peak, ...]

    def __post_init__(self) -> None:
        label = f"{self.element} {self.edge} {self.name!r}"
        onset_of(self.element, self.edge)
        if not self.steps and not self.peaks:
            raise ValueError(f"edge shape {label} has neither steps nor peaks")
        parts: tuple[Step | Peak, ...] = (*self.steps, *self.peaks)
        numbers = [v for part in parts for v in vars(part).values()]
        if not np.isfinite([self.end_ev, *numbers]).all():
            raise ValueError(f"edge shape {label} holds a value that is no finite number")
        widths = [s.width_ev for s in self.steps] + [p.fwhm_ev for p in self.peaks]
        if min(widths) <= 0:
            raise ValueError(f"edge shape {label} has a width of {min(widths)} eV; it must be > 0")
        if self.end_ev <= self.onset_ev:
            raise ValueError(
                f"edge shape {label} ends at {self.end_ev} eV, below its onset {self.onset_ev} eV"
            )

    @property
    def label(self) -> str:
        """'Mn L2,3'."""
        return f"{self.element} {self.edge}"

    @cached_property
    def onset_ev(self) -> float:
        """Where the intensity first reaches a tenth of its maximum [eV], to 0.1 eV."""
        first = min([s.onset_ev - 3 * s.width_ev for s in self.steps]
                    + [p.centre_ev - 2 * p.fwhm_ev for p in self.peaks])  # fmt: skip
        energies = np.arange(first, max(self.end_ev, first + 1.0) + 0.1, 0.1)
        values = self.intensity(energies)
        return float(energies[int(np.argmax(values >= 0.1 * values.max()))])

    def intensity(self, energies_ev: ArrayLike) -> NDArray[np.float64]:
        """Intensity [arbitrary] at energy losses (n_energy,) [eV], without any extension."""
        energies = np.asarray(energies_ev, dtype=float)
        total = np.zeros(energies.shape)
        parts: tuple[Step | Peak, ...] = (*self.steps, *self.peaks)
        for part in parts:
            total = total + part.intensity(energies)
        return total


def onset_of(element: str, edge: str) -> float:
    """Onset [eV] of 'K', 'L3' or the pair 'L2,3' in the edge table.

    Raises ValueError, naming the edges there are.
    """
    known: dict[str, float] = {}
    for entry in edges_of(element):
        for name in (entry.subshell, edge_name(entry)):
            known.setdefault(name, entry.onset_ev)
            known[name] = min(known[name], entry.onset_ev)
    if edge not in known:
        raise ValueError(f"{element} has no edge {edge!r}; it has {', '.join(known)}")
    return known[edge]


def edge_name(entry: Any) -> str:
    """'L2,3' for the edge of a pair, 'K' for one without."""
    return pair_label(entry).split()[1]


def read_shapes(path: str | os.PathLike[str]) -> tuple[EdgeShape, ...]:
    """The edge shapes of a TOML file, as `write_shapes` writes it.

    Raises FileNotFoundError, or ValueError naming the file and the entry that is wrong.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such edge library; give a .toml file of edge shapes")
    return _parsed(source.read_text(encoding="utf-8"), str(source))


def _parsed(text: str, source: str) -> tuple[EdgeShape, ...]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: not valid TOML ({error})") from None
    entries = tables.get("edge", [])
    if not isinstance(entries, list) or not entries or set(tables) != {"edge"}:
        raise ValueError(f"{source}: an edge library is a list of [[edge]] tables and nothing else")
    shapes = []
    names: set[tuple[str, str, str]] = set()
    for number, entry in enumerate(entries, 1):
        try:
            shape = EdgeShape(
                element=str(entry["element"]),
                edge=str(entry["edge"]),
                name=str(entry["name"]),
                family=str(entry["family"]),
                source=str(entry["source"]),
                end_ev=float(entry["end_ev"]),
                steps=tuple(Step(*map(float, step)) for step in entry["steps"]),
                peaks=tuple(Peak(*map(float, peak)) for peak in entry["peaks"]),
            )
        except KeyError as error:
            raise ValueError(f"{source}: edge {number} has no {error}") from None
        except (TypeError, ValueError) as error:
            raise ValueError(f"{source}: edge {number} cannot be used ({error})") from None
        key = (shape.element, shape.edge, shape.name)
        if key in names:
            raise ValueError(f"{source}: {shape.label} {shape.name!r} is there twice")
        names.add(key)
        shapes.append(shape)
    return tuple(shapes)


@lru_cache(maxsize=1)
def shipped_shapes() -> tuple[EdgeShape, ...]:
    """The library that ships with the package; ``tools/build_edge_shapes.py`` writes it."""
    path = files("coreloss.data") / "edge_shapes.toml"
    return _parsed(path.read_text(encoding="utf-8"), "edge_shapes.toml")


def write_shapes(
    shapes: Iterable[EdgeShape],
    path: str | os.PathLike[str],
    *,
    comment: str = "",
    force: bool = False,
) -> None:
    """Write edge shapes as one TOML file, whole or not at all.

    Raises FileExistsError if it exists and ``force`` is false, ValueError if two shapes of an
    edge have one name.
    """
    target = Path(path)
    if target.exists() and not force:
        raise FileExistsError(f"{target}: exists already; give --force to overwrite it")
    shapes = list(shapes)
    names = [(shape.element, shape.edge, shape.name) for shape in shapes]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{target}: would hold {' '.join(twice)!r} twice; rename one of them")
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [
        "# steps: [onset eV, height, width eV, exponent]; peaks: [centre eV, height, FWHM eV];",
        "# a step is height/2 · (1 + erf((E - onset)/(√2 width))) · (E/onset)^-exponent",
    ]
    for shape in shapes:
        lines += [
            "",
            "[[edge]]",
            *(f"{key} = {_quoted(getattr(shape, key))}" for key in _TEXTS),
            f"end_ev = {_number(shape.end_ev)}",
            f"steps = {_rows(shape.steps)}",
            f"peaks = {_rows(shape.peaks)}",
        ]
    with whole(target) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


_TEXTS = ("element", "edge", "name", "family", "source")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if any(ord(character) < 32 for character in escaped):
        raise ValueError(f"{text!r} holds a control character; an edge library is plain text")
    return f'"{escaped}"'


def _number(value: float) -> str:
    return repr(round(float(value), 5))


def _rows(parts: Iterable[Step | Peak]) -> str:
    return "[" + ", ".join(
        "[" + ", ".join(_number(v) for v in vars(part).values()) + "]" for part in parts
    ) + "]"  # fmt: skip


def format_library(shapes: Iterable[EdgeShape]) -> str:
    """How many shapes of which families each edge has, as a text table."""
    families: dict[str, dict[str, int]] = {}
    for shape in shapes:
        counts = families.setdefault(shape.label, {})
        counts[shape.family] = counts.get(shape.family, 0) + 1
    lines = [f"{'edge':<10}{'shapes':>7}   families"]
    for label, counts in families.items():
        said = ", ".join(f"{name} ({number})" for name, number in counts.items())
        lines.append(f"{label:<10}{sum(counts.values()):>7}   {said}")
    return "\n".join(lines)
