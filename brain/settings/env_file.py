"""Changing one setting in an env file, and nothing else of it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import tempfile
from pathlib import Path

from dotenv.parser import parse_stream

_NEW_MODE = 0o640
"""There may be a token in it one day."""


def own_file(config_dir: Path, working_dir: Path) -> Path:
    """The file in which this machine's settings are: `brain.env`, or `.env` in the working
    directory where that is in force in its stead, or where nothing was installed. (The folder of an
    installation isn't made for somebody who tries a checkout.) The result need not exist."""
    file, stand_in = config_dir / "brain.env", working_dir / ".env"
    tried_out = stand_in.is_file() or not config_dir.is_dir()
    return stand_in if tried_out and not file.exists() else file


def with_setting(text: str, name: str, value: str) -> str:
    """`text` with `name` set to `value`: where the last line that sets it is, else at the end.

    The rest stays as it is, to the byte; so does a comment behind the old value. `value` is one
    word.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    bindings = list(parse_stream(io.StringIO(text[len(mark) :], newline="")))
    parts = [binding.original.string for binding in bindings]
    for index in reversed(range(len(bindings))):
        if bindings[index].key == name and not bindings[index].error:
            parts[index] = _changed(parts[index], name, value)
            return mark + "".join(parts)
    ending = "\r\n" if "\r\n" in text else "\n"
    before = "" if not text or text.endswith(("\n", "\r")) else ending
    return f"{text}{before}{name}={value}{ending}"


def _changed(line: str, name: str, value: str) -> str:
    found = re.fullmatch(
        rf"""(?P<lead>\s*(?:export[^\S\r\n]+)?['"]?{name}['"]?)[^\S\r\n]*
        (?:=[^\S\r\n]*(?:'(?:\\.|[^'])*'|"(?:\\.|[^"])*"|[^#\r\n]*?))?
        (?P<rest>(?:[^\S\r\n]+\#[^\r\n]*|[^\S\r\n]*)(?:\r\n|\n|\r)?)""",
        line,
        re.VERBOSE | re.DOTALL,
    )
    if found is None:  # of a form that the parser takes and this doesn't: the line is replaced
        lead = line[: len(line) - len(line.lstrip())]
        return f"{lead}{name}={value}\n"
    return f"{found['lead']}={value}{found['rest']}"


def set_in_file(file: Path, name: str, value: str) -> None:
    """Set `name` in `file`, which is made if it isn't there. A power cut leaves the old file or the
    new one. Owner and mode stay. Raises OSError, or UnicodeDecodeError for what is no text."""
    file = file.resolve()  # a link stays one
    if file.exists() and not file.is_file():  # a pipe would be waited for, for ever
        raise OSError(errno.EINVAL, "it isn't a file")
    try:
        with file.open(encoding="utf-8", newline="") as old:
            text = old.read()
            about = os.fstat(old.fileno())
        mode, owner, group = about.st_mode & 0o7777, about.st_uid, about.st_gid
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        text, mode, owner, group = "", _NEW_MODE, -1, file.parent.stat().st_gid
    handle, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as new:  # noqa: PTH123 - a descriptor
            new.write(with_setting(text, name, value))
            new.flush()
            if (owner, group) != (os.getuid(), os.getgid()):
                os.fchown(new.fileno(), owner, group)
            os.fchmod(new.fileno(), mode)
            os.fsync(new.fileno())
        Path(partial).replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(partial).unlink()
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
