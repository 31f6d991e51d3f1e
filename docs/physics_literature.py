"""Draw the figures of physics.md that set our theory beside published numbers.

Run: python docs/physics_literature.py   (numbers: tools/published)
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from literature import (
    above_shallower_shells,
    cxro,
    density,
    film,
    onset,
    published_strengths,
    within,
)

from coreloss.atom.cross_section import angular_factor, dsigma_de
from coreloss.atom.discrete import lines_of
from coreloss.simulate.library import edge_library

IMAGES = Path(__file__).parent / "images"
NAMES = {"L2,3": ("L2", "L3"), "M4,5": ("M4", "M5"), "N4,5": ("N4", "N5")}
#: element, edge, energies above the first onset [eV]
PANELS = (
    ("Ti", "L2,3", 110), ("Cr", "L2,3", 110), ("Fe", "L2,3", 110), ("Cu", "L2,3", 110),
    ("Sr", "M4,5", 135), ("Zr", "M4,5", 150), ("Mo", "M4,5", 160), ("Ag", "M4,5", 200),
    ("Sn", "M4,5", 200), ("Ba", "M4,5", 110), ("La", "M4,5", 110), ("Ce", "M4,5", 110),
    ("Eu", "M4,5", 110), ("Gd", "M4,5", 110), ("Er", "M4,5", 110), ("Au", "M4,5", 300),
)  # fmt: skip
RESONANCES = ("Ba", "La", "Ce", "Pr", "Eu", "Gd", "Ho", "Er", "Tm")


def first_onset(symbol: str, edge: str) -> float:
    """The lower onset [eV] of a pair of subshells."""
    return min(onset(symbol, shell) for shell in NAMES[edge])


def measured(symbol: str, edge: str, energies: np.ndarray) -> tuple[np.ndarray, str] | None:
    """df/dE of a film or of CXRO's tables less the shallower shells, and which it is."""
    first = first_onset(symbol, edge)
    if (symbol, edge) in {(s, "M4,5") for s in ("Sr", "Ce", "Eu", "Er")}:
        begin = first if symbol == "Sr" else first - 8.0  # lines begin below the onset
        return above_shallower_shells(film(symbol, edge), begin, energies, 0.12), "film"
    if (symbol, edge) in {("Cr", "L2,3"), *((s, "M4,5") for s in ("Zr", "Mo", "Ag", "Sn", "Au"))}:
        return above_shallower_shells(cxro(symbol), first - 4.0, energies), "CXRO"
    return None


def edges() -> None:
    """Our df/dE with and without the atom's lines, films, and Egerton's means over windows."""
    figure, axes = plt.subplots(4, 4, figsize=(11, 9), layout="constrained")
    for axis, (symbol, edge, span) in zip(axes.flat, PANELS, strict=True):
        first = first_onset(symbol, edge)
        energies = np.arange(first - 12.0, first + span, 0.2)
        shells = NAMES[edge]
        base = density(symbol, shells, energies)
        lines = np.zeros_like(energies)
        for shell in shells:
            area = sum(x.strength for x in lines_of(symbol, shell))
            lines += area * 1.25 / np.pi / ((energies - onset(symbol, shell)) ** 2 + 1.25**2)
        axis.plot(energies - first, base, "C0", label="continuum, ours")
        if lines.max() > 0:
            axis.plot(energies - first, base + lines, "C0:", lw=1, label="and the atom's lines")
        data = measured(symbol, edge, energies)
        if data is not None:
            axis.plot(energies - first, data[0], "C1", lw=1, label=data[1])
        known = published_strengths().get((symbol, edge))
        if known is not None:
            width = [0.0, 50.0, 100.0, 200.0]
            sums = np.diff([0.0, known.f50, known.f100, known.f200])
            for left, right, value in zip(width, width[1:], sums, strict=False):
                if np.isfinite(value):
                    mean = value / (right - left)
                    axis.hlines(mean, left, right, color="k", lw=2, label="Egerton 1993")
        tall = base.max() if data is None else max(base.max(), min(data[0].max(), 4 * base.max()))
        axis.set(title=f"{symbol} {edge}", ylim=(0, 1.25 * tall), xlim=(-12, span))
    for axis in axes[-1]:
        axis.set_xlabel("above the first onset [eV]")
    for axis in axes[:, 0]:
        axis.set_ylabel("df/dE [1/eV]")
    named = dict(
        pair[::-1]
        for axis in axes.flat
        for pair in zip(*axis.get_legend_handles_labels(), strict=True)
    )
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=5)
    figure.savefig(IMAGES / "physics_published.png", dpi=80)


