"""`LocalSocketHandler`: takes the place of the Reachy Mini app's `OpenaiRealtimeHandler`.

The thin face of `reachy.core` for the app of January 2026, which builds upon fastrtc (the extra
`reachy`).
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
from fastrtc import AdditionalOutputs, AsyncStreamHandler
from numpy.typing import NDArray

from robot_client.pacing import FRAME_MS
from robot_client.reachy.app import App, InstalledApp
from robot_client.reachy.core import APP_RATE, HandlerCore
from robot_client.reachy.server import LocalServer


class LocalSocketHandler(AsyncStreamHandler):  # type: ignore[misc]  # fastrtc has no types
    """A fastrtc handler that talks to a local brain. Public methods are those of the app's own.

    deps: the app's `ToolDependencies`. server: which brain, by default what the environment says;
    app: for tests. What is emitted is `(rate, int16 (1, samples))` or `AdditionalOutputs`.
    Raises `ValueError` for an environment that names no usable address.
    """

    def __init__(
        self,
        deps: Any,
        gradio_mode: bool = False,
        instance_path: str | None = None,
        *,
        server: LocalServer | None = None,
        app: App | None = None,
        family: weakref.WeakSet[HandlerCore] | None = None,
    ) -> None:
        super().__init__(
            expected_layout="mono", output_sample_rate=APP_RATE, input_sample_rate=APP_RATE
        )
        self.deps = deps
        self.gradio_mode = gradio_mode
        self.instance_path = instance_path
        self.output_queue: asyncio.Queue[Any] = asyncio.Queue()
        self._clear_queue: Callable[[], None] | None = None  # the app puts its own here
        self.core = HandlerCore(
            self,
            deps,
            server or LocalServer.from_environment(),
            app or InstalledApp(instance_path),
            gradio_mode=gradio_mode,
            wrap=AdditionalOutputs,
            show_image=_gradio_image,
            family=family,
        )
        self.core.app.need_no_key()

    def copy(self) -> LocalSocketHandler:
        """A fresh handler with the same arguments; fastrtc makes one for each browser."""
        return type(self)(
            self.deps,
            self.gradio_mode,
            self.instance_path,
            server=self.core.server,
            app=self.core.app,
            family=self.core.family,
        )

    async def start_up(self) -> None:
        """See `HandlerCore`."""
        await self.core.start_up()

    async def receive(self, frame: tuple[int, NDArray[Any]]) -> None:
        """See `HandlerCore`."""
        await self.core.receive(frame)

    async def emit(self) -> Any:
        """See `HandlerCore`."""
        item = await self.core.emit()
        return _in_whole_frames(item) if self.gradio_mode and isinstance(item, tuple) else item

    async def shutdown(self) -> None:
        """See `HandlerCore`."""
        await self.core.shutdown()

    async def apply_personality(self, profile: str | None) -> str:
        """See `HandlerCore`."""
        return await self.core.apply_personality(profile)

    async def get_available_voices(self) -> list[str]:
        """See `HandlerCore`."""
        return await self.core.get_available_voices()

    @property
    def last_activity_time(self) -> float:
        """When something last happened in the conversation, `time.monotonic()` seconds."""
        return self.core.reactions.last_activity_time

    @property
    def is_idle_tool_call(self) -> bool:
        """Whether the next tool call answers an idle signal."""
        return self.core.reactions.is_idle_tool_call

    def format_timestamp(self) -> str:
        """Date, time, and seconds since this handler was made."""
        return f"[{datetime.now():%Y-%m-%d %H:%M:%S} | +{self.core.age_s:.1f}s]"


def _in_whole_frames(sound: tuple[int, NDArray[Any]]) -> tuple[int, NDArray[Any]]:
    """Silence fills up a reply's last frame: fastrtc would keep it until the next reply."""
    rate, samples = sound
    return rate, np.pad(samples, ((0, 0), (0, -samples.shape[1] % (rate * FRAME_MS // 1000))))


def _gradio_image(rgb: NDArray[Any] | None) -> Any:
    import gradio  # seconds, and only once there is a picture to show

    return gradio.Image(value=rgb)
