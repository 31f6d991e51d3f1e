"""Draw the figures of physics.md into docs/images.

Run: python docs/physics_figures.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from coreloss.atom.cross_section import dsigma_de, dsigma_de_batch, partial_cross_section
from coreloss.atom.discrete import lines_of
from coreloss.atom.gos_table import gos_table
from coreloss.atom.widths import natural_width_ev
from coreloss.edges import edges_of

IMAGES = Path(__file__).parent / "images"
BEAM = {"beam_energy_kev": 200.0, "alpha_mrad": 10.0, "beta_mrad": 20.0}
#: pairs whose lines are drawn, and how far above the first onset [eV]
PANELS = (
    ("L2,3", ("Ti", "Fe", "Cu"), ("L2", "L3"), 60.0),
    ("M4,5", ("Sr", "Zr", "Mo", "Ag"), ("M4", "M5"), 200.0),
    ("M4,5", ("Ba", "La", "Gd", "Au"), ("M4", "M5"), 100.0),
    ("N4,5", ("La", "Gd", "Au"), ("N4", "N5"), 120.0),
)


def strengths() -> None:
    """GOS of two subshells over energy and momentum: the Bethe ridge."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
    for axis, (symbol, shell) in zip(axes, (("C", "K"), ("Ag", "M5")), strict=True):
        one = gos_table().strengths(symbol, shell)
        energies = one.onset_ev + np.geomspace(1.0, 3000.0, 160)
        q = np.geomspace(0.05, 20.0, 160)
        values = np.maximum(one.gos(energies, q), 1e-9)
        image = axis.pcolormesh(
            q, energies, np.log10(values / values.max()), vmin=-5, vmax=0, rasterized=True
        )
        axis.plot(q, 13.606 * q**2, "w--", lw=1, label="Bethe ridge")
        axis.set(xscale="log", yscale="log", xlabel="q [1/bohr]", title=f"{symbol} {shell}")
        axis.set_ylim(200.0, 3000.0)
    axes[0].set_ylabel("energy loss [eV]")
    axes[0].legend(loc="upper left", fontsize=8)
    figure.colorbar(image, ax=axes, label="log₁₀ df/dE, relative")
    figure.savefig(IMAGES / "physics_gos.png", dpi=80)


def edges() -> None:
    """dσ/dE of pairs of subshells, white lines at the onsets with natural widths and 1 eV."""
    figure, axes = plt.subplots(2, 2, figsize=(8.5, 6), layout="constrained")
    for axis, (name, symbols, shells, span) in zip(axes.flat, PANELS, strict=True):
        for i, symbol in enumerate(symbols):
            onsets = {e.subshell: e.onset_ev for e in edges_of(symbol)}
            first = min(onsets[s] for s in shells)
            energies = np.arange(first - 10.0, first + span, 0.1)
            base = np.zeros(energies.size)
            lines = np.zeros(energies.size)
            for shell in shells:
                sigma = dsigma_de(symbol, shell, energies, **BEAM)
                base += sigma
                one = gos_table().strengths(symbol, shell)
                start = onsets[shell]
                # cross section of a unit of strength, as of the continuum's first electronvolt
                unit = dsigma_de(symbol, shell, [start + 0.01], **BEAM)[0]
                unit /= one.gos([start + 0.01], [0.05])[0, 0]
                width = 1.0 + natural_width_ev(symbol, shell)
                shape = width / (2 * np.pi) / ((energies - start) ** 2 + width**2 / 4)
                lines += unit * sum(x.strength for x in lines_of(symbol, shell)) * shape
            colour = f"C{i}"
            peak = base.max()
            axis.plot(energies - first, base / peak, color=colour, label=symbol)
            if lines.max() > 0:
                # lines tower over the continuum; what is cut off is told in the text
                axis.plot(energies - first, (base + lines) / peak, ":", color=colour, lw=1)
        axis.set(title=name, ylim=(0, 2.2), xlabel="above the first onset [eV]")
        axis.legend(fontsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("dσ/dE over the continuum's maximum")
    figure.savefig(IMAGES / "physics_edges.png", dpi=80)


def angles() -> None:
    """What collection angle, convergence and the transverse interaction do."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    beta = np.geomspace(1.0, 100.0, 60)
    for alpha, colour in ((0.0, "C0"), (10.0, "C1"), (30.0, "C2")):
        for how, style in (("overlap", "-"), ("effective", ":")):
            sigma = dsigma_de_batch(
                [("O", "K")],
                [560.0],
                beam_energy_kev=200.0,
                alpha_mrad=alpha,
                beta_mrad=beta,
                convergence=how,  # type: ignore[arg-type]
            )[:, 0, 0]
            label = f"α = {alpha:g} mrad" if how == "overlap" else None
            axes[0].loglog(beta, sigma, style, color=colour, label=label)
    axes[0].set(xlabel="β [mrad]", ylabel="dσ/dE [m²/eV]", title="O K at 560 eV, 200 keV")
    axes[0].legend(fontsize=8)
    energies = np.linspace(60.0, 300.0, 30)
    for symbol, shell, window in (("C", "K", (284.0, 384.0)), ("Fe", "L3", (708.0, 808.0))):
        ratio = []
        for e0 in energies:
            both, coulomb = (
                partial_cross_section(
                    symbol,
                    [shell],
                    window,
                    beam_energy_kev=e0,
                    alpha_mrad=0.0,
                    beta_mrad=5.0,
                    transverse=flag,
                )
                for flag in (True, False)
            )
            ratio.append(both / coulomb)
        axes[1].plot(energies, ratio, label=f"{symbol} {shell}, β = 5 mrad")
    axes[1].set(xlabel="beam energy [keV]", title="with over without transverse interaction")
    axes[1].legend(fontsize=8)
    figure.savefig(IMAGES / "physics_angles.png", dpi=80)


if __name__ == "__main__":
    strengths()
    edges()
    angles()
