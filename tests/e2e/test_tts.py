"""`POST /tts` under load and with the real voices, over real sockets."""

from __future__ import annotations

import asyncio
import io
import re
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from brain.api import tts
from brain.api.token import Tokens
from brain.app import sessions_of
from brain.audio.pcm import Audio, from_bytes, to_float
from brain.dialogue.common import Engines
from brain.engines.admission import AdmissionLimits
from brain.engines.ladder import GivenUp, Ladder, Rung
from brain.engines.ladder_ports import LadderSynthesizer, LadderTranscriber
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneSynthesizer
from brain.engines.loader import EngineSet
from brain.engines.ports import Emotion, EngineInfo, Synthesizer, Ticket
from brain.engines.recipes import synthesizer_rungs, transcriber_rungs
from brain.house import house_rules
from brain.settings import Settings
from brain.web import build_app
from tests.e2e.pocket import Brain, a_pocket_brain
from tests.e2e.sockets import a_server

SENTENCE = "What is your name?"


# -- 50 at once ----------------------------------------------------------------------------------


class SlowMouth:
    """Scripted, and slow on purpose: makes no sound before `go` is set, then a tenth of a second.

    What has an answer before that has not waited for it, however fast the machine is.
    """

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.began = asyncio.Event()
        self.calls = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("slow", "scripted")

    @property
    def voices(self) -> tuple[str, ...]:
        return ("slow",)

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        self.calls += 1
        self.began.set()
        await self.go.wait()
        yield Audio(np.full(1600, 1000, np.int16), 16_000)

    async def close(self) -> None: ...


async def _well(_: Synthesizer) -> None: ...


