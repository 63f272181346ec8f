"""A server on a real loopback socket that answers as Ollama's API documents it (docs/api.md).

No model is behind it: what `/api/chat` says and how `/api/pull` goes are scripted, one entry a
request, the last one for ever. What it refuses, and in which words, is what Ollama refuses: unknown
models, tools and thoughts that a model can't do, durations without a unit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_WHEN = "2026-11-20T12:00:00.000000Z"
_DURATION = re.compile(r"-?\d+(\.\d+)?(ns|us|ms|s|m|h)|0")


@dataclass(frozen=True)
class Thought:
    """What a thinking model thinks."""

    text: str


@dataclass(frozen=True)
class Call:
    """A tool call, parsed by the server."""

    name: str
    arguments: Any


@dataclass(frozen=True)
class Refuse:
    """An HTTP error instead of an answer."""

    status: int
    body: bytes | str


@dataclass(frozen=True)
class Fault:
    """An error in the midst of a stream, as Ollama tells one."""

    error: str


@dataclass(frozen=True)
class Cut:
    """The connection is gone, as when the server is killed; `neatly`: the stream just ends."""

    neatly: bool = False


@dataclass(frozen=True)
class Raw:
    """These bytes as they are."""

    data: bytes


@dataclass(frozen=True)
class Layer:
    """Progress of one layer of a pull, in bytes."""

    digest: str
    total: int
    completed: int


@dataclass(frozen=True)
class Done:
    """The end, for another reason than "stop"."""

    reason: str


class Hold:
    """Says nothing more until `release`, or the client leaves."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.reached = asyncio.Event()


Step = str | Thought | Call | Fault | Cut | Raw | Layer | Done | Hold
Reply = Refuse | Sequence[Step] | str


@dataclass
class Request:
    """A request that came. `left`: the client closed the connection before the answer's end."""

    method: str
    path: str
    body: Any
    authorization: str = ""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class _ClientLeft(Exception): ...


