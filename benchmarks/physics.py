"""Edge physics against published numbers: K shells, white lines, delayed maxima, 4d→4f.

Run: python benchmarks/physics.py   (what is not installed is left out and said so: exspy for
the hydrogenic K shells, xraylib for Kissel's Dirac–Slater cross sections)

The published numbers, and what of each source was read, are in tools/published.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
from results import write

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from literature import (
    STEP_EV,
    above_shallower_shells,
    cxro,
    delayed_m45_fit,
    density,
    film,
    jump_of,
    line_strength,
    observed_resonances,
    onset,
    published_strengths,
    window,
    within,
)

from coreloss.atom.cross_section import angular_factor, dsigma_de
from coreloss.atom.delayed import DELAYED_M45
from coreloss.simulate.library import edge_library
from coreloss.simulate.near_edge import GIANT_RESONANCES, WHITE_LINES

COMMAND = "python benchmarks/physics.py"
BEAM = {"beam_energy_kev": 200.0, "alpha_mrad": 0.0, "beta_mrad": 10.0}
#: M4,5 and the last energy before the M3 edge's own rise [eV above M5]
DELAYED = {
    "Rb": 128, "Sr": 136, "Zr": 150, "Nb": 150, "Mo": 163, "Rh": 185, "Pd": 190, "Ag": 200,
    "Cd": 205, "In": 215, "Sn": 220,
}  # fmt: skip


def k_shells() -> None:
    """Strengths in the first 100 eV."""
    try:
        from exspy._misc.eels.hydrogenic_gos import HydrogenicGOS as hydrogenic
    except ImportError:  # exspy, or hyperspy below it
        hydrogenic = None
    rows = []
    for symbol in ("B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si"):
        ours = [within(symbol, ("K",), width) for width in (50, 100, 200)]
        known = published_strengths()[symbol, "K"]
        # gases' and old tables' edges lie up to 12 eV above ours: windows from their own
        jump = jump_of(cxro(symbol))
        films = [
            STEP_EV * above_shallower_shells(cxro(symbol), jump, window(jump, w)).sum()
            for w in (50, 100, 200)
        ]
        atom = "–"
        if hydrogenic is not None:
            shell = hydrogenic(f"{symbol}_K")
            energies = window(onset(symbol, "K"), 100)
            value = STEP_EV * sum(shell.gosfuncK(float(e), 1e-4) for e in energies)
            atom = f"{value / known.f100:.2f}"
        line = line_strength(symbol, ("K",), "2p")
        rows.append(
            f"| {symbol} | {known.f100:.3g} ± {known.error:.0%} "
            f"| {ours[0] / known.f50:.2f}, {ours[1] / known.f100:.2f}, {ours[2] / known.f200:.2f} "
            f"| {(ours[1] + line) / known.f100:.2f} | {atom} "
            f"| {', '.join(f'{a / b:.2f}' for a, b in zip(ours, films, strict=True))} |"
        )
    body = (
        "| | f(100 eV), Egerton 1993 | ours over it, 50, 100 and 200 eV | with the atom's 1s→2p "
        "| hydrogenic over it | ours over CXRO, 50, 100 and 200 eV |\n|---|---|---|---|---|---|\n"
    )
    if hydrogenic is None:
        rows.append("\nexspy is not installed here: no hydrogenic column.")
    write("K shells against published strengths", COMMAND, body + "\n".join(rows))


def k_choices() -> None:
    """What exchange and a relaxed core would do to K shells (needs numba)."""
    if importlib.util.find_spec("numba") is None:
        return
    from dataclasses import replace

    from coreloss.atom.gos import Continuum, dipole_density
    from coreloss.atom.scf import configuration, solve_atom

    excess = np.concatenate([np.geomspace(0.02, 1, 12), np.arange(2.0, 105.0, 2.0)])
    rows = []
    for z, symbol in ((5, "B"), (6, "C"), (7, "N"), (8, "O"), (9, "F"), (13, "Al"), (14, "Si")):
        atom = solve_atom(z, alpha=1.0)
        hole = dict(configuration(z))
        hole[1, -1] -= 1.0
        found = []
        for other in (
            atom,
            solve_atom(z, alpha=2 / 3),
            replace(solve_atom(z, alpha=1.0, occupation=hole), orbitals=atom.orbitals),
        ):
            bound = replace(other, occupation=atom.occupation)
            edge = onset(symbol, "K")
            values = dipole_density(Continuum(bound, excess), 1, -1, onset_ev=edge)
            found.append(np.interp(window(0.0, 100), excess, values).sum() * STEP_EV)
        shares = " | ".join(
            f"{value / published_strengths()[symbol, 'K'].f100:.2f}" for value in found
        )
        rows.append(
            f"| {symbol} | {shares} | {-27.2114 * atom.orbitals[1, -1].energy - edge:.1f} |"
        )
    body = (
        "| f(100 eV) over Egerton's | α = 1, as the table | α = 2/3 | free electron in the field "
        "of the relaxed 1s hole | orbital energy less onset [eV] |\n|---|---|---|---|---|\n"
    )
    write("K shells, exchange and relaxation", COMMAND, body + "\n".join(rows))


def white_lines() -> None:
    """Line strengths as widths of the continuum 30 to 60 eV above the second onset."""
    library = edge_library()
    rows = []
    for shells, edge, final, symbols in (
        (("L2", "L3"), "L2,3", "3d", "Ca Ti V Cr Mn Fe Co Ni"),
        (("M4", "M5"), "M4,5", "4f", "Ba La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm"),
    ):
        for symbol in symbols.split():
            first, second = onset(symbol, shells[1]), onset(symbol, shells[0])
            base = np.mean(density(symbol, shells, second + np.linspace(30, 60, 31)))
            begun = first - 8.0  # lines begin below the onset of the edge table
            below = within(symbol, shells, 50)
            known = published_strengths()[symbol, edge]
            published = (known.f50 - below) / base
            measured = "–"
            data = None
            if (symbol, edge) in {("Ce", "M4,5"), ("Eu", "M4,5"), ("Er", "M4,5")}:
                data = film(symbol, edge)
            elif symbol == "Cr":
                data = cxro(symbol)
            if data is not None:
                seen = above_shallower_shells(data, begun, window(begun, 58), 0.12)
                total = STEP_EV * seen.sum()
                measured = f"{(total - below) / base:.0f}"
            group = f"{symbol} {edge.replace(',', '')}"
            area = WHITE_LINES[symbol, edge.replace(",", "")].area_ev
            height = library.height[library.labels.index(group)]
            rows.append(
                f"| {symbol} {edge} | {line_strength(symbol, shells, final) / base:.0f} "
                f"| {published:.0f} ± {known.error * known.f50 / base:.0f} | {measured} "
                f"| {area[0] * height / base:.0f} to {area[1] * height / base:.0f} |"
            )
    body = (
        "| edge | atom | Egerton 1993, f(50 eV) less our continuum | film less our continuum "
        "| drawn by the simulator |\n|---|---|---|---|---|\n"
    )
    note = (
        "\n\nStrength of white lines as the width [eV] of our continuum, 30 to 60 eV above the "
        "second onset, that holds as much."
    )
    write("White lines", COMMAND, body + "\n".join(rows) + note)


def delayed_maxima() -> None:
    """Places of M4,5 maxima in dσ/dE."""
    xraylib = None
    if importlib.util.find_spec("xraylib") is not None:
        import xraylib
    rows = []
    for symbol in (*DELAYED, "Hf", "W", "Au"):
        own = onset(symbol, "M5")
        excess = np.arange(1.0, 240.0)
        ours = excess[np.argmax(dsigma_de(symbol, "M5", own + excess, **BEAM))]
        free = "–"
        if xraylib is not None:
            z = xraylib.SymbolToAtomicNumber(symbol)
            edge = 1e3 * xraylib.EdgeEnergy(z, xraylib.M5_SHELL)
            photo = np.array(
                [
                    xraylib.CSb_Photo_Partial(z, xraylib.M5_SHELL, 1e-3 * (edge + e))
                    for e in excess[9:]
                ]
            )
            factor = angular_factor(own + excess[9:], 200.0, 1e-3, 10.0)
            free = f"{excess[9:][np.argmax(photo * factor)]:.0f}"
        measured, film_max = "–", "–"
        if symbol in DELAYED:
            energies = own + np.arange(1.0, DELAYED[symbol])
            factor = angular_factor(energies, 200.0, 1e-3, 10.0)
            seen = above_shallower_shells(cxro(symbol), own, energies) * factor
            measured = f"{energies[np.argmax(seen)] - own:.0f}"
            if symbol == "Sr":
                seen = above_shallower_shells(film("Sr", "M4,5"), own, energies) * factor
                film_max = f"{energies[np.argmax(seen)] - own:.0f}"
        at_100 = "–"
        known = published_strengths().get((symbol, "M4,5"))
        if known is not None:
            at_100 = f"{within(symbol, ('M4', 'M5'), 100) / known.f100:.2f} ({known.error:.0%})"
        fitted = "– | –"
        if symbol in (*DELAYED, "Au"):
            fit, used = delayed_m45_fit(symbol), DELAYED_M45[symbol]
            fitted = f"{fit.stretch:.2f}, {fit.strength:.2f} ({used[0]:.2f}, {used[1]:.2f})"
            fitted += f" | {fit.rms_before:.3f} → {fit.rms:.3f}"
        cells = (symbol, f"{ours:.0f}", free, measured, film_max, at_100, fitted)
        rows.append("| " + " | ".join(cells) + " |")
    body = (
        "| M5 | ours | Kissel | CXRO | film | f(100 eV) over Egerton's (his uncertainty) "
        "| stretch, strength (simulated) | rms |\n|---|---|---|---|---|---|---|---|\n"
    )
    note = (
        "\n\nMaximum of dσ/dE above the edge table's onset [eV], 200 keV, 10 mrad; from photo-"
        "absorption by the dipole's angular factor. Kissel's atoms begin at their own orbital "
        "energy, 6 to 10 eV above the onset of solids, where ours are put. Stretch and strength "
        "are those of our whole edge fitted to CXRO's df/dE up to 350 eV above M5 (in brackets "
        "what the simulator takes, smoothed over neighbours); rms of the deviations before, after."
    )
    write("Delayed maxima of M4,5", COMMAND, body + "\n".join(rows) + note)


def giant_resonances() -> None:
    """Places and strengths of 4d→4f and 5d→5f."""
    library = edge_library()
    rows = []
    for row in observed_resonances():
        symbol, edge = row["symbol"], row["edge"]
        group = edge.replace(",", "")
        place, _, _ = GIANT_RESONANCES[symbol, group]
        first, last = float(row["first_ev"]), float(row["last_ev"])
        observed = f"{first:g}" if first == last else f"{first:g} to {last:g}"
        away = max(first - place, place - last, 0.0)
        strengths = "| – | – "
        pair, final = (("N4", "N5"), "4f") if edge == "N4,5" else (("O4", "O5"), "5f")
        # f is proportional to the energy, for which `discrete` takes the onset
        atom = line_strength(symbol, pair, final) * place / min(onset(symbol, s) for s in pair)
        known = published_strengths().get((symbol, edge))
        if known is not None:
            shape = library.shape[library.labels.index(f"{symbol} {group}")]
            start = int(known.onset_ev)
            strengths = f"| {shape[start : start + 50].sum():.1f} | {known.f50:.1f} "
        told = f"{place:g} | {observed} | {away:.1f}"
        rows.append(f"| {symbol} {edge} | {told} {strengths}| {atom:.1f} | {row['source']} |")
    body = (
        "| edge | simulator [eV] | observed [eV] | away by [eV] | its f(50 eV) "
        "| Egerton's | atom's lines, put there | source of the place |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    write("Giant resonances", COMMAND, body + "\n".join(rows))


if __name__ == "__main__":
    k_shells()
    k_choices()
    white_lines()
    delayed_maxima()
    giant_resonances()
