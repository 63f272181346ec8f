"""A server that answers as vLLM's API does, by a script: for faults and for timing.

The real one is in `tests/vllm`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Step = Sequence[int] | str | None
"""Token ids of one chunk; a line as it stands; None: nothing more, and the connection stays."""


@dataclass
class ScriptedVllm:
    """`steps` are what `/v1/completions` streams, if `status` is 200; else `told` is its body.
    `asked` are the bodies that came, by path."""

    steps: Sequence[Step] = ()
    status: int = 200
    told: str = ""
    models: Any = field(default_factory=lambda: {"data": [{"id": "first"}, {"id": "second"}]})
    tokens: Any = field(default_factory=lambda: {"tokens": [7, 8]})
    url: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """The client of a stream that stays open has gone."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.decode().split(" ", 2)
                length = [
                    int(line.split(":")[1])
                    for line in head.decode().split("\r\n")
                    if line.lower().startswith("content-length:")
                ]
                body = json.loads(await reader.readexactly(length[0])) if sum(length) else None
                self.asked.append((path, body))
                if path == "/v1/completions" and self.status == 200:
                    await self._stream(reader, writer)
                    return
                if path == "/v1/completions":
                    _whole(writer, self.status, self.told)
                else:
                    _whole(writer, 200, json.dumps(self.models if method == "GET" else self.tokens))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for step in self.steps:
            if step is None:
                await writer.drain()
                assert await reader.read(1) == b""
                self.left.set()
            elif isinstance(step, str):
                writer.write(f"{step}\n\n".encode())
            else:
                chunk = {"choices": [{"text": "x", "token_ids": list(step)}]}
                writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()


def _whole(writer: asyncio.StreamWriter, status: int, body: str) -> None:
    data = body.encode()
    writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


@asynccontextmanager
async def scripted(**script: Any) -> AsyncIterator[ScriptedVllm]:
    """On loopback, until left."""
    made = ScriptedVllm(**script)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield made
    finally:
        server.close()
