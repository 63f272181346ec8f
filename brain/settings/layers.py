"""The places that settings come from, read one by one. Nothing is judged here but the form."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from brain.settings.problem import Problem

PROFILES = Path(__file__).resolve().parent.parent / "profiles"
CONFIG_DIR = Path("/etc/brain")
ENVIRONMENT = "environment"
"""The origin of what the process environment sets."""
_MOST_BYTES = 64 << 10
# A line that sets a token, or was to; maybe inside of a value whose quotes aren't closed.
_TOKEN = re.compile(r"^[^\S\n]*(?:export[^\S\n]+)?BRAIN_TOKEN", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Assignment:
    """`name` was given `value` at `origin` ("/etc/brain/brain.env:3", "environment", "--port")."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True)
class Layer:
    """What one place says, in its order, and what was wrong with its form.

    `strict`: every name in it ought to be a setting's, so that an unknown one is worth a warning.
    """

    assignments: tuple[Assignment, ...] = ()
    problems: tuple[Problem, ...] = ()
    strict: bool = False


def config_dir(environ: Mapping[str, str]) -> Path:
    """The folder of `brain.env` and `override.env`."""
    return Path(environ.get("BRAIN_CONFIG_DIR") or CONFIG_DIR)


def profile_names() -> tuple[str, ...]:
    """The profiles that come with the brain."""
    return tuple(sorted(path.stem for path in PROFILES.glob("*.env")))


def profile_layer(name: str) -> Layer:
    """The file of the profile `name`; its values all have the origin "profile NAME"."""
    layer = file_layer(PROFILES / f"{name}.env", strict=True) or Layer(strict=True)
    origin = f"profile {name}"
    return Layer(
        tuple(Assignment(a.name, a.value, origin) for a in layer.assignments),
        layer.problems,
        strict=True,
    )


def file_layer(path: Path, *, strict: bool) -> Layer | None:
    """The assignments of an env file, or None if there is no such file.

    A file that can't be read, or a line that isn't `NAME=VALUE`, is a problem and no more.
    """
    try:
        text = _text(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        line = f"{path} can't be read: {reason}"
        problem = Problem("error", "", line, str(path), file_unread=True)
        return Layer((), (problem,), strict)
    return parse(text, str(path), strict=strict)


def _text(path: Path) -> str:
    """Raises OSError, or `ValueError` with what is wrong with the file."""
    kind = path.stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a pipe would be waited for, for ever
        raise ValueError("it isn't a file")
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES >> 10} KiB")
    try:
        # utf-8-sig: an editor on Windows may have left a byte order mark.
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise ValueError("it isn't UTF-8 text") from None


def parse(text: str, origin: str, *, strict: bool) -> Layer:
    """The assignments in `text`, written as an env file; `origin` gets the line number added."""
    assignments: list[Assignment] = []
    problems: list[Problem] = []
    for binding in parse_stream(io.StringIO(text)):
        original = binding.original.string
        # A binding begins at the blank lines before it.
        blank = original[: len(original) - len(original.lstrip())].count("\n")
        where = f"{origin}:{binding.original.line + blank}"
        token = bool(_TOKEN.search(original))
        lost = token and not (binding.key or "").upper().startswith("BRAIN_TOKEN")
        if lost or binding.error or (binding.key is not None and binding.value is None):
            # The line itself isn't shown: it may hold a secret. That it was to be the token must be
            # known, though: without one the brain would be open to all.
            name = "BRAIN_TOKEN" if token else ""
            problems.append(Problem("error", name, f"{where} isn't of the form NAME=VALUE", where))
        elif binding.key is not None and binding.value is not None:
            assignments.append(Assignment(binding.key, binding.value, where))
    return Layer(tuple(assignments), tuple(problems), strict)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """The process environment; most of it is not ours."""
    return Layer(
        tuple(Assignment(name, value, ENVIRONMENT) for name, value in sorted(environ.items()))
    )


def flags_layer(flags: Iterable[Assignment]) -> Layer:
    """The command line."""
    return Layer(tuple(flags), (), strict=True)
