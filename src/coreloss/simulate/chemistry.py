"""Which elements occur together: compounds, alloys, impurities, contamination."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coreloss.edges import ELEMENTS

__all__ = ["draw_compositions", "oxidation_shifts_ev"]

# Anions by how often they turn up as binary or ternary partner in materials under EELS.
_ANIONS = {
    "O": 0.55,
    "N": 0.08,
    "C": 0.06,
    "F": 0.07,
    "S": 0.06,
    "Cl": 0.05,
    "B": 0.03,
    "P": 0.03,
    "Si": 0.02,
    "Se": 0.015,
    "Te": 0.01,
    "Br": 0.01,
    "I": 0.01,
    "As": 0.005,
}
# Second and third cations of ternary compounds; others have weight 1.
_CATIONS = dict.fromkeys(
    ("Li Na Mg Al Si K Ca Sr Ba Ti V Cr Mn Fe Co Ni Cu Zn Y Zr Nb Mo La Ce Pb Bi P").split(), 4.0
)
_ALLOYING = dict.fromkeys(
    ("Al Si Ti V Cr Mn Fe Co Ni Cu Zn Zr Nb Mo Pd Ag Sn Hf Ta W Re Pt Au").split(), 4.0
)
# Nature has none of the first two, and few laboratories do; noble gases are in bubbles and gas
# cells.
_NOBLE = ("Ne", "Ar", "Kr", "Xe")
_SELDOM = {"Tc": 0.1, "Pm": 0.1, **dict.fromkeys(_NOBLE, 0.3)}
_NOT_CATIONS = {"O", "N", "F", *_NOBLE, "Cl", "C"}


# Largest shift of an element's edges [eV] from the element to its highest oxide or fluoride:
# Si L2,3 99 → 105, P L2,3 132 → 137, S L2,3 165 → 171, C K 284 → 290 (carbonate), B K 188 →
# 193, N K 401 → 406 (nitrate), Be K 111 → 118, Mg L2,3 49.5 → 54, Al L2,3 72.6 → 77.5 (EELS
# Atlas; Egerton 2011; Garvie et al. 1995); of transition metals without d electrons those of
# photoelectrons, less what final states give back: Zr 3d 178.9 → 182.2, Nb 3d 202.3 → 207.4,
# Mo 3d 227.9 → 232.6, Ta 4f 21.7 → 26.5, W 4f 31.4 → 35.8 (Moulder et al., Handbook of X-ray
# Photoelectron Spectroscopy, 1992).
_OXIDATION_SHIFT_EV = {
    "Li": 4.0,
    "Be": 6.0,
    "B": 5.0,
    "C": 6.0,
    "N": 5.0,
    "Mg": 4.5,
    "Al": 5.0,
    "Si": 6.5,
    "P": 5.5,
    "S": 6.5,
    "Cl": 7.0,
    "Sc": 3.0,
    "Ti": 3.0,
    "V": 4.0,
    "Cr": 4.0,
    "Mn": 3.5,
    "Zr": 3.0,
    "Nb": 4.5,
    "Mo": 4.5,
    "Hf": 3.0,
    "Ta": 4.5,
    "W": 4.5,
    "Re": 4.5,
    "Ge": 3.5,
    "As": 3.5,
    "Se": 4.0,
    "Te": 4.0,
    "I": 5.0,
}


def oxidation_shifts_ev(
    rng: np.random.Generator, elements: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Shift of each element's edges to higher energy where a sample holds O or F.

    ``elements`` is (n, n_slots) as from `draw_compositions`; so is the result [eV]. Metals
    without an entry of their own shift by up to 2 eV.
    """
    limit = np.array([_OXIDATION_SHIFT_EV.get(symbol, 2.0) for symbol in ELEMENTS])
    limit[[ELEMENTS.index("O"), ELEMENTS.index("F")]] = 0.0
    oxide = np.isin(elements, [ELEMENTS.index("O"), ELEMENTS.index("F")]).any(axis=1)
    shift = rng.uniform(0.0, 1.0, elements.shape) * limit[elements]
    return np.where((elements >= 0) & np.asarray(oxide)[:, None], shift, 0.0)


def _weights(table: dict[str, float], left_out: tuple[str, ...]) -> NDArray[np.float64]:
    values = np.array([0.0 if s in left_out else table.get(s, 0.0) for s in ELEMENTS])
    return values / values.sum()


