"""Gradio mode: fastrtc itself drives a copy of the handler, between a browser's tracks."""

from __future__ import annotations

import asyncio
import fractions
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import av
import gradio
import numpy as np
from aiortc import MediaStreamTrack
from client_tests.scripted import Visit, scripted, tone
from fastrtc import AdditionalOutputs, Stream
from fastrtc.tracks import AudioCallback
from fastrtc.utils import Context

from robot_client.address import brain_address
from robot_client.local_socket_handler import LocalSocketHandler
from robot_client.reachy.server import LocalServer

BROWSER_RATE = 48_000
FRAME = BROWSER_RATE // 50


class Browser(MediaStreamTrack):  # type: ignore[misc]
    """A browser's microphone: stereo at 48 kHz, 20 ms a frame, in real time: a tone."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames = 0
        self._since: float | None = None

    async def recv(self) -> Any:
        loop = asyncio.get_running_loop()
        self._since = self._since or loop.time()
        await asyncio.sleep(max(0.0, self._since + self._frames * 0.02 - loop.time()))
        t = (self._frames * FRAME + np.arange(FRAME)) / BROWSER_RATE
        mono = (np.sin(2 * np.pi * 440 * t) * 6_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(mono, 2).reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.pts = BROWSER_RATE, self._frames * FRAME
        frame.time_base = fractions.Fraction(1, BROWSER_RATE)
        self._frames += 1
        return frame


class Channel:
    """The data channel to the browser, which nobody listens to."""

    def send(self, message: str) -> None:
        """Into the air."""


class Call:
    """One browser's call: the copy of the handler that fastrtc made, and what came back."""

    def __init__(self, original: LocalSocketHandler) -> None:
        stream = Stream(
            handler=original,
            mode="send-receive",
            modality="audio",
            additional_inputs=[gradio.Textbox()],
            additional_outputs=[gradio.Textbox()],
            additional_outputs_handler=lambda old, new: new,
        )
        self.handler = stream.event_handler.copy()
        assert self.handler is not original
        self.microphone = Browser()
        self.shown: list[dict[str, Any]] = []
        self.track = AudioCallback(
            self.microphone,
            event_handler=self.handler,
            context=Context(webrtc_id="one"),
            set_additional_outputs=self._show,
        )
        self.track.set_channel(Channel())
        self.heard: list[tuple[float, np.ndarray]] = []

    def _show(self, outputs: AdditionalOutputs) -> None:
        self.shown += outputs.args

    async def listen(self) -> None:
        """What the browser plays: each frame when it comes."""
        while (frame := await self.track.recv()) is not None:
            assert (frame.sample_rate, frame.layout.name) == (24_000, "stereo")
            left = frame.to_ndarray().reshape(-1)[::2]
            self.heard.append((asyncio.get_running_loop().time(), left))

    def loud_ms(self) -> float:
        """How much that isn't silence came out."""
        sound = np.concatenate([left for _at, left in self.heard] or [np.zeros(0, np.int16)])
        return float(np.count_nonzero(np.abs(sound) > 50)) / 24

    async def hang_up(self, listening: asyncio.Task[None]) -> None:
        """As fastrtc does it when the browser goes: shut down, then stop the tracks."""
        await self.handler.shutdown()
        self.track.stop()
        self.microphone.stop()
        listening.cancel()
        await asyncio.wait_for(self.track.start_up_task, 5)
        await asyncio.wait({self.track.process_input_task, self.track.decode_task}, timeout=5)


@asynccontextmanager
async def a_call(original: LocalSocketHandler) -> AsyncIterator[Call]:
    """Listened to, and hung up in the end."""
    call = Call(original)
    listening = asyncio.create_task(call.listen())
    try:
        yield call
    finally:
        await call.hang_up(listening)


def handler(deps: Any, port: int) -> LocalSocketHandler:
    server = LocalServer(brain_address("127.0.0.1", port, robot_id="browser"))
    return LocalSocketHandler(deps, True, None, server=server)


async def welcome(visit: Visit) -> None:
    session = await visit.until("session")
    assert session["echo_cancellation"] is True
    await visit.ready()


