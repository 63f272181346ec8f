"""A model hub on this machine, with the faults of the world; its large files lie elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = (".gguf", ".onnx", ".bin", ".safetensors")


@dataclass(frozen=True)
class Asked:
    """A request: to the hub or to the host of the large files, and with what."""

    host: str
    path: str
    begin: int
    token: str


@dataclass
class Repository:
    """What it held at each commit; the last is the newest."""

    commits: dict[str, dict[str, bytes]]
    gated_for: str = ""

    @property
    def newest(self) -> str:
        return list(self.commits)[-1]


@dataclass
class LocalHub:
    """`url` is for HF_ENDPOINT. What is set here holds from the next request on.

    By file name: `cuts` breaks off after so many bytes of the answer, once for each; `stalls` holds
    on after so many bytes until `go_on`; `spoils` answers so many requests with other bytes.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    url: str = ""
    cdn: str = ""
    asked: list[Asked] = field(default_factory=list)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    stalls: dict[str, int] = field(default_factory=dict)
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    spoils: dict[str, int] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    ranges: bool = True

    def put(self, repository: str, commit: str, files: dict[str, bytes]) -> None:
        held = self.repositories.setdefault(repository, Repository({}))
        held.commits[commit] = files

    def begins(self, name: str) -> list[int]:
        """Where each download of the content of a large file began."""
        return [a.begin for a in self.asked if a.host == "cdn" and a.path.endswith(name)]


def commit(number: int) -> str:
    return f"{number:040x}"


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving(hub: LocalHub) -> Iterator[LocalHub]:
    """Two servers: the hub, and where it redirects to for what is large."""
    servers = []
    for name in ("cdn", "hub"):
        handler = type(name, (_Handler,), {"hub": hub, "host": name})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        if name == "hub":
            hub.url = url
        else:
            hub.cdn = url
    try:
        yield hub
    finally:
        hub.go_on.set()
        for server in servers:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    host: str

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.split("?")[0]
        begin = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.hub.asked.append(Asked(self.host, path, begin, token))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(\w+))?", path):
            self._about(found[1], found[2])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", path):
            self._file(found[1], found[2], found[3], begin, token)
        else:
            self._refuse(404, "EntryNotFound")

    def _about(self, name: str, revision: str | None) -> None:
        held = self.hub.repositories.get(name)
        if name in self.hub.status:
            self._refuse(self.hub.status[name], "")
        elif held is None:
            self._refuse(401, "RepoNotFound")
        else:
            sha = revision or held.newest
            about = {
                "id": name,
                "sha": sha,
                "siblings": list(map(_entry, held.commits[sha].items())),
            }
            self._send(json.dumps(about).encode(), 0, "")

    def _file(self, name: str, revision: str, path: str, begin: int, token: str) -> None:
        held = self.hub.repositories.get(name)
        if path in self.hub.status:
            self._refuse(self.hub.status[path], "")
        elif held is None or revision not in held.commits:
            self._refuse(404, "RevisionNotFound")
        elif held.gated_for and self.host == "hub" and token != held.gated_for:
            self._refuse(403 if token else 401, "GatedRepo")
        elif path.endswith(LARGE) and self.host == "hub":
            self.send_response(302)
            self.send_header("Location", f"{self.hub.cdn}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(held.commits[revision][path], begin, path.rpartition("/")[2])

    def _send(self, content: bytes, begin: int, name: str) -> None:
        if not self.hub.ranges:
            begin = 0
        if self.hub.spoils.get(name, 0) > 0:
            self.hub.spoils[name] -= 1
            content = bytes(len(content))
        body = content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            total = len(content)
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cuts.get(name):
            self.wfile.write(body[: self.hub.cuts[name].pop(0)])
            self.wfile.flush()
            self.connection.close()
        elif name in self.hub.stalls:
            self.wfile.write(body[: self.hub.stalls.pop(name)])
            self.wfile.flush()
            self.hub.stalled.set()
            self.hub.go_on.wait(60)
        else:
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' output."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ValueError):  # the other side, or a cut of our own
            self.close_connection = True


def _entry(item: tuple[str, bytes]) -> dict[str, Any]:
    path, content = item
    entry: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_blob(content)}
    if path.endswith(LARGE):
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
    return entry
