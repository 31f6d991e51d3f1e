"""Files written whole or not at all, and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coreloss.whole import json_text, whole


def test_a_file_takes_its_place_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with whole(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError), whole(target) as partial:
        partial.write_text("half \ud800", encoding="utf-8")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing, whole(tmp_path / "no" / "a.txt") as partial:
        partial.write_text("new")
    assert missing.value.filename == str(tmp_path / "no" / "a.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as folder, whole(tmp_path / "folder") as partial:
        partial.write_text("new")
    assert folder.value.filename == str(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_numbers_that_json_does_not_know_become_null() -> None:
    content = {
        "a": np.float32(0.5),
        2: [float("nan"), np.inf, (1, np.int64(3))],
        "array": np.array([1.0, np.nan]),
        "flag": np.bool_(True),
        "µ": None,
    }
    assert json.loads(json_text(content)) == {
        "a": 0.5,
        "2": [None, None, [1, 3]],
        "array": [1.0, None],
        "flag": True,
        "µ": None,
    }
    with pytest.raises(TypeError):
        json_text({"a": object()})
