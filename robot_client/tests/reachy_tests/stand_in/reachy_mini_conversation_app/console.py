"""Console mode: microphone to handler, handler to speaker, on one event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

from fastrtc import AdditionalOutputs, audio_to_float32
from reachy_mini import ReachyMini
from reachy_mini.media.media_manager import MediaBackend
from scipy.signal import resample

from reachy_mini_conversation_app.config import config, load_dotenv
from reachy_mini_conversation_app.headless_personality_ui import mount_personality_routes
from reachy_mini_conversation_app.openai_realtime import OpenaiRealtimeHandler

logger = logging.getLogger(__name__)

WARM_UP_S = 0.2  # the media pipelines take a moment (a second, in the real one)

# How often a key was asked for on the network. The stand-in never gets one.
key_fetches = 0


class LocalStream:
    """`shown` and `left_over` are for the tests."""

    def __init__(
        self,
        handler: OpenaiRealtimeHandler,
        robot: ReachyMini,
        *,
        settings_app: Any = None,
        instance_path: str | None = None,
    ) -> None:
        robot.parts["local_stream"] = self
        self.handler = handler
        self._robot = robot
        self._stop_event = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.handler._clear_queue = self.clear_audio_queue
        self._settings_app = settings_app
        self._instance_path = instance_path
        self._asyncio_loop: asyncio.AbstractEventLoop | None = None
        self.shown: list[tuple[float, dict[str, Any]]] = []
        self.left_over: list[str] = []

    def launch(self) -> None:
        """Wait for a key, then talk until `close`."""
        self._stop_event.clear()
        env = Path(self._instance_path) / ".env" if self._instance_path else None
        if env is not None and env.exists():
            load_dotenv(env)
            if key := os.getenv("OPENAI_API_KEY", "").strip():
                config.OPENAI_API_KEY = key
        if not self._has_key():
            self._fetch_key()
        if not self._has_key():
            logger.warning("OPENAI_API_KEY not found, waiting for it")
            try:
                while not self._has_key():
                    time.sleep(0.2)
            except KeyboardInterrupt:
                return
        self._robot.media.start_recording()
        self._robot.media.start_playing()
        time.sleep(WARM_UP_S)
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._asyncio_loop = asyncio.get_running_loop()
        if self._settings_app is not None:
            mount_personality_routes(self._settings_app, self.handler, lambda: self._asyncio_loop)
        self._tasks = [
            asyncio.create_task(self.handler.start_up(), name="openai-handler"),
            asyncio.create_task(self.record_loop(), name="stream-record-loop"),
            asyncio.create_task(self.play_loop(), name="stream-play-loop"),
        ]
        try:
            await asyncio.gather(*self._tasks)
        except asyncio.CancelledError:
            logger.info("tasks cancelled")
        finally:
            await self.handler.shutdown()
            # asyncio.run would end these in silence; the tests want to know of them
            mine = {asyncio.current_task(), *self._tasks}
            self.left_over = [str(task) for task in asyncio.all_tasks() - mine]

    def _has_key(self) -> bool:
        return bool(config.OPENAI_API_KEY and str(config.OPENAI_API_KEY).strip())

    def _fetch_key(self) -> None:
        global key_fetches
        key_fetches += 1
        logger.warning("fetching a key from the network (not in the stand-in)")

    def close(self) -> None:
        """Called from another thread; it stops the media, and cancels the tasks as they stand."""
        self._robot.media.stop_recording()
        self._robot.media.stop_playing()
        self._stop_event.set()
        for task in self._tasks:
            if not task.done():
                task.cancel()

    def clear_audio_queue(self) -> None:
        """Flush the player and put an empty queue in the place of the handler's."""
        if self._robot.media.backend == MediaBackend.GSTREAMER:
            self._robot.media.audio.clear_player()
        elif self._robot.media.backend in (MediaBackend.DEFAULT, MediaBackend.DEFAULT_NO_VIDEO):
            self._robot.media.audio.clear_output_buffer()
        self.handler.output_queue = asyncio.Queue()

    async def record_loop(self) -> None:
        rate = self._robot.media.get_input_audio_samplerate()
        while not self._stop_event.is_set():
            frame = self._robot.media.get_audio_sample()
            if frame is not None:
                await self.handler.receive((rate, frame))
            # The real one waits for nothing and keeps a core busy; the tests share theirs.
            await asyncio.sleep(0.002)

    async def play_loop(self) -> None:
        while not self._stop_event.is_set():
            output = await self.handler.emit()
            if isinstance(output, AdditionalOutputs):
                for message in output.args:
                    self.shown.append((time.monotonic(), message))
                    if isinstance(message.get("content", ""), str):
                        logger.info("role=%s content=%s", message.get("role"), message["content"])
            elif isinstance(output, tuple):
                self._play(*output)
            await asyncio.sleep(0)

    def _play(self, rate: int, sound: Any) -> None:
        speaker_rate = self._robot.media.get_output_audio_samplerate()
        if sound.ndim == 2:
            if sound.shape[1] > sound.shape[0]:
                sound = sound.T
            if sound.shape[1] > 1:
                sound = sound[:, 0]
        frame = audio_to_float32(sound)
        if rate != speaker_rate:
            frame = resample(frame, int(len(frame) * speaker_rate / rate))
        self._robot.media.push_audio_sample(frame)
