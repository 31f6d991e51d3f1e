"""Edge energies of other packages, for comparison; each is {(symbol, subshell): energy [eV]}.

None of them is imported beyond its data, so neither eXSpy's nor Nion Swift's dependencies
are needed: pip install --no-deps exspy nionswift-eels-analysis
"""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path

from coreloss.edges import table

Table = dict[tuple[str, str], float]


def xraydb_table() -> Table | None:
    """Elam's compilation, None where xraydb is not installed."""
    if importlib.util.find_spec("xraydb") is None:
        return None
    import xraydb

    found = {}
    for edge in table():
        other = xraydb.xray_edge(edge.symbol, edge.subshell)
        if other is not None:
            found[edge.symbol, edge.subshell] = float(other.energy)
    return found


def _folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def exspy_table() -> Table | None:
    """EELS onsets of eXSpy's element table, None where it is not installed."""
    folder = _folder("exspy")
    path = folder / "_misc" / "elements.py" if folder else None
    if path is None or not path.is_file():
        return None
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            elements = ast.literal_eval(node.value)
            return {
                (symbol, single): float(values["onset_energy (eV)"])
                for symbol, entry in elements.items()
                for shell, values in entry["Atomic_properties"].get("Binding_energies", {}).items()
                # six elements have one entry for the pair, which stands for both its members
                for single in (("L2", "L3") if shell == "L2,3" else (shell,))
            }
    return None


def nion_table() -> Table | None:
    """Edges of Nion Swift's EELS analysis, None where it is not installed."""
    folder = _folder("nion")
    path = folder / "eels_analysis" / "resources" / "edges.json" if folder else None
    if path is None or not path.is_file():
        return None
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {
        (entry["symbol"], shell): float(energy)
        for entry in entries
        for shell, energy in entry.get("edges", {}).items()
    }


TABLES = {"xraydb": xraydb_table, "exspy": exspy_table, "nion": nion_table}
