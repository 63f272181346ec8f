"""What no server can undercut, from the real voice detector; and engines of fixed cost."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from benchmarks.peers import costs as fixed
from benchmarks.peers.floors import Silence, critical_path_ms, first_clause_tokens, silences
from benchmarks.peers.our_server import FixedEars, FixedMind, FixedMouth, Log
from benchmarks.peers.rows import PLAIN_REPLY, ROWS, chosen, placed
from benchmarks.peers.sound import FRAME, Room, questions, story_request
from brain.dialogue.state import Rules, samples
from brain.engines.ports import Message, Text, Ticket
from tests.virtual_time import run_virtual

RULES = Rules(tentative=samples(128), deaf_in_reply=False)


def test_the_silence_of_each_turn_is_found_in_the_sound_that_was_sent() -> None:
    room, parts, ends = Room(), [], []
    for question in questions()[:2]:
        parts += [room.frame() for _ in range(25)] + [question.sound]
        ends.append(sum(map(len, parts)))
        parts += [room.frame() for _ in range(50)]
    parts += [room.frame() for _ in range(50)]
    ends.append(sum(map(len, parts)) - 100)  # nobody spoke: no turn ends after this
    first, second, none = silences(np.concatenate(parts), ends, RULES)
    for found in (first, second):
        assert found is not None
        assert found.tentative_ms is not None
        assert 512 <= found.end_ms < 670  # Silero lets go a little after the last sample
        # 12 frames of the detector lie between: 500 and 128 ms, rounded up. The robot sends 20 ms.
        assert found.end_ms - found.tentative_ms in (380, 400)
        assert found.end_ms % 20 == found.tentative_ms % 20 == 0
    assert none is None


def test_the_critical_path_goes_through_the_engines_or_the_silence() -> None:
    silence = Silence(170.0, 554.0)
    assert first_clause_tokens(fixed.REPLY) == 2  # "Good question," is over when " the" comes
    assert critical_path_ms(silence, fixed.ZERO, fixed.REPLY) == 554
    assert critical_path_ms(silence, fixed.FIXED, fixed.REPLY) == pytest.approx(170 + 500)
    unforeseen = Silence(None, 554.0)
    assert critical_path_ms(unforeseen, fixed.FIXED, fixed.REPLY) == pytest.approx(554 + 500)
    assert first_clause_tokens(PLAIN_REPLY) == 6


def test_utterances_begin_and_end_with_a_frame() -> None:
    for utterance in (*questions(), story_request()):
        assert len(utterance.sound) % FRAME == 0
    # With all that a server keeps around it, a question isn't taken for the request.
    assert max(question.seconds for question in questions()) + 2.2 < fixed.LONG_QUESTION_S
    assert story_request().seconds > fixed.LONG_QUESTION_S


def test_the_engines_cost_what_they_are_said_to() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ticket, log = Ticket("robot"), Log(None)
        ears = FixedEars(fixed.FIXED, log)
        heard = await ears.transcribe(np.zeros(16_000, np.float32), language=None, ticket=ticket)
        assert (heard.text, loop.time()) == (fixed.QUESTION, pytest.approx(0.150))
        mind = FixedMind(fixed.FIXED, log, None)
        came = []
        began = loop.time()
        async for piece in mind.stream([Message("user", heard.text)], ticket=ticket):
            assert isinstance(piece, Text)
            came.append((piece.text, loop.time() - began))
        assert "".join(text for text, _ in came) == fixed.REPLY
        assert [at for _, at in came[:3]] == pytest.approx([0.2, 0.225, 0.25])
        began = loop.time()
        async for audio in FixedMouth(fixed.FIXED, log).stream("Good question,", ticket=ticket):
            assert loop.time() - began == pytest.approx(0.1)
            assert np.any(np.abs(audio.samples[:16]) > 330)  # audible within its first ms
            break

    run_virtual(main())


def test_rows_are_chosen_by_what_is_there_and_by_name() -> None:
    assert {row.kind for row in chosen([], ["ours"])} == {"ours"}
    assert [row.name for row in chosen(["pipecat-t", "s2s-z"], ["ours", "pipecat", "s2s"])] == [
        "pipecat-token",
        "s2s-zero",
    ]
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_server_is_told_where_the_language_model_is() -> None:
    rows = {row.name: row for row in ROWS}
    there = placed(rows["ours-http"].server, "http://127.0.0.1:1")
    assert there.settings["OPENAI_URL"] == "http://127.0.0.1:1/v1"
    assert "http://127.0.0.1:1" in placed(rows["pipecat"].server, "http://127.0.0.1:1").arguments
