"""A scripted server that speaks OpenAI's chat completions, for what no server at hand can do.

It is no stand-in for a real one (`openai_real_server` is that): it says what its script has, breaks
off where the script says so, and keeps what it was asked. On a loopback socket, HTTP/1.1, chunked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

DONE = "data: [DONE]\n\n"


class Cut:
    """The connection is reset."""


class Wait:
    """Nothing more is sent; it waits until the client goes away."""


Step = dict[str, Any] | str | Cut | Wait


@dataclass(frozen=True)
class Answer:
    """To one request. `steps`: chunks as dicts, raw text, or what befalls the connection; or, where
    `body` isn't None, a plain JSON answer with this status; `none`: the connection is reset."""

    steps: Sequence[Step] = ()
    status: int = 200
    body: Any = None
    none: bool = False


def says(*pieces: str, end: str = "stop") -> Answer:
    """A reply in these pieces of text."""
    return Answer([*({"content": piece} for piece in pieces), end_with(end), DONE])


def refuses(status: int, message: str) -> Answer:
    return Answer(status=status, body={"error": {"message": message, "type": "x", "code": None}})


def end_with(reason: str) -> str:
    return _event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def _event(chunk: Any) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


@dataclass
class ScriptedServer:
    """`answer` gives the answer to a parsed body of `POST /chat/completions`. `models` None: there
    is no list of models. `asked` keeps the bodies, `heads` all request lines with their headers.
    `reached` is set with the first of them, `left` when a client has gone away before the end of
    an answer."""

    answer: Callable[[dict[str, Any]], Answer] = lambda _: says("Hello.")
    models: Sequence[str] | None = ("scripted-model",)
    key: str = ""
    status: int = 200
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    listener: asyncio.Server | None = None

    def close(self) -> int:
        """Nobody listens any more; the port."""
        assert self.listener is not None
        port: int = self.listener.sockets[0].getsockname()[1]
        self.listener.close()
        return port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                self.heads.append((head[0], fields))
                answer = self._answer(head[0], fields, body)
                if answer.none:
                    writer.transport.abort()
                    return
                if answer.body is not None:
                    _plain(writer, answer, bare=head[0].startswith("HEAD"))
                elif not await self._stream(reader, writer, answer):
                    return
                await writer.drain()
        writer.close()

    def _answer(self, line: str, fields: dict[str, str], body: bytes) -> Answer:
        method, path, _ = line.split(" ")
        if self.status != 200:
            return refuses(self.status, "Not now.")
        if self.key and fields.get("authorization") != f"bearer {self.key}":
            return refuses(401, f"Incorrect API key provided: {fields.get('authorization')}.")
        if path == "/v1/models":
            if self.models is None:
                return refuses(404, "Not Found")
            return Answer(body={"object": "list", "data": [{"id": m} for m in self.models]})
        if (method, path) != ("POST", "/v1/chat/completions"):
            return refuses(404, "Not Found")
        asked = json.loads(body)
        self.asked.append(asked)
        self.reached.set()
        return self.answer(asked)

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer
    ) -> bool:
        """Whether the connection is to be kept."""
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for step in answer.steps:
            if isinstance(step, Cut):
                await writer.drain()
                writer.transport.abort()
                return False
            if isinstance(step, Wait):
                await writer.drain()
                try:
                    # The client has nothing to say before it has its answer.
                    while await reader.read(1024):
                        pass
                finally:
                    self.left.set()
                writer.close()
                return False
            text = step if isinstance(step, str) else _event(_chunk(step))
            data = text.encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        writer.write(b"0\r\n\r\n")
        return True


def _chunk(delta: dict[str, Any]) -> dict[str, Any]:
    """A whole chunk as it is, a delta in its chunk."""
    if "choices" in delta or "error" in delta or "object" in delta:
        return delta
    return {
        "id": "x",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


def _plain(writer: asyncio.StreamWriter, answer: Answer, *, bare: bool) -> None:
    data = json.dumps(answer.body).encode()
    writer.write(
        f"HTTP/1.1 {answer.status} X\r\ncontent-type: application/json\r\n"
        f"content-length: {len(data)}\r\n\r\n".encode()
    )
    if not bare:
        writer.write(data)


@asynccontextmanager
async def a_server(
    *answers: Answer | Callable[[dict[str, Any]], Answer],
    tls: ssl.SSLContext | None = None,
    **more: Any,
) -> AsyncIterator[ScriptedServer]:
    """One that gives these answers in order, the last one for ever; or what a function says."""
    script = list(answers) or [says("Hello.")]

    def answer(asked: dict[str, Any]) -> Answer:
        entry = script.pop(0) if len(script) > 1 else script[0]
        return entry if isinstance(entry, Answer) else entry(asked)

    scripted = ScriptedServer(answer, **more)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(scripted.serve(reader, writer))
        serving.add(task)
        # (Awaited below; asyncio would complain of a handler that is cancelled.)
        await asyncio.wait({task})

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scripted.listener = server
    scripted.url = (
        f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    )
    try:
        yield scripted
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
