"""Near-edge structure: what solids add to an atom's edge.

White lines are transitions into empty d and f states. What is tabulated here is their area
from metals to the highest common valence, the share of the lower-energy line (L3, M5) and
the widths. Sources: oscillator strengths of the first 50 and 100 eV less our own continuum,
Egerton, Ultramicroscopy 50, 13 (1993); Leapman, Grunes & Fejes, Phys. Rev. B 26, 614
(1982); Pearson, Ahn & Fultz, Phys. Rev. B 47, 8471 (1993); Thole et al., Phys. Rev. B 32,
5107 (1985); Manoubi, Colliex & Rez, J. Electron Spectrosc. 50, 1 (1990). The giant
resonances of N4,5 and O4,5 edges are those of films and photo-absorption in
``tools/published/resonances.csv``; what was read, and what is only known, is told beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BELLS",
    "GIANT_RESONANCES",
    "NO_4P_HOLE",
    "OWN_STRUCTURE",
    "STRUCTURE_STRENGTH",
    "WHITE_LINES",
    "WhiteLines",
    "fine_structure_parameters",
]


@dataclass(frozen=True)
class WhiteLines:
    """White lines of a spin–orbit pair.

    Attributes
    ----------
    area_ev : (float, float) [eV]
        Range of the summed area of both lines over the height of the continuum.
    first_share : (float, float)
        Range of the share of the line at lower energy (L3, M5).
    fwhm_ev : (float, float) [eV]
    """

    area_ev: tuple[float, float]
    first_share: tuple[float, float]
    fwhm_ev: tuple[float, float]


def _lines() -> dict[tuple[str, str], WhiteLines]:
    lines = {}
    # 2p→3d: from metal or lowest to highest common valence; L3 share. Independent-electron
    # theory gives 1.3 to 3 times what recorded spectra and films show, and more than that over
    # Egerton's strengths (3d states hybridise).
    for symbol, area, share in (
        ("K", (13.0, 50.0), (0.40, 0.55)),
        ("Ca", (13.0, 50.0), (0.40, 0.55)),
        ("Sc", (14.0, 52.0), (0.40, 0.55)),
        ("Ti", (14.0, 56.0), (0.40, 0.58)),
        ("V", (13.0, 48.0), (0.42, 0.62)),
        ("Cr", (11.0, 42.0), (0.50, 0.70)),
        ("Mn", (9.0, 36.0), (0.60, 0.85)),
        ("Fe", (7.0, 32.0), (0.65, 0.85)),
        ("Co", (5.0, 25.0), (0.65, 0.83)),
        ("Ni", (3.0, 18.0), (0.65, 0.80)),
        ("Cu", (0.0, 9.0), (0.60, 0.80)),
    ):
        lines[symbol, "L23"] = WhiteLines(area, share, (1.2, 4.5))
    # 2p→4d and 3p→4d
    for symbol, holes in (
        ("Rb", (9.0, 10.0)),
        ("Sr", (9.0, 10.0)),
        ("Y", (8.0, 10.0)),
        ("Zr", (7.0, 10.0)),
        ("Nb", (6.0, 9.0)),
        ("Mo", (4.5, 8.0)),
        ("Tc", (4.0, 7.0)),
        ("Ru", (3.0, 6.0)),
        ("Rh", (2.0, 4.5)),
        ("Pd", (0.8, 2.5)),
        ("Ag", (0.0, 0.5)),
    ):
        lines[symbol, "L23"] = WhiteLines(
            (0.8 * holes[0], 2.4 * holes[1]), (0.58, 0.72), (2.5, 5.0)
        )
        lines[symbol, "M23"] = WhiteLines(
            (0.4 * holes[0], 1.8 * holes[1]), (0.55, 0.72), (2.5, 6.0)
        )
    # 3p→5d and 4p→5d: empty d states as in the row above, levels twice as broad; our estimate
    for symbol, most in (
        ("Hf", 9.0),
        ("Ta", 8.0),
        ("W", 7.5),
        ("Re", 6.5),
        ("Os", 5.5),
        ("Ir", 4.5),
        ("Pt", 2.5),
    ):
        lines[symbol, "M23"] = WhiteLines((0.0, 1.5 * most), (0.55, 0.75), (5.0, 11.0))
        lines[symbol, "N23"] = WhiteLines((0.0, 0.8 * most), (0.55, 0.75), (5.0, 12.0))
    # 3d→4f; M5 share of the multiplets
    for symbol, area, share in (
        ("Cs", (15.0, 45.0), (0.40, 0.52)),
        ("Ba", (20.0, 55.0), (0.40, 0.52)),
        ("La", (28.0, 65.0), (0.40, 0.52)),
        ("Ce", (28.0, 65.0), (0.40, 0.54)),
        ("Pr", (24.0, 56.0), (0.48, 0.62)),
        ("Nd", (20.0, 48.0), (0.54, 0.68)),
        ("Pm", (20.0, 45.0), (0.60, 0.72)),
        ("Sm", (20.0, 44.0), (0.64, 0.78)),
        ("Eu", (20.0, 44.0), (0.68, 0.82)),
        ("Gd", (20.0, 44.0), (0.72, 0.84)),
        ("Tb", (14.0, 33.0), (0.74, 0.86)),
        ("Dy", (12.0, 30.0), (0.78, 0.90)),
        ("Ho", (9.0, 25.0), (0.82, 0.92)),
        ("Er", (7.0, 21.0), (0.86, 0.95)),
        ("Tm", (4.0, 15.0), (0.90, 0.98)),
        ("Yb", (0.0, 9.0), (0.95, 1.00)),
    ):
        lines[symbol, "M45"] = WhiteLines(area, share, (1.5, 5.0))
    # 4d→5f
    lines["Th", "N45"] = WhiteLines((8.0, 30.0), (0.50, 0.65), (4.0, 7.0))
    lines["U", "N45"] = WhiteLines((6.0, 26.0), (0.55, 0.70), (4.0, 7.0))
    return lines


#: by (symbol, shell group)
WHITE_LINES: dict[tuple[str, str], WhiteLines] = _lines()

#: (symbol, shell group) → (energy of the maximum [eV], FWHM [eV], oscillator strength)
GIANT_RESONANCES: dict[tuple[str, str], tuple[float, float, float]] = {
    # 4d→εf: least squares to the Center for X-Ray Optics' f₂, as in ``BELLS``
    ("Sb", "N45"): (86.0, 49.0, 12.1),
    ("Te", "N45"): (94.0, 44.0, 11.9),
    ("I", "N45"): (95.0, 39.0, 10.3),
    ("Xe", "N45"): (102.0, 38.0, 11.8),
    ("Cs", "N45"): (108.0, 35.5, 11.4),
    ("Ba", "N45"): (111.5, 22.0, 8.3),
    ("La", "N45"): (118.5, 16.0, 8.4),
    ("Ce", "N45"): (125.0, 18.5, 8.0),
    ("Pr", "N45"): (130.5, 16.0, 7.0),
    ("Nd", "N45"): (132.5, 14.0, 6.6),
    ("Pm", "N45"): (135.5, 13.0, 6.1),
    ("Sm", "N45"): (138.5, 13.0, 5.6),
    ("Eu", "N45"): (142.0, 11.5, 4.6),
    ("Gd", "N45"): (149.0, 8.0, 4.6),
    ("Tb", "N45"): (153.0, 10.5, 3.7),
    ("Dy", "N45"): (157.5, 11.5, 2.7),
    ("Ho", "N45"): (167.0, 12.5, 1.7),
    ("Er", "N45"): (172.0, 12.5, 1.7),
    ("Tm", "N45"): (178.5, 8.5, 1.15),
    ("Yb", "N45"): (183.0, 5.0, 0.5),
    # 5d→5f
    ("Th", "O45"): (105.5, 15.0, 10.0),
    ("U", "O45"): (113.0, 18.0, 10.0),
    # 3p→3d, 4p→4d and 5p→5d: most of the strength of these shells, 3 to 14 eV above their onsets;
    # by the same f₂ (measured finely for Cr, Nb and Mo), smoothed over neighbours
    ("Sc", "M23"): (40.5, 10.0, 4.0),
    ("Ti", "M23"): (45.5, 12.0, 3.8),
    ("V", "M23"): (49.0, 16.0, 2.9),
    ("Cr", "M23"): (52.5, 20.0, 2.4),
    ("Mn", "M23"): (53.0, 14.0, 1.6),
    ("Fe", "M23"): (57.5, 11.0, 0.9),
    ("Co", "M23"): (63.5, 11.0, 0.6),
    ("Ni", "M23"): (70.0, 12.0, 0.3),
    ("Nb", "N23"): (41.7, 17.0, 4.5),
    ("Mo", "N23"): (47.5, 18.5, 3.3),
    ("Tc", "N23"): (51.0, 20.0, 3.2),
    ("Ru", "N23"): (54.0, 22.0, 3.1),
    ("Rh", "N23"): (59.0, 25.0, 2.6),
    ("Tm", "O23"): (33.0, 28.0, 6.5),
    ("Hf", "O23"): (44.5, 23.0, 5.7),
    ("Ta", "O23"): (46.5, 20.0, 4.7),
    ("W", "O23"): (48.5, 27.0, 4.8),
    ("Re", "O23"): (51.0, 31.0, 5.0),
    ("Os", "O23"): (54.5, 32.0, 4.4),
    ("Ir", "O23"): (56.0, 34.0, 3.6),
    ("Pt", "O23"): (58.0, 32.0, 2.2),
}

#: Resonances, but those into occupied 4f and 5f shells, with the profile of `shallow.bell`: share
#: of the width below the maximum.
BELLS: dict[tuple[str, str], float] = {
    **{key: 0.36 for key in GIANT_RESONANCES if key[1] in ("M23", "N23", "O23")},
    ("Sb", "N45"): 0.7,
    ("Te", "N45"): 0.7,
    ("I", "N45"): 0.5,
    ("Xe", "N45"): 0.55,
    ("Cs", "N45"): 0.5,
    ("Ba", "N45"): 0.35,
    ("La", "N45"): 0.25,
    ("Ce", "N45"): 0.31,
}


#: Strength of near-edge structure relative to the recipe's, by shell group: π* and σ* peaks
#: of K edges and the threshold peaks of shallow L2,3 stand out, delayed edges are smooth, and so
#: are those whose holes Coster–Kronig decay broadens by electronvolts.
STRUCTURE_STRENGTH = {"K": 3.0, "L23": 1.3, "M45": 0.7, "N45": 0.7, "N67": 0.7} | {
    "M23": 0.6, "N23": 0.5, "O23": 0.5
}  # fmt: skip


#: 4p holes of these decay into 4d holes before they are one: no line or edge is left of what
#: one electron alone would do (G. Wendin & M. Ohno, Phys. Scr. 14, 148 (1976)).
NO_4P_HOLE = ("Sb", "Te", "I", "Xe", "Cs", "Ba")

#: Over that of other elements: in compounds the L2,3 edges of the third row show peaks as K edges
#: do, Li and Be K excitons; what is no edge has no structure.
OWN_STRUCTURE = (
    {(s, "L23"): 2.0 for s in "Na Mg Al Si P S Cl".split()}
    | {(s, "K"): 1.3 for s in ("Li", "Be")}
    | {(s, "N23"): 0.0 for s in NO_4P_HOLE}
)


def lifetime_width_ev(excess_ev: Any, diameter_pm: Any) -> Any:
    """Lifetime width [eV] of a final state ``excess_ev`` above the edge.

    Γ = ħ v / λ with the mean free path λ = 538 a ε⁻² + 0.41 a^{3/2} ε^{1/2} nm of Seah &
    Dench 1979, a the atomic diameter [pm here]; Annys et al. 2023.
    """
    excess = np.maximum(excess_ev, 1.0)
    a = np.asarray(diameter_pm) * 1e-3
    path_nm = 538.0 * a / excess**2 + 0.41 * a**1.5 * np.sqrt(excess)
    # v = √(2ε/m): 0.593 nm/fs at 1 eV; ħ = 0.6582 eV fs
    return 0.6582 * 0.593 * np.sqrt(excess) / path_nm


#: Amplitude of extended fine structure relative to that of K and L2,3 edges, by shell group; the
#: others lie too low, or are too broad, for it to be told from what else is there.
EXTENDED_STRENGTH = {"K": 1.0, "L23": 1.0, "M45": 0.5}

#: how far above an edge extended fine structure is followed [eV]
EXTENDED_EV = 400


def extended_structure(
    rng: np.random.Generator, n: int, above_ev: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Extended fine structure χ(E) of n edges: how waves scattered by neighbours modulate them.

    Two shells of neighbours of random distances, each by the equation of extended X-ray
    absorption fine structure, a backscattering amplitude with one maximum over the wavenumber k,
    a Debye–Waller factor and a random phase: A(k) sin(2kR + φ) / k. The largest amplitude is
    0.06 of the edge in the median. Below some 25 eV, where waves scatter many times, it is turned
    off and the near-edge structure has its place (Rehr & Albers, Rev. Mod. Phys. 72, 621 (2000);
    Egerton 2011, section 4.6; amplitudes of Cu and NiO K: Teo, EXAFS, 1986).

    Parameters
    ----------
    rng : Generator
    n : int
    above_ev : ndarray, (m,) [eV]
        Energies above the onset.

    Returns
    -------
    ndarray, (n, m) float32
    """
    energy = np.maximum(above_ev, 0.1)[None, :]
    k = (0.5123 * np.sqrt(energy)).astype(np.float32)  # 1/Å: √(2mE)/ħ
    distance = rng.uniform(1.5, 3.0, (n, 1))
    size = np.minimum(0.08 * np.exp(0.6 * rng.standard_normal((n, 1))), 0.25)
    total = np.zeros((n, above_ev.size), dtype=np.float32)
    for shell in range(2):
        share = 1.0 if shell == 0 else rng.uniform(0.2, 0.8, (n, 1))
        reach = distance if shell == 0 else distance * rng.uniform(1.2, 1.9, (n, 1))
        centre, width = rng.uniform(1.5, 7.0, (n, 1)), rng.uniform(2.0, 5.0, (n, 1))
        disorder = rng.uniform(0.003, 0.02, (n, 1))  # mean square displacement [Å²]
        phase = rng.uniform(0.0, 2.0 * np.pi, (n, 1))
        far = np.float32(1.0) / (1.0 + ((k - centre.astype(np.float32)) / width) ** 2)
        envelope = (far * np.exp(-2.0 * disorder * k * k) / k).astype(np.float32)
        envelope /= envelope[:, k[0] > 2.5].max(axis=1, keepdims=True)
        wave = np.sin((2.0 * reach).astype(np.float32) * k + phase.astype(np.float32))
        total += (size * share).astype(np.float32) * envelope * wave
    turned_on = np.clip((above_ev - 10.0) / 25.0, 0.0, 1.0)
    faded = np.clip((EXTENDED_EV - above_ev) / 60.0, 0.0, 1.0)
    return (total * (turned_on * faded)[None, :]).astype(np.float32)


