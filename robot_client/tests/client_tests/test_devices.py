"""Microphone and speaker, against a stand-in for the sounddevice module (no sound card in a test).

The stand-in has the same calls and hands blocks over on a thread of its own, as PortAudio does.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest

from robot_client.devices import NoDeviceError, open_devices


class PortAudioError(Exception):
    pass


class StandInStream:
    opened: list[StandInStream] = []  # noqa: RUF012  emptied by the fixture

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.open = False

    def __enter__(self) -> StandInStream:  # noqa: PYI034
        self.open = True
        StandInStream.opened.append(self)
        return self

    def __exit__(self, *_error: object) -> None:
        self.open = False

    def block(self, samples: np.ndarray, status: str = "") -> np.ndarray:
        """One block through the callback, on the device's thread."""
        block = samples.reshape(-1, 1).copy()
        call = [block, len(block), None, status]
        thread = threading.Thread(target=self.options["callback"], args=call)
        thread.start()
        thread.join()
        return block[:, 0]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A sound card; `rates` are those that its microphone has."""
    card = types.SimpleNamespace(rates={16_000, 48_000}, broken=False)
    module = types.ModuleType("sounddevice")

    def check(samplerate: int, channels: int, dtype: str) -> None:
        assert (channels, dtype) == (1, "int16")
        if samplerate not in card.rates:
            raise PortAudioError("Invalid sample rate")

    def stream(**options: Any) -> StandInStream:
        if card.broken:
            raise PortAudioError("Device unavailable")
        return StandInStream(**options)

    module.PortAudioError = PortAudioError  # type: ignore[attr-defined]
    module.check_input_settings = check  # type: ignore[attr-defined]
    module.query_devices = lambda kind: {"default_samplerate": 48_000.0}  # type: ignore[attr-defined]
    module.InputStream = module.OutputStream = stream  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    StandInStream.opened.clear()
    return card


@pytest.mark.parametrize("rates", [{16_000}, {48_000}])
def test_both_ways_at_whatever_rate_the_microphone_has(
    card: types.SimpleNamespace, run: Any, rates: set[int]
) -> None:
    card.rates = rates

    async def main() -> None:
        heard: list[np.ndarray] = []
        with open_devices(16_000, heard.append, lambda n: np.full(n, 7, np.int16), 24_000) as late:
            microphone, speaker = StandInStream.opened
            (rate,) = rates
            assert microphone.options["samplerate"] == rate
            assert microphone.options["blocksize"] == rate // 50
            assert speaker.options["samplerate"] == 24_000
            for _ in range(100):
                microphone.block(np.full(rate // 50, 1000, np.int16))
            assert speaker.block(np.zeros(480, np.int16), "underflow").tolist() == [7] * 480
            await asyncio.sleep(0)  # what the thread handed over runs on the loop
            sound = np.concatenate(heard)
            assert abs(len(sound) - 32_000) < 1_000  # a resampler holds some back
            assert np.abs(sound[1_000:-1_000] - 1000).max() <= 2
            assert late.count == 1
        assert not microphone.open
        assert not speaker.open

    run(main())


def test_a_busy_card_is_said_plainly(card: types.SimpleNamespace, run: Any) -> None:
    card.broken = True

    async def main() -> None:
        with (
            pytest.raises(NoDeviceError, match="can't be opened: Device unavailable"),
            open_devices(16_000, lambda _s: None, lambda n: np.zeros(n, np.int16), 16_000),
        ):
            raise AssertionError("it opened")

    run(main())
