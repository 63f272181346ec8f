"""Typed conversations: at a terminal with a prompt, or line by line from a pipe or a file."""

from __future__ import annotations

import asyncio
import codecs
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import ExitStack
from functools import partial

from robot_client import requests
from robot_client.asking import NoBrainError
from robot_client.connection import Arrival, Connection, Disconnected, Stopped
from robot_client.conversation import Conversation
from robot_client.devices import Port, open_devices
from robot_client.keys import LineEditor, keys
from robot_client.messages import ErrorMessage, Ready
from robot_client.pcm import PCM
from robot_client.playback import Playback
from robot_client.recorder import Recorder
from robot_client.report import Seen
from robot_client.screen import Screen
from robot_client.talking import KEEP_ALIVE_S, first_of, pull_in_silence
from robot_client.tools import ToolBox
from robot_client.turns import TurnLog, all_answered

log = logging.getLogger(__name__)

PROMPT = "> "
COMMANDS = "/say WORDS has the robot say them, /cancel stops it, /quit ends"
POLL_S = 0.05
REFUSED_S = 1.0  # an error and no turn for so long: there won't be one


class Chat:
    """One typed conversation. `speaker` None: replies are only printed (by `watch`).

    wait_s: how long a line waits for a brain; patience_s: for an answer without news.
    """

    def __init__(
        self,
        connection: Connection,
        speaker: Port | None,
        tools: ToolBox,
        screen: Screen,
        *,
        wire_rate: int,
        watch: Callable[[Seen], None],
        recorder: Recorder | None = None,
        wait_s: float = 10.0,
        patience_s: float = 20.0,
    ) -> None:
        self._connection = connection
        self._speaker = speaker
        self._screen = screen
        self._watch = watch
        self._recorder = recorder
        self._wait_s = wait_s
        self._patience_s = patience_s
        self._rate = wire_rate if speaker is None else speaker.rate
        playback = partial(Playback, self._rate)
        self._conversation = Conversation(connection, playback, tools, self._see)
        self._log = TurnLog()
        self._ready = asyncio.Event()
        self._stopped: Stopped | None = None
        self._lost = ""
        self._lost_at = self._happened_at = 0.0
        self._error_at: float | None = None
        self._unanswered = 0

    async def at_terminal(self, descriptor: int) -> int:
        """With a prompt, until `/quit` or Ctrl-D. A line is sent at once, and may interrupt.

        Returns how many lines found no brain. Raises `NoKeysError`, `NoBrainError` if the
        connection gives up.
        """
        editor, over = LineEditor(), asyncio.Event()

        def key(key: str) -> None:
            line = editor.key(key)
            if line is not None:
                self._screen.print(f"{PROMPT}{line}", aside=True)
                if not self._send(line):
                    over.set()
            if editor.ended:
                over.set()
            self._screen.status(f"{PROMPT}{editor.text}", keep_end=True)

        with keys(descriptor, key, self._screen.redraw):
            self._screen.print(f"type to the robot; {COMMANDS}", aside=True)
            self._screen.status(PROMPT)
            await self._with_brain(over.wait)
        return self._unanswered

    async def from_lines(self, lines: AsyncIterator[str]) -> int:
        """Line by line, each when the one before was answered.

        Returns how many were not. Raises `NoBrainError` if no brain was ready in time.
        """
        await self._with_brain(lambda: self._one_after_another(lines))
        return self._unanswered

    async def _with_brain(self, typing: Callable[[], Coroutine[object, object, object]]) -> None:
        with ExitStack() as stack:
            if self._speaker is not None:
                stack.enter_context(open_devices(None, self._speaker, pull=self._pull))
            works = [self._conversation.run(), self._keep_alive(), typing()]
            if self._speaker is None:
                works.append(pull_in_silence(self._pull, self._rate))
            await first_of(*works)
        if self._stopped is not None:
            raise NoBrainError(self._stopped.reason)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            self._connection.send(requests.ping(time.monotonic()))

    def _pull(self, count: int) -> PCM:
        block = self._conversation.playback.pull(count)
        if self._recorder is not None:
            self._recorder.speaker(block)
        return block

    def _see(self, seen: Seen) -> None:
        now = seen.at if isinstance(seen, Arrival) else time.monotonic()
        event = seen.event if isinstance(seen, Arrival) else seen
        self._happened_at = now
        self._log.add(now, event)
        if isinstance(event, Ready):
            self._ready.set()
        elif isinstance(event, Disconnected):
            self._ready.clear()
            self._lost, self._lost_at = event.reason, now
        elif isinstance(event, Stopped):
            self._stopped = event
        elif isinstance(event, ErrorMessage):
            self._error_at = now
        self._watch(seen)

    # -- lines ---------------------------------------------------------------------------------

    async def _one_after_another(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            await self._a_brain()
            sent_at = time.monotonic()
            before = self._unanswered
            if not self._send(line):
                return
            asks = line.strip() and (not line.startswith("/") or line.startswith("/say "))
            if asks and self._unanswered == before:
                self._unanswered += not await self._answered(sent_at)

    async def _a_brain(self) -> None:
        """Wait for one. Raises `NoBrainError` if that takes too long."""
        # Not wait_for: before Python 3.12 it loses a cancellation that comes with the event.
        end = time.monotonic() + self._wait_s
        while not self._ready.is_set():
            if time.monotonic() > end:
                last = f"; {self._lost}" if self._lost else ""
                raise NoBrainError(f"no brain was ready within {self._wait_s:g} s{last}")
            await asyncio.sleep(POLL_S)

    def _send(self, line: str) -> bool:
        """Do what a line asks for. False: to end."""
        words = line.strip()
        command, _, rest = words.partition(" ")
        if command == "/quit":
            return False
        if command == "/cancel":
            self._connection.send(requests.cancel())
        elif command == "/say" and rest.strip():
            self._put(requests.say(rest.strip()))
        elif words.startswith("/"):
            self._screen.print(f"robot-client: {words!r} isn't a command; {COMMANDS}", aside=True)
        elif words:
            self._put(requests.text(words))
        return True

    def _put(self, frame: str) -> None:
        try:
            sent = self._connection.send(frame)
            problem = "there is no brain now; this was not sent"
        except ValueError as error:  # over the wire's limit
            sent, problem = False, str(error)
        if not sent:
            self._unanswered += 1
            self._screen.print(f"robot-client: {problem}", aside=True)

    async def _answered(self, sent_at: float) -> bool:
        """Wait until what was sent is answered and heard. False if that is given up."""
        while True:
            await asyncio.sleep(POLL_S)
            now = time.monotonic()
            turns = [turn for turn in self._log.turns if turn.opened_at >= sent_at]
            busy = self._conversation.tools_running or not self._conversation.playback.empty
            if not busy and all_answered(turns, now, self._happened_at, self._patience_s):
                return any(turn.replies for turn in turns)
            if self._lost_at >= sent_at:
                return False  # its answer won't come on another socket
            refused = self._error_at is not None and self._error_at >= sent_at and not turns
            limit = REFUSED_S if refused else self._patience_s
            if now - max(sent_at, self._happened_at) > limit and not busy:
                self._screen.print("robot-client: no answer came", aside=True)
                return False


async def lines_of(descriptor: int) -> AsyncIterator[str]:
    """The lines of a pipe, a file or a terminal, UTF-8, without their ends.

    Read on a daemon thread of its own, past Python's buffers, whose locks could hold up the exit.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[str | None] = asyncio.Queue(16)

    def hand_over(line: str | None) -> None:
        putting = waiting.put(line)
        try:
            asyncio.run_coroutine_threadsafe(putting, loop).result()
        except RuntimeError:
            putting.close()
            raise

    def read() -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        line: list[str] = []
        size = 0

        def add(piece: str) -> None:
            """Of a line that is too long to be sent the beginning is enough to say so."""
            nonlocal size
            if size <= requests.MAX_MESSAGE_BYTES:
                line.append(piece)
                size += len(piece)

        try:
            while data := os.read(descriptor, 4096):
                *ends, begun = decoder.decode(data).split("\n")
                for end in ends:
                    add(end)
                    hand_over("".join(line).removesuffix("\r"))
                    line.clear()
                    size = 0
                add(begun)
            hand_over("".join(line))
        except OSError:  # a terminal that was closed
            log.debug("no more lines", exc_info=True)
        hand_over(None)

    def read_or_end() -> None:
        try:
            read()
        except (RuntimeError, CancelledError):
            log.debug("the event loop ended before the lines")

    threading.Thread(target=read_or_end, daemon=True, name="robot-client stdin").start()
    while (line := await waiting.get()) is not None:
        yield line
