"""An OpenAI-compatible server: where it is, whether it is there, and what it serves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import openai

from brain.engines.llm.openai_errors import NOBODY_THERE, engine_error, shown
from brain.engines.ports import (
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
)

_CONNECT_S = 5.0
_LIST_S = 10.0
_PROBE_S = 2.0
# Servers without a list of models.
_NO_LIST = frozenset({404, 405, 501})


@dataclass(frozen=True)
class OpenAIOptions:
    """Where the server is, and how its model is asked.

    `url` is the base of its API, mostly ending in /v1. `model` "": the first that it lists.
    `api_key` "": none is sent. `max_tokens`: of an answer.
    """

    url: str
    model: str = ""
    api_key: str = ""
    temperature: float = 0.7
    max_tokens: int = 512


async def probe(options: OpenAIOptions) -> None:
    """Is the server there? Cheap, and it disturbs nothing. Raises `EngineUnavailable`.

    Any answer will do but that of a proxy with nobody behind it, and that of a server which is
    still loading. The list of models is not asked for: llama-cpp-python's server breaks off a reply
    under way for it, if it is asked with GET.
    """
    try:
        await asyncio.to_thread(_look, f"{shown(options.url).rstrip('/')}/models")
    except HTTPError as error:
        error.close()
        if error.code in NOBODY_THERE:
            raise EngineUnavailable(
                f"OPENAI_URL={shown(options.url)} doesn't serve now (status {error.code})."
            ) from None
    except (OSError, ValueError, HTTPException) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise EngineUnavailable(
            f"OPENAI_URL={shown(options.url)} can't be reached ({why}): is the server running "
            "there?"
        ) from None


def _look(url: str) -> None:
    # The settings allow http and https alone.
    with urlopen(Request(url, method="HEAD"), timeout=_PROBE_S):  # noqa: S310
        pass


def connected(options: OpenAIOptions) -> openai.AsyncOpenAI:
    """The client for this server; nothing is sent yet. Reads certificates, so: on a thread.

    Raises `EngineUnavailable` if the address is none.
    """
    # To read the certificates takes up to a second. (And no way leads from http to TLS.)
    plain = options.url.startswith("http://")
    try:
        return openai.AsyncOpenAI(
            base_url=options.url,
            # (It takes None for the environment's, and refuses ""; see `headers`.)
            api_key=options.api_key or "none",
            timeout=openai.Timeout(None, connect=_CONNECT_S),
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(verify=False, follow_redirects=False)
            if plain
            else None,
        )
    except Exception as error:
        # (For a bad address its HTTP library has errors of its own, of no common class.)
        place = shown(options.url)
        raise EngineUnavailable(f"OPENAI_URL={place} is no address: {error}") from error


def headers(options: OpenAIOptions) -> dict[str, str | openai.Omit]:
    """Those of every request: without a key no header tells one; and no connection is kept.

    A server may close a kept one just as the next question is on its way; llama-cpp-python's does
    so after each error. In a local network a new one costs nothing to speak of.
    """
    key: dict[str, str | openai.Omit] = {} if options.api_key else {"Authorization": openai.omit}
    return {"Connection": "close", **key}


async def models(client: openai.AsyncOpenAI, options: OpenAIOptions) -> list[str]:
    """The names of the models that the server lists; none if it has no list but we have a name.

    Raises `EngineUnavailable`.
    """
    try:
        answer = await client.get(
            "/models",
            cast_to=object,
            options={"timeout": _LIST_S, "headers": headers(options)},
        )
    except openai.APIStatusError as error:
        if error.status_code in _NO_LIST and options.model:
            return []
        raise _unavailable(engine_error(error, options.url, model=options.model)) from error
    except (openai.APIError, ValueError) as error:
        raise _unavailable(engine_error(error, options.url)) from error
    entries = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise EngineUnavailable(
            f"OPENAI_URL={shown(options.url)} is no OpenAI-compatible server: its /models is "
            "something else."
        )
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]


def _unavailable(error: EngineError) -> EngineError:
    """A server that can't be asked for its models, for whatever reason, isn't there for us."""
    if isinstance(error, (EngineBusy, EngineFailed, EngineTimeout)):
        return EngineUnavailable(str(error))
    return error
