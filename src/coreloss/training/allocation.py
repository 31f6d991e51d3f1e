"""Memory that is used again and again stays with the process."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# options of mallopt(3), in glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Have glibc keep freed memory for the next request; whether it does.

    A training step asks for the same large arrays as the last one. By default glibc gives
    each back to the system at once, and the system clears every page before it hands it out
    again, which takes up to two thirds of a step (the published MLP). The process stays as
    large as it was at its largest. Nothing is done where there is no glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl has none
        return False
    largest = 2**31 - 1
    asked = ((_MMAP_THRESHOLD, largest), (_TRIM_THRESHOLD, largest), (_TOP_PAD, 2**28))
    results = [mallopt(option, value) for option, value in asked]
    return all(result == 1 for result in results)
