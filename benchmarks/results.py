"""Writes one section of RESULTS.md, with machine, date and commit."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"


def processor() -> str:
    """Processor name and the number of its cores."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        name = found[1].strip() if found else name
    return f"{name}, {os.cpu_count()} cores"


def write(section: str, command: str, body: str) -> None:
    """Replace, or add, a section."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    today = datetime.date.today().isoformat()
    text = (
        f"## {section}\n\n`{command}` — {processor()}; {today}; after commit {commit}\n\n{body}\n"
    )
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else "# Results\n"
    pattern = re.compile(rf"## {re.escape(section)}\n.*?(?=\n## |\Z)", re.DOTALL)
    if pattern.search(old):
        new = pattern.sub(lambda _: text.rstrip("\n") + "\n", old)
    else:
        new = old.rstrip("\n") + "\n\n" + text
    RESULTS.write_text(new, encoding="utf-8")
    print(text)