def fine_structure_parameters(
    rng: np.random.Generator,
    n: int,
    *,
    degree: tuple[int, int],
    width_ev: tuple[float, float],
    diameter_pm: tuple[float, float],
    positive_first: bool,
    bonds: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Random lifetime-broadened peaks for n edges.

    Returns positions above the onset [eV], standard deviations [eV] and weights, each
    (n, degree[1]) float32; weights are zero beyond an edge's own number of peaks.
    With ``positive_first`` the weights oscillate and fall with energy, as scattering from
    neighbouring atoms does, and the first peak is positive; without it they are Annys et
    al.'s uniform draws in -1 … 1. Edges marked in ``bonds``, (n,), get the peaks that B, C,
    N and O have in covalent solids and molecules instead of the first three: a narrow π*
    peak within 3.5 eV of the onset and two broad σ* peaks 4 to 12 eV above it (Egerton 2011,
    section 4.7; Stöhr, NEXAFS Spectroscopy, 1992).
    """
    most = degree[1]
    span = rng.uniform(*width_ev, n)[:, None]
    diameter = rng.uniform(*diameter_pm, n)[:, None]
    number = rng.integers(degree[0], most, n, endpoint=True)[:, None]
    position = np.sort(rng.uniform(0.0, 1.0, (n, most)) * span, axis=1)
    weight = rng.uniform(-1.0, 1.0, (n, most))
    used = rng.uniform(size=(n, most)).argsort(axis=1) < number
    if positive_first:
        # bound and resonant states near the edge, a tenth as strong and slower to fade the
        # scattering from neighbouring atoms
        near = rng.uniform(6.0, 25.0, n)[:, None]
        weight *= np.exp(-position / near) + 0.12 * np.exp(-position / 60.0)
        position[:, 0] = rng.uniform(0.5, 6.0, n)
        weight[:, 0] = rng.uniform(0.0, 1.0, n)
        used[:, 0] = True
    sigma = np.hypot(lifetime_width_ev(position, diameter), 0.4) / 2.3548
    sigma = np.minimum(sigma, 0.25 * span)
    if bonds is not None and bonds.any():
        m = int(bonds.sum())
        pi = rng.uniform(0.3, 3.5, m)
        first = pi + rng.uniform(4.0, 12.0, m)
        second = first + rng.uniform(3.0, 12.0, m)
        position[bonds, :3] = np.stack([pi, first, second], axis=1)
        sigma[bonds, :3] = rng.uniform((0.3, 1.0, 1.5), (0.8, 3.5, 5.0), (m, 3))
        weight[bonds, :3] = rng.uniform((0.0, 0.2, -0.2), (1.3, 1.0, 0.7), (m, 3))
        used[bonds, :3] = True
    return (
        position.astype(np.float32),
        sigma.astype(np.float32),
        np.where(used, weight, 0.0).astype(np.float32),
    )
