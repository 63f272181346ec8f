"""What the settings of a brain on a LAN do, beside those of `tests/e2e/test_lan_safety.py`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from brain.app import sessions_of
from brain.dialogue.common import Engines
from brain.engines.loader import EngineSet
from brain.house import house_rules
from brain.settings import Settings
from brain.web import build_app
from tests.e2e.sockets import a_robot, a_server, quiet, tone
from tests.scripted_engines import (
    ScriptedDetector,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)


def an_app(**changes: Any) -> Any:
    """The brain's application, with scripted engines in its sessions."""
    settings = Settings(
        llm_backend="llamacpp", stt_model_size="pocket", tts_backend="off", **changes
    )
    engines = Engines(
        ScriptedDetector(),
        ScriptedTranscriber(["open sesame"], seconds=0.01),
        ScriptedMind(["It is\nopen."], first_seconds=0.01),
        ScriptedMouth(seconds_per_char=0.001, delay=0.001),
    )
    serves = asyncio.Event()
    serves.set()
    return build_app(
        settings, EngineSet(settings), sessions_of(settings, engines, house_rules(settings)),
        serves=serves, stop=asyncio.Event(),
    )  # fmt: skip


@pytest.mark.setting("LOG_SPEECH")
@pytest.mark.parametrize("log_speech", [True, False])
def test_speech_is_logged_where_the_house_asks_for_it(
    caplog: pytest.LogCaptureFixture, log_speech: bool
) -> None:
    caplog.set_level(logging.DEBUG, logger="brain")

    async def main() -> None:
        async with a_server(an_app(log_speech=log_speech, emotions=False)) as address:
            socket = f"{address.replace('http', 'ws')}/ws"
            async with a_robot(socket, "?robot_id=ali") as robot:
                await robot.speak(tone(500))
                await robot.speak(quiet(800))
                await robot.next("reply_done")
            async with httpx.AsyncClient() as web:
                await web.post(f"{address}/tts", json={"text": "Forty thieves."})

    asyncio.run(main())
    told = [
        record.getMessage()
        for record in caplog.records
        if any(word in record.getMessage().lower() for word in ("sesame", "open", "thieves"))
    ]
    assert [line.splitlines()[0].split(": ")[0] for line in told] == (
        ["robot ali heard", "robot ali said"] if log_speech else []
    )


@pytest.mark.setting("REQUESTS_PER_S")
@pytest.mark.parametrize(("per_s", "refused"), [("0.01", 9), ("0", 0), ("50", 0)])
def test_an_address_may_ask_so_often(per_s: str, refused: int) -> None:
    async def main() -> None:
        transport = httpx.ASGITransport(an_app(requests_per_s=per_s))
        async with httpx.AsyncClient(transport=transport, base_url="http://brain") as web:
            statuses = [(await web.get("/ready")).status_code for _ in range(10)]
            # (503: its engines aren't loaded.)
            assert statuses == [503] * (10 - refused) + [429] * refused

    asyncio.run(main())


@pytest.mark.setting("ALLOWED_ORIGINS")
@pytest.mark.parametrize(
    ("allowed", "let_in"), [("", False), ("*", True), ("http://a, http://page:3000", True)]
)
def test_a_page_reads_the_answers_only_if_it_is_let_in(allowed: str, let_in: bool) -> None:
    async def main() -> None:
        transport = httpx.ASGITransport(an_app(allowed_origins=allowed))
        async with httpx.AsyncClient(transport=transport, base_url="http://brain") as web:
            answer = await web.get("/ready", headers={"Origin": "http://page:3000"})
            assert (answer.status_code != 403) == let_in
            assert ("access-control-allow-origin" in answer.headers) == let_in
            asked = {"Origin": "http://page:3000", "Access-Control-Request-Method": "POST"}
            assert ((await web.options("/plan", headers=asked)).status_code == 200) == let_in
            assert (await web.get("/ready")).status_code == 503

    asyncio.run(main())
