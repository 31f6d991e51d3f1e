"""What a file holds, told from its first bytes, and whether it may be opened at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from coreloss.io.assemble import MAX_BYTES
from coreloss.io.errors import ReadError, extension, size_text

__all__ = ["ARCHIVE_DIRECTORIES", "HDF5_EXTENSIONS", "first_bytes", "kind_of", "unmarked_utf16"]

# Formats whose "file" is a directory.
ARCHIVE_DIRECTORIES = {"zspy", "zarr"}
HDF5_EXTENSIONS = {"hspy", "hdf5", "h5", "emd", "nxs", "de5", "nc", "dens", "app5", "elid"}
HEAD = 4096

_PICTURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
}
_OTHER = {
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "gzip-compressed data",
    b"BZh": "bzip2-compressed data",
    b"\xfd7zXZ": "xz-compressed data",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\xd0\xcf\x11\xe0": "an old Office document",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
    b"SQLite format 3": "a database",
    b"RIFF": "a RIFF media file",
}


def first_bytes(path: Path) -> bytes:
    """The first bytes of a regular file of acceptable size.

    Raises
    ------
    ReadError
        If it is missing, a folder, a device, unreadable, empty or too large.
    """
    try:
        info = os.stat(path)
        if stat.S_ISDIR(info.st_mode):
            raise ReadError(path, "is a folder, not a file", "give the spectrum file inside it")
        if not stat.S_ISREG(info.st_mode):
            raise ReadError(path, "is a device, pipe or socket, not a file", "give a spectrum file")
        with open(path, "rb") as handle:
            head = handle.read(HEAD)
    except ReadError:
        raise
    except (OSError, ValueError) as problem:
        raise ReadError(path, *_os_sentence(path, problem)) from None
    if not head:
        raise ReadError(path, "is empty (0 bytes)", "copy or export the spectrum again")
    if info.st_size > MAX_BYTES:
        raise ReadError(
            path,
            f"is {size_text(info.st_size)} long",
            f"files of at most {size_text(MAX_BYTES)} are read, so crop or bin the data first",
        )
    return head


def _os_sentence(path: Path, problem: Exception) -> tuple[str, str]:
    number = problem.errno if isinstance(problem, OSError) else None
    if number == errno.ENOENT:
        if path.is_symlink():
            return "is a link to a file that does not exist", "mend the link or give the file"
        return "does not exist", "check the name and the folder"
    if number in (errno.EACCES, errno.EPERM):
        return "may not be read by this user", "ask for permission to read it or copy it"
    if number == errno.ELOOP:
        return "is a link that leads back to itself", "mend the link or give the file itself"
    if number == errno.ENOTDIR:
        return "lies below something that is not a folder", "check the path"
    if number == errno.ENAMETOOLONG:
        return "has a name too long for this system", "give a shorter path"
    if isinstance(problem, OSError) and problem.strerror:
        return f"cannot be opened ({problem.strerror})", "check the disk and copy the file again"
    return "has a name that no file can have", "check the name"


def kind_of(path: Path, head: bytes) -> str:
    """The format of a file: 'dm3', 'hdf5', 'npy', 'zip', 'ser', 'msa', 'text' or 'binary'.

    Raises
    ------
    ReadError
        If it is a picture, document, archive or web page, or has nothing but zero bytes.
    """
    for magic, what in {**_PICTURES, **_OTHER}.items():
        # Two letters open many a text, so those magics count in binary content only.
        if head.startswith(magic) and (len(magic) > 2 or not _is_text(head)):
            remedy = "give the spectrum itself, as the acquisition program saves it"
            if "compressed" in what or "archive" in what:
                remedy = "unpack it and give the spectrum file inside"
            raise ReadError(path, f"is {what}, not a spectrum", remedy)
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return "zip"
    if head[:4] == b"II\x97\x01":
        return "ser"
    if _is_dm(head):
        return "dm3"
    if not any(head):
        raise ReadError(
            path, "holds only zero bytes where its header should be", "copy the file again"
        )
    if not _is_text(head):
        return "binary"
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else unmarked_utf16(head)
    if encoding is not None:
        head = head[: len(head) // 2 * 2].decode(encoding, "replace").encode()
    start = head[:400].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise ReadError(
            path, "is a web page, not a spectrum", "download the file itself, not its page"
        )
    if start.startswith(b"version https://git-lfs"):
        raise ReadError(
            path, "is a Git LFS pointer, not a spectrum", "fetch the file with 'git lfs pull'"
        )
    if start.startswith(b"#format") and b"emsa" in start[:80]:
        return "msa"
    return "text"


def _is_dm(head: bytes) -> bool:
    version = int.from_bytes(head[:4], "big")
    width = {3: 4, 4: 8}.get(version)
    if width is None or len(head) < 8 + width:
        return False
    return int.from_bytes(head[4 + width : 8 + width], "big") in (0, 1)


def unmarked_utf16(head: bytes) -> str | None:
    """'utf-16-le' or 'utf-16-be' for the beginning of such text without its mark, else None.

    In columns of numbers every other byte is then zero, and the rest is what text is made of.
    """
    head = head[: len(head) // 2 * 2]
    if len(head) < 16:
        return None
    for letters, zeros, encoding in (
        (head[::2], head[1::2], "utf-16-le"),
        (head[1::2], head[::2], "utf-16-be"),
    ):
        # a letter beyond Latin 1, as in a heading, has no zero byte; small counts of two bytes
        # each have no line ends
        plain = letters.isascii() or sum(b < 128 for b in letters) > 0.95 * len(letters)
        lines = b"\n" in letters or b"\r" in letters
        if zeros.count(0) > 0.95 * len(zeros) and 0 not in letters and plain and lines:
            return encoding
    return None


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or unmarked_utf16(head):
        return True
    odd = sum(1 for byte in head if byte < 32 and byte not in b"\t\n\r\f\v\x1a")
    return odd == 0 or (b"\x00" not in head and odd < 0.01 * len(head))


def expected_kind(path: Path) -> str | None:
    """The content an extension promises, None where it promises nothing checkable."""
    ext = extension(path)
    if ext in ("dm3", "dm4"):
        return "dm3"
    if ext in ("npy", "ser"):
        return ext
    if ext in ("npz", "prz"):
        return "zip"
    if ext in HDF5_EXTENSIONS - {"nc", "dens", "app5", "elid"}:
        return "hdf5"
    return None
