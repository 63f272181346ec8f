"""Microphone and speaker through sounddevice (the extra `audio`), imported only when used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from robot_client.messages import DEFAULT_SAMPLE_RATE
from robot_client.microphone import Microphone
from robot_client.pacing import FRAME_MS
from robot_client.pcm import PCM

log = logging.getLogger(__name__)

COMMON_RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
NONE = "none"  # the name of no device

Side = Literal["input", "output"]


class NoDeviceError(RuntimeError):
    """There is no microphone or speaker to use; the message says what to do."""


@dataclass
class Hiccups:
    """`count`: how often a device lost sound because this process was late. `given`, `taken`: how
    many blocks the microphone has given and the speaker taken."""

    count: int = 0
    given: int = 0
    taken: int = 0


@dataclass(frozen=True)
class Device:
    """A device of this computer. Rates in Hz: those of the common ones that it takes."""

    index: int
    name: str
    system: str  # the sound system that it belongs to: ALSA, Core Audio, …
    inputs: int
    outputs: int
    input_rates: tuple[int, ...]
    output_rates: tuple[int, ...]
    default_input: bool
    default_output: bool


@dataclass(frozen=True)
class Port:
    """A device as it will be opened. `index` None: the system's default. `rate` in Hz."""

    name: str
    index: int | None
    rate: int
    channels: int


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise NoDeviceError(
            "microphone and speaker need the package sounddevice, the extra `audio` "
            "of robot-brain-client; or type with --chat, or ask a file with --wav"
        ) from error
    except OSError as error:  # sounddevice is there, the PortAudio library isn't
        raise NoDeviceError(
            f"sound can't be used: {error}; install PortAudio (apt install libportaudio2), "
            "or type with --chat"
        ) from error
    return sounddevice


def list_devices() -> list[Device]:
    """Every device, as PortAudio numbers them. Raises `NoDeviceError`."""
    sd = _sounddevice()
    try:
        entries = list(sd.query_devices())
        systems = [api["name"] for api in sd.query_hostapis()]
        default_input, default_output = sd.default.device
        return [
            Device(
                index,
                entry["name"],
                systems[entry["hostapi"]],
                entry["max_input_channels"],
                entry["max_output_channels"],
                _rates(sd, "input", index, entry),
                _rates(sd, "output", index, entry),
                index == default_input,
                index == default_output,
            )
            for index, entry in enumerate(entries)
        ]
    except sd.PortAudioError as error:
        raise NoDeviceError(f"the devices can't be listed: {error}") from error


def device_table(devices: Sequence[Device]) -> list[str]:
    """Lines for a person. `>` before a device is the default microphone, `<` the speaker."""
    if not devices:
        return ["no sound devices"]
    name = max(len(device.name) for device in devices)
    lines = []
    for device in devices:
        marks = (">" if device.default_input else " ") + ("<" if device.default_output else " ")
        sides = [
            f"{kind} {channels} ch {_rates_in_words(rates)}"
            for kind, channels, rates in (
                ("microphone", device.inputs, device.input_rates),
                ("speaker", device.outputs, device.output_rates),
            )
            if channels
        ]
        ends = "; ".join(sides) or "nothing that can be used"
        lines.append(f"{marks} {device.index:3}  {device.name:{name}}  {device.system}: {ends}")
    return [*lines, "> default microphone, < default speaker"]


def _rates_in_words(rates: Sequence[int]) -> str:
    return f"{', '.join(f'{rate / 1000:g}' for rate in rates)} kHz" if rates else "(in use?)"


def choose(side: Side, wanted: str | None, rate: int) -> Port | None:
    """The device to open, at `rate` Hz if it has that, else at its own.

    wanted: an index, a name or a part of one, `none` (gives None), or None for the default.
    Raises `NoDeviceError`, which names those that there are.
    """
    if wanted is not None and wanted.lower() == NONE:
        return None
    sd = _sounddevice()
    try:
        index = None if wanted is None else _find(sd, side, wanted)
        entry = sd.query_devices(index, side)
    except (sd.PortAudioError, ValueError) as error:
        raise NoDeviceError(f"there is no {_word(side)}: {error}; see --devices") from error
    most = int(entry[f"max_{side}_channels"])
    channels = 1 if _takes(sd, side, index, None, 1) else most
    if not _takes(sd, side, index, rate, channels):
        rate = int(entry["default_samplerate"])
    return Port(str(entry["name"]), index, rate, channels)


