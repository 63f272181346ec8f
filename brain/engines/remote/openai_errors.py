"""What goes wrong with an OpenAI-compatible server, as the errors of the ports.

Statuses as in OpenAI's API reference and the servers that follow it. The server's own words are
passed on, short and on one line, but nothing in them that was said in the conversation (the errors
of ports are logged); and never those about the key, which may hold the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import openai

from brain.engines.one_line import one_line
from brain.engines.ports import (
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
)
from brain.engines.remote.openai_address import OpenAIServer, shown

_LEAST_QUOTE = 4
_BUSY = frozenset({429, 503})
# Of a proxy in front of a server that is down.
_NOBODY_THERE = frozenset({502, 504})
REFUSES_THE_KEY = frozenset({401, 403})


def engine_error(
    error: Exception,
    server: OpenAIServer,
    *,
    model: str = "",
    begun: bool = False,
    private: Sequence[str] = (),
) -> EngineError:
    """The port's error for what the client of `server` raised.

    `model` is the one that was asked. `begun`: a part of the reply had come. `private`: what has
    no place in an error.
    """
    place = shown(server.url)
    told = words(error) if isinstance(error, openai.APIError) else str(error)
    told = one_line(_without(private, told))
    if isinstance(error, openai.APIStatusError):
        return _refusal(error.status_code, server, model, told)
    if isinstance(error, openai.APIConnectionError):
        if begun:
            return EngineFailed(f"The server at {place} broke off in the middle of its reply.")
        slow = isinstance(error, openai.APITimeoutError)
        why = "it doesn't answer" if slow else str(error.__cause__ or error) or "no connection"
        return EngineUnavailable(
            f"{server.place} can't be reached ({one_line(why)}): is the server running there?"
        )
    if isinstance(error, openai.APIError):  # in the midst of the stream
        return EngineFailed(f"The server at {place} failed: {told}")
    if isinstance(error, (ValueError, RecursionError)):  # no JSON, no UTF-8, no chunk; or too deep
        return EngineFailed(f"The server at {place} sent what can't be read: {told}")
    return EngineFailed(f"The call of {place} failed: {type(error).__name__}: {told}")


def words(error: openai.APIError) -> str:
    """What the server said, as it said it."""
    body: Any = error.body
    while isinstance(body, Mapping):
        told = next((body[key] for key in ("error", "message", "detail") if body.get(key)), None)
        if told is None:
            break
        body = told
    if isinstance(body, str):
        return body
    try:
        return json.dumps(body, ensure_ascii=False) if body else error.message
    except RecursionError:  # what could just be read may be too deep to be written
        return error.message


def refused_key(status: int, server: OpenAIServer) -> EngineUnavailable:
    """That `server` doesn't take the key."""
    return EngineUnavailable(
        f"{server.place} refuses the key (status {status}): set OPENAI_API_KEY to one that "
        "this server knows."
    )


def _refusal(status: int, server: OpenAIServer, model: str, said: str) -> EngineError:
    place = shown(server.url)
    if status in REFUSES_THE_KEY:
        return refused_key(status, server)
    if status == 404:
        return EngineUnavailable(
            f"{server.place} doesn't know this address or the model {model or '?'}: does the "
            f"address end as it should (often /v1), and is {server.model_name} served there? It "
            f"said: {said}"
        )
    if status in _BUSY:
        return EngineBusy(f"The server at {place} is busy: try again in a moment. It said: {said}")
    if status in _NOBODY_THERE:
        return EngineUnavailable(f"Nobody answers behind {server.place} (status {status}).")
    if status == 408:
        return EngineTimeout(f"The server at {place} took too long for itself. It said: {said}")
    return EngineFailed(f"The server at {place} refused (status {status}): {said}")


def _without(private: Sequence[str], text: str) -> str:
    """`text` with what is private left out, also where it is quoted as JSON or as Python does."""
    for said in private:
        for form in {said, json.dumps(said)[1:-1], repr(said)[1:-1]}:
            if len(form) >= _LEAST_QUOTE:
                text = text.replace(form, "…")
    return text
