"""Checksums: SHA-256, and git's own for the small files that the hub has no SHA-256 of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Digests:
    """Of one file: its size in bytes, its SHA-256 and its git blob id, in hexadecimal."""

    size: int
    sha256: str
    blob: str


def digests(path: Path, tell: Callable[[int], None] = lambda _: None) -> Digests:
    """Read a file once; `tell` gets the bytes of each step. Raises `OSError`."""
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    # Git's SHA-1 is no protection here, it is the name that the hub gives a small file.
    blob = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    read = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            # Only small files go without a SHA-256; a second pass over gigabytes would be waste.
            if size <= 64 * _BLOCK:
                blob.update(block)
            read += len(block)
            tell(len(block))
    return Digests(read, sha256.hexdigest(), blob.hexdigest())
