"""Asking the brain that runs on this machine, as a robot would: over HTTP, with its token."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from brain.ops.doctor.facts import RunningBrain
from brain.settings import Settings
from brain.settings.access import Access, access_of

CREDENTIALS = Path("/run/credentials/brain.service")
_MOST_BYTES = 4 << 20
_NO_SENSE = (ValueError, RecursionError, http.client.HTTPException)
"""What comes of an answer that isn't HTTP, JSON, or an address that is none."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - not bound to


def address(settings: Settings) -> str:
    """Where a brain with these settings is reached from its own machine."""
    way_in = access(settings)
    host = "" if way_in.local_only else settings.server_host
    host = _ANY.get(host, f"[{host}]" if ":" in host else host)
    secure = "s" if way_in.tls is not None else ""
    return f"http{secure}://{host}:{settings.server_port}"


def token(settings: Settings) -> str:
    """A token that the brain takes; "" where it asks for none, or none can be had."""
    return next(iter(access(settings).tokens), "")


def access(settings: Settings) -> Access:
    """Who may come in to the service: while it runs, its credentials are for root's eyes, too."""
    environ = dict(os.environ)
    if os.access(CREDENTIALS, os.X_OK):
        environ.setdefault("CREDENTIALS_DIRECTORY", str(CREDENTIALS))
    return access_of(settings, environ)


def unchecked_tls() -> ssl.SSLContext:
    """For the way to this very machine: its certificate is made out to another name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def look(settings: Settings, *, patience_s: float = 5.0) -> RunningBrain:
    """What answers at this brain's address, within `patience_s` a question. Never raises.

    A brain that was started before TLS was set, or before its key was lost, is found as well.
    """
    base = address(settings)
    found = _look(settings, base, patience_s)
    if found.is_a == "other" and settings.tls_cert:
        plain = base.startswith("http:")
        other = base.replace("http:", "https:") if plain else base.replace("https:", "http:")
        as_it_was = _look(settings, other, patience_s)
        return as_it_was if as_it_was.is_a == "brain" else found
    return found


def _look(settings: Settings, base: str, patience_s: float) -> RunningBrain:
    try:
        status, ready = _get(settings, f"{base}/ready", patience_s)
    except (*_NO_SENSE, ssl.SSLError) as error:
        return RunningBrain(base, "other", f"it doesn't answer as a brain: {error}")
    except urllib.error.URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError)
        reason = "nobody listens there" if refused else str(error.reason)
        is_other = isinstance(error.reason, TimeoutError | ssl.SSLError)
        return RunningBrain(base, "other" if is_other else "none", reason)
    except OSError as error:  # it listens, and says nothing or leaves
        return RunningBrain(base, "other", f"it doesn't answer: {error}")
    if status == 429:
        return RunningBrain(base, "busy", "this machine asks it more often than REQUESTS_PER_S")
    engines = ready.get("engines")
    if not isinstance(engines, dict) or not all(isinstance(e, dict) for e in engines.values()):
        return RunningBrain(base, "other", "what answers there isn't a brain")
    return RunningBrain(
        base, "brain", ready=ready, health=_asked(settings, f"{base}/health", patience_s) or {},
        sessions=_asked(settings, f"{base}/sessions", patience_s),
    )  # fmt: skip


def _asked(settings: Settings, url: str, patience_s: float) -> dict[str, Any] | None:
    try:
        status, body = _get(settings, url, patience_s)
    except (OSError, *_NO_SENSE):
        return None
    return body if status in (200, 503) else None


def _get(settings: Settings, url: str, patience_s: float) -> tuple[int, dict[str, Any]]:
    """Status and JSON object. Raises OSError, and one of `_NO_SENSE` for anything else."""
    headers = {"Authorization": f"Bearer {shown}"} if (shown := token(settings)) else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - our own
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked_tls())
    )
    try:
        with opener.open(request, timeout=patience_s) as answer:
            return _status_and_object(answer.status, answer.read(_MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return _status_and_object(error.code, error.read(_MOST_BYTES))


def _status_and_object(status: int, body: bytes) -> tuple[int, dict[str, Any]]:
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - of the content
    return status, document
