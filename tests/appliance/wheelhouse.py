"""Wheelhouses of other versions of the brain, made of one: nothing else differs."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path


def copied(source: Path, target: Path) -> Path:
    """The same files once more; on the same disk they take no room."""
    shutil.copytree(source, target, copy_function=_link, ignore=shutil.ignore_patterns(".*"))
    return target


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def variant(
    source: Path,
    target: Path,
    version: str,
    changes: Mapping[str, tuple[str, str]] | None = None,
) -> Path:
    """A wheelhouse with another version of the brain.

    `changes`: in this file of it (by its path in the wheel), the first text is the second.
    """
    copied(source, target)
    (old,) = target.glob("robot_brain-*.whl")
    before = old.name.split("-")[1]
    edits = {
        "brain/__init__.py": (f'"{before}"', f'"{version}"'),
        f"robot_brain-{before}.dist-info/METADATA": (
            f"Version: {before}\n",
            f"Version: {version}\n",
        ),
        **(changes or {}),
    }
    new = target / old.name.replace(f"-{before}-", f"-{version}-")
    _rewrite(old, new, (f"robot_brain-{before}.", f"robot_brain-{version}."), edits)
    old.unlink()
    sums = (target / "SHA256SUMS").read_text().splitlines()
    lines = [line for line in sums if old.name not in line]
    lines.append(f"{hashlib.sha256(new.read_bytes()).hexdigest()}  ./{new.name}")
    # (Not in place: it may be the same file as the source's.)
    (target / "SHA256SUMS").unlink()
    (target / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    return target


def _rewrite(
    old: Path, new: Path, names: tuple[str, str], edits: Mapping[str, tuple[str, str]]
) -> None:
    """The wheel with other contents, and a RECORD that is true of them."""
    left = dict(edits)
    record = []
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = source.read(name)
            renamed = name.replace(*names)
            if name.endswith("/RECORD"):
                record_name = renamed
                continue
            if name in left:
                was, becomes = left.pop(name)
                assert was in data.decode(), f"{was!r} isn't in {name}"
                data = data.decode().replace(was, becomes).encode()
            target.writestr(renamed, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{renamed},sha256={digest},{len(data)}")
        record.append(f"{record_name},,")
        target.writestr(record_name, "\n".join(record) + "\n")
    assert not left, f"not in the wheel: {sorted(left)}"