def draw_compositions(
    rng: np.random.Generator,
    n: int,
    n_slots: int,
    *,
    kind: str,
    uniform_fraction: float,
    left_out: tuple[str, ...] = (),
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Elements and their molar amounts for n samples.

    Every element is equally often the first one, but for Tc and Pm, which have no stable isotope
    and are a tenth as often in 'mixed' samples; its partners follow chemistry (oxides,
    nitrides, … , carbon film, impurities) or, for 'uniform' samples, chance. No sample holds
    the elements ``left_out``.

    Returns
    -------
    elements : ndarray, (n, n_slots) int
        Indices into ``ELEMENTS``; -1 for an unused slot; no element twice in a sample.
    amounts : ndarray, (n, n_slots)
        Relative numbers of atoms; 0 in unused slots.
    """
    all_of_them = np.array([i for i, s in enumerate(ELEMENTS) if s not in left_out])
    share = np.array(
        [_SELDOM.get(ELEMENTS[i], 1.0) if kind == "mixed" else 1.0 for i in all_of_them]
    )
    share /= share.sum()
    elements = np.full((n, n_slots), -1)
    amounts = np.zeros((n, n_slots))
    elements[:, 0] = rng.choice(all_of_them, size=n, p=share)
    amounts[:, 0] = rng.uniform(0.2, 1.0, n)

    uniform = np.zeros(n, dtype=bool)
    if kind == "uniform":
        uniform[:] = True
    elif kind == "mixed":
        uniform = rng.uniform(size=n) < uniform_fraction

    number = rng.integers(1, n_slots, size=n, endpoint=True)
    any_element = rng.choice(all_of_them, size=(n, n_slots), p=share)
    any_amount = np.exp(rng.uniform(np.log(0.05), 0.0, (n, n_slots)))
    slot = np.arange(n_slots)[None, :]
    chance = uniform[:, None] & (slot > 0) & (slot < number[:, None])
    elements = np.where(chance, any_element, elements)
    amounts = np.where(chance, any_amount, amounts)

    # metal, binary, ternary and higher, alloy
    family = rng.choice(4, size=n, p=(0.22, 0.38, 0.29, 0.11))
    # a noble gas is by itself or among metals
    noble = np.isin(elements[:, 0], [ELEMENTS.index(s) for s in _NOBLE])
    family = np.where(noble & (family < 3), 0, family)
    chemical = ~uniform
    anion = rng.choice(len(ELEMENTS), size=n, p=_weights(_ANIONS, left_out))
    cations = {s: _CATIONS.get(s, _SELDOM.get(s, 1.0)) for s in ELEMENTS if s not in _NOT_CATIONS}
    cation = rng.choice(len(ELEMENTS), size=(n, 2), p=_weights(cations, left_out))
    alloying = rng.choice(len(ELEMENTS), size=(n, 2), p=_weights(_ALLOYING, left_out))

    def put(rows: NDArray[np.bool_], column: int, which: NDArray, amount: NDArray) -> None:
        if column < n_slots:
            rows = rows & chemical
            elements[rows, column] = which[rows]
            amounts[rows, column] = amount[rows]

    put(np.isin(family, (1, 2)), 1, anion, rng.uniform(0.3, 2.0, n))
    put(family == 2, 2, cation[:, 0], rng.uniform(0.1, 1.0, n))
    put((family == 2) & (rng.uniform(size=n) < 0.4), 3, cation[:, 1], rng.uniform(0.05, 1.0, n))
    put(family == 3, 1, alloying[:, 0], rng.uniform(0.05, 1.0, n))
    put((family == 3) & (rng.uniform(size=n) < 0.4), 2, alloying[:, 1], rng.uniform(0.05, 1.0, n))
    carbon, oxygen = ELEMENTS.index("C"), ELEMENTS.index("O")
    film = rng.uniform(size=n) < 0.4
    put(film, 4, np.full(n, carbon), np.exp(rng.uniform(np.log(0.05), np.log(3.0), n)))
    surface = rng.uniform(size=n) < np.where(film, 0.15, 0.25)
    put(surface, 5, np.full(n, oxygen), np.exp(rng.uniform(np.log(0.02), np.log(0.5), n)))
    impure = (rng.uniform(size=n) < 0.12) & ~surface
    any_other = rng.choice(all_of_them, size=n, p=share)
    put(impure, 5, any_other, np.exp(rng.uniform(np.log(3e-3), np.log(0.2), n)))

    for column in range(1, n_slots):
        twice = (elements[:, :column] == elements[:, column : column + 1]).any(axis=1)
        elements[twice, column] = -1
    amounts[elements < 0] = 0.0
    return elements, amounts
