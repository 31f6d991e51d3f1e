"""Run the commands and the Python examples of README.md and docs/*.md; stop at a failure.

Run: python tools/check_examples.py BIN    (BIN: folder with the 'coreloss' and 'python' to use)

Blocks fenced as ``console`` hold commands behind ``$ ``, blocks fenced as ``python`` run as
they are, each page in a folder of its own. ``make`` targets are CI's own steps and only
checked to exist. A block that needs what a clone has not (a network, a user's file) is fenced
as ``text``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run everything; returns the exit code."""
    folder = Path(sys.argv[1]).resolve()
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        number = 0
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "examples").symlink_to(ROOT / "examples")
            for command in _commands(page.read_text(encoding="utf-8"), folder):
                number += 1
                made = re.match(r"make (\w+)", command[-1])
                if made and made[1] in targets:
                    continue
                if made:
                    print(f"{page.name} names 'make {made[1]}', which the Makefile has not")
                    return 1
                done = subprocess.run(
                    command, cwd=scratch, env=environment, capture_output=True, text=True
                )
                if done.returncode:
                    print(f"{page.name}: this fails ({done.returncode}):\n{command[-1]}")
                    print(done.stdout + done.stderr)
                    return 1
        print(f"{page.name}: {number} commands and examples run")
    return 0


def _commands(text: str, folder: Path) -> Iterator[list[str]]:
    for kind, block in re.findall(r"```(console|python)\n(.*?)```", text, re.DOTALL):
        if kind == "python":
            yield [str(folder / "python"), "-c", block]
        else:
            yield from (
                ["bash", "-c", line[2:]] for line in block.splitlines() if line.startswith("$ ")
            )


if __name__ == "__main__":
    sys.exit(main())
