"""Whom the robot listens to, where it has wake phrases. Pure, as the steps of turn-taking are.

Spoken to is the robot by who says a wake phrase, and by whoever speaks while a conversation goes
on: from there until a while after its last reply. All else isn't answered, told or remembered.
"""

from __future__ import annotations

from dataclasses import replace

from brain.dialogue.effects import Effect, KeepAttention, Send
from brain.dialogue.outputs import AttentionTurned
from brain.dialogue.state import Attention, Idle, State
from brain.dialogue.wake import without

_IN_CONVERSATION = ("answer", "follow_up", "apology")
# What is heard late is heard in the end; the list doesn't grow for ever whatever happens.
_AWAITED = 64


def attends(state: State) -> bool:
    """Whether who begins to speak now is answered, whatever is said."""
    return not state.rules.choosy or state.attention.on


def awaited(state: State, turn: int, *, attended: bool) -> State:
    """The transcript of this turn is awaited. `attended`: as of its utterance."""
    if attended:
        return state
    return replace(state, unattended=(*state.unattended, turn)[-_AWAITED:])


def settled(state: State, turn: int) -> tuple[State, bool]:
    """The transcript of this turn is here, or won't come; whether the turn is attended."""
    if turn not in state.unattended:
        return state, True
    left = tuple(other for other in state.unattended if other != turn)
    return replace(state, unattended=left), not state.rules.choosy


def for_robot(state: State, text: str, *, attended: bool) -> str | None:
    """What of `text` is said to the robot; "" if that is but a wake phrase; None: nothing."""
    if not state.rules.choosy:
        return text
    said = without(text, state.rules.wake_phrases)
    return text if said is None and attended else said


def woken(state: State) -> State:
    """The robot was called."""
    return replace(state, attention=replace(state.attention, on=True, lapsing=False))


def lapsed(state: State, window: int) -> State:
    """This window has run out."""
    attention = state.attention
    if not attention.lapsing or attention.window != window:
        return state
    return replace(state, attention=Attention(window=window))


def turned(before: bool, state: State) -> tuple[State, tuple[Effect, ...]]:
    """After a step: attention follows what goes on. `before`: whether it was on before the step."""
    attention = state.attention
    if state.closed or not state.rules.choosy:
        quiet = Attention(window=attention.window)
        return (state if attention == quiet else replace(state, attention=quiet)), ()
    effects: tuple[Effect, ...] = ()
    if _in_conversation(state):
        attention = replace(attention, on=True, lapsing=False)
    elif attention.on and not attention.lapsing:
        attention = replace(attention, lapsing=True, window=attention.window + 1)
        effects = (KeepAttention(attention.window),)
    if attention.on != before:
        effects = (Send(AttentionTurned(attention.on)), *effects)
    return replace(state, attention=attention), effects


def _in_conversation(state: State) -> bool:
    if state.reply is not None and state.reply.kind in _IN_CONVERSATION:
        return True
    if state.wait is not None or (state.answering and state.answering not in state.unattended):
        return True
    if isinstance(state.floor, Idle):
        return False
    return state.floor.utterance.attended and state.floor.utterance.turn > 0
