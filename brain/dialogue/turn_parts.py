"""What the steps of turn-taking are put together from. Pure, as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from brain.dialogue.effects import Effect, EndReply, Send, StartReply, StartTranscription
from brain.dialogue.outputs import Reason, SpeechStarted, SpeechStopped
from brain.dialogue.state import Idle, Kind, Replying, State, Utterance

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
    state = with_utterance(state, replace(utterance, turn=turn))
    state = replace(state, last_turn=turn, answering=0, wait=None, ended_by_silence=False)
    state, ended = end_reply(state, "interrupted")
    return state, (*ended, Send(SpeechStarted(turn)))


def bounded(state: State) -> Step:
    """An utterance that has grown to its limit is processed as it is."""
    utterance = the_utterance(state)
    if utterance is None or state.now - utterance.start < state.rules.max_utterance:
        return state, ()
    if not utterance.turn:
        return replace(state, floor=Idle()), ()
    return commit(state)


def commit(state: State) -> Step:
    """The turn is over: hear what was said. A reply still under way (typed meanwhile) ends."""
    utterance = the_utterance(state)
    assert utterance is not None
    turn = utterance.turn
    end = min(state.now, utterance.end + state.rules.post_roll)
    state = replace(
        state, floor=Idle(), free_from=end, answering=turn, wait=None, ended_by_silence=True
    )
    state, ended = end_reply(state, "interrupted")
    hearing = StartTranscription(turn, utterance.revision, utterance.start, end, utterance.end)
    if state.rules.push_to_talk:
        state = replace(state, free_from=state.now)
    return state, (*ended, Send(SpeechStopped(turn)), hearing)


def start_reply(state: State, turn: int, kind: Kind, text: str = "") -> Step:
    """A new reply, which takes the place of the one under way."""
    reply_id = state.last_reply + 1
    state, ended = end_reply(state, "interrupted")
    if kind != "say":  # a word of the robot's app in between puts nothing off for ever
        state = replace(state, wait=None, answering=0)
    state = replace(state, reply=Replying(reply_id, turn, kind), last_reply=reply_id)
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
