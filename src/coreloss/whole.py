"""Results that others can rely on: files whole or not at all, JSON that every reader takes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["foreign", "json_text", "whole"]


def json_text(content: Any, *, indent: int | None = None) -> str:
    """Content as JSON; numbers that JSON does not know (NaN, infinities) become null.

    Takes mappings, sequences, NumPy arrays and numbers. Raises TypeError for anything else.
    A line, as it is printed, is ASCII: it is JSON whatever encoding the output has (that of
    Windows lacks some characters, and readers expect UTF-8).
    """
    printed = indent is None
    return json.dumps(_plain(content), ensure_ascii=printed, indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    import numpy as np  # here, as the command line is to start at once

    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside ``path`` to write to, which takes its place at the end.

    An error inside, or a kill, leaves an existing file as it was. Raises OSError, naming
    ``path``, where it cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, target)
    except OSError as error:
        if error.filename not in (str(partial), partial):
            raise
        raise type(error)(error.errno, error.strerror, str(target)) from None
    finally:
        partial.unlink(missing_ok=True)


# what systems leave in every folder that is looked at
_LEFT_BY_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")


def foreign(folder: Path, own: Collection[str], mark: str) -> str:
    """The first name in a folder that is none of a program's ``own``; empty where all are.

    A folder that holds anything else is somebody's, and is neither replaced nor removed; neither
    is one without ``mark``, the file that everything the program writes has.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name not in _LEFT_BY_SYSTEMS)
    if names and mark not in names:
        return f"{names[0]} without {mark}"
    return next((name for name in names if name not in own), "")
