"""Run the commands and the Python examples of README.md; stop at the first that fails.

Run: python tools/check_readme.py BIN    (BIN: folder with the 'coreloss' and 'python' to use)

Blocks fenced as ``console`` hold commands behind ``$ ``, blocks fenced as ``python`` run as
they are. ``make`` targets are CI's own steps and only checked to exist. A block that needs
what a clone has not (a network, a user's file) is fenced as ``text``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run everything; returns the exit code."""
    folder = Path(sys.argv[1]).resolve()
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    number = 0
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "examples").symlink_to(ROOT / "examples")
        for kind, block in re.findall(r"```(console|python)\n(.*?)```", text, re.DOTALL):
            if kind == "python":
                commands = [[str(folder / "python"), "-c", block]]
            else:
                commands = [
                    ["bash", "-c", line[2:]] for line in block.splitlines() if line.startswith("$ ")
                ]
            for command in commands:
                number += 1
                made = re.match(r"make (\w+)", command[-1])
                if made:
                    if made[1] not in targets:
                        print(f"README.md names 'make {made[1]}', which the Makefile has not")
                        return 1
                    continue
                done = subprocess.run(
                    command, cwd=scratch, env=environment, capture_output=True, text=True
                )
                if done.returncode:
                    print(f"README.md: this fails ({done.returncode}):\n{command[-1]}")
                    print(done.stdout + done.stderr)
                    return 1
    print(f"README.md: {number} commands and examples run")
    return 0 if number else 1


if __name__ == "__main__":
    sys.exit(main())