def k_shells() -> None:
    """Strength in windows above K edges, over Egerton's."""
    figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
    symbols = ["B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si"]
    for width, marker in ((50, "v"), (100, "o"), (200, "^")):
        ratios = []
        for symbol in symbols:
            ours = within(symbol, ("K",), width)
            ratios.append(ours / getattr(published_strengths()[symbol, "K"], f"f{width}"))
        axis.plot(symbols, ratios, f"C0{marker}", label=f"ours, {width} eV")
    error = np.array([published_strengths()[s, "K"].error for s in symbols])
    axis.fill_between(symbols, 1 - error, 1 + error, color="k", alpha=0.15, label="his uncertainty")
    axis.axhline(1.0, color="k", lw=0.5)
    axis.set(ylabel="over Egerton 1993", ylim=(0.7, 1.3), title="K: strength above the onset")
    axis.legend(fontsize=8, ncols=2)
    figure.savefig(IMAGES / "physics_k_shells.png", dpi=80)


def resonances() -> None:
    """4d→4f: measured absorption of all shells and what the simulator puts there."""
    library = edge_library()
    figure, axes = plt.subplots(3, 3, figsize=(9, 6.5), layout="constrained")
    for axis, symbol in zip(axes.flat, RESONANCES, strict=True):
        energies = np.arange(max(first_onset(symbol, "N4,5") - 15.0, 85.0), 199.0)
        seen, name = cxro(symbol), "CXRO"
        axis.plot(energies, np.interp(energies, *seen), "C1:", lw=1, label=name)
        if symbol in {"Ce", "Pr", "Eu", "Ho", "Er", "Tm"}:
            x, y = film(symbol, "N4,5")
            axis.plot(x, y, "C1", label="film")
        group = library.labels.index(f"{symbol} N45")
        axis.plot(
            energies + 0.0, library.shape[group][energies.astype(int)], "C0", label="simulator"
        )
        axis.set(title=f"{symbol} N4,5", xlim=(energies[0], energies[-1]))
        axis.set_ylim(bottom=0)
    for axis in axes[-1]:
        axis.set_xlabel("energy loss [eV]")
    for axis in axes[:, 0]:
        axis.set_ylabel("df/dE [1/eV]")
    axes[0, 2].legend(fontsize=8)
    figure.savefig(IMAGES / "physics_resonances.png", dpi=80)


def delayed() -> None:
    """dσ/dE of Zr, Mo and Ag M4,5, ours and from measured absorption."""
    library = edge_library()
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    for axis, (symbol, span) in zip(axes, (("Zr", 150), ("Mo", 160), ("Ag", 200)), strict=True):
        first = first_onset(symbol, "M4,5")
        energies = first + np.arange(-5.0, span)
        ours = sum(
            dsigma_de(symbol, s, energies, beam_energy_kev=200, alpha_mrad=0, beta_mrad=10)
            for s in NAMES["M4,5"]
        )
        seen = above_shallower_shells(cxro(symbol), first - 4.0, energies)
        # as dsigma_de in the dipole limit: m²/eV by the theory's own factor
        factor = angular_factor(energies, 200.0, 1e-3, 10.0)
        factor *= ours[60] / (density(symbol, NAMES["M4,5"], energies) * factor)[60]
        axis.plot(energies - first, 1e28 * ours, "C0", label="ours")
        axis.plot(energies - first, 1e28 * seen * factor, "C1", label="CXRO")
        shape = library.shape[library.labels.index(f"{symbol} M45")]
        simulated = np.interp(energies, np.arange(shape.size), shape)
        axis.plot(energies - first, 1e28 * simulated * factor, "C0:", label="as simulated")
        axis.set(title=f"{symbol} M4,5", xlabel="above M5 [eV]", ylim=(0, None))
    axes[0].set_ylabel("dσ/dE [barn/eV]")
    axes[0].legend(fontsize=8)
    figure.savefig(IMAGES / "physics_delayed.png", dpi=80)


if __name__ == "__main__":
    edges()
    k_shells()
    resonances()
    delayed()
