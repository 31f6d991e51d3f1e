"""What README and manual name exists; their examples are run by tools/check_examples.py."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from coreloss.cli import _parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_not_run_have_the_options_of_today(page: Path) -> None:
    """Blocks of text, which need a user's file or hours."""
    for block in re.findall(r"```text\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(re.sub(r"#.*|[\[\]]", "", line))
            if words[:1] != ["coreloss"]:
                continue
            if words[1] == "edges" and words[2] in ("fit", "library"):
                words[1:3] = [f"edges {words[2]}"]
            _parser().parse_args(words[1:])  # ends the test where it does not understand


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_and_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"`(coreloss(?:\.\w+)+)", text)):
        _found(name.split("."))
    for path in set(re.findall(r"`((?:src|tools|benchmarks|docs|examples|tests)/[\w./-]+)`", text)):
        assert (ROOT / path).exists(), path


def _found(parts: list[str]) -> None:
    """Import as much of a dotted name as are modules; the rest are attributes."""
    for number in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:number]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[number:]:
            thing = getattr(thing, attribute)
        return
