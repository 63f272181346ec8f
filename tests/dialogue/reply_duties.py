"""What each event must do to the reply and its tools, from the outside: see `floor_duties`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brain.dialogue import effects, events
from brain.dialogue.effects import Effect, Send, StartReply
from brain.dialogue.outputs import Problem, UserPartial
from brain.dialogue.state import Idle, State, ToolWait
from tests.dialogue.floor_duties import (
    but_ahead,
    ended_reply,
    meant,
    started_reply,
    understood,
    utterance,
    without_reply,
)


def cancel(before: State, event: Any, after: State, wanted: tuple[Effect, ...]) -> None:
    assert but_ahead(wanted) == ended_reply(before, "cancelled")
    assert (after.answering, after.wait) == (0, None)


def typed(before: State, event: events.Typed, after: State, wanted: tuple[Effect, ...]) -> None:
    turn = before.last_turn + 1
    ended, started = ended_reply(before), started_reply(without_reply(before), turn, "answer")
    remember = effects.Remember(event.text, turn)
    assert but_ahead(wanted) == (*ended, remember, *started)
    assert (after.answering, after.wait) == (0, None)


def say(before: State, event: events.Say, after: State, wanted: tuple[Effect, ...]) -> None:
    assert but_ahead(wanted) == started_reply(before, before.last_turn + 1, "say", event.text)
    assert (after.answering, after.wait) == (before.answering, before.wait)


def idle(before: State, event: events.IdleSignal, after: State, wanted: tuple[Effect, ...]) -> None:
    if before.reply or before.wait or before.answering or utterance(before):
        assert (after, wanted) == (before, ())
    else:
        assert wanted == started_reply(before, before.last_turn + 1, "idle", event.note)


def transcribed(
    before: State, event: events.Transcribed, after: State, wanted: tuple[Effect, ...]
) -> None:
    answered = event.turn == before.answering
    attended = event.turn not in before.unattended or not before.rules.choosy
    left = but_ahead(wanted)
    understood(before, event.turn, event.text, answered, after, left, attended=attended)


def foreseen(
    before: State, event: events.Foreseen, after: State, wanted: tuple[Effect, ...]
) -> None:
    ahead = before.ahead
    of_it = ahead is not None and (ahead.turn, ahead.revision) == (event.turn, event.revision)
    if ahead is None or not ahead.hearing or not of_it:
        assert (after, wanted) == (before, ())
        return
    said = utterance(before)
    assert said is not None
    words = meant(before, event.text, attended=said.attended)
    asked: tuple[Effect, ...] = ()
    if words:
        asked = (effects.PrepareReply(event.turn, words),)
    elif before.prepared is not None:
        asked = (effects.DropPrepared(),)
    assert wanted == asked, "nobody is told of a guess"
    assert after.ahead is not None
    assert (after.ahead.text, after.ahead.silence) == (event.text, event.silence)
    assert after.prepared == (words or None)


def judged(before: State, event: events.Judged, after: State, wanted: tuple[Effect, ...]) -> None:
    assert wanted == (), "nobody is told of a guess"
    ahead = before.ahead
    of_it = ahead is not None and (ahead.turn, ahead.revision) == (event.turn, event.revision)
    if ahead is not None and ahead.hearing and of_it:
        assert after == replace(before, ahead=replace(ahead, silence=event.silence))
    else:
        assert after == before, "a stale verdict"


def overheard(
    before: State, event: events.Overheard, after: State, wanted: tuple[Effect, ...]
) -> None:
    if before.doubt is None or event.number != before.doubt.hearing:
        assert (after, wanted) == (before, ()), "what is out of date tells nothing"
    elif event.meaning == "words":
        assert after.reply is None or after.reply != before.reply, "words interrupt"
        assert after.last_turn == before.last_turn + 1
    elif event.meaning in ("backchannel", "nothing", "own_voice"):
        assert after.last_turn == before.last_turn, "they open no turn"
        assert after.reply == before.reply, "they stop no reply"


def partly_heard(
    before: State, event: events.PartlyHeard, after: State, wanted: tuple[Effect, ...]
) -> None:
    said = utterance(before)
    if said is None or not said.turn or said.turn != event.turn or not event.text:
        assert (after, wanted) == (before, ())
        return
    news = said.partial is None or said.partial.text != event.text
    for_robot = meant(before, event.text, attended=said.attended) is not None
    told = (Send(UserPartial(event.text, event.turn)),) if news and for_robot else ()
    assert but_ahead(wanted) == told
    assert (partial := utterance(after))
    assert partial.partial is not None
    assert (partial.partial.text, partial.partial.end) == (event.text, event.end)


def ears_failed(
    before: State, event: events.TranscriptionFailed, after: State, wanted: tuple[Effect, ...]
) -> None:
    problem = Send(Problem(event.code, event.message, event.turn))
    if event.turn != before.answering:
        assert (after, wanted) == (before, (problem,))
        return
    if before.rules.choosy and event.turn in before.unattended:
        assert but_ahead(wanted) == (problem,), "an excuse to the television"
        assert (after.answering, after.reply) == (0, before.reply)
        return
    apology = started_reply(before, event.turn, "apology", event.code)
    assert but_ahead(wanted) == (problem, *apology)
    assert after.reply is not None
    assert after.reply.failing


def reply_failed(
    before: State, event: events.ReplyFailed, after: State, wanted: tuple[Effect, ...]
) -> None:
    if before.reply is None or before.reply.reply_id != event.reply_id:
        assert (after, wanted) == (before, ()), "a stale result did something"
        return
    problem = Send(Problem(event.code, event.message, before.reply.turn))
    if event.mute or before.reply.failing:
        assert (after.reply, wanted) == (None, (problem, *ended_reply(before, "failed")))
    else:
        assert wanted == (problem, effects.Apologise(event.reply_id, event.code))
        assert after.reply is not None
        assert after.reply.failing


def reply_played(
    before: State, event: events.ReplyPlayed, after: State, wanted: tuple[Effect, ...]
) -> None:
    reply = before.reply
    if reply is None or reply.reply_id != event.reply_id:
        assert (after, wanted) == (before, ()), "a stale result did something"
        return
    ended = ended_reply(before, "failed" if reply.failing else "completed")
    assert after.results == frozenset()
    wait = before.wait
    if reply.calls and reply.kind != "idle" and not reply.failing:
        come = {call_id for call_id, _ in before.results}
        asked = any(follow_up for _, follow_up in before.results)
        wait = ToolWait(reply.turn, reply.reply_id, reply.calls - come, asked)
        if wait.missing:
            assert wanted == (*ended, effects.AwaitTools(reply.reply_id))
            assert after.wait == wait
            return
    followed_up(before, wait, after, wanted, ended)


def followed_up(
    before: State,
    wait: ToolWait | None,
    after: State,
    wanted: tuple[Effect, ...],
    first: tuple[Effect, ...],
) -> None:
    """Once all results are in, and nothing else is being said, they are spoken of if asked for."""
    if wait is None or wait.missing:
        assert (after.wait, wanted) == (wait, first)
    elif wait.wanted:
        started = StartReply(before.last_reply + 1, wait.turn, "follow_up")
        assert but_ahead(wanted) == (*first, started)
        assert after.wait is None
    else:
        assert (after.wait, wanted) == (None, first)


# -- tools ---------------------------------------------------------------------------------------


def call(before: State, event: events.CallMade, after: State, wanted: tuple[Effect, ...]) -> None:
    assert wanted == ()
    if before.reply is None or before.reply.reply_id != event.reply_id:
        assert after == before
        return
    assert after.reply is not None
    assert after.reply.calls == {*before.reply.calls, event.call_id}
    assert after.open_calls == (*before.open_calls, event.call_id)[-64:]


def unknown(call_id: str) -> Effect:
    return Send(Problem("unknown_call_id", f"no open tool call has the id {call_id!r}"))


def result(
    before: State, event: events.ToolResult, after: State, wanted: tuple[Effect, ...]
) -> None:
    call_id = event.call_id
    if call_id not in before.open_calls:
        assert (after, wanted) == (before, (unknown(call_id),))
        return
    remember = (effects.RememberResult(call_id, event.output),)
    assert call_id not in after.open_calls
    assert after.answers_tools
    wait = before.wait
    if before.reply is not None and call_id in before.reply.calls:
        waits = before.reply.turn
        assert after.results == before.results | {(call_id, event.follow_up)}
        assert (after.wait, wanted) == (wait, remember)
    elif wait is not None and call_id in wait.missing:
        waits = wait.turn
        asked = wait.wanted or event.follow_up
        wait = ToolWait(wait.turn, wait.reply_id, wait.missing - {call_id}, asked)
        if before.reply is not None:  # of the app, which has its say first
            assert (after.wait, wanted) == (wait, remember)
        else:
            followed_up(before, wait, after, wanted, remember)
    else:
        waits = 0
        assert (after.wait, wanted) == (wait, remember)
    assert after.answered_calls == (*before.answered_calls, (call_id, waits))[-64:]


def picture(
    before: State, event: events.ToolPicture, after: State, wanted: tuple[Effect, ...]
) -> None:
    answered = dict(before.answered_calls)
    if event.call_id not in before.open_calls and event.call_id not in answered:
        assert (after, wanted) == (before, (unknown(event.call_id),))
        return
    remember = (effects.RememberPicture(event.call_id, event.picture),)
    reply = before.reply
    again = (
        reply is not None
        and reply.kind == "follow_up"
        and reply.turn == answered.get(event.call_id)
        and not (reply.calls or reply.failing or before.sounding)
    )
    if reply is not None and again:
        assert wanted == (*remember, *started_reply(before, reply.turn, "follow_up"))
    else:
        assert (after, wanted) == (before, remember)


def overdue(
    before: State, event: events.ToolsOverdue, after: State, wanted: tuple[Effect, ...]
) -> None:
    wait = before.wait
    if wait is None or wait.reply_id != event.reply_id:
        assert (after, wanted) == (before, ())
    elif not before.answers_tools:
        assert (after.wait, wanted) == (None, ())
    elif before.reply is not None:
        assert wanted == ()
        assert after.wait == ToolWait(wait.turn, wait.reply_id, frozenset(), wanted=True)
    else:
        asked = ToolWait(wait.turn, wait.reply_id, frozenset(), wanted=True)
        followed_up(before, asked, after, wanted, ())


def hangup(before: State, event: Any, after: State, wanted: tuple[Effect, ...]) -> None:
    assert but_ahead(wanted) == ended_reply(before, "cancelled")
    assert after.closed
    assert (after.floor, after.wait, after.answering) == (Idle(), None, 0)


def attention_lapsed(before: State, event: Any, after: State, wanted: tuple[Effect, ...]) -> None:
    assert (after, wanted) == (before, ())
