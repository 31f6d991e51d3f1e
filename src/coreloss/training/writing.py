"""Model bundles written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coreloss.whole import foreign

__all__ = ["bundle_folder", "check_target", "write_card"]

# all that the bundle of a network holds; an ensemble's has its members' beside the card
_OWN = ("card.json", "model.onnx")


def check_target(target: Path, force: bool) -> None:
    """Raise FileExistsError where a bundle exists and may not be replaced, or is none."""
    if not target.exists():
        return
    if not force:
        raise FileExistsError(f"{target}: exists already; give --force to replace it")
    other = "a file" if not target.is_dir() else _other(target)
    if other:
        raise FileExistsError(
            f"{target}: exists and is no model alone ({other}), so it is not replaced; give "
            "another name"
        )


def _other(folder: Path) -> str:
    """What a folder holds that is no part of a model; empty where it is a model alone."""
    members = sorted(path.parent for path in folder.glob("*/card.json"))
    within = (name for m in members if (name := foreign(m, _OWN, _OWN[0])))
    other = foreign(folder, {*_OWN, *(member.name for member in members)}, _OWN[0])
    return other or next(within, "")


@contextmanager
def bundle_folder(target: Path, force: bool) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``target`` at the end.

    An error inside removes it and leaves an existing bundle as it was. Raises as
    `check_target`.
    """
    check_target(target, force)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        old = target.with_name(f".{target.name}.old.{os.getpid()}")
        if target.exists():
            target.rename(old)
        partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_card(
    folder: Path, card: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> None:
    """Write a bundle's card with further entries; ValueError if one would replace another."""
    taken = sorted(set(extra or {}) & set(card))
    if taken:
        raise ValueError(f"card_extra holds {', '.join(taken)}, which the card has already")
    text = json.dumps({**card, **(extra or {})}, indent=1, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")