@asynccontextmanager
async def behind(
    slow: SlowMouth, below: list[Rung[Synthesizer]], *, threshold: int = 0
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a brain whose wanted mouth is `slow`; it has an hour before it is given up on."""

    async def build(given_up: GivenUp) -> Synthesizer:
        port: Synthesizer = slow
        limits = LaneLimits(AdmissionLimits(shed_beyond=threshold), first_s=3600)
        return LaneSynthesizer(Lane(port, limits, given_up=given_up))

    ladder = Ladder("tts", [Rung("slow", build, _well, embedded=True), *below])
    await ladder.start()
    app = FastAPI()
    app.include_router(tts.router(LadderSynthesizer(ladder), emotions={}, tokens=Tokens()))
    limits = httpx.Limits(max_connections=None)
    try:
        async with (
            a_server(app) as address,
            httpx.AsyncClient(base_url=address, timeout=60, limits=limits, trust_env=False) as web,
        ):
            yield web
    finally:
        await ladder.close()


async def fifty(web: httpx.AsyncClient, slow: SlowMouth) -> tuple[list[httpx.Response], int]:
    """The answers to the 49 that the slow engine didn't take, and how much sound the first got.

    The slow one is let go only when all the others have been answered.
    """

    def ask(robot: int) -> asyncio.Task[httpx.Response]:
        asked = {"text": "Hello, I am a robot.", "robot_id": f"r{robot}", "seq": robot}
        return asyncio.ensure_future(web.post("/tts", json=asked))

    first = ask(0)
    await slow.began.wait()
    answers = await asyncio.gather(*(ask(robot) for robot in range(1, 50)))
    assert not first.done()
    slow.go.set()
    answer = await first
    assert answer.status_code == 200
    assert slow.calls == 1
    return answers, len(answer.content)


@pytest.mark.setting("TTS_BUSY_QUEUE_THRESHOLD")
def test_fifty_at_once_with_a_slow_engine_and_the_real_espeak_below_it() -> None:
    async def main() -> None:
        slow = SlowMouth()
        espeak = synthesizer_rungs(Settings(tts_backend="espeak"))
        async with behind(slow, espeak) as web:
            answers, _ = await fifty(web, slow)
            spoken = [answer for answer in answers if answer.status_code == 200]
            shed = [answer for answer in answers if answer.status_code != 200]
            assert len(spoken) >= 16, "so many espeak takes at once"
            for answer in spoken:
                sound = from_bytes(answer.content)
                assert 0.8 < len(sound) / 16_000 < 4
                assert np.abs(sound).max() > 3_000
            for answer in shed:
                assert (answer.status_code, answer.json()["detail"]) == (
                    503, "tts_busy_no_fallback",
                )  # fmt: skip
            print(f"\n{len(spoken)} spoken by espeak, {len(shed)} shed")
            # It is over: the next one is spoken by the wanted engine again.
            assert (await web.post("/tts", json={"text": "Hello."})).status_code == 200
            assert slow.calls == 2

    asyncio.run(main())


def test_fifty_at_once_with_a_slow_engine_and_nothing_below_it() -> None:
    async def main() -> None:
        slow = SlowMouth()
        async with behind(slow, []) as web:
            answers, size = await fifty(web, slow)
            assert size == 3_200
            assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [
                (503, "tts_busy_no_fallback")
            ] * 49

    asyncio.run(main())


@pytest.mark.setting("TTS_BUSY_QUEUE_THRESHOLD")
def test_with_a_threshold_of_one_the_second_waits_its_turn_and_the_third_is_shed() -> None:
    async def main() -> None:
        slow = SlowMouth()
        async with behind(slow, [], threshold=1) as web:
            asking = [asyncio.ensure_future(web.post("/tts", json={"text": "Hi."}))]
            await slow.began.wait()
            asking += [asyncio.ensure_future(web.post("/tts", json={"text": "Hi."})) for _ in "23"]
            done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result().status_code for task in done] == [503]
            slow.go.set()
            assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]

    asyncio.run(main())


# -- the whole product ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    with a_pocket_brain(tmp_path_factory.mktemp("brain")) as running:
        running.until_ready()
        yield running
        assert running.process.poll() is None, "the brain died under the tests"


def post(brain: Brain, **asked: object) -> httpx.Response:
    accept = str(asked.pop("accept", "*/*"))
    return httpx.post(
        f"http://127.0.0.1:{brain.port}/tts", json=asked, headers={"Accept": accept}, timeout=60,
        trust_env=False,
    )  # fmt: skip


def heard(pcm: bytes) -> str:
    """What the pocket ears hear."""

    async def main() -> str:
        ladder = Ladder("stt", transcriber_rungs(Settings(stt_model_size="pocket")))
        try:
            await ladder.start()
            samples = np.pad(to_float(from_bytes(pcm)), (4_000, 8_000))
            ears = LadderTranscriber(ladder)
            return (await ears.transcribe(samples, language="en", ticket=Ticket("a"))).text
        finally:
            await ladder.close()

    return re.sub(r"\W+", " ", asyncio.run(main()).lower()).strip()


def test_the_pocket_voice_is_heard_by_the_pocket_ears(brain: Brain) -> None:
    answer = post(brain, text=SENTENCE, robot_id="robot-1", seq=1, monotonic_ts_ms=5)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-audio-sample-rate"] == "16000"
    assert answer.headers["x-audio-channels"] == "1"
    assert 0.6 < len(answer.content) / 32_000 < 2.5
    assert heard(answer.content) == "what is your name"


def test_a_wav_file_of_the_pocket_voice(brain: Brain) -> None:
    raw = post(brain, text=SENTENCE, stream=False)
    assert int(raw.headers["content-length"]) == len(raw.content)
    for stream in (True, False):
        answer = post(brain, text=SENTENCE, stream=stream, accept="audio/wav")
        with wave.open(io.BytesIO(answer.content)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
            assert file.readframes(1 << 22) == raw.content


def test_an_emotion_changes_the_pocket_voice(brain: Brain) -> None:
    plain, again, sleepy, excited = (
        len(post(brain, text=SENTENCE, emotion=emotion, intensity=1.0).content)
        for emotion in ("neutral", "made-up", "tired", "excited")
    )
    assert plain == again
    assert excited < 0.95 * plain < plain < 0.8 * sleepy


def test_a_long_text_is_said_to_its_end(brain: Brain) -> None:
    text = "Once there was a small robot, and it liked to count. " * 8
    answer = post(brain, text=text)
    once = post(brain, text="Once there was a small robot, and it liked to count.")
    assert len(answer.content) == pytest.approx(8 * len(once.content), rel=0.1)


def test_what_the_brain_refuses(brain: Brain) -> None:
    for asked, status, error in (
        ({"text": ""}, 400, "empty_text"),
        ({"text": 1}, 422, "invalid_request"),
    ):
        answer = post(brain, **asked)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert post(brain, text="...").content == bytes(6_400)


@pytest.mark.setting("TTS_BACKEND", "BRAIN_TOKEN")
def test_text_only_and_the_token() -> None:
    """The brain's own application; nothing that is asked for here needs an engine to load."""
    settings = Settings(
        llm_backend="llamacpp", stt_model_size="pocket", tts_backend="off", brain_token="s3cret"
    )

    async def main() -> None:
        engines = EngineSet(settings)
        parts = Engines(engines.detector, engines.transcriber, engines.mind, engines.mouth)
        sessions = sessions_of(settings, parts, house_rules(settings))
        brain = build_app(settings, engines, sessions, serves=asyncio.Event(), stop=asyncio.Event())
        async with a_server(brain) as address, httpx.AsyncClient(trust_env=False) as web:
            answer = await web.post(f"{address}/tts", json={"text": "Hi."})
            assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
            answer = await web.post(f"{address}/tts?token=s3cret", json={"text": "Hi."})
            assert (answer.status_code, answer.json()["detail"]) == (503, "tts_unavailable")
        await engines.close()

    asyncio.run(main())
