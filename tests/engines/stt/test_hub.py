"""A Whisper model by name: fetched once from the hub (here a local one), and then never again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from brain.engines.recipes import POCKET

REPOSITORY = "Systran/faster-whisper-base.en"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {path.name: path.read_bytes() for path in (POCKET / "ears").iterdir()}

# In a process of its own: the hub's library reads its settings as it is imported.
LOAD = """
import asyncio
from brain.engines.ports import EngineUnavailable
from brain.engines.recipes import whisper_options
from brain.engines.stt.whisper import WhisperTranscriber
from brain.settings import load
from brain.settings.report import as_table

async def main():
    settings = load(lenient=False)
    options = whisper_options(settings, "base.en")
    print(as_table(settings), options)
    try:
        ears = await WhisperTranscriber.load(options)
    except EngineUnavailable as error:
        print(error)
        return
    print("loaded", ears.info.model)
    await ears.close()

asyncio.run(main())
"""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """The little of the hub's HTTP API that a download needs."""

    asked: list[str]
    shown: set[str | None]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.asked.append(self.path)
        self.shown.add(self.headers.get("Authorization"))
        path = self.path.split("?")[0]
        name = path.rsplit("/", 1)[-1]
        if path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": _digest(content)}
                for name, content in FILES.items()
            ]
            self._send(json.dumps(tree).encode(), body=body)
        elif path.startswith(f"/api/models/{REPOSITORY}"):
            siblings = [{"rfilename": name} for name in FILES]
            content = json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode()
            self._send(content, body=body)
        elif f"/{REPOSITORY}/resolve/" in path and name in FILES:
            self._send(FILES[name], body=body)
        else:
            self.send_error(404)

    def _send(self, content: bytes, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{_digest(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' output."""


@pytest.fixture
def hub() -> Iterator[ThreadingHTTPServer]:
    Hub.asked = []
    Hub.shown = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def load(home: Path, port: int) -> str:
    environment = {
        **os.environ,
        "HF_HOME": str(home),
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "BRAIN_CONFIG_DIR": str(home),
    }
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_name_is_fetched_once_and_then_needs_no_hub(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    port = hub.server_address[1]
    assert load(tmp_path, port) == "loaded base.en"
    assert any("model.bin" in path for path in Hub.asked)
    assert Hub.shown == {None}
    Hub.asked.clear()
    assert load(tmp_path, port) == "loaded base.en"
    assert not Hub.asked, "a robot boots with no internet"


@pytest.mark.setting("HF_TOKEN")
def test_the_token_is_shown_to_the_hub_and_to_nobody_else(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    (tmp_path / "brain.env").write_text("HF_TOKEN=hf_hunter2\n")
    assert load(tmp_path, hub.server_address[1]) == "loaded base.en"
    assert Hub.shown == {"Bearer hf_hunter2"}


def test_a_name_that_cannot_be_fetched_says_what_to_do(tmp_path: Path) -> None:
    said = load(tmp_path, 9)  # nobody listens there
    assert "'base.en'" in said
    assert "STT_MODEL_SIZE" in said
