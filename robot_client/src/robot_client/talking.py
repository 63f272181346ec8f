"""A conversation through a microphone and a speaker, until it is ended."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from robot_client import requests
from robot_client.connection import Arrival, Connection, Stopped
from robot_client.conversation import Conversation
from robot_client.devices import Hiccups, NoDeviceError, Port, open_devices
from robot_client.keys import END, ENTER, keys
from robot_client.meter import Attention, Level, meter_line
from robot_client.pacing import FRAME_MS, every_frame
from robot_client.pcm import PCM, to_bytes
from robot_client.playback import Playback
from robot_client.push_to_talk import PushToTalk
from robot_client.recorder import Recorder
from robot_client.report import Seen
from robot_client.screen import Screen
from robot_client.tools import ToolBox

TICK_S = 0.1
DEAF_TICKS = 50  # a device that does nothing for so long is gone (unplugged, most likely)
KEEP_ALIVE_S = 60.0  # a brain hangs up on a robot that says nothing for minutes


@dataclass(frozen=True)
class Ends:
    """The devices of a conversation; None: without. `key`: push-to-talk, with this key."""

    microphone: Port | None
    speaker: Port | None
    key: str | None = None


class _Pulse:
    """Whether a device is still alive, felt at each tick."""

    def __init__(self, port: Port | None) -> None:
        self._port = port
        self._blocks = 0
        self._still = 0

    def feel(self, blocks: int, silent: str) -> None:
        """`blocks`: how many it has had. Raises `NoDeviceError` if it has stopped."""
        self._still = self._still + 1 if blocks == self._blocks else 0
        self._blocks = blocks
        if self._port is not None and self._still >= DEAF_TICKS:
            raise NoDeviceError(f"{self._port.name} {silent} any more; is it still plugged in?")


class Talk:
    """One conversation with devices. `watch` gets everything that happens.

    The connection's session must be one of push-to-talk if `ends.key` is given.
    """

    def __init__(
        self,
        connection: Connection,
        ends: Ends,
        tools: ToolBox,
        screen: Screen,
        *,
        wire_rate: int,
        watch: Callable[[Seen], None],
        recorder: Recorder | None = None,
    ) -> None:
        self._connection = connection
        self._ends = ends
        self._screen = screen
        self._wire_rate = wire_rate
        self._watch = watch
        self._recorder = recorder
        rate = ends.speaker.rate if ends.speaker is not None else wire_rate
        self._conversation = Conversation(connection, partial(Playback, rate), tools, self._see)
        self._gate = (
            None if ends.key is None else PushToTalk(connection, self._conversation, ends.key)
        )
        self._level = Level()
        self._attention = Attention()
        self._stopped: Stopped | None = None
        self._over = asyncio.Event()

    async def run(self) -> Stopped | None:
        """Talk. Why the connection gave up; None if the user ended it with a key.

        Raises `NoDeviceError` (also for a device that stops for good), `NoKeysError`.
        """
        with ExitStack() as stack:
            if self._gate is not None:
                stack.enter_context(keys(sys.stdin.fileno(), self._key, self._screen.redraw))
            hiccups = stack.enter_context(
                open_devices(
                    self._ends.microphone,
                    self._ends.speaker,
                    wire_rate=self._wire_rate,
                    on_sound=self._heard,
                    pull=self._pull,
                    tap=self._tap,
                )
            )
            self._screen.print(self._welcome(), aside=True)
            works = [self._conversation.run(), self._tick(hiccups), self._over.wait()]
            if self._ends.speaker is None:
                works.append(pull_in_silence(self._pull, self._wire_rate))
            await first_of(*works)
        return self._stopped

    # -- sound ---------------------------------------------------------------------------------

    def _heard(self, sound: PCM) -> None:
        self._level.feed(sound, time.monotonic())
        if self._gate is None or self._gate.talking:
            self._connection.send_audio(to_bytes(sound))

    def _tap(self, sound: PCM) -> None:
        """On the microphone's thread. What isn't sent isn't recorded either."""
        if self._recorder is not None and (self._gate is None or self._gate.talking):
            self._recorder.microphone(sound)

    def _pull(self, count: int) -> PCM:
        """On the speaker's thread."""
        block = self._conversation.playback.pull(count)
        if self._recorder is not None:
            self._recorder.speaker(block)
        return block

    # -- what is seen and done -----------------------------------------------------------------

    def _see(self, seen: Seen) -> None:
        event = seen.event if isinstance(seen, Arrival) else seen
        self._attention.see(event)
        if isinstance(event, Stopped):
            self._stopped = event
        self._watch(seen)

    def _key(self, key: str) -> None:
        assert self._gate is not None
        if key in ("q", END):
            self._over.set()
            return
        before = self._gate.talking
        said = self._gate.press(key)
        if said is not None:
            self._screen.print(f"robot-client: {said}", aside=True)
        if self._recorder is not None and self._gate.talking != before:
            self._recorder.note({"event": "talk_began" if self._gate.talking else "talk_ended"})
        self._show()

    async def _tick(self, hiccups: Hiccups) -> None:
        microphone, speaker = _Pulse(self._ends.microphone), _Pulse(self._ends.speaker)
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            microphone.feel(hiccups.given, "gives no sound")
            speaker.feel(hiccups.taken, "takes no sound")
            if self._gate is not None and ticks % round(KEEP_ALIVE_S / TICK_S) == 0:
                self._connection.send(requests.ping(time.monotonic()))
            self._show()

    def _show(self) -> None:
        if self._screen.live:
            now = time.monotonic()
            doing = self._attention.doing(sounding=not self._conversation.playback.empty)
            if self._gate is not None and self._gate.talking:
                doing = "ON AIR"
            self._screen.status(meter_line(self._level, doing, now))

    def _welcome(self) -> str:
        if self._ends.key is None:
            return "talk to the robot; Ctrl-C ends"
        key = {" ": "space", ENTER: "enter"}.get(self._ends.key, self._ends.key)
        return f"{key} begins what you say, {key} again ends it; c cancels, q ends"


async def pull_in_silence(pull: Callable[[int], PCM], rate: int) -> None:
    """Take sound at real-time pace, as a speaker would that isn't there."""

    def tick() -> bool:
        pull(rate * FRAME_MS // 1000)
        return True

    await every_frame(tick)


async def first_of(*works: Coroutine[object, object, object]) -> None:
    """Until the first ends (or fails, with what it raised); the others are cancelled and joined."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
