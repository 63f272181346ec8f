"""The contract of the newer app's handlers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from reachy_mini_conversation_app.streaming import AsyncStreamHandler, wait_for_item


class ConversationHandler(AsyncStreamHandler, ABC):
    IDLE_BEHAVIOR_THRESHOLD_S: ClassVar[float] = 180.0
    NOTIFICATION_QUIET_PERIOD_S: ClassVar[float] = 1.5

    _activity_observer: Callable[[str], None] | None = None
    _transcript_observer: Callable[[str, str, bool], None] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.last_activity_time = time.monotonic()
        self.user_is_speaking = False

    def set_activity_observer(self, observer: Callable[[str], None] | None) -> None:
        self._activity_observer = observer

    def set_transcript_observer(self, observer: Callable[[str, str, bool], None] | None) -> None:
        self._transcript_observer = observer

    def _emit_transcript(self, role: str, text: str, final: bool = True) -> None:
        if self._transcript_observer is not None and text:
            self._transcript_observer(role, text, final)

    def _mark_activity(self, reason: str) -> None:
        self.last_activity_time = time.monotonic()
        if self._activity_observer is not None:
            self._activity_observer(reason)

    def notification_ready(self) -> bool:
        quiet = time.monotonic() - self.last_activity_time
        return (
            self._is_connected()
            and not self.user_is_speaking
            and quiet >= self.NOTIFICATION_QUIET_PERIOD_S
        )

    async def emit(self) -> Any:
        return await wait_for_item(self.output_queue)

    @abstractmethod
    def _is_connected(self) -> bool: ...

    @abstractmethod
    async def start_up(self) -> None: ...

    @abstractmethod
    async def shutdown(self) -> None: ...

    @abstractmethod
    async def receive(self, frame: Any) -> None: ...

    @abstractmethod
    async def apply_personality(self, profile: str | None) -> str: ...

    @abstractmethod
    async def get_available_voices(self) -> list[str]: ...

    @abstractmethod
    def get_current_voice(self) -> str: ...

    @abstractmethod
    async def change_voice(self, voice: str) -> str: ...

    @abstractmethod
    async def say(self, text: str, *, allow_tools: bool = True) -> None: ...
