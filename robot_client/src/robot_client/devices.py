"""Microphone and speaker through sounddevice (the extra `audio`), imported only when used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_client.pacing import FRAME_MS
from robot_client.pcm import PCM, Resampler

log = logging.getLogger(__name__)


class NoDeviceError(RuntimeError):
    """There is no microphone or speaker to use; the message says what to do."""


@dataclass
class Hiccups:
    """How often a device lost sound because this process was late."""

    count: int = 0


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise NoDeviceError(
            "microphone and speaker need the package sounddevice, the extra `audio` "
            "of robot-brain-client; or ask a file with --wav"
        ) from error
    except OSError as error:  # sounddevice is there, the PortAudio library isn't
        raise NoDeviceError(f"sound can't be used: {error}; install PortAudio") from error
    return sounddevice


@contextmanager
def open_devices(
    wire_rate: int,
    on_sound: Callable[[PCM], None],
    pull: Callable[[int], PCM],
    pull_rate: int,
) -> Iterator[Hiccups]:
    """The default microphone and speaker, mono, in frames of 20 ms, while the context lasts.

    `on_sound` gets PCM at `wire_rate` Hz on the running event loop; `pull` is called for PCM at
    `pull_rate` Hz on the device's thread. Raises `NoDeviceError`.
    """
    sd = _sounddevice()
    loop = asyncio.get_running_loop()
    hiccups = Hiccups()
    try:
        microphone_rate = _rate(sd.check_input_settings, sd, "input", wire_rate)
        resampler = Resampler(microphone_rate, wire_rate)

        def heard(block: Any, _frames: int, _time: Any, status: Any) -> None:
            hiccups.count += bool(status)
            sound = resampler.feed(np.array(block[:, 0]))
            loop.call_soon_threadsafe(on_sound, sound)

        def spoken(block: Any, frames: int, _time: Any, status: Any) -> None:
            hiccups.count += bool(status)
            block[:, 0] = pull(frames)

        with ExitStack() as stack:
            stack.enter_context(
                sd.InputStream(
                    samplerate=microphone_rate,
                    channels=1,
                    dtype="int16",
                    blocksize=microphone_rate * FRAME_MS // 1000,
                    callback=heard,
                )
            )
            stack.enter_context(
                sd.OutputStream(
                    samplerate=pull_rate,
                    channels=1,
                    dtype="int16",
                    blocksize=pull_rate * FRAME_MS // 1000,
                    callback=spoken,
                )
            )
            yield hiccups
    except sd.PortAudioError as error:
        raise NoDeviceError(f"microphone or speaker can't be opened: {error}") from error


def _rate(check: Callable[..., None], sd: Any, kind: str, wanted: int) -> int:
    """The wanted rate, Hz, if the device has it, else the device's own."""
    try:
        check(samplerate=wanted, channels=1, dtype="int16")
    except sd.PortAudioError:
        return int(sd.query_devices(kind=kind)["default_samplerate"])
    return wanted
