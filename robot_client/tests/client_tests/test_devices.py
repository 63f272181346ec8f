"""Microphone and speaker, against a stand-in for the sounddevice module (no sound card in a test).

It has the same calls, and hands blocks over on a thread of its own, as PortAudio does.
"""

from __future__ import annotations

import asyncio
import threading
import types
from typing import Any

import numpy as np
import pytest

from client_tests.command import STAND_IN, client
from robot_client.devices import (
    Device,
    NoDeviceError,
    Port,
    choose,
    device_table,
    list_devices,
    open_devices,
)


@pytest.fixture
def sd(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in, loaded anew; its streams are kept in `opened` and fed by the test."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.delitem(__import__("sys").modules, "sounddevice", raising=False)
    import sounddevice

    opened: list[Any] = []
    sounddevice.opened = opened

    def start(stream: Any) -> Any:
        opened.append(stream)
        return stream

    monkeypatch.setattr(sounddevice._Stream, "__enter__", start)
    monkeypatch.setattr(sounddevice._Stream, "__exit__", lambda s, *_error: opened.remove(s))
    return sounddevice


def feed(stream: Any, block: np.ndarray, status: str = "") -> np.ndarray:
    """One block through the callback, on the device's thread."""
    block = block.copy()
    call = [block, len(block), None, status]
    thread = threading.Thread(target=stream._options["callback"], args=call)
    thread.start()
    thread.join()
    return block


def test_a_device_is_chosen_by_number_name_or_default(sd: Any) -> None:
    assert choose("input", None, 16_000) == Port("Card: Duplex", None, 16_000, 1)
    assert choose("output", "1", 16_000) == Port("Card: Duplex", 1, 16_000, 1)
    assert choose("input", "duplex", 16_000) == Port("Card: Duplex", 1, 16_000, 1)
    # It has neither the wanted rate nor mono.
    assert choose("input", "ARRAY", 16_000) == Port("Array", 0, 48_000, 2)
    assert choose("output", "None", 16_000) is None


@pytest.mark.parametrize(
    ("side", "wanted", "problem"),
    [
        ("input", "Studio", "'Studio' isn't one of the microphones: 0 'Array', 1 'Card: Duplex'"),
        ("input", "a", "'a' is more than one of the microphones"),
        ("output", "0", "'0' isn't one of the speakers: 1 'Card: Duplex'"),
        ("input", "7", "'7' isn't one of the microphones"),
    ],
)
def test_what_is_no_device_is_said_with_those_there_are(
    sd: Any, side: Any, wanted: str, problem: str
) -> None:
    with pytest.raises(NoDeviceError) as said:
        choose(side, wanted, 16_000)
    assert problem in str(said.value)


def test_no_default_device_is_said(sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: Any) -> None:
        raise sd.PortAudioError("Error querying device -1")

    monkeypatch.setattr(sd, "query_devices", none)
    with pytest.raises(NoDeviceError, match=r"no microphone: Error .* see --devices"):
        choose("input", None, 16_000)


def test_a_list_of_devices(sd: Any) -> None:
    found = list_devices()
    assert found[0] == Device(0, "Array", "Stand-in", 2, 0, (48_000,), (), False, False)
    assert found[1].input_rates == found[1].output_rates == (16_000, 48_000)
    assert device_table(found) == [
        "     0  Array         Stand-in: microphone 2 ch 48 kHz",
        "><   1  Card: Duplex  Stand-in: microphone 1 ch 16, 48 kHz; speaker 1 ch 16, 48 kHz",
        "> default microphone, < default speaker",
    ]
    assert device_table([]) == ["no sound devices"]


def test_the_command_lists_them(run: Any) -> None:
    code, out, err = run(client("--devices"))
    assert code == 0, err
    assert "><   1  Card: Duplex" in out


@pytest.mark.parametrize("port", [Port("Card: Duplex", 1, 16_000, 1), Port("Array", 0, 48_000, 2)])
def test_both_ways_at_whatever_rate_the_microphone_has(sd: Any, run: Any, port: Port) -> None:
    async def main() -> None:
        heard: list[np.ndarray] = []
        tapped: list[np.ndarray] = []
        speaker = Port("Card: Duplex", None, 48_000, 1)
        with open_devices(
            port, speaker, pull=lambda n: np.full(n, 7, np.int16), on_sound=heard.append,
            tap=tapped.append,
        ) as late:  # fmt: skip
            microphone, voice = sd.opened
            options = microphone._options
            assert (options["device"], options["samplerate"]) == (port.index, port.rate)
            assert options["blocksize"] == port.rate // 50
            assert voice._options["samplerate"] == 48_000
            block = np.zeros((port.rate // 50, port.channels), np.int16)
            block[:, 0] = 1000  # the others are silent: the first is taken
            for _ in range(100):
                feed(microphone, block)
            played = feed(voice, np.zeros((960, 1), np.int16), "underflow")
            assert played[:, 0].tolist() == [7] * 960
            assert not heard  # not on the device's thread
            await asyncio.sleep(0)
            sound = np.concatenate(heard)
            assert np.array_equal(sound, np.concatenate(tapped))
            assert abs(len(sound) - 32_000) < 1_000  # a resampler holds some back
            assert np.abs(sound[1_000:-1_000] - 1000).max() <= 2
            assert (late.count, late.given, late.taken) == (1, 100, 1)
        assert not sd.opened

    run(main())


def test_a_stereo_speaker_gets_both_channels(sd: Any, run: Any) -> None:
    sd._CARDS.append({**sd._CARDS[1], "name": "Stereo", "max_output_channels": 2})
    try:

        async def main() -> None:
            speaker = Port("Stereo", 2, 16_000, 2)
            with open_devices(None, speaker, pull=lambda n: np.arange(n, dtype=np.int16)):
                (stream,) = sd.opened
                played = feed(stream, np.zeros((320, 2), np.int16))
                assert played[:, 0].tolist() == played[:, 1].tolist() == list(range(320))

        run(main())
    finally:
        sd._CARDS.pop()


def test_a_busy_card_is_said_plainly_and_closes_the_other(
    sd: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(**_options: Any) -> None:
        raise sd.PortAudioError("Device unavailable")

    monkeypatch.setattr(sd, "OutputStream", busy)

    async def main() -> None:
        port = Port("Card: Duplex", 1, 16_000, 1)
        with (
            pytest.raises(NoDeviceError, match="Card: Duplex can't be opened: Device unavailable"),
            open_devices(port, port, pull=lambda n: np.zeros(n, np.int16)),
        ):
            raise AssertionError("it opened")
        assert not sd.opened

    run(main())


def test_a_library_that_is_missing_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *_arguments: Any) -> types.ModuleType:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return importing(name, *_arguments)

    importing = __import__
    monkeypatch.setattr("builtins.__import__", missing)
    with pytest.raises(NoDeviceError, match=r"PortAudio library not found; install .* --chat"):
        choose("input", None, 16_000)
