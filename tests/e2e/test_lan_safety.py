"""A brain that is safe on a LAN: the whole product with tokens and TLS, and what its log tells."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from brain.app import _end_when_mended, serve
from brain.house import way_in
from brain.settings import Problem, Settings
from brain.settings.access import Access
from robot_client.address import brain_url
from robot_client.dial import dial
from robot_client.reconnect import Retry
from tests.certificates import a_certificate
from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.e2e.sockets import a_robot

PAGE = "http://tinker.example:3000"
TOKENS = ("by-setting-1", "by-setting-2", "by-file", "by-systemd")
SECRETS = (*TOKENS, "a-wrong-one")
HEARD, TYPED, SPOKEN = "Look to the left.", "My name is Lucy.", "Marmalade is served at noon."


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    """As talkative as it can be, but for LOG_SPEECH."""
    folder = tmp_path_factory.mktemp("brain")
    made = a_certificate(folder)
    (folder / "tokens").write_text("# robots\nby-file\n")
    (folder / "brain-token").write_text("by-systemd\n")
    flags = {
        "LOG_LEVEL": "debug",
        "BRAIN_TOKEN": "by-setting-1, by-setting-2",
        "BRAIN_TOKEN_FILE": str(folder / "tokens"),
        "TLS_CERT": str(made.cert),
        "TLS_KEY": str(made.key),
        "ALLOWED_ORIGINS": PAGE,
        "SESSIONS_PER_ADDRESS": "2",
    }
    words = [word for name, value in flags.items() for word in ("--set", f"{name}={value}")]
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    with a_pocket_brain(folder, *words, environ=environ, authority=made.cert) as running:
        running.until_ready()
        yield running


def post(brain: Brain, path: str, body: object, **headers: str) -> tuple[int, bytes]:
    scheme = "https" if brain.authority else "http"
    request = urllib.request.Request(
        f"{scheme}://127.0.0.1:{brain.port}{path}", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, timeout=20, context=brain.tls) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.setting("BRAIN_TOKEN", "BRAIN_TOKEN_FILE")
def test_each_token_opens_and_no_other(brain: Brain) -> None:
    async def main() -> None:
        for token in TOKENS:
            async with a_robot(brain.address, f"?robot_id=a&token={token}", ssl=brain.tls) as robot:
                await robot.next("ready")
        for query in ("", "?token=a-wrong-one", "?t%6fken=a-wrong-one"):
            async with a_robot(brain.address, query, ssl=brain.tls) as robot:
                assert await robot.close_code() == 4401

    asyncio.run(main())
    assert post(brain, "/tts", {"text": "."})[0] == 401
    assert post(brain, "/tts", {"text": "."}, Authorization="Bearer by-file")[0] == 200
    access = brain.get("/ready")[1]["access"]
    assert access == {"token": True, "tls": True, "locked": False, "local_only": False}


@pytest.mark.setting("TLS_CERT", "TLS_KEY")
def test_the_robots_client_comes_with_tls_and_with_nothing_else(
    brain: Brain, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"Authorization": "Bearer by-setting-2"}

    async def main() -> None:
        url = brain_url("127.0.0.1", brain.port, "friend", tls=True)
        stranger = await dial(url, shown)
        assert isinstance(stranger, Retry)
        assert "its certificate isn't trusted here" in stranger.reason
        plain = await dial(url.replace("wss", "ws"), shown)
        assert isinstance(plain, Retry)
        assert "is it one with TLS (wss://)" in plain.reason
        monkeypatch.setenv("SSL_CERT_FILE", str(brain.authority))
        friend = await dial(url, shown)
        assert isinstance(friend, ClientConnection), friend
        assert json.loads(await friend.recv())["type"] == "ready"
        await friend.close()

    asyncio.run(main())


@pytest.mark.setting("ALLOWED_ORIGINS")
def test_only_pages_that_are_listed_are_let_in(brain: Brain) -> None:
    query = "?robot_id=page&token=by-file"

    async def main() -> None:
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{brain.port + 1}"):
            with pytest.raises(InvalidStatus) as refused:
                async with a_robot(brain.address, query, ssl=brain.tls, origin=origin):
                    pass
            assert refused.value.response.status_code == 403
        for origin in (PAGE, f"https://127.0.0.1:{brain.port}"):
            async with a_robot(brain.address, query, ssl=brain.tls, origin=origin) as robot:
                await robot.next("ready")

    asyncio.run(main())
    text = {"text": "Hi."}
    shown = {"Authorization": "Bearer by-file", "Content-Type": "application/json"}
    assert post(brain, "/tts", text, Origin="http://evil.example", **shown)[0] == 403
    assert post(brain, "/tts", text, Origin=PAGE, **shown)[0] == 200
    # What a browser asks before it sends that.
    asked = urllib.request.Request(
        f"https://127.0.0.1:{brain.port}/tts", method="OPTIONS",
        headers={"Origin": PAGE, "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "authorization,content-type"},
    )  # fmt: skip
    with urllib.request.urlopen(asked, timeout=5, context=brain.tls) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()


@pytest.mark.setting("SESSIONS_PER_ADDRESS")
def test_one_address_has_so_many_sessions_and_no_more(brain: Brain) -> None:
    async def main() -> None:
        def robot(name: str) -> object:
            return a_robot(brain.address, f"?robot_id={name}&token=by-file", ssl=brain.tls)

        async with robot("a") as one, robot("b") as two:  # type: ignore[attr-defined]
            await one.next("ready")
            await two.next("ready")
            async with robot("c") as three:  # type: ignore[attr-defined]
                assert await three.close_code() == 4429
                reason = three.connection.close_reason
                assert reason == "full for this address; retry_after_s=5"
            async with robot("b") as again:  # type: ignore[attr-defined]
                await again.next("ready")  # it takes its own place

    asyncio.run(main())


@pytest.mark.setting("LOG_SPEECH")
def test_the_log_of_a_conversation_has_no_word_of_it(brain: Brain) -> None:
    """The last of this brain, and at LOG_LEVEL=debug: it looks at all that it has logged."""

    async def main() -> None:
        query = "?robot_id=talker&token=by-setting-1"
        async with a_robot(brain.address, query, ssl=brain.tls) as robot:
            await robot.speak(spoken(HEARD))
            call = await robot.next("tool_call", seconds=30)
            assert json.loads(call["args"]) == {"direction": "left"}
            await robot.send(
                type="tool_result", call_id=call["call_id"], output={"said": "hippopotamus"}
            )
            await robot.next("reply_done", seconds=30)
            await robot.send(type="text", text=TYPED)
            said = await robot.next("transcript_assistant", seconds=30)
            assert "Lucy" in said["text"]
            await robot.next("reply_done", seconds=30)
            for wrong in ({"type": "txet", "text": TYPED}, {"type": "text", "text": [TYPED]}):
                await robot.send(**wrong)
                await robot.next("error")
            await robot.connection.send('{"type": "say", "text": "Lucy')
            await robot.next("error")

    asyncio.run(main())
    shown = {"Authorization": "Bearer by-file"}
    assert post(brain, "/tts", {"text": SPOKEN, "emotion": "happy"}, **shown)[0] == 200
    assert post(brain, "/tts", {"text": [SPOKEN]}, **shown)[0] == 422
    plan = {"robot_id": "p", "seq": 1, "monotonic_ts_ms": 1, "mode": "WANDER", "trigger": TYPED}
    assert post(brain, "/plan", plan, **shown)[0] in (200, 422)
    log = brain.log.read_text()
    assert "a robot at 127.0.0.1 is sent away: token missing or wrong" in log
    assert "ANYBODY" not in log
    words = ("lucy", "look to the left", "marmalade", "hippopotamus", "direction", "left")
    assert "llama_model_loader" in log, "it is as talkative as it can be"
    assert "Grammar" not in log, "llama.cpp tells each token that comes, unless it is hushed"
    assert "ERROR" not in log
    for word in (*SECRETS, *words):
        lines = [line for line in log.splitlines() if word in line.lower()]
        assert not lines, f"{word!r} is in the log"


def until_answering(brain: Brain) -> Any:
    for _ in range(300):
        with contextlib.suppress(OSError):
            return brain.get("/ready")[1]
        time.sleep(0.05)
    pytest.fail(brain.log.read_text())


def test_without_its_files_a_service_is_closed_and_says_so(tmp_path: Path) -> None:
    """It would listen everywhere, for everybody, in plain."""
    flags = ("--host", "0.0.0.0", "--set", "BRAIN_TOKEN_FILE=/none/tokens",
             "--set", "TLS_CERT=/none/cert")  # fmt: skip
    with a_pocket_brain(tmp_path, *flags, environ={"INVOCATION_ID": "1"}) as brain:
        ready = until_answering(brain)
        assert ready["degraded"]
        assert ready["access"]["locked"]
        assert ready["access"]["local_only"]
        assert len(ready["problems"]) == 2
        assert post(brain, "/tts", {"text": "Hi."})[0] == 401

        async def main() -> None:
            for query in ("", "?token=", "?token=None"):
                async with a_robot(brain.address, query) as robot:
                    assert await robot.close_code() == 4401

        asyncio.run(main())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", brain.port), timeout=5)
    log = brain.log.read_text()
    assert "a brain that lets nobody in holds instead" in log
    assert "a brain for its own machine alone holds instead" in log


def test_at_a_terminal_it_does_not_start_without_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("INVOCATION_ID", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    assert serve(Settings(brain_token_file="/none/tokens", tls_cert="/none/cert")) == 78
    token, tls = capsys.readouterr().err.splitlines()
    assert token == "BRAIN_TOKEN_FILE=/none/tokens: can't be read: No such file or directory"
    assert tls == "TLS_CERT=/none/cert: can't be read: No such file or directory"


def test_it_is_started_anew_when_they_have_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brain.app._LOOK_S", 0.01)
    tokens = tmp_path / "tokens"

    async def main() -> None:
        settings, access = way_in(Settings(brain_token_file=str(tokens)), {}, lenient=True)
        stop = asyncio.Event()
        mending = asyncio.ensure_future(_end_when_mended(settings, access, stop))
        await asyncio.sleep(0.1)
        assert not mending.done()
        tokens.write_text("here\n")
        await asyncio.wait_for(mending, 5)
        assert stop.is_set()
        # And of one that has all that it needs, nobody looks.
        _, access = way_in(settings, {}, lenient=True)
        await asyncio.wait_for(_end_when_mended(settings, access, asyncio.Event()), 1)

    asyncio.run(main())


def test_a_settings_file_that_held_no_token_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can't be read, there never was a token, and the certificate has come."""
    monkeypatch.setattr("brain.app._LOOK_S", 0.01)
    unread = Problem("error", "", "override.env can't be read", "override.env", file_unread=True)
    settings = Settings(state_dir=str(tmp_path)).with_account({}, (unread,))

    async def main() -> None:
        stop = asyncio.Event()
        await asyncio.wait_for(_end_when_mended(settings, Access(local_only=True), stop), 5)
        assert stop.is_set()

    asyncio.run(main())
