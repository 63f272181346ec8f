"""An OpenAI-compatible server: where it is, whether it is there, and what it serves."""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl

import httpx2
import openai

from brain.engines.one_line import one_line
from brain.engines.ports import (
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
)
from brain.engines.remote.openai_address import OpenAIServer
from brain.engines.remote.openai_errors import REFUSES_THE_KEY, engine_error, refused_key

_log = logging.getLogger(__name__)

_CONNECT_S = 5.0
_LIST_S = 10.0
_PROBE_S = 2.0
# Servers without a list of models, or without HEAD: vLLM's and llama-cpp-python's (405), those of
# Python's own library (501).
_NO_LIST = frozenset({404, 405, 501})
_BUSY = 429


async def probe(server: OpenAIServer) -> None:
    """Is the server there, and does it serve us? Cheap, and it disturbs nothing.

    Raises `EngineUnavailable`. Judged by the status alone: one that is busy is there, and so is one
    without a list of models, or that knows no HEAD. The list isn't asked for with GET:
    llama-cpp-python's server breaks off a reply under way for it.
    """
    try:
        status = await asyncio.wait_for(_look(server), _PROBE_S)
    except asyncio.TimeoutError:
        raise _silent(server, _PROBE_S) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        why = one_line(str(error)) or type(error).__name__
        raise EngineUnavailable(
            f"{server.place} can't be reached ({why}): is the server running there?"
        ) from None
    if status in REFUSES_THE_KEY:
        raise refused_key(status, server)
    if not (200 <= status < 300 or status in _NO_LIST or status == _BUSY):
        raise EngineUnavailable(f"{server.place} doesn't serve now (status {status}).")


async def _look(server: OpenAIServer) -> int:
    """The status of the list of models, asked for as the mind's client would, but with HEAD.

    Not on a thread: whoever cancels this ends it, however slowly the server answers.
    """
    plain = server.url.startswith("http://")
    key = {"Authorization": f"Bearer {server.api_key}"} if server.api_key else {}
    async with httpx2.AsyncClient(
        verify=False if plain else await asyncio.to_thread(_certificates),
        follow_redirects=not plain,
        timeout=None,
    ) as client:
        url = f"{server.url.rstrip('/')}/models"
        answer = await client.head(url, headers={"Connection": "close", **key})
        status: int = answer.status_code
        return status


@functools.cache
def _certificates() -> ssl.SSLContext:
    """To read them takes a while, and a probe makes a client every few seconds."""
    return httpx2.create_ssl_context()


def connected(server: OpenAIServer) -> openai.AsyncOpenAI:
    """The client for this server; nothing is sent yet. Reads certificates, so: on a thread.

    Raises `EngineUnavailable` if the address is none.
    """
    # To read the certificates takes up to a second. (And no way leads from http to TLS.)
    plain = server.url.startswith("http://")
    try:
        return openai.AsyncOpenAI(
            base_url=server.url,
            # (It takes None for the environment's, and refuses ""; see `headers`.)
            api_key=server.api_key or "none",
            timeout=openai.Timeout(None, connect=_CONNECT_S),
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(verify=False, follow_redirects=False)
            if plain
            else None,
        )
    except Exception as error:
        # (For a bad address its HTTP library has errors of its own, of no common class.)
        raise EngineUnavailable(f"{server.place} is no address: {one_line(str(error))}") from error


def headers(server: OpenAIServer) -> dict[str, str | openai.Omit]:
    """Those of every request: without a key no header tells one; and no connection is kept.

    A server may close a kept one just as the next question is on its way; llama-cpp-python's does
    so after each error. In a local network a new one costs nothing to speak of.
    """
    key: dict[str, str | openai.Omit] = {} if server.api_key else {"Authorization": openai.omit}
    return {"Connection": "close", **key}


async def models(client: openai.AsyncOpenAI, server: OpenAIServer) -> list[str]:
    """The names of the models that the server lists; none if it has no list but we have a name.

    Raises `EngineUnavailable`.
    """
    try:
        asking = client.get("/models", cast_to=object, options={"headers": headers(server)})
        answer = await asyncio.wait_for(asking, _LIST_S)
    except asyncio.TimeoutError:
        raise _silent(server, _LIST_S) from None
    except openai.APIStatusError as error:
        if error.status_code in _NO_LIST and server.model:
            return []
        raise _unavailable(engine_error(error, server, model=server.model)) from error
    except (openai.APIError, httpx2.HTTPError, ValueError, RecursionError) as error:
        raise _unavailable(engine_error(error, server)) from error
    entries = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise EngineUnavailable(
            f"{server.place} is no OpenAI-compatible server: its /models is something else."
        )
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]


def _silent(server: OpenAIServer, seconds: float) -> EngineUnavailable:
    return EngineUnavailable(f"{server.place} didn't answer within {seconds:g} s.")


def _unavailable(error: EngineError) -> EngineError:
    """A server that can't be asked for its models, for whatever reason, isn't there for us."""
    if isinstance(error, (EngineBusy, EngineFailed, EngineTimeout)):
        return EngineUnavailable(str(error))
    return error


async def reached(server: OpenAIServer) -> tuple[openai.AsyncOpenAI, str]:
    """The client for `server`, and the model to ask for there: the one that is wanted, else the
    first that it lists. Raises `EngineUnavailable`."""
    # (Reading the certificates takes a while.)
    client = await asyncio.to_thread(connected, server)
    try:
        return client, await _model(client, server)
    except BaseException:
        await client.close()
        raise


async def _model(client: openai.AsyncOpenAI, server: OpenAIServer) -> str:
    listed = await models(client, server)
    model = server.model or next(iter(listed), "")
    if not model:
        raise EngineUnavailable(
            f"{server.place} lists no model: set {server.model_name} to one that it serves."
        )
    if model not in listed:
        # Some servers list no aliases, or none that is not in memory. Warming up will tell.
        some = one_line(", ".join(listed[:5])) or "none"
        _log.warning("%s=%s is not among the models listed: %s.", server.model_name, model, some)
    return model
