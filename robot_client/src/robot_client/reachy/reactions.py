"""What the robot does about each thing that happens: its pose, its head, and what it shows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from robot_client.connection import Arrival, Disconnected, Stopped
from robot_client.conversation import Flushed, ToolUsed
from robot_client.messages import (
    AudioDelta,
    ErrorMessage,
    Ready,
    SpeechStarted,
    SpeechStopped,
    TranscriptAssistant,
    TranscriptUser,
    TranscriptUserPartial,
)
from robot_client.reachy import messages
from robot_client.reachy.body import Careful, ListeningPose, Wobble
from robot_client.reachy.outputs import Outputs
from robot_client.reachy.picture import latest_frame

log = logging.getLogger(__name__)


class Reactions:
    """Acts on events with the app's body (`deps`), and keeps what follows from them.

    last_activity_time: when something last happened, seconds by `clock`. voices: the brain's.
    is_idle_tool_call: the next tool call answers an idle signal.
    """

    def __init__(
        self,
        deps: Any,
        outputs: Outputs,
        show_image: Callable[[NDArray[Any] | None], Any],
        clock: Callable[[], float],
    ) -> None:
        self.last_activity_time = clock()
        self.is_idle_tool_call = False
        self.voices: tuple[str, ...] = ()
        self._deps = deps
        self._outputs = outputs
        self._show_image = show_image
        self._careful = Careful()
        self._clock = clock
        self._pose = ListeningPose(getattr(deps, "movement_manager", None), clock)
        self._wobble = Wobble(getattr(deps, "head_wobbler", None))
        self._away = False  # whether people have been told that there is no brain

    def to(self, seen: Arrival | ToolUsed | Flushed, waiting_ms: float) -> None:
        """React. waiting_ms: sound that the speaker has yet to get, this event's included."""
        if isinstance(seen, ToolUsed):
            self._tool_used(seen)
        elif isinstance(seen, Flushed):
            self._hush()
        elif isinstance(seen.event, AudioDelta):
            self._spoken(seen.event, waiting_ms)
        elif isinstance(seen.event, (Ready, Disconnected, Stopped)):
            self._connection_changed(seen.event)
        else:
            self._message(seen.event)

    def active(self) -> None:
        """Something happens: the robot isn't idle."""
        self.last_activity_time = self._clock()

    def notice(self, sentence: str) -> None:
        """Something about the brain that people should know."""
        log.info("%s", sentence)
        self._outputs.show(messages.said(f"[brain] {sentence}"))

    def close(self) -> None:
        """The robot stops listening."""
        self._pose.close()

    def _spoken(self, delta: AudioDelta, waiting_ms: float) -> None:
        self.active()
        alone = waiting_ms <= len(delta.pcm) * 500 / delta.sample_rate + 1
        self._wobble.feed(delta, silent=alone)
        self._outputs.sound_came()

    def _message(self, event: object) -> None:
        if isinstance(event, SpeechStarted):
            self.active()
            self._hush()
            self._pose.set(listening=True)
        elif isinstance(event, SpeechStopped):
            self.active()
            self._pose.set(listening=False)
        elif isinstance(event, TranscriptUserPartial):
            self._outputs.show_partial(event.text)
        elif isinstance(event, TranscriptUser):
            self.is_idle_tool_call = False
            self._outputs.show(messages.heard(event.text))
        elif isinstance(event, TranscriptAssistant) and event.text:
            self._outputs.show(messages.said(event.text))
        elif isinstance(event, ErrorMessage):
            log.warning("the brain: %s: %s", event.code, event.message)
            if event.fatal or event.code not in messages.QUIET_ERRORS:
                self._outputs.show(messages.went_wrong(event.message or event.code))

    def _connection_changed(self, event: Ready | Disconnected | Stopped) -> None:
        if isinstance(event, Ready):
            self.voices = event.voices
            log.info("%s a brain: %s", "back at" if event.resumed else "talking to", event.profile)
            if self._away:
                self._outputs.show(messages.said("[brain] It is there again."))
            self._away = False
            self.active()
            return
        self._pose.set(listening=False)
        if isinstance(event, Stopped):
            until = "not tried again until the app, or its page, is started anew"
            self._outputs.show(messages.went_wrong(f"{event.reason}; {until}"))
        elif not self._away:  # once, not once a try
            self._away = True
            self._outputs.show(messages.went_wrong(f"{event.reason}; trying until it is there"))

    def _tool_used(self, done: ToolUsed) -> None:
        self.active()
        self.is_idle_tool_call = False
        self._outputs.show(messages.used(done.call.name, done.outcome.output))
        if done.outcome.picture is not None:
            camera = getattr(self._deps, "camera_worker", None)
            image = self._careful("camera", lambda: self._show_image(latest_frame(camera)), None)
            if image is not None:
                self._outputs.show(messages.picture(image))
        self._wobble.reset()  # its clock ran on while the tool took its time

    def _hush(self) -> None:
        self._outputs.hush()
        self._wobble.reset()
