"""When the user speaks and pauses, and what is heard when: the whole actor, to the millisecond.

Scripted engines in virtual time: hearing takes 150 ms, the first token 200, each further word 25,
the first sound of a clause 100. Silence is judged in frames of 32 ms, so that the 500 ms that end a
turn are 512. What the robot is told stands at the time when it is sent; what it says, when that
comes out of its loudspeaker. A table that changes is a change of how the robot takes its turns.
"""

from __future__ import annotations

import pytest

from brain.dialogue import events
from brain.engines.ports import EngineFailed, ToolCall
from tests.dialogue.timeline import REPLY, Case, observed, post
from tests.virtual_time import run_virtual

FULL = {"echo_cancellation": True}  # full duplex: the robot cancels its own echo

CASES = {
    "a plain turn, without guessing": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over
        1462 turn 1 was: hello robot; reply 1
        1812 aloud: Hello there,
        2520 aloud: nice to meet you.
        3552 silence; reply 1 completed
        """,
        tentative_ms=0,
    ),
    "a plain turn": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1
        1428 aloud: Hello there,
        2136 aloud: nice to meet you.
        3168 silence; reply 1 completed
        """,
    ),
    "a pause within": Case(
        "800 -320 640",
        """
        96 turn 1 begins
        2272 turn 1 is over
        2422 turn 1 was: hello robot; reply 1
        2772 aloud: Hello there,
        3480 aloud: nice to meet you.
        4512 silence; reply 1 completed
        """,
        tentative_ms=0,
    ),
    "a guess that is wrong, and one that is right": Case(
        "800 -320 640",
        """
        96 turn 1 begins
        2272 turn 1 is over; turn 1 was: hello robot; reply 1
        2388 aloud: Hello there,
        3096 aloud: nice to meet you.
        4128 silence; reply 1 completed
        """,
    ),
    "a pause too short for a guess": Case(
        "800 -96 640",
        """
        96 turn 1 begins
        2048 turn 1 is over; turn 1 was: hello robot; reply 1
        2164 aloud: Hello there,
        2872 aloud: nice to meet you.
        3904 silence; reply 1 completed
        """,
    ),
    "two turns in a row": Case(
        "800 -5000 640",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1
        1378 aloud: One.
        1618 silence; reply 1 completed
        5888 turn 2 begins
        6976 turn 2 is over; turn 2 was: hello robot; reply 2
        7042 aloud: Two.
        7282 silence; reply 2 completed
        """,
        replies=("One.", "Two."),
    ),
    "a user who goes on while it is heard": Case(
        "800 -544 640",
        """
        96 turn 1 begins
        1312 turn 1 is over
        1440 turn 2 begins
        1912 turn 1 was: hello
        2496 turn 2 is over
        3096 turn 2 was: robot; reply 1
        3446 aloud: Hello there,
        4154 aloud: nice to meet you.
        5186 silence; reply 1 completed
        """,
        stt_s=0.6,
        tentative_ms=0,
        texts=("hello", "robot"),
    ),
    "a user who goes on while it is thought": Case(
        "800 -800 640",
        """
        96 turn 1 begins
        1312 turn 1 is over
        1462 turn 1 was: hello; reply 1
        1920 reply 1 interrupted; turn 2 begins
        2752 turn 2 is over
        2902 turn 2 was: robot; reply 2
        4052 aloud: Hello there,
        4760 aloud: nice to meet you.
        5792 silence; reply 2 completed
        """,
        llm_s=1.0,
        tentative_ms=0,
        texts=("hello", "robot"),
    ),
    "a barge-in during the first clause": Case(
        "800 -960 800",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello; reply 1
        1428 aloud: Hello there,
        2136 aloud: nice to meet you.
        2230 silence; reply 1 interrupted; turn 2 begins
        3072 turn 2 is over; turn 2 was: stop; reply 2
        3138 aloud: Okay.
        3438 silence; reply 2 completed
        """,
        session=FULL,
        texts=("hello", "stop", "stop"),
        replies=(REPLY, "Okay."),
    ),
    "an mm-hm during the first clause": Case(
        "800 -960 400",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello; reply 1
        1428 aloud: Hello there,
        2136 aloud: nice to meet you.
        3182 silence; reply 1 completed
        """,
        session=FULL,
        texts=("hello", "mm-hm", "mm-hm"),
    ),
    "a cough during the first clause": Case(
        "800 -960 160",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1
        1428 aloud: Hello there,
        2136 aloud: nice to meet you.
        3168 silence; reply 1 completed
        """,
        session=FULL,
    ),
    "half duplex: what is said meanwhile is not heard": Case(
        "800 -960 800",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1
        1428 aloud: Hello there,
        2136 aloud: nice to meet you.
        3168 silence; reply 1 completed
        """,
    ),
    "slow ears": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over
        1928 turn 1 was: hello robot; reply 1
        2278 aloud: Hello there,
        2986 aloud: nice to meet you.
        4018 silence; reply 1 completed
        """,
        stt_s=1.0,
    ),
    "a slow mind": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1
        2228 aloud: Hello there,
        2936 aloud: nice to meet you.
        3968 silence; reply 1 completed
        """,
        llm_s=1.0,
    ),
    "everything quick": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1; aloud: Hello there,
        2020 aloud: nice to meet you.
        3052 silence; reply 1 completed
        """,
        stt_s=0.01,
        llm_s=0.01,
    ),
    "ears that fail": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over
        1462 problem: stt_failed; reply 1
        1562 aloud: Sorry, my ears failed me just now.
        3586 aloud: Please say that again.
        4922 silence; reply 1 failed
        """,
        texts=(EngineFailed("broken"),),
    ),
    "a mind that fails": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1
        1512 problem: llm_failed
        1612 aloud: Sorry, I can't think right now.
        3472 silence; reply 1 failed
        """,
        replies=(EngineFailed("broken"),),
    ),
    "a tool, and what is said of it": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1; tool: dance; reply 1 completed
        2000 reply 2
        2325 aloud: I danced.
        2865 silence; reply 2 completed
        """,
        replies=([ToolCall("dance", "{}")], "I danced."),
        acts=((2_000, post(events.ToolResult("call_1_1", "ok", True))),),
    ),
    "push-to-talk": Case(
        "800",
        """
        1000 turn 1 begins; turn 1 is over
        1150 turn 1 was: hello robot; reply 1
        1500 aloud: Hello there,
        2208 aloud: nice to meet you.
        3240 silence; reply 1 completed
        """,
        session={"turn_detection": None},
        acts=((1_000, post(events.EndUtterance())),),
    ),
    "the robot says when": Case(
        "800",
        """
        96 turn 1 begins
        900 turn 1 is over
        1050 turn 1 was: hello robot; reply 1
        1400 aloud: Hello there,
        2108 aloud: nice to meet you.
        3140 silence; reply 1 completed
        """,
        acts=((900, post(events.EndUtterance())),),
    ),
    "the robot says something": Case(
        "",
        """
        100 reply 1
        200 aloud: Battery low.
        920 silence; reply 1 completed
        """,
        acts=(
            (
                100,
                post(events.Say("Battery low.")),
            ),
        ),
    ),
    "typed": Case(
        "",
        """
        100 reply 1
        450 aloud: Hello there,
        1158 aloud: nice to meet you.
        2190 silence; reply 1 completed
        """,
        acts=((100, post(events.Typed("hello"))),),
    ),
    "cancelled while it speaks": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over; turn 1 was: hello robot; reply 1
        1428 aloud: Hello there,
        2000 silence; reply 1 cancelled
        """,
        acts=((2_000, post(events.Cancel())),),
    ),
    "cancelled while it is heard": Case(
        "800",
        """
        96 turn 1 begins
        1312 turn 1 is over
        1462 turn 1 was: hello robot
        """,
        tentative_ms=0,
        acts=((1_400, post(events.Cancel())),),
    ),
    "cleared in the middle": Case(
        "800",
        """
        96 turn 1 begins
        600 turn 1 is over
        672 turn 2 begins
        1312 turn 2 is over; turn 2 was: hello robot; reply 1
        1428 aloud: Hello there,
        2136 aloud: nice to meet you.
        3168 silence; reply 1 completed
        """,
        acts=((600, post(events.Clear())),),
    ),
    "a microphone that stops": Case(
        "800",
        """
        96 turn 1 begins
        1800 turn 1 is over
        1950 turn 1 was: hello robot; reply 1
        2300 aloud: Hello there,
        3008 aloud: nice to meet you.
        4040 silence; reply 1 completed
        """,
        silence_sent=False,
    ),
    "an utterance without an end": Case(
        "3000",
        """
        96 turn 1 begins
        2016 turn 1 is over
        2112 turn 2 begins
        2166 turn 1 was: hello robot
        3520 turn 2 is over; turn 2 was: hello robot; reply 1
        3636 aloud: Hello there,
        4344 aloud: nice to meet you.
        5376 silence; reply 1 completed
        """,
        house={"max_utterance_s": 2.0},
    ),
    "a click": Case(
        "64",
        """
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_heard_when(name: str) -> None:
    told = [line.strip() for line in CASES[name].heard.split("\n") if line.strip()]
    assert run_virtual(observed(CASES[name])) == told
