"""The handler whose place the local one takes. Here it says that it was used, and waits."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastrtc import AsyncStreamHandler, wait_for_item

from reachy_mini_conversation_app.tools.core_tools import ToolDependencies

logger = logging.getLogger(__name__)


class OpenaiRealtimeHandler(AsyncStreamHandler):
    """`used`, of the class: how often one was made."""

    used = 0

    def __init__(
        self, deps: ToolDependencies, gradio_mode: bool = False, instance_path: str | None = None
    ) -> None:
        super().__init__(expected_layout="mono", output_sample_rate=24000, input_sample_rate=24000)
        OpenaiRealtimeHandler.used += 1
        logger.info("the OpenAI handler is used, gradio_mode=%s", gradio_mode)
        self.deps = deps
        self.gradio_mode = gradio_mode
        self.instance_path = instance_path
        self.output_queue: asyncio.Queue[Any] = asyncio.Queue()
        self._over = asyncio.Event()

    def copy(self) -> OpenaiRealtimeHandler:
        return OpenaiRealtimeHandler(self.deps, self.gradio_mode, self.instance_path)

    async def start_up(self) -> None:
        await self._over.wait()

    async def receive(self, frame: Any) -> None:
        return

    async def emit(self) -> Any:
        return await wait_for_item(self.output_queue)

    async def shutdown(self) -> None:
        self._over.set()

    async def apply_personality(self, profile: str | None) -> str:
        return "the OpenAI handler has no session"

    async def get_available_voices(self) -> list[str]:
        return ["cedar"]
