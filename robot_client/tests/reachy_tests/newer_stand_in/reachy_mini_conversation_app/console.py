"""The newer console mode, as far as a handler can tell."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from reachy_mini_conversation_app.conversation_handler import ConversationHandler
from reachy_mini_conversation_app.streaming import AdditionalOutputs

logger = logging.getLogger(__name__)

RETRY_S = 5.0


class LocalStream:
    def __init__(
        self,
        handler: ConversationHandler,
        robot: Any,
        *,
        handler_factory: Callable[[str | None], ConversationHandler],
        startup_voice: str | None = None,
    ) -> None:
        self._robot = robot
        self._handler_factory = handler_factory
        self._voice_override = startup_voice
        self._restart_requested = asyncio.Event()
        self._stop_event = asyncio.Event()
        self.shown: list[Any] = []
        self.activities: list[str] = []
        self.transcripts: list[tuple[str, str, bool]] = []
        self._install_handler(handler)

    def _install_handler(self, handler: ConversationHandler) -> None:
        self.handler = handler
        handler._clear_queue = self.clear_audio_queue
        handler.set_activity_observer(self.activities.append)
        handler.set_transcript_observer(lambda *what: self.transcripts.append(what))

    def backend_connected(self) -> bool:
        return vars(self.handler).get("connection") is not None

    def seconds_since_activity(self) -> float:
        return time.monotonic() - self.handler.last_activity_time

    async def request_backend_restart(self) -> None:
        self._restart_requested.set()
        await self.handler.shutdown()

    async def run_handler(self) -> None:
        while not self._stop_event.is_set():
            if self._restart_requested.is_set():
                self._restart_requested.clear()
                self._install_handler(self._handler_factory(self._voice_override))
            await self.handler.start_up()
            if self._restart_requested.is_set() or self._stop_event.is_set():
                continue
            logger.info("backend session ended, retrying")
            await asyncio.sleep(RETRY_S)

    def launch(self) -> None:
        self._robot.media.start_recording()
        self._robot.media.start_playing()

        async def runner() -> None:
            tasks = [self.run_handler(), self.record_loop(), self.play_loop()]
            try:
                await asyncio.gather(*tasks)
            except asyncio.CancelledError:
                logger.info("tasks cancelled")
            finally:
                await self.handler.shutdown()

        asyncio.run(runner())

    def clear_audio_queue(self) -> None:
        self._robot.media.audio.clear_output_buffer()
        while not self.handler.output_queue.empty():
            self.handler.output_queue.get_nowait()

    async def record_loop(self) -> None:
        rate = self._robot.media.get_input_audio_samplerate()
        while not self._stop_event.is_set():
            frame = self._robot.media.get_audio_sample()
            if frame is not None:
                await self.handler.receive((rate, frame))
            await asyncio.sleep(0.002)

    async def play_loop(self) -> None:
        while not self._stop_event.is_set():
            try:
                output = await asyncio.wait_for(self.handler.emit(), timeout=0.5)
            except asyncio.TimeoutError:
                continue
            if isinstance(output, AdditionalOutputs):
                for message in output.args:
                    self.shown.append(message)
                    logger.info("role=%s content=%s", message["role"], message["content"])
            elif isinstance(output, tuple):
                _rate, sound = output
                self._robot.media.push_audio_sample(sound.T.astype("float32") / 32768)
            await asyncio.sleep(0)
