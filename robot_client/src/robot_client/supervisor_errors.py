"""Why a supervisor's request came to nothing, as exceptions; and answers turned into them."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx

from robot_client.reconnect import MAX_RETRY_AFTER_S


class SupervisorError(Exception):
    """Why a request came to nothing. `str()` is one line for a person."""


class Busy(SupervisorError):
    """The brain has no room at the moment; ask again after `retry_after_s` seconds."""

    def __init__(self, code: str, retry_after_s: float) -> None:
        super().__init__(f"{code}: the brain has no room; ask again in {retry_after_s:g} s")
        self.code = code
        self.retry_after_s = retry_after_s


class Timeout(SupervisorError):
    """No answer in time: by the brain's limit ("llm_timeout") or by ours ("no_answer")."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code


class Refused(SupervisorError):
    """The request can't be served as it stands, and asking again won't help.

    `field` names what is wrong with it where the brain says so.
    """

    def __init__(self, status: int, field: str, why: str) -> None:
        super().__init__(f"refused ({status}): {f'{field}: ' if field else ''}{why}")
        self.status = status
        self.field = field
        self.why = why


class Failed(SupervisorError):
    """The brain tried, and something behind it failed: "llm_error", "tts_unavailable", …"""

    def __init__(self, status: int, code: str, why: str = "") -> None:
        super().__init__(f"{code} ({status}){f': {why}' if why else ''}")
        self.status = status
        self.code = code


class Unreachable(SupervisorError):
    """There is no brain at this address, or the connection to it broke."""


@contextmanager
def as_supervisor_errors(address: str) -> Iterator[None]:
    """Turn what the HTTP library raises into ours."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise Unreachable(f"no brain at {address}: no connection in time") from error
    except (httpx.TimeoutException, asyncio.TimeoutError) as error:
        raise Timeout("no_answer", f"nothing came from {address} in time") from error
    except httpx.HTTPError as error:
        raise Unreachable(f"no brain at {address}: {str(error) or type(error).__name__}") from error


def raise_for(status: int, headers: Mapping[str, str], content: bytes) -> NoReturn:
    """Raise what an answer other than 200 stands for: its status, its `error`, its `detail`."""
    body = _object(content)
    detail = body.get("detail")
    why = detail if isinstance(detail, str) else json.dumps(detail) if detail else ""
    code = str(body.get("error") or why or f"http_{status}")
    if status == 429 or code.startswith("tts_busy"):
        raise Busy(code, _retry_after(headers))
    if status == 504:
        raise Timeout(code, why)
    if status in (400, 401, 403, 404, 405, 413, 415, 422):
        raise Refused(status, *_field(status, body, why or code))
    raise Failed(status, code, "" if why == code else why)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds; one where the brain doesn't say, or gives a date."""
    try:
        seconds = float(headers.get("Retry-After", "1"))
    except ValueError:
        return 1.0
    return min(MAX_RETRY_AFTER_S, max(0.0, seconds)) if math.isfinite(seconds) else 1.0


def _field(status: int, body: Mapping[str, Any], why: str) -> tuple[str, str]:
    """Which field is refused and why, as this brain writes it or as FastAPI does."""
    if status in (401, 403):
        return "token", why
    detail = body.get("detail")
    first = detail[0] if isinstance(detail, list) and detail else None
    if isinstance(first, dict):
        place = [str(part) for part in first.get("loc", ()) if part != "body"]
        return ".".join(place), str(first.get("msg", why))
    if isinstance(field := body.get("field"), str):
        return field, why
    name, colon, rest = why.partition(":")
    if colon and name and not set(name) & set(" \"'"):
        return name, rest.strip()
    return "", why
