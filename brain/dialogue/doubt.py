"""Speech over a reply's sound: does it interrupt? Pure, as the steps of turn-taking are.

From the first speech that is no click, nothing more of the reply is sent: the robot plays what it
has, so that a doubt that is soon over isn't even heard. Then the speech is

- too little to stop a reply (`Rules.barge_in`): the reply goes on;
- more than any back-channel (`Rules.backchannel`), or words are understood in it: an interruption;
- a back-channel, no words at all, or the robot's own voice: the reply goes on where it was, and
  nobody is told of anything.

What it is tells a hearing, begun in the midst of it (words may be plain already) and again in the
pause after it. A hearing that takes long holds the reply no longer than `_PATIENCE`; its verdict
counts all the same. Where the robot may hear itself (`Rules.needs_words`), length proves nothing as
long as its loudspeaker sounds.
"""

from __future__ import annotations

from dataclasses import replace

from brain.dialogue.effects import (
    AdoptOverheard,
    DropOverheard,
    HoldReply,
    Overhear,
    ResumeReply,
)
from brain.dialogue.events import Overheard
from brain.dialogue.state import Ahead, Doubt, Idle, Pausing, State, samples
from brain.dialogue.turn_parts import (
    Step,
    committed_unheard,
    heard_to,
    open_turn,
    the_utterance,
    then,
)

# Silence after speech for which a reply is held at most, without a verdict.
_PATIENCE = samples(600)


def over_a_reply(state: State) -> bool:
    """Whether what is heard is heard over the sound of a reply."""
    return state.doubt is not None or (state.reply is not None and state.sounding)


def speaks_on(state: State) -> Step:
    """Speech goes on over a reply."""
    utterance, rules = the_utterance(state), state.rules
    assert utterance is not None
    if utterance.turn or utterance.voiced < min(rules.min_speech, rules.barge_in):
        return state, ()
    held = _held(state)
    if utterance.voiced >= _plain(state):
        return then(held, _interrupted)
    return then(held, _heard_meanwhile)


def pauses(state: State) -> Step:
    """Silence, after speech over a reply."""
    doubt, utterance, rules = state.doubt, the_utterance(state), state.rules
    if doubt is None or utterance is None:
        return state, ()
    silence = state.now - utterance.end
    if utterance.voiced < rules.barge_in:
        return (replace(state, floor=Idle()), ()) if silence >= rules.gap else (state, ())
    asked: Step = (state, ())
    if silence >= min(rules.tentative or rules.gap, rules.gap) and not _being_told(state):
        asked = _overhear(state, whole=True)
    return then(asked, _let_go) if silence >= _PATIENCE else asked


def starves(state: State) -> Step:
    """No more sound comes, as after the speech of a robot that sends nothing else."""
    doubt, utterance = state.doubt, the_utterance(state)
    assert doubt is not None
    assert utterance is not None
    if utterance.voiced < state.rules.barge_in:
        return replace(state, floor=Idle()), ()
    state = replace(state, floor=Pausing(utterance))
    asked = (state, ()) if _being_told(state) else _overhear(state, whole=True)
    state, effects = then(asked, _let_go)
    return replace(state, doubt=replace(_the_doubt(state), starved=True)), effects


def overheard(state: State, event: Overheard) -> Step:
    """A hearing tells what the speech is; one that is out of date can only tell of words."""
    doubt, utterance = state.doubt, the_utterance(state)
    if doubt is None or utterance is None or event.number != doubt.hearing:
        return state, ()
    whole = _being_told(state)
    state = replace(state, doubt=replace(doubt, hearing=0, whole=False))
    match event.meaning:
        case "words":
            return _understood(state, whole=whole)
        case "fragment" if whole:
            return _understood(state, whole=True)
        case "backchannel" | "nothing" | "own_voice" if whole:
            return _dismissed(state)
        case "failed" if whole:
            if not doubt.whole:
                return _overhear(state, whole=True)
            # Deaf ears are told of as after any other turn; but late, or of an echo, for nothing.
            if doubt.held and not state.rules.needs_words:
                return _interrupted(state)
            return _dismissed(state)
    return state, ()


