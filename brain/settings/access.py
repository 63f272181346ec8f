"""Who may come in, and how: the tokens and the certificate that the settings, files and systemd's
credentials give.

What can't be had fails closed. A brain that should have a token and hasn't lets nobody in, one that
should speak TLS and can't is reached from its own machine alone: there `/ready` says why.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import ssl
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from brain.settings.model import SPECS, Settings
from brain.settings.problem import Problem

CREDENTIAL = "brain-token"
"""The name of systemd's credential (`LoadCredential=`) that holds tokens as a file of them does."""

_NOBODY = "a brain that lets nobody in"
_LOCAL = "a brain for its own machine alone"
_MOST_BYTES = 64 << 10
_MARK = "has-token"
_TOKENS = ("BRAIN_TOKEN", "BRAIN_TOKEN_FILE")


@dataclass(frozen=True)
class Access:
    """`tokens`: any of them opens; none and not `locked`: everybody may come in.

    `locked`: nobody may, for tokens that were meant can't be had. `tls`: for the listening socket;
    None: plain. `local_only`: TLS was asked for and can't be had. `problems` say why.
    """

    tokens: tuple[str, ...] = ()
    locked: bool = False
    tls: ssl.SSLContext | None = None
    local_only: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def open_to_all(self) -> bool:
        return not self.tokens and not self.locked


def access_of(settings: Settings, environ: Mapping[str, str], *, had_tokens: bool = True) -> Access:
    """What the settings amount to. Reads files; never raises for what is in them.

    `had_tokens`: the start before had some (`had_tokens_before`), so that a settings file that
    can't be read now may have held them.

    Tokens come from `BRAIN_TOKEN`, the file `BRAIN_TOKEN_FILE`, and the credential `brain-token`,
    all together. (systemd before 250 has no `%d`, so the credential's folder is looked for here.)
    """
    typed = settings.brain_token.get_secret_value()
    tokens = [token for part in typed.split(",") if (token := part.strip())]
    problems = []
    if typed and not tokens:
        problems.append(_no_token("BRAIN_TOKEN", "has no token in it", settings))
    for source, path in _files(settings, environ):
        try:
            found = _listed(_text(path))
        except ValueError as error:
            problems.append(_no_token("BRAIN_TOKEN_FILE", f"{source}: {error}", settings))
            continue
        tokens += found
        if not found:
            reason = f"{source}: there is no token in it"
            problems.append(_no_token("BRAIN_TOKEN_FILE", reason, settings))
    if not tokens and not problems:
        problems += _lost_tokens(settings, had_tokens)
    tls, tls_problems = _tls(settings)
    return Access(
        tokens=tuple(dict.fromkeys(tokens)),
        locked=bool(problems) and not tokens,
        tls=tls,
        local_only=bool(tls_problems),
        problems=(*(_milder(problems) if tokens else problems), *tls_problems),
    )


# -- tokens ------------------------------------------------------------------------------------


def _files(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    if settings.brain_token_file:
        yield f"BRAIN_TOKEN_FILE={settings.brain_token_file}", Path(settings.brain_token_file)
    folder = environ.get("CREDENTIALS_DIRECTORY")
    # (Of a folder that can't be looked into, `exists` would say that nothing is there.)
    if folder and (not os.access(folder, os.X_OK) or (Path(folder) / CREDENTIAL).exists()):
        yield f"the credential {CREDENTIAL}", Path(folder) / CREDENTIAL


def _listed(text: str) -> list[str]:
    """The tokens in a file's text."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _text(path: Path) -> str:
    """Raises `ValueError` with what is wrong with the file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, for ever
            raise ValueError("it isn't a file")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it isn't UTF-8 text") from error


def _no_token(setting: str, message: str, settings: Settings) -> Problem:
    line = message if message.startswith(("BRAIN_", "the ")) else f"{setting} {message}"
    return Problem("error", setting, line, settings.origins[setting], _NOBODY)


def _milder(problems: list[Problem]) -> list[Problem]:
    """There are other tokens, which stay in force."""
    return [Problem(p.severity, p.setting, p.message, p.origin, "the others") for p in problems]


def had_tokens_before(state: Path) -> bool:
    """Whether the last start that could tell had tokens, by what it left in the state folder.

    So it is taken to have had where nobody can look.
    """
    try:
        return (state / _MARK).exists()
    except OSError:  # a folder that is closed to us, such as one that root made
        return True


def remember_tokens(access: Access, settings: Settings, state: Path) -> None:
    """Leave word for the next start. What can't be written is done without."""
    with contextlib.suppress(OSError):
        if access.tokens:
            state.mkdir(parents=True, exist_ok=True)
            (state / _MARK).touch()
        elif access.open_to_all and not any(p.file_unread for p in settings.problems):
            (state / _MARK).unlink(missing_ok=True)


def _lost_tokens(settings: Settings, had_tokens: bool) -> Iterator[Problem]:
    """Signs that a token was meant where none is in force: a name misspelt, a line that was no
    assignment, a whole file that could not be read where there used to be one."""
    for problem in settings.problems:
        near = difflib.get_close_matches(problem.setting.upper(), SPECS, n=1)
        unread = problem.file_unread and had_tokens
        if unread or problem.setting in _TOKENS or set(near) & set(_TOKENS):
            what = f"a token may have been meant, and none is in force: {problem.message}"
            yield Problem("error", "BRAIN_TOKEN", what, problem.origin, _NOBODY)
            return


# -- TLS ---------------------------------------------------------------------------------------


def _tls(settings: Settings) -> tuple[ssl.SSLContext | None, tuple[Problem, ...]]:
    if not settings.tls_cert and not settings.tls_key:
        return None, ()
    setting = "TLS_CERT" if settings.tls_cert else "TLS_KEY"
    try:
        return _context(settings.tls_cert, settings.tls_key), ()
    except ValueError as error:
        problem = Problem("error", setting, str(error), settings.origins[setting], _LOCAL)
        return None, (problem,)


def _context(cert: str, key: str) -> ssl.SSLContext:
    """Raises `ValueError` with what is wrong."""
    if not cert:
        raise ValueError(f"TLS_KEY={key}: TLS_CERT, its certificate, isn't set")
    _check_readable("TLS_CERT", cert)
    if key:
        _check_readable("TLS_KEY", key)

    def no_password() -> str:  # without it, OpenSSL asks for one at the terminal
        raise ValueError(f"TLS_KEY={key or cert}: the key has a password; take that off")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key or None, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"TLS_KEY={key}: it isn't the key of {cert}") from error
        where = f"TLS_CERT={cert}" + (f", TLS_KEY={key}" if key else "")
        what = "a certificate and its key in PEM form were expected"
        raise ValueError(f"{where}: {what} ({error.reason or 'unreadable'})") from error
    return context


def _check_readable(setting: str, path: str) -> None:
    """OpenSSL doesn't say which of the files is the matter, and why. Raises `ValueError`."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ValueError(f"{setting}={path}: it isn't a file")
        Path(path).open("rb").close()
    except OSError as error:
        raise ValueError(f"{setting}={path}: can't be read: {error.strerror}") from error
