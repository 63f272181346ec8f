"""What is heard of a turn while it is open, in the steps of turn-taking. Pure, as they are.

A partial transcript may be asked for with every frame; whether there is time for it, the ears know
(`brain.dialogue.partials`). It is told to the robot, and it is a guess at what the turn will have
been when the user falls silent: where all that was said is in it, as far as can be told, an answer
is begun at once. It stands only if what is heard of the whole says the same.
"""

from __future__ import annotations

from dataclasses import replace

from brain.dialogue.attention import for_robot
from brain.dialogue.effects import HearPartial, PrepareReply, Send
from brain.dialogue.events import PartlyHeard
from brain.dialogue.outputs import UserPartial
from brain.dialogue.state import (
    PARTIAL_EVERY,
    Ahead,
    Listening,
    Partial,
    Pausing,
    State,
    Utterance,
    samples,
)
from brain.dialogue.turn_parts import Step, heard_to, the_utterance, then, with_utterance
from brain.dialogue.words import same_words

# Silence that is more than a gap between two sounds, and enough after a word to hear it whole: the
# detector lets go late, and so there is more of it than that.
_PAUSE = samples(64)
# What the detector calls speech and wasn't heard may be so long without a word in it; twice as long
# as two partials are apart if the last of them brought nothing new.
_UNHEARD = samples(96)
_UNHEARD_STABLE = 2 * PARTIAL_EVERY


def hear_partly(state: State) -> Step:
    """What was said so far may be heard. Once there is a pause, what is known of it is answered."""
    utterance = the_utterance(state)
    if not state.rules.partials or utterance is None or not utterance.turn:
        return state, ()
    if isinstance(state.floor, Listening):
        if utterance.voiced < PARTIAL_EVERY or state.ahead is not None:  # that goes first
            return state, ()
        return state, (_hear(utterance, state.now, pausing=False),)
    silence, tentative = state.now - utterance.end, state.rules.tentative
    if not tentative or silence < min(_PAUSE, tentative) or state.reply is not None:
        return state, ()
    if silence >= tentative or (state.ahead is not None and state.ahead.hearing):
        return guess(state)  # all of it is heard in any case
    end = heard_to(state, utterance)
    return then((state, (_hear(utterance, end, pausing=True),)), guess)


def partly_heard(state: State, event: PartlyHeard) -> Step:
    """So much was heard of the turn, if it is still open."""
    utterance = the_utterance(state)
    if utterance is None or not utterance.turn or utterance.turn != event.turn or not event.text:
        return state, ()
    last = utterance.partial
    stable = last is not None and same_words(last.text, event.text)
    partial = Partial(event.text, event.end, stable)
    state = with_utterance(state, replace(utterance, partial=partial))
    news = last is None or last.text != event.text
    meant = for_robot(state, event.text, attended=utterance.attended) is not None
    told = (Send(UserPartial(event.text, event.turn)),) if news and meant else ()
    return then((state, told), hear_partly) if isinstance(state.floor, Pausing) else (state, told)


def guess(state: State) -> Step:
    """The user pauses, and a partial transcript may be all that was said: answer it, until more is
    known."""
    utterance, ahead = the_utterance(state), state.ahead
    assert utterance is not None
    partial = utterance.partial
    if partial is None or not _may_be_all(partial, utterance):
        return state, ()
    words = for_robot(state, partial.text, attended=utterance.attended)
    if not words or words == state.prepared:
        return state, ()
    if ahead is not None and ahead.text is not None:  # the whole is known
        return state, ()
    ahead = ahead or Ahead(utterance.turn, utterance.revision, hearing=False)
    state = replace(state, ahead=ahead, prepared=words)
    return state, (PrepareReply(utterance.turn, words),)


def _hear(utterance: Utterance, end: int, *, pausing: bool) -> HearPartial:
    return HearPartial(utterance.turn, utterance.revision, utterance.start, end, pausing)


def _may_be_all(partial: Partial, utterance: Utterance) -> bool:
    return utterance.end - partial.end <= (_UNHEARD_STABLE if partial.stable else _UNHEARD)
