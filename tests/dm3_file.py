"""A writer of small DigitalMicrograph 3 files, for tests; no library writes them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

# numpy type -> (DM data type of the image, type of the array in the tag)
_TYPES = {"<f4": (2, 6), "<i4": (7, 3), "<u2": (10, 4), "<f8": (12, 7), "<i2": (1, 2)}


def _name(tag_id: int, name: str) -> bytes:
    raw = name.encode("latin-1")
    return struct.pack(">bh", tag_id, len(raw)) + raw


def _data_tag(name: str, info: tuple[int, ...], payload: bytes) -> bytes:
    head = _name(21, name) + b"%%%%" + struct.pack(">l", len(info))
    return head + struct.pack(f">{len(info)}l", *info) + payload


def _tag(name: str, value: Any) -> bytes:
    if isinstance(value, dict):
        return _name(20, name) + _group(value)
    if isinstance(value, np.ndarray):
        element = _TYPES[value.dtype.newbyteorder("<").str][1]
        return _data_tag(name, (20, element, value.size), value.tobytes())
    if isinstance(value, str):
        text = value.encode("utf-16-le")
        return _data_tag(name, (20, 4, len(text) // 2), text)
    if isinstance(value, float):
        return _data_tag(name, (7,), struct.pack("<d", value))
    return _data_tag(name, (5,), struct.pack("<L", value))


def _group(tags: dict[str, Any]) -> bytes:
    # Names of list entries are empty in the file; they are numbered here to be dictionary keys.
    listed = all(key.isdigit() for key in tags)
    body = b"".join(_tag("" if listed else key, value) for key, value in tags.items())
    return struct.pack(">bbl", 1, 0, len(tags)) + body


def dm3_image(
    data: np.ndarray,
    axes: list[tuple[float, float, str]],
    *,
    title: str = "",
    kind: str = "",
    tags: dict[str, Any] | None = None,
    dimensions: tuple[int, ...] | None = None,
) -> dict[str, Any]:
    """One image of a file: data in array order and (offset, scale, unit) of each axis."""
    data = np.ascontiguousarray(data)
    shape = (dimensions or data.shape)[::-1]
    calibrations = {
        str(i): {"Origin": -offset / scale, "Scale": scale, "Units": unit}
        for i, (offset, scale, unit) in enumerate(axes[::-1])
    }
    image_tags: dict[str, Any] = dict(tags or {})
    if kind:
        image_tags["Meta Data"] = {"Signal": kind}
        if len(axes) == 3:
            image_tags["Meta Data"]["Format"] = "Spectrum image"
    return {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": ""},
                "Dimension": calibrations,
            },
            "Data": data.ravel(),
            "DataType": _TYPES[data.dtype.newbyteorder("<").str][0],
            "Dimensions": {str(i): n for i, n in enumerate(shape)},
            "PixelDepth": data.dtype.itemsize,
        },
        "ImageTags": image_tags or {"Note": "none"},
        "Name": title,
    }


def write_dm3(path: Path, *images: dict[str, Any]) -> Path:
    """A little-endian DM3 file with these images."""
    body = _group({"ImageList": {str(i): image for i, image in enumerate(images)}})
    path.write_bytes(struct.pack(">lll", 3, len(body), 1) + body)
    return path
