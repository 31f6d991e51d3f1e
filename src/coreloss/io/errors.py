"""The one error of this room, and how a file is named in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["ReadError", "plain", "size_text"]


class ReadError(ValueError):
    """A file or signal that holds nothing usable.

    The message is one sentence: the file, what was found, what was expected, what to do.
    """

    def __init__(self, source: str | os.PathLike[str], found: str, remedy: str) -> None:
        super().__init__(f"{plain(source, 400)}: {found}; {remedy}")


def plain(text: object, longest: int = 60) -> str:
    """Any text of a file on one printable line, shortened in the middle if long."""
    if isinstance(text, os.PathLike):
        text = os.fspath(text)
    # A name that is not valid UTF-8 reaches Python with surrogates, which cannot be printed.
    clean = str(text).encode("utf-8", "replace").decode("utf-8", "replace")
    clean = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", clean)
    clean = re.sub(r" {2,}", " ", clean).strip()
    if len(clean) > longest:
        half = (longest - 1) // 2
        clean = f"{clean[:half]}…{clean[-half:]}"
    return clean


def size_text(n_bytes: float) -> str:
    """A number of bytes as people write it."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if n_bytes < 1000 or unit == "PB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" or n_bytes >= 100 else f"{n_bytes:.1f} {unit}"


def extension(path: Path) -> str:
    """The lower-case extension without its dot, '' if there is none."""
    return path.suffix[1:].lower()