def _find(sd: Any, side: Side, wanted: str) -> int:
    fitting = {
        index: str(entry["name"])
        for index, entry in enumerate(sd.query_devices())
        if entry[f"max_{side}_channels"]
    }
    if wanted.isdecimal():
        found = [int(wanted)] if int(wanted) in fitting else []
    else:
        names = {index: name.lower() for index, name in fitting.items()}
        exact = [index for index, name in names.items() if name == wanted.lower()]
        found = exact[:1] or [index for index, name in names.items() if wanted.lower() in name]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{index} {name!r}" for index, name in fitting.items()) or "none at all"
    problem = "is more than one" if found else "isn't one"
    raise NoDeviceError(f"{wanted!r} {problem} of the {_word(side)}s: {listed}")


def _word(side: Side) -> str:
    return "microphone" if side == "input" else "speaker"


def _takes(sd: Any, side: Side, index: int | None, rate: int | None, channels: int) -> bool:
    check = sd.check_input_settings if side == "input" else sd.check_output_settings
    try:
        check(device=index, samplerate=rate, channels=channels, dtype="int16")
    except sd.PortAudioError:
        return False
    return True


def _rates(sd: Any, side: Side, index: int, entry: Any) -> tuple[int, ...]:
    channels = int(entry[f"max_{side}_channels"])
    if not channels:
        return ()
    return tuple(rate for rate in COMMON_RATES if _takes(sd, side, index, rate, min(channels, 2)))


@contextmanager
def open_devices(
    microphone: Port | None,
    speaker: Port | None,
    *,
    pull: Callable[[int], PCM],
    wire_rate: int = DEFAULT_SAMPLE_RATE,
    on_sound: Callable[[PCM], None] | None = None,
    tap: Callable[[PCM], None] | None = None,
) -> Iterator[Hiccups]:
    """Both devices in frames of 20 ms, while the context lasts.

    `on_sound` gets the microphone's PCM at `wire_rate` Hz on the running event loop, and `tap` the
    same on the device's thread. `pull` is called for PCM at the speaker's rate on the device's
    thread. Raises `NoDeviceError`.
    """
    hiccups = Hiccups()
    with ExitStack() as stack:
        if microphone is not None:
            heard = _hearing(microphone, wire_rate, on_sound, tap, hiccups)
            stack.enter_context(_stream("InputStream", microphone, heard))
        if speaker is not None:

            def spoken(block: Any, frames: int, _time: Any, status: Any) -> None:
                hiccups.count += bool(status)
                hiccups.taken += 1
                block[:] = pull(frames)[:, np.newaxis]

            stack.enter_context(_stream("OutputStream", speaker, spoken))
        yield hiccups


def _hearing(
    port: Port,
    wire_rate: int,
    on_sound: Callable[[PCM], None] | None,
    tap: Callable[[PCM], None] | None,
    hiccups: Hiccups,
) -> Callable[[Any, int, Any, Any], None]:
    loop = asyncio.get_running_loop()
    microphone = Microphone(wire_rate)

    def heard(block: Any, _frames: int, _time: Any, status: Any) -> None:
        hiccups.count += bool(status)
        hiccups.given += 1
        sound = microphone.feed(port.rate, np.array(block))
        if tap is not None:
            tap(sound)
        if on_sound is not None:
            loop.call_soon_threadsafe(on_sound, sound)

    return heard


@contextmanager
def _stream(kind: str, port: Port, callback: Callable[..., None]) -> Iterator[None]:
    sd = _sounddevice()
    try:
        stream = getattr(sd, kind)(
            device=port.index,
            samplerate=port.rate,
            channels=port.channels,
            dtype="int16",
            blocksize=port.rate * FRAME_MS // 1000,
            callback=callback,
        )
        stream.__enter__()
    except sd.PortAudioError as error:
        raise NoDeviceError(f"{port.name} can't be opened: {error}") from error
    try:
        yield
    finally:
        stream.__exit__(None, None, None)
