"""Natural (lifetime) widths of core levels.

Source: J. L. Campbell & T. Papp, At. Data Nucl. Data Tables 77, 1 (2001), recommended values
from experiment, as xraylib carries them; ``tools/build_widths.py`` writes the table. Widths of
N to O levels are known to some tens of per cent only.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

__all__ = ["natural_width_ev"]


@lru_cache(maxsize=1)
def _table() -> dict[tuple[str, str], float]:
    text = (files("coreloss.data") / "level_widths.csv").read_text(encoding="utf-8")
    return {
        (row["symbol"], row["subshell"]): float(row["width_ev"])
        for row in csv.DictReader(text.splitlines())
    }


def natural_width_ev(symbol: str, subshell: str) -> float:
    """Full width at half maximum [eV] of a level: ``natural_width_ev("Fe", "L3")``.

    Raises
    ------
    ValueError
        If no width is tabulated for this subshell.
    """
    try:
        return _table()[symbol, subshell]
    except KeyError:
        known = [shell for element, shell in _table() if element == symbol]
        raise ValueError(
            f"no natural width for {symbol} {subshell}; "
            f"{symbol} has {', '.join(known) if known else 'none'}"
        ) from None
