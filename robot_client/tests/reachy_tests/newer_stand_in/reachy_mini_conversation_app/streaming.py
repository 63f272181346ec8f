"""What the newer app has in the place of fastrtc."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any


class AdditionalOutputs:
    """Texts beside the sound."""

    def __init__(self, *args: Mapping[str, object]) -> None:
        self.args = args


class AsyncStreamHandler:
    """The state that the audio loop knows of."""

    def __init__(self, output_sample_rate: int = 24000, input_sample_rate: int = 48000) -> None:
        self.output_sample_rate = output_sample_rate
        self.input_sample_rate = input_sample_rate
        self._clear_queue = None


async def wait_for_item(queue: asyncio.Queue[Any], timeout: float = 0.1) -> Any:
    try:
        return await asyncio.wait_for(queue.get(), timeout)
    except asyncio.TimeoutError:
        return None
