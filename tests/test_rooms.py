"""Data flow one way: a room imports only from those before it in this list."""

from __future__ import annotations

import ast
from pathlib import Path

import coreloss

ROOMS = (
    "whole", "cluster", "energy", "grid", "edges", "io", "atom", "simulate", "networks", "fit",
    "identification", "training", "evaluate", "plot", "maps", "hyperspy", "commands", "cli",
    "__main__",
)  # fmt: skip
#: results draw themselves: their ``plot`` methods reach down, when called
DRAWN_BY = {"plot"}


def room(path: Path, root: Path) -> str:
    first = path.relative_to(root).parts[0].removesuffix(".py")
    return "plot" if first.startswith("plot_") else first


def imported(tree: ast.AST) -> list[tuple[str, bool]]:
    """Rooms that a module imports, and whether at its top."""
    top = set(ast.iter_child_nodes(tree))
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module == "coreloss":
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("coreloss."):
            names = [str(node.module).split(".")[1]]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".")[1] for a in node.names if a.name.startswith("coreloss.")]
        found += [("plot" if n.startswith("plot_") else n, node in top) for n in names]
    return found


def test_rooms_import_only_from_rooms_before_them() -> None:
    root = Path(coreloss.__file__).parent
    wrong = []
    for path in root.rglob("*.py"):
        own = room(path, root)
        if own == "__init__":
            continue
        assert own in (*ROOMS, "data"), f"{path}: {own} is no room yet; give it a place"
        for name, at_top in imported(ast.parse(path.read_text(encoding="utf-8"))):
            drawn = name in DRAWN_BY and not at_top
            if name in ROOMS and name != own and ROOMS.index(name) > ROOMS.index(own) and not drawn:
                wrong.append(f"{path.relative_to(root)} imports {name}")
    assert not wrong
