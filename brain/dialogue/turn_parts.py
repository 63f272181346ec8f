"""What the steps of turn-taking are put together from. Pure, as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from brain.dialogue.attention import awaited, for_robot, settled, woken
from brain.dialogue.effects import (
    DropAhead,
    DropPrepared,
    Effect,
    EndReply,
    HearAhead,
    Remember,
    Resumed,
    Send,
    StartReply,
    StartTranscription,
)
from brain.dialogue.outputs import (
    Problem,
    Reason,
    SpeechStarted,
    SpeechStopped,
    Unattended,
    UserSaid,
)
from brain.dialogue.state import FRAME, Ahead, Idle, Kind, Pausing, Replying, State, Utterance

Step = tuple[State, tuple[Effect, ...]]


def the_reply(state: State) -> Replying:
    """The active reply; there must be one."""
    assert state.reply is not None
    return state.reply


def the_utterance(state: State) -> Utterance | None:
    """What is being said, None when nobody speaks."""
    return None if isinstance(state.floor, Idle) else state.floor.utterance


def with_utterance(state: State, utterance: Utterance) -> State:
    """The same floor with this utterance; somebody must be speaking."""
    assert not isinstance(state.floor, Idle)
    return replace(state, floor=type(state.floor)(utterance))


def then(first: Step, next_step: Callable[[State], Step]) -> Step:
    """Both steps, one after the other."""
    state, effects = first
    state, more = next_step(state)
    return state, (*effects, *more)


def certain(state: State) -> Step:
    """Open the turn once there is enough speech to be sure of it."""
    utterance = the_utterance(state)
    assert utterance is not None
    needed = state.rules.barge_in if state.reply else state.rules.min_speech
    if utterance.turn or utterance.voiced < needed:
        return state, ()
    return open_turn(state)


def open_turn(state: State) -> Step:
    """Speech it is: the reply that it interrupts ends first."""
    utterance = the_utterance(state)
    assert utterance is not None
    turn = state.last_turn + 1
    again: tuple[Effect, ...] = ()
    if state.ended_by_silence and state.spoken[0]:  # which may have been too early
        before, end = state.spoken
        again = (Resumed(before, max(utterance.end - utterance.voiced - end, 0)),)
    state = with_utterance(state, replace(utterance, turn=turn))
    state = replace(state, last_turn=turn, answering=0, wait=None, ended_by_silence=False)
    state, ended = end_reply(state, "interrupted")
    return state, (*again, *ended, Send(SpeechStarted(turn)))


def bounded(state: State) -> Step:
    """An utterance that has grown to its limit is processed as it is."""
    utterance = the_utterance(state)
    if utterance is None or state.now - utterance.start < state.rules.max_utterance:
        return state, ()
    if not utterance.turn:
        return replace(state, floor=Idle()), ()
    return commit(state)


def resumed(state: State, utterance: Utterance) -> tuple[Effect, ...]:
    """There is speech again, of this utterance: what that tells of its speaker."""
    if not isinstance(state.floor, Pausing) or not utterance.turn:
        return ()
    return (Resumed(utterance.turn, state.now - FRAME - utterance.end),)


def wanted_silence(state: State, utterance: Utterance) -> int:
    """So many samples of it end this utterance."""
    ahead = state.ahead
    if ahead is None or ahead.silence is None or not _is_of(ahead, utterance):
        return state.rules.silence
    return ahead.silence


def heard_to(state: State, utterance: Utterance) -> int:
    """Where the sound ends that is heard of this utterance: a little after its speech."""
    return min(state.now, utterance.end + state.rules.post_roll)


def run_ahead(state: State) -> Step:
    """The user pauses: perhaps that was all. Once a pause."""
    utterance = the_utterance(state)
    if (
        not isinstance(state.floor, Pausing)
        or utterance is None
        or not utterance.turn
        or not state.rules.tentative
        or state.now - utterance.end < state.rules.tentative
        or (state.ahead is not None and state.ahead.hearing)
        or state.reply is not None  # typed meanwhile: its engines are taken
    ):
        return state, ()
    state = replace(state, ahead=Ahead(utterance.turn, utterance.revision))
    end = heard_to(state, utterance)
    return state, (HearAhead(utterance.turn, utterance.revision, utterance.start, end),)


def in_time(state: State) -> Step:
    """What runs ahead does so only while the pause lasts for which it was begun, or until it is
    known what was said in the turn."""
    if state.ahead is None:
        if state.prepared is None or state.answering:
            return state, ()
        return replace(state, prepared=None), (DropPrepared(),)
    utterance = the_utterance(state) if isinstance(state.floor, Pausing) else None
    if utterance is not None and _is_of(state.ahead, utterance) and state.reply is None:
        if state.ahead.text != "" or state.prepared is None:
            return state, ()
        return replace(state, prepared=None), (DropPrepared(),)
    return replace(state, ahead=None, prepared=None), (DropAhead(),)


def _is_of(ahead: Ahead, utterance: Utterance) -> bool:
    return (ahead.turn, ahead.revision) == (utterance.turn, utterance.revision)


def commit(state: State) -> Step:
    """The turn is over: hear what was said, unless that is known. A reply still under way (typed
    meanwhile) ends."""
    state, dropped = in_time(state)  # a pause may be over in the frame that ends the turn
    utterance = the_utterance(state)
    assert utterance is not None
    turn, text = utterance.turn, state.ahead.text if state.ahead is not None else None
    end = heard_to(state, utterance)
    state = replace(
        state,
        floor=Idle(),
        ahead=None,
        free_from=end,
        answering=turn,
        wait=None,
        ended_by_silence=True,
        spoken=(turn, utterance.end),
    )
    state = awaited(state, turn, attended=utterance.attended)
    state, ended = end_reply(state, "interrupted")
    hearing = StartTranscription(
        turn, utterance.revision, utterance.start, end, utterance.end, known=text is not None
    )
    committed = state, (*dropped, *ended, Send(SpeechStopped(turn)), hearing)
    return committed if text is None else then(committed, lambda state: heard(state, turn, text))


def committed_unheard(state: State) -> Step:
    """The turn is over, and no sound has counted how long ago that was: none comes any more."""
    state, effects = commit(state)
    return replace(state, spoken=(0, 0)), effects


def heard(state: State, turn: int, text: str) -> Step:
    """This was said in `turn`. It is answered, unless that has been overtaken, or it wasn't for
    the robot."""
    answer = turn == state.answering
    state, attended = settled(state, turn)
    words = for_robot(state, text, attended=attended)
    if not words:
        told: Unattended | UserSaid | Problem = Unattended(turn)
        if words is not None and text:  # nothing but its name: what for, comes next
            state, told = woken(state), UserSaid(text, turn)
        elif attended:
            told = Problem("not_understood", "nothing that could be understood was said", turn)
        return replace(state, answering=0 if answer else state.answering), (Send(told),)
    said = (Send(UserSaid(text, turn)), Remember(words, turn, late=not answer))
    if not answer:  # the user went on speaking, typed, or cancelled meanwhile
        return state, said
    state, started = start_reply(state, turn, "answer")
    return state, (*said, *started)


def start_reply(state: State, turn: int, kind: Kind, text: str = "") -> Step:
    """A new reply, which takes the place of the one under way."""
    reply_id = state.last_reply + 1
    state, ended = end_reply(state, "interrupted")
    if kind != "say":  # a word of the robot's app in between puts nothing off for ever
        state = replace(state, wait=None, answering=0)
    reply = Replying(reply_id, turn, kind)
    state = replace(state, reply=reply, last_reply=reply_id, prepared=None)
    return state, (*ended, StartReply(reply_id, turn, kind, text))


def end_reply(state: State, reason: Reason) -> Step:
    """The reply under way ends so, if there is one."""
    if state.reply is None:
        return state, ()
    ended = EndReply(state.reply.reply_id, reason)
    return replace(state, reply=None, results=frozenset()), (ended,)


def follow_up(state: State) -> Step:
    """Speak about the results once all are in, if one of them asks for it."""
    if state.wait is None or state.wait.missing or state.reply is not None:
        return state, ()
    if not state.wait.wanted:
        return replace(state, wait=None), ()
    return start_reply(state, state.wait.turn, "follow_up")
