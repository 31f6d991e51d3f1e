"""Numbers and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["axis_said", "counted", "listed", "of_all"]


def counted(number: int, one: str, many: str) -> str:
    """So many of something: '1 spectrum', '2,193 spectra'."""
    return f"{number:,} {one if number == 1 else many}"


def of_all(number: int, total: int, one: str, many: str) -> str:
    """What part of an image's spectra does or is something, without 'of 1' where it is one.

    ``one`` and ``many`` are the verb: '1 of 294 spectra is', 'the spectrum is'.
    """
    if total == 1:
        return f"the spectrum {one}"
    return f"{number:,} of {total:,} spectra {one if number == 1 else many}"


def listed(words: Sequence[str], most: int, one: str = "", many: str = "") -> str:
    """The first few of a list, and how many more: 'pixels, sum, cluster 1 and 7 more clusters'."""
    shown = ", ".join(words[:most])
    left = len(words) - most
    if left <= 0:
        return shown
    return f"{shown} and {left} more {one if left == 1 else many}".rstrip()


def axis_said(notes: Sequence[str]) -> str:
    """What notes say was done to the energy axis, without its evidence; empty where nothing was."""
    for note in notes:
        if note.startswith(("the axis reads ", "the axis was moved by ")):
            return note.split(" (")[0] + ("; corrected" if " reads " in note else "")
    return ""
