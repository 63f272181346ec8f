"""Single keys of a terminal, as they are pressed. Unix terminals only; put back as it was."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

ESCAPE, ENTER, BACKSPACE, END = "\x1b", "\n", "\x7f", "\x04"

# Arrows and the like: an escape byte and what follows it at once (ECMA-48, 5.4; and SS3, \x1bO).
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\x1b\[O])")


class NoKeysError(RuntimeError):
    """There is no terminal whose keys could be read; the message says so."""


def split_keys(text: str) -> list[str]:
    """The keys in what a terminal sent; sequences of special keys are left out."""
    return [ENTER if key == "\r" else key for key in _SEQUENCE.sub("", text)]


@contextmanager
def keys(
    descriptor: int, on_key: Callable[[str], None], on_resume: Callable[[], None] | None = None
) -> Iterator[None]:
    """`on_key` gets every key on the running loop, while the context lasts.

    Nothing is echoed and no line is waited for; Ctrl-C and Ctrl-Z do what they always do.
    `on_key` gets `END` once when the terminal is gone. `on_resume` is called after a suspension.
    Raises `NoKeysError`.
    """
    try:
        import termios
        import tty
    except ImportError as error:
        raise NoKeysError("single keys need a Unix terminal") from error
    try:
        before = termios.tcgetattr(descriptor)
    except termios.error as error:
        raise NoKeysError("there is no terminal to read keys from") from error
    loop = asyncio.get_running_loop()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def readable() -> None:
        try:
            data = os.read(descriptor, 4096)
        except OSError:  # a terminal that was closed
            data = b""
        if not data:
            loop.remove_reader(descriptor)
            on_key(END)
            return
        for key in split_keys(decoder.decode(data)):
            on_key(key)

    def resumed() -> None:
        tty.setcbreak(descriptor, termios.TCSANOW)
        if on_resume is not None:
            on_resume()

    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        loop.add_reader(descriptor, readable)
        with suppress(RuntimeError, ValueError):  # not on the main thread: then no suspensions
            loop.add_signal_handler(signal.SIGCONT, resumed)
        yield
    finally:
        loop.remove_reader(descriptor)
        with suppress(RuntimeError, ValueError):
            loop.remove_signal_handler(signal.SIGCONT)
        with suppress(termios.error):  # a terminal that was closed
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class LineEditor:
    """A line that is being typed. Pure: keys in, whole lines out; `END` on an empty line ends."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False

    def key(self, key: str) -> str | None:
        """One key. The line, when this key completes it."""
        if key == ENTER:
            line, self.text = self.text, ""
            return line
        if key == END:
            self.ended = self.ended or not self.text
        elif key in (BACKSPACE, "\b"):
            self.text = self.text[:-1]
        elif key == "\x15":  # Ctrl-U
            self.text = ""
        elif key == "\x17":  # Ctrl-W
            self.text = self.text.rstrip().rpartition(" ")[0]
            self.text += " " if self.text else ""
        elif key.isprintable():
            self.text += key
        return None
