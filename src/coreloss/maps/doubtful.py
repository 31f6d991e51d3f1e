"""Elements whose edges in a record tell no amount, or a doubtful one."""

from __future__ import annotations

from collections.abc import Sequence

from coreloss.edges import edges_of, pair_label
from coreloss.energy import EnergyAxis
from coreloss.fit import fitted_edges

__all__ = ["doubtful"]


def doubtful(
    elements: Sequence[str], axis: EnergyAxis, window_ev: tuple[float, float] | None
) -> tuple[dict[str, str], list[str]]:
    """Elements of which nothing but a giant resonance is fitted, and why; and notes on others.

    Notes are on resonances beside major edges, and on elements with minor edges alone.

    In N4,5 of Sb to Yb and O4,5 of Th and U the ten electrons of the shell respond together. The
    maximum lies 20 to 40 eV above that of one electron in the atom's potential (Te: 88 eV by
    absorption, Gaynor et al., Proc. SPIE 5826, 165 (2005), against 56), or all of the strength in
    a discrete line, and with it the amount is wrong by any factor.
    """
    without: dict[str, str] = {}
    notes: list[str] = []
    for symbol in elements:
        fitted = fitted_edges(symbol, axis, window_ev)
        giant = [edge for edge in fitted if edge.shape == "resonance"]
        major = [edge for edge in fitted if edge.major and edge.shape != "resonance"]
        if not giant:
            if not major:
                names = ", ".join(dict.fromkeys(pair_label(edge) for edge in fitted))
                notes.append(
                    f"only minor edges of {symbol} are fitted ({names}): a doubtful amount"
                )
            continue
        name = pair_label(giant[0])
        better = next(e for e in edges_of(symbol) if e.major and e.shape != "resonance")
        if major:
            notes.append(
                f"{name} at {giant[0].onset_ev:.0f} eV is a giant resonance, which the model has "
                "not; fit above it (--window)"
            )
        else:
            without[symbol] = (
                f"{name} is a giant resonance, which no cross section of the atom tells; record "
                f"{pair_label(better)} at {better.onset_ev:.0f} eV"
            )
    return without, notes
