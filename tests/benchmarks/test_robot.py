"""The robot's stopwatch, against a scripted server on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.robot import LEAD_S, QUIET_S, Interruption, Robot, Turn
from benchmarks.peers.sound import FRAME, Sound, Utterance, first_audible
from tests.virtual_time import run_virtual

SILENCE = np.zeros(160, np.int16)
TONE = np.full(160, 3000, np.int16)
QUESTION = Utterance("somebody", "Who?", np.full(10 * FRAME, 5000, np.int16))


class ScriptedWire:
    """Answers with `items`, each so many seconds after the question's last frame came."""

    def __init__(self, items: list[tuple[float, Sound | dict[str, Any]]]) -> None:
        self._items = items
        self._heard = asyncio.Queue[Sound | dict[str, Any]]()
        self.frames: list[Sound] = []
        self.spoken = 0

    async def say(self, frame: Sound) -> None:
        self.frames.append(frame)
        if np.array_equal(frame, QUESTION.sound[:FRAME]):
            self.spoken += 1
            if self.spoken == 10:
                for after, item in self._items:
                    asyncio.get_running_loop().call_later(after, self._heard.put_nowait, item)

    async def hear(self) -> Sound | dict[str, Any]:
        return await self._heard.get()


def asked(
    items: list[tuple[float, Sound | dict[str, Any]]], **options: Any
) -> tuple[Turn, ScriptedWire, float]:
    async def main() -> tuple[Turn, ScriptedWire, float]:
        wire = ScriptedWire(items)
        turn = await Robot(wire).ask(QUESTION, **options)
        return turn, wire, asyncio.get_running_loop().time()

    return run_virtual(main())


def test_the_clock_runs_from_the_last_sample_of_speech_to_the_first_audible_one() -> None:
    turn, _, _ = asked([(0.5, SILENCE), (0.7, np.concatenate((SILENCE, TONE)))])
    assert turn.latency_ms == pytest.approx(710, abs=0.1)  # 10 ms of silence in front of the tone
    assert turn.speech_end == round(LEAD_S * 50) * FRAME + 10 * FRAME


def test_a_reply_is_over_when_it_has_been_quiet_for_a_while() -> None:
    turn, _, over = asked([(0.5, TONE), (1.2, TONE), (1.2 + QUIET_S + 0.1, TONE)])
    assert len(turn.sounds) == 2
    assert over - turn.spoken_at == pytest.approx(1.2 + QUIET_S, abs=0.001)


def test_no_answer_is_none() -> None:
    turn, _, over = asked([(0.4, {"type": "error"})], patience_s=5.0)
    assert turn.latency_ms is None
    assert [message["type"] for _, message in turn.told] == ["error"]
    assert over == pytest.approx(5.0, abs=0.001)


def test_the_microphone_sends_a_frame_each_20_ms_and_never_falls_silent() -> None:
    _, wire, over = asked([(0.5, TONE)])
    assert len(wire.frames) == pytest.approx(over / 0.02, abs=1)
    assert all(len(frame) == FRAME and np.any(frame) for frame in wire.frames)


def test_an_interruption_comes_so_long_after_the_first_sound() -> None:
    told = {"type": "reply_done", "reason": "completed"}
    interruption = Interruption(QUESTION, 0.5, lambda message: message == told)
    turn, _, over = asked([(0.7, TONE), (0.9, TONE), (2.5, told)], interruption=interruption)
    assert turn.interrupted_at is not None
    assert turn.interrupted_at - turn.sounds[0] == pytest.approx(0.5, abs=0.02)
    assert turn.last_sound_before(turn.interrupted_at) == turn.sounds[1]
    assert over - turn.spoken_at == pytest.approx(2.5, abs=0.001)


@pytest.mark.parametrize(
    ("samples", "found"),
    [([0, 0, 0], None), ([], None), ([0, 329, -331, 900], 2), ([-32768], 0)],
)
def test_what_is_audible(samples: list[int], found: int | None) -> None:
    assert first_audible(np.array(samples, np.int16)) == found
