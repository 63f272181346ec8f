"""A robot's half of a conversation: what it does about each event. Knows no devices.

Sound goes to the playback queue, marks go back, tools run beside, and an interruption empties
the queue at once. Whoever wants to see what happens passes `watch`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from robot_client import requests
from robot_client.connection import Arrival, Connection
from robot_client.messages import (
    AudioDelta,
    Ready,
    ReplyDone,
    SpeechStarted,
    ToolCall,
)
from robot_client.pcm import PCM, from_bytes
from robot_client.playback import Mark
from robot_client.tools import ToolBox, ToolOutcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ToolUsed:
    """A tool call and what came of it. `sent` is False if the brain was gone by then."""

    call: ToolCall
    outcome: ToolOutcome
    interrupted: bool
    sent: bool


@dataclass(frozen=True)
class Flushed:
    """The playback queue was emptied; so much sound was never heard."""

    dropped_ms: int


class Speaker(Protocol):
    """Where a reply's sound goes: a `Playback`, or the like of it."""

    def push(self, reply_id: int, pcm: PCM, sample_rate: int) -> None:
        """Sound of a reply at its own rate, Hz. Ignored if that reply was flushed."""

    def end(self, reply_id: int) -> None:
        """Nothing more of this reply will come."""

    def flush(self) -> int:
        """Drop what waits. Returns how many milliseconds of sound were dropped."""

    def reset(self) -> None:
        """A new session, whose reply numbers may be those of the one before."""


S = TypeVar("S", bound=Speaker)


class Conversation(Generic[S]):
    """Runs one robot's conversation over a connection until that ends.

    connection: open. speaker: makes the queue that a device or a pacer empties, given what takes
    its marks. tools: what the robot can do; another box may be put in its place at any time.
    watch: called with every `Arrival`, `ToolUsed` and `Flushed`, after it has been acted upon.
    """

    def __init__(
        self,
        connection: Connection,
        speaker: Callable[[Callable[[Mark], None]], S],
        tools: ToolBox,
        watch: Callable[[Arrival | ToolUsed | Flushed], None] | None = None,
    ) -> None:
        self.connection = connection
        self.playback = speaker(self._on_mark)
        self.tools = tools
        self._watch = watch or (lambda _event: None)
        self._running: set[asyncio.Task[None]] = set()
        self._interrupted: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def tools_running(self) -> int:
        """Tool calls whose results are still to come."""
        return len(self._running)

    async def run(self) -> None:
        """Act on events until the connection ends; then end the tools that still run."""
        self._loop = asyncio.get_running_loop()
        try:
            async for arrival in self.connection.events():
                self._act(arrival)
                self._watch(arrival)
        finally:
            for task in self._running:
                task.cancel()
            if self._running:
                await asyncio.wait(self._running)

    def _act(self, arrival: Arrival) -> None:
        event = arrival.event
        if isinstance(event, AudioDelta):
            self.playback.push(event.reply_id, from_bytes(event.pcm), event.sample_rate)
        elif isinstance(event, SpeechStarted):
            self.flush()
        elif isinstance(event, ReplyDone):
            if event.reason in ("interrupted", "cancelled"):
                self._interrupted.add(event.reply_id)
                self.flush()
            else:
                self.playback.end(event.reply_id)
        elif isinstance(event, ToolCall):
            use = self._use(event, self.connection.sockets)
            task = asyncio.create_task(use, name=f"robot-client tool {event.name}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        elif isinstance(event, Ready):
            self.playback.reset()
            self._interrupted.clear()

    def flush(self) -> None:
        """Drop what is queued for the speaker, at once; the marks say how much was heard."""
        dropped = self.playback.flush()
        if dropped:
            self._watch(Flushed(dropped))

    async def _use(self, call: ToolCall, socket: int) -> None:
        outcome = await self.tools.call(call.name, call.args)
        interrupted = call.reply_id in self._interrupted
        # The call has ended with its socket, and the next brain may mean another by the same id.
        sent = False
        if self.connection.sockets == socket:
            try:
                sent = self._send_result(call, outcome, interrupted=interrupted)
            except ValueError as error:  # too large for the wire
                outcome = ToolOutcome({"error": f"{call.name}'s result can't be sent: {error}"})
                sent = self._send_result(call, outcome, interrupted=interrupted)
        self._watch(ToolUsed(call, outcome, interrupted, sent))

    def _send_result(self, call: ToolCall, outcome: ToolOutcome, *, interrupted: bool) -> bool:
        result = requests.tool_result(call.call_id, dict(outcome.output), interrupted=interrupted)
        if outcome.picture is not None:
            self.connection.send(requests.image(outcome.picture, call.call_id))
        return self.connection.send(result)

    def _on_mark(self, mark: Mark) -> None:
        """A mark may come from the device's thread."""
        frame = requests.played(mark.reply_id, mark.ms)
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self.connection.send(frame)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.connection.send, frame)