def test_a_browsers_sound_goes_there_and_the_robots_comes_back(deps: Any) -> None:
    over = asyncio.Event()

    async def script(visit: Visit) -> None:
        await welcome(visit)
        while len(visit.sound) < 2 * 16_000 // 2:
            await visit.receive()
        await visit.send("transcript_user", text="Hello robot.", turn=1)
        await visit.audio(1, tone(600))
        await visit.send("transcript_assistant", text="Hello.", reply_id=1)
        await visit.send("reply_done", reply_id=1, reason="completed", timings_ms={})
        while (await visit.until("played"))["ms"] < 600:
            pass
        over.set()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain, a_call(handler(deps, brain.port)) as call:
            await asyncio.wait_for(over.wait(), 20)
            await asyncio.sleep(0.1)  # the last frame is on its way through fastrtc
        heard = np.frombuffer(bytes(brain.visits[0].sound), "<i2").astype(float)
        assert call.shown == [
            {"role": "user", "content": "Hello robot."},
            {"role": "assistant", "content": "Hello."},
        ]
        assert 560 < call.loud_ms() < 610  # crossings of zero don't count
        # A tone of 440 Hz, mono at 16 kHz, at the level that the browser sent.
        spectrum = np.abs(np.fft.rfft(heard[4_000:8_000] * np.hanning(4_000)))
        assert np.argmax(spectrum) * 16_000 / 4_000 == 440
        assert 5_500 < np.abs(heard[4_000:]).max() < 6_500

    asyncio.run(main())


def test_a_replys_last_sound_doesnt_wait_for_the_next_reply(deps: Any) -> None:
    """fastrtc keeps what doesn't fill a frame of 20 ms until more comes."""
    over = asyncio.Event()

    async def script(visit: Visit) -> None:
        await welcome(visit)
        await visit.audio(1, tone(593))
        await visit.send("reply_done", reply_id=1, reason="completed", timings_ms={})
        while (await visit.until("played"))["ms"] < 593:
            pass
        over.set()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain, a_call(handler(deps, brain.port)) as call:
            await asyncio.wait_for(over.wait(), 20)
            await asyncio.sleep(0.1)  # the last frame is on its way through fastrtc
        assert sum(len(left) for _at, left in call.heard) >= 593 * 24

    asyncio.run(main())


def test_an_interruption_empties_fastrtcs_queue(deps: Any) -> None:
    flushed = asyncio.Event()

    async def script(visit: Visit) -> None:
        await welcome(visit)
        await visit.send("reply_started", turn=1, reply_id=1)
        for second in range(3):
            await visit.audio(1, tone(1_000), seq=second)
        while (await visit.until("played"))["ms"] < 400:
            pass
        await visit.send("speech_started", turn=2)
        mark = (await visit.until("played"))["ms"]
        assert 400 <= mark < 2_000
        await visit.send("reply_done", reply_id=1, reason="interrupted", timings_ms={})
        await visit.send("transcript_user", text="Wait!", turn=2)
        flushed.set()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain, a_call(handler(deps, brain.port)) as call:
            await asyncio.wait_for(flushed.wait(), 20)
            before = call.loud_ms()
            await asyncio.sleep(0.3)
            after = call.loud_ms()
        assert 300 < before < 2_000
        assert after - before <= 40, "sound went on after the interruption"
        assert deps.movement_manager.listening

    asyncio.run(main())


def test_the_page_knows_the_original_and_the_copy_obeys(deps: Any) -> None:
    """fastrtc talks to a copy; the personality page stays wired to the handler it was given."""
    there, told = asyncio.Event(), asyncio.Event()

    async def script(visit: Visit) -> None:
        await welcome(visit)
        there.set()
        changed = await visit.until("session")
        assert changed["instructions"].startswith("You are a detective")
        told.set()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain:
            original = handler(deps, brain.port)
            async with a_call(original):
                await asyncio.wait_for(there.wait(), 20)
                assert await original.apply_personality("noir_detective") == "Applied personality."
                await asyncio.wait_for(told.wait(), 5)
                assert "tone" in await original.get_available_voices()
            assert len(brain.visits) == 1, "the original has no conversation of its own"

    asyncio.run(main())