def in_doubt(state: State) -> Step:
    """A doubt lasts as long as uncertain speech over its reply; with that, the reply goes on."""
    doubt, utterance = state.doubt, the_utterance(state)
    if doubt is None:
        return state, ()
    ours = state.reply is not None and state.reply.reply_id == doubt.reply_id
    uncertain = utterance is not None and not utterance.turn
    if ours and uncertain:
        return state, ()
    if uncertain and state.reply is None and state.rules.needs_words:
        # The echo of a reply that has ended: what it is must still be told.
        return replace(state, doubt=replace(doubt, held=False)), ()
    state, effects = _over(state)
    if utterance is None or utterance.turn or state.reply is not None:
        return state, effects
    # The reply has been said to its end meanwhile: now it is the user's turn.
    if utterance.voiced < state.rules.min_speech:
        return state, effects
    opened = then((state, effects), open_turn)
    return then(opened, committed_unheard) if doubt.starved else opened


def _being_told(state: State) -> bool:
    """Whether all that was said is being heard, and no more has been said since."""
    doubt, utterance = state.doubt, the_utterance(state)
    return (
        doubt is not None
        and utterance is not None
        and isinstance(state.floor, Pausing)
        and doubt.hearing > 0
        and (doubt.whole or doubt.voiced == utterance.voiced)
        and doubt.revision == utterance.revision
    )


def _plain(state: State) -> int:
    """So much speech is an interruption, whatever it is."""
    rules = state.rules
    enough = max(rules.barge_in, rules.backchannel)
    if not rules.needs_words:
        return enough
    # What is held falls silent, and its echo dies away: what is still heard then isn't its own.
    return rules.max_utterance if state.sounding else 2 * enough


def _the_doubt(state: State) -> Doubt:
    assert state.doubt is not None
    return state.doubt


def _held(state: State) -> Step:
    """The reply is held from now on, if it isn't."""
    doubt, reply = state.doubt, state.reply
    if reply is None or (doubt is not None and doubt.held):
        return state, ()
    doubt = replace(doubt, held=True, starved=False) if doubt else Doubt(reply.reply_id)
    return replace(state, doubt=doubt), (HoldReply(reply.reply_id),)


def _let_go(state: State) -> Step:
    """The reply has been held for long enough; the doubt remains."""
    doubt = _the_doubt(state)
    if not doubt.held:
        return state, ()
    return replace(state, doubt=replace(doubt, held=False)), (ResumeReply(doubt.reply_id),)


def _heard_meanwhile(state: State) -> Step:
    """Perhaps it is plain already what is being said."""
    doubt, utterance, rules = _the_doubt(state), the_utterance(state), state.rules
    assert utterance is not None
    # The robot's own voice is still in it: more of it is needed to tell.
    more = 2 * rules.barge_in if rules.needs_words else rules.barge_in
    if doubt.hearing or utterance.voiced - doubt.voiced < more:
        return state, ()
    return _overhear(state, whole=False)


def _overhear(state: State, *, whole: bool) -> Step:
    utterance = the_utterance(state)
    assert utterance is not None
    number = state.hearings + 1
    doubt = replace(
        _the_doubt(state),
        hearing=number,
        voiced=utterance.voiced,
        revision=utterance.revision,
        whole=whole,
    )
    effect = Overhear(number, utterance.start, heard_to(state, utterance), whole)
    return replace(state, doubt=doubt, hearings=number), (effect,)


def _understood(state: State, *, whole: bool) -> Step:
    """Words: they interrupt. Those of the whole need not be heard again."""
    state, effects = _interrupted(state)
    utterance = the_utterance(state)
    if not whole or utterance is None:
        return state, effects
    adopted = AdoptOverheard(
        utterance.turn, utterance.revision, utterance.start, heard_to(state, utterance)
    )
    state = replace(state, ahead=Ahead(utterance.turn, utterance.revision))
    return state, (*effects, adopted)


def _interrupted(state: State) -> Step:
    """It means something: the reply ends, and a turn opens."""
    return then(_over(state, resumes=False), open_turn)


def _dismissed(state: State) -> Step:
    """It was nothing, and isn't heard again."""
    utterance = the_utterance(state)
    assert utterance is not None
    return replace(state, floor=Idle(), free_from=max(state.free_from, utterance.end)), ()


def _over(state: State, *, resumes: bool = True) -> Step:
    """There is no doubt any more."""
    doubt = _the_doubt(state)
    dropped = (DropOverheard(),) if doubt.hearing else ()
    ours = state.reply is not None and state.reply.reply_id == doubt.reply_id
    resumed = (ResumeReply(doubt.reply_id),) if resumes and ours and doubt.held else ()
    return replace(state, doubt=None), (*dropped, *resumed)
