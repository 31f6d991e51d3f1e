"""The faintest edges a model recognises, by the definitions of Kong, Ji & Xin 2022."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coreloss.evaluate.edge_curves import EdgeCurves, gaussian_curves, gos_curves, major_edges
from coreloss.evaluate.report import write_json
from coreloss.identification import ModelBundle, load_model
from coreloss.identification.predict import probabilities
from coreloss.simulate import SimulationRecipe
from coreloss.simulate.gaussian.recipe import GaussianRecipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DOSE_JUMP_RATIOS", "PUBLISHED", "EdgeLimit", "Sensitivity", "evaluate_sensitivity"]

#: jump ratios at which the least dose is looked for
DOSE_JUMP_RATIOS = (0.1, 0.3, 1.0)
_LEAST_JUMP_RATIO = 0.003
_DOSES = (1.0, 1e8)  # [electrons/eV] in the background at the onset
_HALVINGS = 9
_NOISE = 0.1  # standard deviation of the white noise over the lowest background

#: Kong, Ji & Xin 2022, Table 4: element → (PSNR, jump ratio). Its PSNRs exceed by 1 to 1.7 what
#: its jump ratios give with r = 1.88, as if peaks were read off noisy spectra; ours are exact.
PUBLISHED: dict[str, tuple[float, float]] = {
    "B": (23.00, 0.077), "C": (10.40, 0.071), "N": (5.87, 0.068), "O": (4.51, 0.088),
    "F": (3.45, 0.099), "Ca": (7.69, 0.075), "Sc": (6.29, 0.078), "Ti": (5.36, 0.083),
    "V": (3.99, 0.070), "Cr": (3.85, 0.083), "Mn": (3.50, 0.090), "Fe": (3.68, 0.116),
    "Co": (3.52, 0.130), "Ni": (3.05, 0.126), "Cu": (3.16, 0.158), "Si": (56.29, 0.059),
    "P": (50.26, 0.086), "S": (19.26, 0.049), "Cl": (16.82, 0.062), "Ar": (7.94, 0.040),
}  # fmt: skip

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EdgeLimit:
    """The faintest record of one edge that is recognised; NaN where fewer than half are.

    Attributes
    ----------
    edge, element : str
    onset_ev : float [eV]
    psnr, jump_ratio : float
        Mean over the repeats, under white noise of a tenth of the lowest background.
    recognised : float
        Share of the repeats recognised at the highest jump ratio tried.
    doses : dict of float to float [electrons/eV]
        For each jump ratio, the mean of the least dose, counted in the background at the
        onset (geometric mean; empty where no doses were asked for).
    """

    edge: str
    element: str
    onset_ev: float
    psnr: float
    jump_ratio: float
    recognised: float
    doses: dict[float, float]


@dataclass(frozen=True)
class Sensitivity:
    """Detection limits of a model.

    Attributes
    ----------
    recipe, model : str
    repeats : int
    limits : list of EdgeLimit
    published : bool
        Whether the table of Kong et al. 2022 is to stand beside it.
    """

    recipe: str
    model: str
    repeats: int
    limits: list[EdgeLimit]
    published: bool

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; what was not reached is null."""
        rows = []
        for limit in self.limits:
            row = asdict(limit)
            row["doses"] = {f"{j:g}": _or_none(d) for j, d in limit.doses.items()}
            rows.append({k: _or_none(v) if isinstance(v, float) else v for k, v in row.items()})
        return {
            "recipe": self.recipe,
            "model": self.model,
            "repeats": self.repeats,
            "limits": rows,
            **({"published": PUBLISHED} if self.published else {}),
        }

    def table(self) -> str:
        """A text table; '-' for what was not reached."""
        doses = list(self.limits[0].doses) if self.limits else []
        head = f"{'edge':<10}{'onset [eV]':>11}{'PSNR':>9}{'jump ratio':>12}{'seen':>7}"
        if self.published:
            head += f"{'PSNR, paper':>13}{'jump, paper':>13}"
        head += "".join(f"{f'dose at {j:g}':>14}" for j in doses)
        lines = [
            f"faintest edges that model {self.model} recognises, {self.repeats} repeats, "
            f"recipe {self.recipe}",
            "",
            head,
        ]
        for limit in self.limits:
            line = f"{limit.edge:<10}{limit.onset_ev:>11.1f}"
            line += _cell(limit.psnr, 9, ".2f") + _cell(limit.jump_ratio, 12, ".3f")
            line += f"{100 * limit.recognised:>5.0f} %"
            if self.published:
                psnr, jump = PUBLISHED.get(limit.element, (np.nan, np.nan))
                line += _cell(psnr, 13, ".2f") + _cell(jump, 13, ".3f")
            lines.append(line + "".join(_cell(d, 14, ".3g") for d in limit.doses.values()))
        lines.append("")
        if self.published:
            for name, column in (("jump ratio", 1), ("PSNR", 0)):
                ours = {x.element: (x.psnr, x.jump_ratio)[column] for x in self.limits}
                both = [e for e in ours if e in PUBLISHED]
                level = sum(ours[e] <= PUBLISHED[e][column] for e in both)
                lines.append(f"{name} as low as the paper's or lower: {level} of {len(both)}")
        lines.append("seen: share recognised at the highest jump ratio tried")
        if doses:
            lines.append("doses in electrons/eV of the background at the onset, by jump ratio")
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, whole or not at all."""
        write_json(path, self.to_dict())

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """The table as a picture; see `coreloss.plot_edges.sensitivity`."""
        from coreloss.plot_edges import sensitivity

        return sensitivity(self, path)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _cell(value: float, width: int, form: str) -> str:
    return f"{value:>{width}{form}}" if np.isfinite(value) else f"{'-':>{width}}"


def evaluate_sensitivity(
    recipe: SimulationRecipe | GaussianRecipe,
    *,
    model: str | os.PathLike[str] | ModelBundle | None = None,
    threshold: float | None = None,
    repeats: int = 100,
    doses: bool = True,
    seed: int = 0,
    name: str = "",
    edges: Iterable[str] | None = None,
    quiet: bool = False,
) -> Sensitivity:
    """Search the faintest edges that a model recognises.

    For each edge one record with background E^-1.88 and nothing else; its height is halved
    in on, ``repeats`` times with noise of its own and the next shape of the edge in turn
    (Kong et al. repeat every shape 100 times). White noise has a tenth of the lowest
    background's height as its standard deviation; the peak signal-to-noise ratio (PSNR) is the
    edge's peak over that. Then, for jump ratios of 0.1, 0.3 and 1, the dose is halved in on,
    under Poisson noise.

    Parameters
    ----------
    recipe : SimulationRecipe or GaussianRecipe
        Where edges come from: those of Kong et al.'s table on their whole record, or every
        major edge of the model's elements in a window around it.
    model : str, path or ModelBundle, optional
    threshold : float, optional
        Probability from which an element is recognised; the model's own without it.
    repeats : int
    doses : bool
        Look for doses as well.
    seed : int
    name : str
        Of the recipe.
    edges : iterable of str, optional
        Labels ('Fe L2,3') to keep.
    quiet : bool
        No progress.

    Raises
    ------
    ValueError
        For fewer than one repeat, or no edge of an element that the model knows.
    """
    if repeats < 1:
        raise ValueError(f"asked for {repeats} repeats; at least one is needed")
    bundle = load_model(model)
    limit = bundle.threshold if threshold is None else float(threshold)
    wanted = None if edges is None else set(edges)
    lowest, highest = bundle.grid.boundaries[[0, -1]]
    source: Iterable[EdgeCurves]
    if isinstance(recipe, GaussianRecipe):
        labels = [
            label
            for label in recipe.edges
            if label.split()[0] in bundle.elements and (wanted is None or label in wanted)
        ]
        source, total = gaussian_curves(recipe, labels, seed), len(labels)
    else:
        major = [
            (label, edge)
            for label, edge in major_edges(bundle.elements)
            if lowest < edge.onset_ev < highest and (wanted is None or label in wanted)
        ]
        source, total = gos_curves(recipe, major, seed), len(major)
    limits = []
    show = not quiet and sys.stderr.isatty()
    for number, curves in enumerate(source, 1):
        limits.append(_limit(curves, bundle, limit, repeats, doses, seed))
        if show:
            sys.stderr.write(f"\r{number} of {total} edges: {curves.label}        ")
            sys.stderr.flush()
    if show:
        sys.stderr.write("\n")
    if not limits:
        raise ValueError(f"model {bundle.name!r} knows none of the elements of these edges")
    return Sensitivity(
        name,
        f"{bundle.name} {bundle.version}",
        repeats,
        limits,
        isinstance(recipe, GaussianRecipe),
    )


def _limit(
    curves: EdgeCurves, bundle: ModelBundle, threshold: float, repeats: int, doses: bool, seed: int
) -> EdgeLimit:
    column = bundle.elements.index(curves.element)
    shapes = curves.curves[np.arange(repeats) % curves.curves.shape[0]]
    # a sequence of its own for each edge, whatever else is studied
    rng = np.random.default_rng([seed, *curves.label.encode()])
    deviation = _NOISE * float(curves.background.min())
    noise = deviation * rng.standard_normal(shapes.shape)

    def recognised(records: Floats) -> NDArray[np.bool_]:
        return probabilities(records, curves.axis, bundle)[:, column] >= threshold

    jump, seen = _least(
        lambda height: recognised(curves.background + height[:, None] * shapes + noise),
        (_LEAST_JUMP_RATIO, curves.highest),
        repeats,
    )
    mean = float(np.mean(jump[seen])) if seen.mean() >= 0.5 else float("nan")
    found: dict[float, float] = {}
    for ratio in DOSE_JUMP_RATIOS if doses else ():
        # electrons per channel at a dose of 1 electron/eV at the onset
        expected = np.maximum(curves.background + ratio * shapes, 0.0)
        expected = expected * (curves.axis.dispersion / curves.at_onset)
        start = int(rng.integers(2**62))

        def counted(dose: Floats, expected: Floats = expected, start: int = start) -> Any:
            own = np.random.default_rng(start)
            return recognised(own.poisson(dose[:, None] * expected).astype(float))

        least, enough = _least(counted, _DOSES, repeats)
        found[ratio] = (
            float(np.exp(np.mean(np.log(least[enough])))) if enough.mean() >= 0.5 else float("nan")
        )
    return EdgeLimit(
        curves.label,
        curves.element,
        curves.onset_ev,
        mean * curves.at_onset / deviation,
        mean,
        float(seen.mean()),
        found,
    )


def _least(
    recognised: Callable[[Floats], NDArray[np.bool_]], limits: tuple[float, float], repeats: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """The least values recognised, by halving on a logarithmic scale, and where there is one."""
    low, high = (np.full(repeats, np.log(value)) for value in limits)
    possible = recognised(np.exp(high))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        yes = recognised(np.exp(middle))
        high, low = np.where(yes, middle, high), np.where(yes, low, middle)
    return np.exp(high), possible
