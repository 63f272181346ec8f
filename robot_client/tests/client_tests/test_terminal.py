"""The terminal: lines over a status line, single keys, a line that is typed, the meter."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import signal
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from client_tests.command import Terminal
from robot_client.connection import Disconnected
from robot_client.keys import END, ENTER, ESCAPE, LineEditor, NoKeysError, keys, split_keys
from robot_client.messages import (
    ErrorMessage,
    Ready,
    ReplyDone,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptUserPartial,
    Unattended,
)
from robot_client.meter import Attention, Level, meter_line
from robot_client.screen import Screen, clipped, printable, width


def shown(written: str) -> list[str]:
    terminal = Terminal.__new__(Terminal)
    terminal.seen = written.replace("\n", "\r\n")
    return terminal.lines


def test_lines_go_above_the_status_line() -> None:
    out = io.StringIO()
    screen = Screen(out, out, live=True, columns=lambda: 20)
    screen.print("first")
    screen.status("level 1")
    screen.status("level 2 and more than fits")
    screen.print("second")
    screen.print("third", aside=True)
    assert shown(out.getvalue()) == ["first", "second", "third", "level 2 and more th"]
    screen.close()
    screen.status("too late")
    screen.print("last")
    assert shown(out.getvalue()) == ["first", "second", "third", "last", ""]


def test_no_terminal_no_status_and_no_control_characters() -> None:
    out, errors = io.StringIO(), io.StringIO()
    screen = Screen(out, errors, live=False)
    screen.status("level")
    screen.print("result")
    screen.print("remark", aside=True)
    screen.redraw()
    screen.close()
    assert (out.getvalue(), errors.getvalue()) == ("result\n", "remark\n")


def test_a_status_that_stands_is_not_written_again() -> None:
    out = io.StringIO()
    screen = Screen(io.StringIO(), out, live=True)
    screen.status("quiet")
    once = out.getvalue()
    screen.status("quiet")
    assert out.getvalue() == once
    screen.redraw()
    assert out.getvalue() == once * 2


def test_wide_characters_and_what_others_send() -> None:
    assert width("ab\N{COMBINING ACUTE ACCENT}") == 2
    assert width("日本") == 4
    assert clipped("日本語", 5) == "日本"
    assert clipped("> long words", 5, keep_end=True) == "words"
    assert clipped("日本語", 1) == clipped("日本語", 1, keep_end=True) == ""
    pasted = "x" * 1_000_000
    begun = time.process_time()
    assert clipped(pasted, 79) == clipped(pasted, 79, keep_end=True) == "x" * 79
    assert time.process_time() - begun < 0.5, "each key of a long line is drawn"
    assert printable("a\x1b[2Jb\tc\r\x07") == "a\ufffd[2Jb\tc\ufffd\ufffd"


def test_special_keys_are_no_escape() -> None:
    assert split_keys("a\x1b[A\x1bOPb\x1b[1;5C\r ") == ["a", "b", ENTER, " "]
    assert split_keys("\x1b") == [ESCAPE]


def test_a_line_is_edited() -> None:
    editor = LineEditor()
    lines = [line for key in "helo\x7flo\n" if (line := editor.key(key)) is not None]
    assert lines == ["hello"]
    for key in "one two\x17":
        editor.key(key)
    assert editor.text == "one "
    editor.key(END)
    assert not editor.ended
    editor.key("\x15")
    assert editor.text == ""
    editor.key("\x07")
    editor.key("ü")
    assert editor.text == "ü"
    editor.key("\b")
    editor.key(END)
    assert editor.ended


@pytest.fixture
def tty() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_keys_come_one_by_one_and_the_terminal_is_put_back(tty: tuple[int, int], run: Any) -> None:
    ours, theirs = tty
    before = termios.tcgetattr(theirs)

    async def main() -> list[str]:
        pressed: list[str] = []
        enough, resumed = asyncio.Event(), asyncio.Event()

        def press(key: str) -> None:
            pressed.append(key)
            if key == "!":
                enough.set()

        with suppress(ZeroDivisionError), keys(theirs, press, resumed.set):
            assert termios.tcgetattr(theirs) != before
            os.write(ours, "a é".encode()[:3])
            await asyncio.sleep(0)
            os.write(ours, "a é".encode()[3:] + b"\x1b[A!")
            await asyncio.wait_for(enough.wait(), 5)
            # A shell that suspended us has set the terminal for itself.
            termios.tcsetattr(theirs, termios.TCSANOW, before)
            os.kill(os.getpid(), signal.SIGCONT)
            await asyncio.wait_for(resumed.wait(), 5)
            assert termios.tcgetattr(theirs) != before
            raise ZeroDivisionError
        return pressed

    assert run(main()) == ["a", " ", "é", "!"]
    assert termios.tcgetattr(theirs) == before


def test_no_terminal_is_said(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(NoKeysError, match="no terminal"), keys(null, print):
            raise AssertionError("it has keys")

    null = os.open(os.devnull, os.O_RDONLY)
    try:
        run(main())
    finally:
        os.close(null)


def test_a_level_and_its_peak() -> None:
    level = Level()
    level.feed(np.full(320, 16_384, np.int16), 10.0)
    assert level.db == pytest.approx(-6.02, abs=0.01)
    level.feed(np.zeros(320, np.int16), 10.02)
    assert level.db == -60
    assert level.peak_db(11.4) == pytest.approx(-6.02, abs=0.01)  # held
    assert level.peak_db(12.5) == pytest.approx(-26.02, abs=0.01)  # falling
    assert level.peak_db(99.0) == -60
    assert meter_line(level, "listens", 10.02) == (
        "mic  -60 dB [------------------|-] peak   -6 dB  listens"
    )
    level.feed(np.zeros(0, np.int16), 10.04)
    level.feed(np.full(320, -32_768, np.int16), 10.04)
    assert meter_line(level, "speaks", 10.04).startswith("mic    0 dB [###################|]")


def test_what_the_robot_is_about() -> None:
    attention = Attention()
    story: list[tuple[object, bool, str]] = [
        (None, False, "no brain"),
        (Ready(), False, "listens"),
        (SpeechStarted(1), False, "hears you"),
        (TranscriptUserPartial("what is\x1b", 1), False, "hears: what is\N{REPLACEMENT CHARACTER}"),
        (TranscriptUserPartial("w" * 50 + " name", 1), False, "hears: " + "w" * 35 + " name"),
        (SpeechStopped(1), False, "thinks"),
        (ErrorMessage("bad_audio"), False, "thinks"),
        (ReplyStarted(1, 1), False, "thinks"),
        (ReplyStarted(1, 1), True, "speaks"),
        (ReplyDone(1, "completed"), True, "speaks"),
        (ReplyDone(1, "completed"), False, "listens"),
        (SpeechStarted(2), False, "hears you"),
        (SpeechStopped(2), False, "thinks"),
        (ErrorMessage("not_understood"), False, "listens"),
        (SpeechStopped(3), False, "thinks"),
        (Unattended(3), False, "listens"),
        (Disconnected("gone", 1.0), True, "no brain"),
    ]
    for event, sounding, doing in story:
        attention.see(event)
        assert attention.doing(sounding=sounding) == doing
