"""Taking secrets out of any text: those that this machine has, and what looks like one."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from pydantic import SecretStr

from brain.ops.doctor.local_brain import CREDENTIALS
from brain.settings import SPECS, Settings
from brain.settings.layers import config_dir
from brain.settings.load import layers_above_the_profile

MASK = "***"
_MOST_BYTES = 1 << 20
"""Of a file of secrets; the brain takes a smaller one."""
_SECRET_NAME = re.compile(r"TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_PASSWORD = re.compile(r"\w+://[^/\s:@]*:([^/\s@]+)@")
_LOOKS = (
    # In an address: ?token=…, and user:password@host.
    (re.compile(r"([?&](?:token|key|api_key|access_token)=)[^&\s\"'<>]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"(\w+://[^/\s:@]*:)[^/\s@]+@"), r"\1***@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{4,}", re.IGNORECASE), r"\1 ***"),
    # As the hub, OpenAI and GitHub make theirs.
    (re.compile(r"\b(?:hf_|sk-|ghp_|github_pat_)[\w-]{8,}"), MASK),
    # NAME=value and "NAME": "value", of a name that says so.
    (
        re.compile(
            r"(\b\w*(?:TOKEN|API_KEY|SECRET|PASSWORD|PASSWD)[\"']?\s*[=:]\s*[\"']?)"
            r"(?![*{\[])[^\s\"',;]+"
        ),
        r"\1***",
    ),
    (re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(-----END|\Z)", re.DOTALL), MASK),
)


class Redactor:
    """Takes given secrets, and what looks like one, out of texts. Longest first: one may be a part
    of another."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._secrets = sorted(forms, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """`text` with a mask in place of each."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for pattern, replacement in _LOOKS:
            text = pattern.sub(replacement, text)
        return text


def secrets_of(settings: Settings, environ: Mapping[str, str]) -> set[str]:
    """Every secret that this machine's settings hold, in force or not."""
    found = set()
    for spec in SPECS.values():
        value = getattr(settings, spec.attribute)
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
        elif isinstance(value, str):
            found |= set(_passwords(value))
    for layer in layers_above_the_profile((), environ, config_dir(environ), Path()):
        for one in layer.assignments:
            if _is_secret(one.name):
                found |= set(_from(one.name, one.value))
            found |= set(_passwords(one.value))
    # Several may be given, separated by commas.
    found |= {part.strip() for value in tuple(found) for part in value.split(",")}
    return {secret for secret in found if secret} | set(_credentials(environ))


def _is_secret(name: str) -> bool:
    """Whether a setting holds a secret, or names a file that does; of an unknown name, whether it
    looks so: a typo makes no secret public."""
    spec = SPECS.get(name)
    if spec is not None and spec.secret:
        return True
    looks = _SECRET_NAME.search(name) is not None
    return looks and (spec is None or name.endswith("_FILE"))


def _from(name: str, value: str) -> Iterator[str]:
    """A setting's value; of one that names a file, what is in it."""
    if name.endswith("_FILE"):
        yield from _lines(Path(value))
    elif not value.isdecimal() or len(value) >= 6:  # "MAX_TOKENS=256" is none
        yield value


def _passwords(value: str) -> Iterator[str]:
    """Those in addresses (redis://:password@host), as they stand there and as they are meant."""
    for password in _PASSWORD.findall(value):
        yield password
        yield unquote(password)


def _credentials(environ: Mapping[str, str]) -> Iterator[str]:
    for folder in (CREDENTIALS, Path(environ.get("CREDENTIALS_DIRECTORY") or os.devnull)):
        with contextlib.suppress(OSError):
            for file in sorted(folder.iterdir()):
                yield from _lines(file)


def _lines(file: Path) -> Iterator[str]:
    try:
        if not file.is_file():  # a pipe would be waited for, for ever
            return
        with file.open("rb") as secrets:
            text = secrets.read(_MOST_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return
    for line in text.splitlines():
        for part in line.split(","):
            if part.strip() and not line.lstrip().startswith("#"):
                yield part.strip()


def _forms(secret: str) -> Iterator[str]:
    """As it stands, as in an address, as in JSON."""
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
