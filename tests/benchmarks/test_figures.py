"""Figures, goals and what the report says of them."""

from __future__ import annotations

import math

import pytest

from benchmarks.peers import goals, report
from benchmarks.peers.barge_in import judged
from benchmarks.peers.figures import Figures, figures
from benchmarks.peers.goals import Goal
from benchmarks.peers.robot import Turn


def of(median: float, count: int = 20) -> Figures:
    return Figures(count, median, median, median, median)


def test_figures_of_values() -> None:
    measured = figures([float(value) for value in range(1, 22)])
    assert (measured.count, measured.median, measured.p95) == (21, 11.0, 20.0)
    assert (measured.least, measured.most) == (1.0, 21.0)
    assert figures([]).count == 0
    assert math.isnan(figures([]).median)


def test_ours_is_held_against_the_better_peer() -> None:
    rows = {"ours": of(720), "pipecat-sentence": of(1206), "s2s-sentence": of(1264)}
    by_sentence, streamed = goals.of_rows(rows)
    assert by_sentence.figure == pytest.approx(720 / 1206)
    assert by_sentence.met
    assert by_sentence.note == "720 / 1206 ms"
    assert streamed.verdict == "not measured"


def test_a_goal_is_missed_by_a_little_as_well() -> None:
    rows = {"ours-partials": of(621), "pipecat-token": of(1033)}
    streamed = goals.of_rows(rows)[1]
    assert streamed.verdict == "MISSED"
    assert "0.60 |" in report.goals([streamed])


def test_a_peer_that_answered_nothing_is_no_peer() -> None:
    rows = {"ours": of(720), "pipecat-sentence": figures([]), "s2s-sentence": of(1264)}
    assert goals.of_rows(rows)[0].note == "720 / 1264 ms"
    rows = {"ours": of(720), "pipecat-sentence": figures([])}
    assert goals.of_rows(rows)[0].verdict == "not measured"


def test_what_our_server_takes_is_a_median() -> None:
    zero, fixed = goals.of_own([3.0, 14.0, 40.0], [9.0, 10.5, 30.0])
    assert (zero.verdict, fixed.verdict) == ("met", "MISSED")
    assert goals.of_first_turns([700.0], [690.0]).met
    assert not goals.of_first_turns([800.0], [690.0]).met


def test_the_report_says_what_was_not_measured() -> None:
    text = report.voice_to_voice([("ours", of(700), 710.4, 20), ("a peer", figures([]), None, 0)])
    assert text.splitlines()[2:] == [
        "| ours | 700 | 700 | 710 | 20 of 20 |",
        "| a peer | - | - | - | 0 of 0 |",
    ]
    assert "not measured" in report.goals([Goal("x", math.nan, 1.0)])


def test_a_barge_in_is_judged_by_what_the_robot_got_and_when_the_engines_ended() -> None:
    stopped = Turn("x", 1.0, interrupted_at=10.0, sounds=[9.0, 10.2, 12.0])
    stopped.told = [(9.1, {"type": "reply_started"}),
                    (10.3, {"type": "reply_done", "reason": "interrupted"})]  # fmt: skip
    ignored = Turn("x", 20.0, interrupted_at=30.0, sounds=[30.5])
    work = [
        (9.0, "llm", "begins"), (9.5, "tts", "begins"), (10.31, "tts", "ends"),
        (10.32, "llm", "ends"), (11.5, "stt", "begins"), (11.6, "stt", "ends"),
        (12.0, "llm", "ends"),
    ]  # fmt: skip
    result = judged([stopped, ignored], work)
    assert result.missed == 1
    assert result.silent == [pytest.approx(200)]
    assert result.told == [pytest.approx(300)]
    assert result.free == [pytest.approx(320)]
