"""`LocalConversationHandler`: `reachy.core` for the newer versions of the app.

Those have no fastrtc and no gradio, but an abstract `ConversationHandler` of their own, made anew
by a `handler_factory(startup_voice)` whenever the settings page asks for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from reachy_mini_conversation_app.conversation_handler import ConversationHandler
from reachy_mini_conversation_app.streaming import AdditionalOutputs

from robot_client.reachy.app import PACKAGE, App, InstalledApp
from robot_client.reachy.core import APP_RATE, HandlerCore
from robot_client.reachy.messages import Shown
from robot_client.reachy.server import LocalServer

# What the app's page calls the things that a message tells of, by the message's role.
ACTIVITIES = {
    "user_partial": "user_transcription_delta",
    "user": "user_transcription_completed",
    "assistant": "assistant_transcript_done",
}


class NewerApp(InstalledApp):
    """The installed app, less the tools that look after its own background tasks."""

    def tool_specs(self) -> Sequence[Mapping[str, Any]]:
        """See `App`. The brain needs no tool to wait for a tool, and those need a manager."""
        own: set[str] = set()
        constants = f"{PACKAGE}.tools.tool_constants"
        if importlib.util.find_spec(constants) is not None:
            own = {tool.value for tool in importlib.import_module(constants).SystemTool}
        return [spec for spec in super().tool_specs() if spec["name"] not in own]


class LocalConversationHandler(ConversationHandler):  # type: ignore[misc]  # the app has no types
    """A `ConversationHandler` that talks to a local brain.

    deps: the app's `ToolDependencies`. startup_voice: the voice that was chosen last. server:
    which brain, by default what the environment says; app: for tests. Raises `ValueError` for an
    environment that names no usable address.
    """

    def __init__(
        self,
        deps: Any,
        instance_path: str | None = None,
        startup_voice: str | None = None,
        *,
        server: LocalServer | None = None,
        app: App | None = None,
    ) -> None:
        super().__init__()
        self.deps = deps
        self.instance_path = instance_path
        self.input_sample_rate = self.output_sample_rate = APP_RATE
        self.output_queue: asyncio.Queue[Any] = asyncio.Queue()
        self._clear_queue: Callable[[], None] | None = None  # the app puts its own here
        # The app takes a handler for connected while this isn't None; it looks into vars().
        self.connection: HandlerCore | None = None
        server = server or LocalServer.from_environment()
        if (idle_after_s := getattr(self, "IDLE_BEHAVIOR_THRESHOLD_S", None)) is not None:
            server = dataclasses.replace(server, idle_after_s=float(idle_after_s))
        self.core = HandlerCore(
            self,
            deps,
            server,
            app or NewerApp(instance_path),
            wrap=self._wrapped,
            show_image=_as_it_is,
        )
        self.core.chosen_voice = startup_voice or None

    async def start_up(self) -> None:
        """See `HandlerCore`."""
        await self.core.start_up()

    async def shutdown(self) -> None:
        """See `HandlerCore`."""
        await self.core.shutdown()
        self._follow()

    async def receive(self, frame: tuple[int, NDArray[Any]]) -> None:
        """See `HandlerCore`."""
        await self.core.receive(frame)

    async def emit(self) -> Any:
        """See `HandlerCore`. The app's loop calls it ten times a second at least."""
        self._follow()
        return await self.core.emit()

    async def apply_personality(self, profile: str | None) -> str:
        """See `HandlerCore`."""
        return await self.core.apply_personality(profile)

    async def get_available_voices(self) -> list[str]:
        """See `HandlerCore`."""
        return await self.core.get_available_voices()

    def get_current_voice(self) -> str:
        """See `HandlerCore`."""
        return self.core.get_current_voice()

    async def change_voice(self, voice: str) -> str:
        """See `HandlerCore`."""
        return await self.core.change_voice(voice)

    async def say(self, text: str, *, allow_tools: bool = True) -> None:  # noqa: ARG002
        """Speak about this now: an instruction, as in the app, not words to be said as they stand.

        Raises `ConnectionError` if there is no brain. `allow_tools` is the app's and isn't held
        to: the brain's turns have the session's tools.
        """
        await self.core.say(text, verbatim=False)

    def _is_connected(self) -> bool:
        return self.core.connected

    def _follow(self) -> None:
        """Keep what the app reads of a handler in step with the core."""
        self.connection = self.core if self.core.connected else None
        self.last_activity_time = self.core.reactions.last_activity_time

    def _wrapped(self, message: Shown) -> Any:
        """The message for the app's log, and the same for its page, where it has one."""
        role, words = message["role"], message["content"]
        if (mark := getattr(self, "_mark_activity", None)) is not None:
            mark(ACTIVITIES[role])
        tell = getattr(self, "_emit_transcript", None)
        if tell is not None and isinstance(words, str) and "metadata" not in message:
            tell(role.removesuffix("_partial"), words, role != "user_partial")
        return AdditionalOutputs(message)


def bound_handler(server: LocalServer) -> type[Any]:
    """A `LocalConversationHandler` for this brain, with the constructor that the app calls."""

    class BoundHandler(LocalConversationHandler):
        """Other arguments than these came and went with the app's versions."""

        def __init__(
            self,
            deps: Any,
            instance_path: str | None = None,
            startup_voice: str | None = None,
            **_others: Any,
        ) -> None:
            super().__init__(deps, instance_path, startup_voice, server=server)

    return BoundHandler


def _as_it_is(rgb: NDArray[Any] | None) -> NDArray[Any] | None:
    return rgb
