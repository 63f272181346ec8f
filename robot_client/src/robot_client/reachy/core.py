"""All that a handler does inside the Reachy Mini app, without fastrtc and without gradio.

A face (`local_socket_handler`, `reachy.conversation_face`) gives it the app's shapes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_client import requests
from robot_client.address import Locator
from robot_client.connection import Arrival, Connection
from robot_client.conversation import Conversation, Flushed, ToolUsed
from robot_client.microphone import Microphone
from robot_client.pcm import to_bytes
from robot_client.reachy import messages
from robot_client.reachy.app import App
from robot_client.reachy.body import WOBBLER_RATE, Careful
from robot_client.reachy.outputs import Face, Outputs
from robot_client.reachy.paced_speaker import PacedSpeaker
from robot_client.reachy.reactions import Reactions
from robot_client.reachy.server import LocalServer
from robot_client.reachy.tools import app_tools
from robot_client.requests import Session
from robot_client.tools import ToolBox

log = logging.getLogger(__name__)

WIRE_RATE = 16_000  # Hz, what the brain hears with
APP_RATE = 24_000  # Hz, what the app and its head wobbler expect of a handler
RESTART_S = 1.0
HANG_UP_S = 5.0

# The personality UI takes for granted that this voice exists; here it means the brain's own.
DEFAULT_VOICE = "cedar"


class HandlerCore:
    """One robot's conversation with a local brain, as the app sees it.

    face: the handler that the app holds. deps: the app's `ToolDependencies`. wrap, show_image:
    make a message and an RGB picture what the app can show. clock: seconds, monotonic; a handler
    is built outside any running loop.
    """

    def __init__(
        self,
        face: Face,
        deps: Any,
        server: LocalServer,
        app: App,
        *,
        gradio_mode: bool = False,
        wrap: Callable[[messages.Shown], Any],
        show_image: Callable[[NDArray[Any] | None], Any],
        family: weakref.WeakSet[HandlerCore] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deps = deps
        self.server = server
        self.app = app
        self.gradio_mode = gradio_mode
        # The handlers of one app: its personality UI knows only the first, its users the copies.
        self.family: weakref.WeakSet[HandlerCore] = weakref.WeakSet() if family is None else family
        self.family.add(self)
        self.chosen_voice: str | None = None
        self._clock = clock
        self._made_at = clock()
        self._outputs = Outputs(face, wrap)
        self.reactions = Reactions(deps, self._outputs, show_image, clock)
        self._microphone = Microphone(WIRE_RATE)
        self._complaint = ""
        self._careful = Careful()
        self._connection: Connection | None = None
        self._conversation: Conversation[PacedSpeaker] | None = None
        self._over = asyncio.Event()
        self._hung_up = asyncio.Event()  # no conversation is going on
        self._hung_up.set()

    # -- life ----------------------------------------------------------------------------------

    async def start_up(self) -> None:
        """Talk to the brain until `shutdown`. Neither returns before it nor raises for a fault.

        The app ends when this raises, and is deaf when it returns.
        """
        if not self._hung_up.is_set():  # a second conversation would take the first one's place
            await self._hung_up.wait()
            return
        self._hung_up.clear()
        try:
            while not self._over.is_set():
                try:
                    await self._talk()
                except Exception:  # whatever it was, a robot that is deaf for ever is worse
                    log.exception("the conversation failed; it starts anew")
                if not self._over.is_set():
                    await self._sleep(RESTART_S)
        finally:
            self._hung_up.set()

    async def shutdown(self) -> None:
        """Hang up and leave nothing behind. Twice is once."""
        self._over.set()
        if self._connection is not None:
            await self._connection.close()
        # The app may have cancelled `start_up` a moment ago: it hangs up on its own way out then,
        # and the app's event loop must not end before that.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._hung_up.wait(), HANG_UP_S)
        self.reactions.close()
        self._outputs.close()

    @property
    def age_s(self) -> float:
        """Seconds since this handler was made."""
        return self._clock() - self._made_at

    @property
    def connected(self) -> bool:
        """Whether there is a brain now."""
        return self._connection is not None and self._connection.connected

    # -- sound ---------------------------------------------------------------------------------

    async def receive(self, frame: tuple[int, NDArray[Any]]) -> None:
        """Microphone sound as (rate in Hz, samples). Never raises; see `Microphone.feed`."""
        if self._connection is None:
            return
        try:
            rate, samples = frame
            pcm = self._microphone.feed(rate, np.asarray(samples))
        except (TypeError, ValueError) as error:  # frames of whatever is behind the app
            if str(error) != self._complaint:  # once, not once a frame
                self._complaint = str(error)
                log.warning("the microphone's sound can't be used: %s", error)
            return
        if len(pcm):
            self._connection.send_audio(to_bytes(pcm))

    async def emit(self) -> Any:
        """The next frame of sound, 20 ms at its own time, or message; None after 0.1 s of none."""
        self._idle()
        return await self._outputs.next()

    # -- what the app's settings ask for -------------------------------------------------------

    async def apply_personality(self, profile: str | None) -> str:
        """Be somebody else from the next reply on. Returns a sentence for people, never raises.

        A personality that can't be read leaves the one before as it is.
        """
        before = None
        try:
            before = self.app.profile()
            self.app.choose_profile(profile)
            changes = self._personality()
            told = [core._change(changes) for core in self.family if core._connection is not None]
        except (Exception, SystemExit) as error:  # noqa: BLE001  the app's prompts exit
            log.error("the personality %r can't be used: %r", profile, error)
            with contextlib.suppress(Exception, SystemExit):
                self.app.choose_profile(before)
            return f"Failed to apply personality: {str(error) or type(error).__name__}"
        if any(told):
            return "Applied personality."
        return "Applied personality. It is used as soon as the brain is there."

    async def get_available_voices(self) -> list[str]:
        """The brain's voices, after the one that stands for its default."""
        voices = next((core.reactions.voices for core in self.family if core.reactions.voices), ())
        return [DEFAULT_VOICE, *(voice for voice in voices if voice != DEFAULT_VOICE)]

    def get_current_voice(self) -> str:
        """The voice that was chosen, by hand or by the personality."""
        return self.chosen_voice or self.app.voice()

    async def change_voice(self, voice: str) -> str:
        """Speak with another voice from the next reply on. Returns a sentence for people."""
        self.chosen_voice = voice or None
        told = self._change(Session(voice=self.get_current_voice()))
        return f"Voice changed to {voice}." if told else "Voice changed, for the next connection."

    async def say(self, words: str, *, verbatim: bool = True) -> None:
        """Speak this as it stands, or about it. Raises `ConnectionError` without a brain."""
        frame = requests.say(words) if verbatim else requests.text(words)
        if self._connection is None or not self._connection.send(frame):
            raise ConnectionError("there is no brain to say it")

    # -- one conversation ----------------------------------------------------------------------

    async def _talk(self) -> None:
        locator = Locator(self.server.address, self.reactions.notice)
        token = self.server.address.token
        tools = self._tools()
        async with Connection(locator, session=self._session(tools), token=token) as connection:
            conversation = Conversation(
                connection, partial(PacedSpeaker, self._speaker_rate()), tools, self._see
            )
            self._connection, self._conversation = connection, conversation
            talk = asyncio.create_task(conversation.run(), name="robot-client conversation")
            pump = asyncio.create_task(
                self._outputs.pump(conversation.playback), name="robot-client pump"
            )
            try:
                done, _ = await asyncio.wait({talk, pump}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                await self._over.wait()  # it gave up: only people can help, who have been told
            finally:
                self._connection = self._conversation = None
                self.reactions.close()
                for task in (talk, pump):
                    task.cancel()
                await asyncio.wait({talk, pump})

    def _session(self, tools: ToolBox) -> Session:
        session = Session(
            input_sample_rate=WIRE_RATE,
            output_sample_rate=WOBBLER_RATE,
            tools=tools.specs,
            playback_marks=True,
            echo_cancellation=self.server.echo_cancellation,
        )
        try:
            return session.merged(self._personality())
        except (Exception, SystemExit) as error:  # noqa: BLE001  the app's prompts exit
            log.error("the app's personality can't be read, the brain's own is used: %r", error)
            return session

    def _tools(self) -> ToolBox:
        try:
            return app_tools(self.app, self.deps)
        except (Exception, SystemExit) as error:  # noqa: BLE001  the app's tools exit
            log.error("the app's tools can't be loaded, the robot has none: %r", error)
            return ToolBox()

    def _personality(self) -> Session:
        return Session(instructions=self.app.instructions(), voice=self.get_current_voice())

    def _change(self, changes: Session) -> bool:
        if self._connection is None or self._conversation is None:
            return False
        self._conversation.tools = tools = self._tools()
        return self._connection.update(changes.merged(Session(tools=tools.specs)))

    def _speaker_rate(self) -> int:
        """The rate of the robot's own speaker, if it is known, Hz.

        The app's console player resamples each frame for itself, which clicks at every border;
        it doesn't touch sound that has the speaker's rate already.
        """
        if self.gradio_mode:
            return APP_RATE
        try:
            rate = self.deps.reachy_mini.media.get_output_audio_samplerate()
        except Exception:  # the robot's media may not be there, and any library is behind it
            log.warning("the speaker's rate isn't known", exc_info=True)
            return APP_RATE
        return rate if isinstance(rate, int) and rate > 0 and rate % 50 == 0 else APP_RATE

    # -- what happens --------------------------------------------------------------------------

    def _see(self, seen: Arrival | ToolUsed | Flushed) -> None:
        waiting = 0.0 if self._conversation is None else self._conversation.playback.queued_ms
        self.reactions.to(seen, waiting)

    def _idle(self) -> None:
        seconds = self._clock() - self.reactions.last_activity_time
        if seconds <= self.server.idle_after_s or self._connection is None:
            return
        if not self._careful("movement manager", self._moves_nothing, False):
            return
        if self._connection.send(requests.idle(round(seconds, 1))):
            self.reactions.is_idle_tool_call = True
        self.reactions.active()  # not once a frame

    def _moves_nothing(self) -> bool:
        return bool(self.deps.movement_manager.is_idle())

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
