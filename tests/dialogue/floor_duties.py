"""What each event must do to the floor: the rules of turn-taking once more, from the outside.

One function a kind of event, of the state before it, the event, the state after it and the effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from brain.dialogue import effects, events
from brain.dialogue.effects import Effect, EndReply, Send, StartReply
from brain.dialogue.outputs import (
    AttentionTurned,
    Problem,
    Reason,
    SpeechStarted,
    SpeechStopped,
    Unattended,
    UserSaid,
)
from brain.dialogue.state import (
    FRAME,
    PARTIAL_EVERY,
    RATE,
    Idle,
    Listening,
    Pausing,
    State,
    Utterance,
    samples,
)

PHRASE = "hey robot"
"""Of the rules of those who make up sequences, where there is one."""
NOT_UNDERSTOOD = "nothing that could be understood was said"


def utterance(state: State) -> Utterance | None:
    return None if isinstance(state.floor, Idle) else state.floor.utterance


def ended_reply(state: State, reason: Reason = "interrupted") -> tuple[Effect, ...]:
    """How the reply under way ends, if there is one."""
    return (EndReply(state.reply.reply_id, reason),) if state.reply else ()


AHEAD = (
    effects.HearAhead,
    effects.HearPartial,
    effects.PrepareReply,
    effects.DropAhead,
    effects.DropPrepared,
    effects.Resumed,
)


def but_ahead(wanted: Sequence[Effect]) -> tuple[Effect, ...]:
    """Without what is for what may be said, and nobody is told of: the witness sees to that."""
    return tuple(effect for effect in wanted if not isinstance(effect, AHEAD))


def but_attention(wanted: Sequence[Effect]) -> tuple[Effect, ...]:
    """Without what is told of the robot's attention, which may turn with any event."""
    return tuple(
        effect
        for effect in wanted
        if not isinstance(effect, effects.KeepAttention)
        and not (isinstance(effect, Send) and isinstance(effect.output, AttentionTurned))
    )


def meant(before: State, text: str, *, attended: bool) -> str | None:
    """What of `text` is said to the robot beside its name; None: it isn't said to it."""
    if not before.rules.choosy:
        return text
    if text.startswith(PHRASE):
        return text.removeprefix(PHRASE).strip().capitalize()
    return text if attended else None


def started_reply(before: State, turn: int, kind: str, text: str = "") -> tuple[Effect, ...]:
    """A reply that takes the place of the one under way."""
    reply_id = before.last_reply + 1
    return (*ended_reply(before), StartReply(reply_id, turn, kind, text))  # type: ignore[arg-type]


# -- the floor -----------------------------------------------------------------------------------


def frame(before: State, event: events.Frame, after: State, wanted: tuple[Effect, ...]) -> None:
    if before.rules.push_to_talk or before.deaf:
        sound(before, events.Sound(event.end), after, wanted)
    elif event.speech:
        speech(before, event, after, wanted)
    else:
        silence(before, event, after, wanted)


def speech(before: State, event: events.Frame, after: State, wanted: tuple[Effect, ...]) -> None:
    rules, said = before.rules, utterance(before)
    if said is None:
        start = max(before.free_from, event.end - FRAME - rules.pre_roll)
        attended = before.attention.on or not rules.choosy
        said = Utterance(start, event.end, 0, attended=attended)
    resumed = isinstance(before.floor, Pausing)
    voiced = said.voiced + FRAME
    opens = not said.turn and voiced >= (rules.barge_in if before.reply else rules.min_speech)
    turn = before.last_turn + 1 if opens else said.turn
    said = replace(said, end=event.end, voiced=voiced, turn=turn, revision=said.revision + resumed)
    told: tuple[Effect, ...] = (*ended_reply(before), Send(SpeechStarted(turn))) if opens else ()
    if opens:
        assert after.wait is None
        before = without_reply(before)
    if event.end - said.start < rules.max_utterance:
        assert after.floor == Listening(said)
        assert but_ahead(wanted) == told
        listens = rules.partials and said.turn and voiced >= PARTIAL_EVERY and not before.ahead
        heard_partly(said, event.end, False, bool(listens), wanted)
        assert not opens or not (after.ended_by_silence or after.answering)
    elif said.turn:
        committed(before, said, after, but_ahead(wanted), told)
    else:
        assert (after.floor, wanted) == (Idle(), ())


def without_reply(state: State) -> State:
    return replace(state, reply=None, answering=0)


def silence(before: State, event: events.Frame, after: State, wanted: tuple[Effect, ...]) -> None:
    rules, said = before.rules, utterance(before)
    if said is None:
        assert (after.floor, wanted) == (Idle(), ())
        return
    lasts = event.end - said.end
    ahead = before.ahead
    heard = ahead is not None and ahead.hearing
    enough = ahead.silence if ahead is not None and ahead.silence is not None else rules.silence
    over = lasts >= (enough if said.turn else rules.gap)
    if over or event.end - said.start >= rules.max_utterance:
        if said.turn:
            committed(before, said, after, but_ahead(wanted), ())
        else:
            assert (after.floor, wanted) == (Idle(), ())
        return
    assert after.floor == Pausing(said)
    guess = said.turn and 0 < rules.tentative <= lasts and not heard and not before.reply
    end = min(event.end, said.end + rules.post_roll)
    asked = [effects.HearAhead(said.turn, said.revision, said.start, end)] if guess else []
    assert [effect for effect in wanted if isinstance(effect, effects.HearAhead)] == asked
    assert but_ahead(wanted) == ()
    pauses = min(samples(64), rules.tentative) <= lasts < rules.tentative
    listens = rules.partials and said.turn and pauses and not heard and not before.reply
    heard_partly(said, end, True, bool(listens), wanted)


