"""A scripted brain's HTTP side on a real loopback socket. It plans nothing: it plays its script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from robot_client.plans import MAX_TTL_MS


@dataclass
class Request:
    """One request, and the line that it came on: `writer` for what no plain answer can do."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Length": str(len(content)), **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} Scripted\r\n{lines}\r\n".encode() + content


# None: the script has written (or cut) by itself, and the connection is over.
Script = Callable[[Request], Awaitable[Answer | None]]


@dataclass
class ScriptedHttp:
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def says(*answers: Answer) -> Script:
    """Request n gets answer n; those after the last get the last."""
    left = list(answers)

    async def script(request: Request) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return script


def plan(request: Request, *actions: dict[str, Any], **fields: Any) -> Answer:
    """A plan for this request, as the contract has it; `fields` override."""
    state = request.json
    return Answer(
        body={
            "plan_id": f"{state['seq']:032x}",
            "robot_id": state["robot_id"],
            "seq": state["seq"],
            "monotonic_ts_ms": state["monotonic_ts_ms"],
            "server_monotonic_ts_ms": 987_654_321,
            "actions": list(actions),
            "ttl_ms": MAX_TTL_MS,
            **fields,
        }
    )


@asynccontextmanager
async def scripted_http(script: Script) -> AsyncIterator[ScriptedHttp]:
    brain = ScriptedHttp()
    failures: list[BaseException] = []

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        brain.connections += 1
        try:
            while (request := await _read(reader, writer)) is not None:
                brain.requests.append(request)
                answer = await script(request)
                if answer is None:
                    return
                writer.write(answer.as_bytes())
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            return
        except BaseException as error:
            failures.append(error)  # a script's assertion is the test's
            raise
        finally:
            writer.close()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    brain.port = server.sockets[0].getsockname()[1]
    try:
        yield brain
    finally:
        server.close()
    if failures:
        raise failures[0]


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode().splitlines()
    method, path, _version = first.split(" ")
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body, reader, writer)
