"""The model of Orpheus on another machine: a vLLM server, asked for token ids.

`POST /v1/completions` with a prompt of ids and `return_token_ids`, as in vLLM's API; `/tokenize`
beside it makes ids of a text. (Other servers give text alone, in which a token's edges are lost.)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from brain.engines.one_line import one_line
from brain.engines.ports import (
    CancelToken,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
)
from brain.engines.tts.orpheus.prompt import END_OF_SPEECH
from brain.engines.tts.orpheus.source import SAMPLING

_CONNECT_S = 5.0
_SHORT_S = 10.0
"""For an answer that takes no computing to speak of."""
_NOT_NOW = frozenset({401, 403, 404, 405, 502, 503, 504})
"""Statuses of a server that won't be of use to the next call either."""

_Made = Sequence[int] | EngineError | None


@dataclass(frozen=True)
class ServerSpeech:
    """`url` is the base of its API, mostly ending in /v1; `model` is asked for if the server lists
    it, else the first that it lists."""

    url: str
    model: str = ""
    sampling: Mapping[str, Any] = field(default_factory=lambda: SAMPLING)


class ServerTokens:
    """A `TokenSource`. Made by `load`."""

    def __init__(self, options: ServerSpeech, client: httpx2.AsyncClient) -> None:
        self._options = options
        self._client = client
        self._model = options.model
        self._reading: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def load(cls, options: ServerSpeech) -> ServerTokens:
        """Reach the server and find the model there. Raises `EngineUnavailable`."""
        # (To read the certificates takes a while, and no way leads from http to TLS.)
        plain = options.url.startswith("http://")
        certificates = False if plain else await asyncio.to_thread(httpx2.create_ssl_context)
        timeout = httpx2.Timeout(None, connect=_CONNECT_S)
        source = cls(options, httpx2.AsyncClient(verify=certificates, timeout=timeout))
        try:
            await source._find_model()
            # An API without it is no vLLM.
            await source.tokenize("tara: Hello.")
        except EngineError as error:
            await source.close()
            raise EngineUnavailable(str(error)) from error
        except BaseException:
            await source.close()
            raise
        return source

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("server", self._model, "remote")

    async def tokenize(self, text: str) -> list[int]:
        """As `TokenSource.tokenize`. Asks the server."""
        url = self._options.url.rstrip("/").removesuffix("/v1")
        valid = text.encode("utf-8", "replace").decode("utf-8")
        body = {"model": self._model, "prompt": valid, "add_special_tokens": False}
        told = await self._answer("POST", f"{url}/tokenize", body)
        ids = told.get("tokens")
        if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
            raise EngineUnavailable(f"{self._place}: its /tokenize isn't vLLM's.")
        return ids

    async def stream(
        self, prompt: Sequence[int], *, max_tokens: int, cancel: CancelToken
    ) -> AsyncGenerator[Sequence[int], None]:
        """As `TokenSource.stream`. The end of the iterator closes the connection, and with it ends
        the server's work."""
        if self._closed:
            raise EngineUnavailable("Orpheus is closed.")
        cancel.raise_if_cancelled()
        body = {
            **self._options.sampling,
            "model": self._model,
            "prompt": list(prompt),
            "max_tokens": max_tokens,
            "stop_token_ids": [END_OF_SPEECH],
            "stream": True,
            "return_token_ids": True,
        }
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[_Made] = asyncio.Queue()
        reading = asyncio.ensure_future(self._read(body, made))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        reading.add_done_callback(lambda _: made.put_nowait(None))

        def stop() -> None:
            with suppress(RuntimeError):  # The loop is closed: nothing is read any more.
                loop.call_soon_threadsafe(reading.cancel)

        cancel.on_cancel(stop)
        try:
            while (item := await made.get()) is not None:
                cancel.raise_if_cancelled()
                if isinstance(item, EngineError):
                    raise item
                yield item
            cancel.raise_if_cancelled()
            if reading.cancelled():
                raise EngineUnavailable("Orpheus is closed.")
        finally:
            reading.cancel()

    async def reset(self) -> None:
        """As `TokenSource.reset`. The server's model is its own: what is under way is broken off,
        and the server looked for."""
        await self._break_off()
        await self._find_model()

    async def close(self) -> None:
        """As `TokenSource.close`."""
        self._closed = True
        await self._break_off()
        await self._client.aclose()

    async def _break_off(self) -> None:
        for reading in list(self._reading):
            reading.cancel()
        if self._reading:
            await asyncio.wait(set(self._reading))

    async def _find_model(self) -> None:
        told = await self._answer("GET", f"{self._options.url.rstrip('/')}/models")
        listed = told.get("data")
        names = [one.get("id") for one in listed] if isinstance(listed, list) else []
        names = [name for name in names if isinstance(name, str)]
        if not names:
            raise EngineUnavailable(f"{self._place} lists no model: is it a vLLM server?")
        self._model = self._options.model if self._options.model in names else names[0]

    async def _answer(self, method: str, url: str, body: object = None) -> Mapping[str, Any]:
        """A short answer of the server, a JSON object. Raises `EngineUnavailable`."""
        if self._closed:
            raise EngineUnavailable("Orpheus is closed.")
        try:
            answer = await asyncio.wait_for(self._client.request(method, url, json=body), _SHORT_S)
            if answer.status_code != httpx2.codes.OK:
                raise EngineUnavailable(self._refusal(answer.status_code, answer.text))
            told = answer.json()
        except asyncio.TimeoutError:
            raise EngineUnavailable(f"{self._place} didn't answer in {_SHORT_S:g} s.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise self._unreachable(error) from error
        if not isinstance(told, dict):
            raise EngineUnavailable(f"{self._place} is no vLLM server.")
        return told

    async def _read(self, body: Mapping[str, Any], made: asyncio.Queue[_Made]) -> None:
        url = f"{self._options.url.rstrip('/')}/completions"
        begun = ended = False
        try:
            async with self._client.stream("POST", url, json=body) as answer:
                if answer.status_code != httpx2.codes.OK:
                    await answer.aread()
                    status = answer.status_code
                    refused = EngineUnavailable if status in _NOT_NOW else EngineFailed
                    made.put_nowait(refused(self._refusal(status, answer.text)))
                    return
                async for line in answer.aiter_lines():
                    if line == "data: [DONE]":
                        ended = True
                        break
                    if ids := _ids(line):
                        begun = True
                        made.put_nowait(ids)
            if not ended:
                made.put_nowait(EngineFailed(f"{self._place} ended its stream before the end."))
        except EngineError as error:
            made.put_nowait(error)
        except (httpx2.HTTPError, OSError) as error:
            if begun:
                made.put_nowait(EngineFailed(f"{self._place} broke off ({_why(error)})."))
            else:
                made.put_nowait(self._unreachable(error))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            told = f"{self._place} sent what can't be read ({_why(error)})."
            made.put_nowait(EngineFailed(told))

    @property
    def _place(self) -> str:
        parts = urlsplit(self._options.url)
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        return f"ORPHEUS_URL={shown}"

    def _refusal(self, status: int, told: str) -> str:
        return f"{self._place} refuses (status {status}): {one_line(told) or 'no word why'}"

    def _unreachable(self, error: Exception) -> EngineUnavailable:
        return EngineUnavailable(
            f"{self._place} can't be reached ({_why(error)}): is the server running there?"
        )


def _ids(line: str) -> list[int]:
    """Token ids of one line of the stream, none for a line of another kind. Raises `EngineFailed`,
    and whatever comes of reading what isn't vLLM's."""
    if not line.startswith("data:"):
        return []
    told = json.loads(line.removeprefix("data:"))
    if "error" in told:
        raise EngineFailed(f"The server of Orpheus failed: {one_line(str(told['error']))}")
    choices = told.get("choices") or [{}]
    ids = choices[0].get("token_ids")
    if ids is None and choices[0].get("text"):
        raise EngineFailed(
            "The server of Orpheus gives text and no token ids: ORPHEUS_URL is a vLLM server, and "
            "not too old a one."
        )
    return [int(token) for token in ids or () if token != END_OF_SPEECH]


def _why(error: Exception) -> str:
    return one_line(str(error)) or type(error).__name__