def heard_partly(
    said: Utterance, end: int, pausing: bool, listens: bool, wanted: tuple[Effect, ...]
) -> None:
    partial = effects.HearPartial(said.turn, said.revision, said.start, end, pausing)
    asked = [effect for effect in wanted if isinstance(effect, effects.HearPartial)]
    assert asked == ([partial] if listens else [])


def committed(
    before: State,
    said: Utterance,
    after: State,
    wanted: tuple[Effect, ...],
    told: tuple[Effect, ...],
) -> None:
    """The turn is over: it is heard, and answered at once if that is known already."""
    ahead = before.ahead
    of_it = ahead is not None and (ahead.turn, ahead.revision) == (said.turn, said.revision)
    text = ahead.text if ahead is not None and of_it else None
    end = min(after.now, said.end + before.rules.post_roll)
    hearing = effects.StartTranscription(
        said.turn, said.revision, said.start, end, said.end, known=text is not None
    )
    closes = (*told, *ended_reply(before), Send(SpeechStopped(said.turn)), hearing)
    assert wanted[: len(closes)] == closes
    assert isinstance(after.floor, Idle)
    assert after.wait is None
    assert after.free_from == (after.now if after.rules.push_to_talk else end)
    left = wanted[len(closes) :]
    if text is None:
        assert (left, after.answering) == ((), said.turn)
    else:
        attended = said.attended or not before.rules.choosy
        understood(without_reply(before), said.turn, text, True, after, left, attended=attended)


def understood(
    before: State,
    turn: int,
    text: str,
    answered: bool,
    after: State,
    wanted: tuple[Effect, ...],
    *,
    attended: bool,
) -> None:
    words = meant(before, text, attended=attended)
    if not words:
        told: UserSaid | Unattended | Problem = UserSaid(text, turn)
        if words is None or not text:
            problem = Problem("not_understood", NOT_UNDERSTOOD, turn)
            told = problem if attended else Unattended(turn)
        assert wanted == (Send(told),)
        assert after.answering == (0 if answered else before.answering)
        return
    said = (Send(UserSaid(text, turn)), effects.Remember(words, turn, late=not answered))
    if answered:
        assert wanted == (*said, *started_reply(before, turn, "answer"))
        assert (after.answering, after.wait) == (0, None)
    else:
        assert wanted == said
        assert (after.answering, after.reply) == (before.answering, before.reply)


def sound(before: State, event: events.Sound, after: State, wanted: tuple[Effect, ...]) -> None:
    assert after.now == event.end
    rules = before.rules
    if not rules.push_to_talk or rules.muted:
        assert (after.free_from, wanted) == (event.end, ())
        return
    assert after.free_from == before.free_from
    if event.end - before.free_from > rules.max_utterance and not before.overflowed:
        (told,) = wanted
        assert isinstance(told, Send)
        assert isinstance(told.output, Problem)
        assert (told.output.code, after.overflowed) == ("audio_overflow", True)
        assert f" {rules.max_utterance // RATE} s" in told.output.message
    else:
        assert (wanted, after.overflowed) == ((), before.overflowed)


def starved(before: State, event: Any, after: State, wanted: tuple[Effect, ...]) -> None:
    said = utterance(before)
    if said is not None and said.turn:
        committed(before, said, after, but_ahead(wanted), ())
        assert after.ended_by_silence
    else:
        assert (after.floor, wanted) == (Idle(), ())


def end_utterance(before: State, event: Any, after: State, wanted: tuple[Effect, ...]) -> None:
    rules, said = before.rules, utterance(before)
    if rules.push_to_talk and before.now > before.free_from:
        start = max(before.free_from, before.now - rules.max_utterance)
        said = Utterance(start, before.now, before.now - start)
        assert not after.overflowed
    assert not after.ended_by_silence
    if said is not None:
        told: tuple[Effect, ...] = ()
        if not said.turn:
            said = replace(said, turn=before.last_turn + 1)
            told, before = (
                (*ended_reply(before), Send(SpeechStarted(said.turn))),
                without_reply(before),
            )
        committed(before, said, after, but_ahead(wanted), told)
    elif before.ended_by_silence or before.under_way:
        assert wanted == ()
    else:
        text = "no speech was heard before end_utterance"
        assert wanted == (Send(Problem("not_understood", text)),)


def clear(before: State, event: Any, after: State, wanted: tuple[Effect, ...]) -> None:
    said = utterance(before)
    stopped = (Send(SpeechStopped(said.turn)),) if said is not None and said.turn else ()
    assert but_ahead(wanted) == (*stopped, effects.ForgetSound())
    assert isinstance(after.floor, Idle), "6: clear resets the whole turn"
    assert (after.free_from, after.overflowed) == (after.now, False)
    assert after.reply == before.reply


def change_rules(
    before: State, event: events.ChangeRules, after: State, wanted: tuple[Effect, ...]
) -> None:
    assert after.rules == event.rules
    if event.rules.push_to_talk != before.rules.push_to_talk or after.deaf:
        clear(before, event, after, wanted)
    else:
        assert (after.floor, wanted) == (before.floor, ())
        assert after.ahead is None or after.ahead.silence is None, "it was wanted by the old rules"


def sound_began(before: State, event: Any, after: State, wanted: tuple[Effect, ...]) -> None:
    assert after.sounding
    if after.deaf and utterance(before):
        clear(before, event, after, wanted)
    else:
        assert (after.floor, wanted) == (before.floor, ())


def sound_ended(before: State, event: Any, after: State, wanted: tuple[Effect, ...]) -> None:
    assert (after.sounding, after.floor, wanted) == (False, before.floor, ())