class OllamaServer:
    """`models` are installed (name with tag -> capabilities), `registry` can be pulled."""

    def __init__(self) -> None:
        self.models: dict[str, tuple[str, ...]] = {"qwen3:14b": ("completion", "tools", "thinking")}
        self.registry: dict[str, tuple[str, ...]] = {}
        self.replies: list[Reply] = ["Hello there."]
        self.pulls: list[Reply] = [[Layer("sha256:a", 100, 50), Layer("sha256:a", 100, 100)]]
        self.knows_think = True
        self.hangs = False
        self.requests: list[Request] = []
        self._server: asyncio.base_events.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen; on the same port as before, if there was one."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, reuse_address=True
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Gone, as if killed: every connection is reset."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    def asked(self, path: str) -> list[Any]:
        """The bodies of the requests to `path`."""
        return [request.body for request in self.requests_to(path)]

    def requests_to(self, path: str) -> list[Request]:
        """The requests to `path`, in their order."""
        return [request for request in self.requests if request.path == path]

    # -- http -----------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                answer = asyncio.ensure_future(self._answer(request, writer))
                # A client that asks for nothing more while it is answered has nothing to say.
                leaving = asyncio.ensure_future(reader.read(1))
                await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    request.left.set()
                    answer.cancel()
                leaving.cancel()
                outcome, _ = await asyncio.gather(answer, leaving, return_exceptions=True)
                request.answered.set()
                if isinstance(outcome, _ClientLeft | ConnectionError):
                    return
                if isinstance(outcome, Exception):
                    raise outcome
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        body = request.body if isinstance(request.body, dict) else {}
        if self.hangs:
            await asyncio.Event().wait()
        match request.method, request.path:
            case "GET", "/api/version":
                reply: Any = {"version": "0.35.0"}
            case "GET", "/api/tags":
                reply = {"models": [_listed(name) for name in self.models]}
            case "POST", "/api/show":
                reply = self._show(body)
            case "POST", "/api/pull":
                await self._pull(body, writer)
                return
            case "POST", "/api/chat":
                await self._chat(body, writer)
                return
            case _:
                reply = Refuse(404, "404 page not found")
        await _send(writer, reply)

    # -- the API --------------------------------------------------------------------------------

    def _show(self, body: Mapping[str, Any]) -> Any:
        name = _tagged(body.get("model", ""))
        if name not in self.models:
            return _refusal(404, f"model '{body.get('model')}' not found")
        return {
            "modelfile": "", "template": "{{ .Prompt }}", "details": {"family": "qwen3"},
            "model_info": {"general.architecture": "qwen3"},
            "capabilities": list(self.models[name]),
        }  # fmt: skip

    async def _pull(self, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        name = _tagged(body.get("model", ""))
        script = self.pulls.pop(0) if len(self.pulls) > 1 else self.pulls[0]
        if isinstance(script, Refuse):
            await _send(writer, script)
            return
        await _begin(writer)
        await _line(writer, {"status": "pulling manifest"})
        if name not in self.registry:
            await _line(writer, {"error": "pull model manifest: file does not exist"})
            await _end(writer)
            return
        for step in script:
            if isinstance(step, Layer):
                status = f"pulling {step.digest[7:19]}"
                await _line(writer, {"status": status, **step.__dict__})
            elif await _odd_step(writer, step):
                return
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            await _line(writer, {"status": status})
        self.models[name] = self.registry[name]
        await _end(writer)

    async def _chat(self, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        name = _tagged(body.get("model", ""))
        refusal = self._chat_refusal(body, name)
        if refusal is not None:
            await _send(writer, refusal)
            return
        if not body["messages"]:
            await _begin(writer)
            await _line(writer, _done(body, "load"))
            await _end(writer)
            return
        script = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(script, Refuse):
            await _send(writer, script)
            return
        await _begin(writer)
        reason = "stop"
        for step in _words(script) if isinstance(script, str) else script:
            if isinstance(step, str):
                await _line(writer, _chunk(body, content=step))
            elif isinstance(step, Thought):
                await _line(writer, _chunk(body, thinking=step.text))
            elif isinstance(step, Call):
                function = {"name": step.name, "arguments": step.arguments}
                call = {"id": "call_1", "function": function}
                await _line(writer, _chunk(body, tool_calls=[call]))
            elif isinstance(step, Done):
                reason = step.reason
            elif await _odd_step(writer, step):
                return
        await _line(writer, _done(body, reason))
        await _end(writer)

    def _chat_refusal(self, body: Mapping[str, Any], name: str) -> Refuse | None:
        if name not in self.models:
            return _refusal(404, f"model '{body.get('model')}' not found")
        able = self.models[name]
        kept = body.get("keep_alive", "5m")
        if isinstance(kept, str) and not _DURATION.fullmatch(kept):
            return _refusal(400, f'time: missing unit in duration "{kept}"')
        if any(m.get("role") not in ROLES for m in body["messages"]):
            return _refusal(400, "invalid role")
        if body.get("think") is not None and not self.knows_think:
            return _refusal(400, f'"{body["model"]}" does not support thinking')
        if body.get("tools") and "tools" not in able:
            full = f"registry.ollama.ai/library/{body['model']}"
            return _refusal(400, f"{full} does not support tools")
        return None


ROLES = ("system", "user", "assistant", "tool")


@contextlib.asynccontextmanager
async def an_ollama() -> AsyncIterator[OllamaServer]:
    """Running; stopped at the end."""
    server = OllamaServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


# -- what goes over the wire -------------------------------------------------------------------


async def _read(reader: asyncio.StreamReader) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode("latin-1").split()
    length, authorization = 0, ""
    while (header := await reader.readline()).strip():
        name, _, value = header.decode("latin-1").partition(":")
        if name.lower() == "content-length":
            length = int(value)
        elif name.lower() == "authorization":
            authorization = value.strip()
    data = await reader.readexactly(length)
    return Request(method, path, json.loads(data) if data else None, authorization)


async def _send(writer: asyncio.StreamWriter, reply: Any) -> None:
    status, data = 200, json.dumps(reply, default=str).encode() if reply is not None else b""
    kind = "application/json; charset=utf-8"
    if isinstance(reply, Refuse):
        status, data = reply.status, reply.body if isinstance(reply.body, bytes) else b""
        if isinstance(reply.body, str):
            data, kind = reply.body.encode(), "text/plain"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    await writer.drain()


async def _begin(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    await writer.drain()


async def _line(writer: asyncio.StreamWriter, value: Any) -> None:
    await _piece(writer, json.dumps(value).encode() + b"\n")


async def _piece(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _odd_step(writer: asyncio.StreamWriter, step: Any) -> bool:
    """What both streams can do; True if that was their end."""
    if isinstance(step, Hold):
        step.reached.set()
        await step.release.wait()
        return False
    if isinstance(step, Raw):
        await _piece(writer, step.data)
        return False
    if isinstance(step, Fault):
        await _line(writer, {"error": step.error})
        await _end(writer)
        return True
    assert isinstance(step, Cut), step
    if step.neatly:
        await _end(writer)
        return True
    writer.transport.abort()
    raise _ClientLeft


def _refusal(status: int, error: str) -> Refuse:
    return Refuse(status, json.dumps({"error": error}).encode())


def _listed(name: str) -> dict[str, Any]:
    return {
        "name": name, "model": name, "modified_at": _WHEN, "size": 1, "digest": "0" * 64,
        "details": {"family": "qwen3"},
    }  # fmt: skip


def _tagged(name: str) -> str:
    name = name.removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name else f"{name}:latest"


def _chunk(body: Mapping[str, Any], **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "", **message}
    return {"model": body["model"], "created_at": _WHEN, "message": said, "done": False}


def _done(body: Mapping[str, Any], reason: str) -> dict[str, Any]:
    stats = dict.fromkeys(("total_duration", "load_duration", "prompt_eval_duration"), 1)
    stats |= {"prompt_eval_count": 5, "eval_count": 3, "eval_duration": 1}
    return {**_chunk(body), "done": True, "done_reason": reason, **stats}


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)
