"""Turn-taking as a pure, total function: `step(state, event) -> (state, effects)`.

Two small machines side by side. The *floor* follows the user:

    Idle --speech--> Listening --silence--> Pausing --enough of it--> (commit) --> Idle
                        ^---------speech-------'

The *reply* follows the robot: none, or one `Replying`. They meet in three places: certain speech
ends a reply (barge-in; over its sound, see `doubt`), a commit starts hearing, and hearing starts a
reply.

No clock and no I/O: time comes in as counted samples at 16 kHz. What is slow (hearing, replying)
is asked for by an effect and comes back as an event that carries its turn, revision or reply id;
what comes back for something that is over is dropped here. What the bug class is that this makes
impossible: a state inferred from which task happens to be alive.

While the user pauses, hearing and answering run ahead (`Ahead`), in case that was all. It carries
`Utterance.revision`, which rises whenever speech resumes; `in_time` ends it when its pause is over.
Nobody is told of it, and nothing is remembered, before the turn has been committed.
"""

from __future__ import annotations

from dataclasses import replace

from brain.dialogue import doubt
from brain.dialogue.attention import attends, for_robot, lapsed, settled, turned
from brain.dialogue.effects import (
    AdoptOverheard,
    Apologise,
    AwaitTools,
    DropPrepared,
    Effect,
    ForgetSound,
    PrepareReply,
    Remember,
    RememberPicture,
    RememberResult,
    Send,
)
from brain.dialogue.events import (
    AttentionLapsed,
    CallMade,
    Cancel,
    ChangeRules,
    Clear,
    EndUtterance,
    Event,
    Foreseen,
    Frame,
    Hangup,
    IdleSignal,
    Judged,
    Overheard,
    PartlyHeard,
    ReplyFailed,
    ReplyPlayed,
    Say,
    Sound,
    SoundBegan,
    SoundEnded,
    Starved,
    ToolPicture,
    ToolResult,
    ToolsOverdue,
    Transcribed,
    TranscriptionFailed,
    Typed,
)
from brain.dialogue.outputs import Problem, SpeechStopped
from brain.dialogue.state import (
    FRAME,
    RATE,
    Idle,
    Listening,
    Pausing,
    State,
    ToolWait,
    Utterance,
)
from brain.dialogue.turn_partials import hear_partly, partly_heard
from brain.dialogue.turn_parts import (
    Step,
    bounded,
    certain,
    commit,
    committed_unheard,
    end_reply,
    follow_up,
    heard,
    in_time,
    open_turn,
    resumed,
    run_ahead,
    start_reply,
    the_reply,
    the_utterance,
    then,
    wanted_silence,
)

# A robot that never answers a tool call must not make the list of open ones grow for ever.
_OPEN_CALLS = 64


def step(state: State, event: Event) -> Step:
    """The next state, and what is to be done now, in this order. Never raises."""
    if state.closed:
        return state, ()
    stepped = then(then(_stepped(state, event), doubt.in_doubt), in_time)
    return then(stepped, lambda after: turned(state.attention.on, after))


def _stepped(state: State, event: Event) -> Step:
    match event:
        case Frame():
            return _frame(state, event)
        case Sound():
            return _sound(state, event)
        case Starved():
            return _starved(state)
        case EndUtterance():
            return _end_utterance(state)
        case Clear():
            return _clear(state)
        case Cancel():
            return _cancel(state)
        case Typed():
            return _typed(state, event)
        case Say():
            return _say(state, event)
        case IdleSignal():
            return _idle_signal(state, event)
        case ChangeRules():
            return _change_rules(state, event)
        case Transcribed():
            return heard(state, event.turn, event.text)
        case Foreseen():
            return _foreseen(state, event)
        case PartlyHeard():
            return partly_heard(state, event)
        case Judged():
            return _judged(state, event), ()
        case Overheard():
            return _overheard(state, event)
        case TranscriptionFailed():
            return _transcription_failed(state, event)
        case CallMade():
            return _call_made(state, event)
        case ToolResult():
            return _tool_result(state, event)
        case ToolPicture():
            return _tool_picture(state, event)
        case ToolsOverdue():
            return _tools_overdue(state, event)
        case SoundBegan():
            return _sound_began(state)
        case SoundEnded():
            return _sound_ended(state)
        case ReplyPlayed():
            return _reply_played(state, event)
        case ReplyFailed():
            return _reply_failed(state, event)
        case AttentionLapsed():
            return lapsed(state, event.window), ()
        case Hangup():
            return _hangup(state)


def _frame(state: State, event: Frame) -> Step:
    if state.deaf or state.rules.push_to_talk:
        return _sound(state, Sound(event.end))  # it was judged before that
    state = replace(state, now=event.end)
    utterance = the_utterance(state)
    start = max(state.free_from, state.now - FRAME - state.rules.pre_roll)
    effects: tuple[Effect, ...] = ()
    if event.speech:
        if utterance is None:
            utterance = Utterance(start, event.end, voiced=FRAME, attended=attends(state))
        else:
            effects = resumed(state, utterance)
            utterance = replace(
                utterance,
                end=event.end,
                voiced=utterance.voiced + FRAME,
                revision=utterance.revision + isinstance(state.floor, Pausing),
            )
        state = replace(state, floor=Listening(utterance))
        sure = doubt.speaks_on if doubt.over_a_reply(state) else certain
        return then(then(then((state, effects), sure), bounded), hear_partly)
    if utterance is None:
        return state, ()
    silence = state.now - utterance.end
    if not utterance.turn:
        if state.doubt is not None:
            return then(bounded(replace(state, floor=Pausing(utterance))), doubt.pauses)
        if silence >= state.rules.gap:
            return replace(state, floor=Idle()), ()
    elif silence >= wanted_silence(state, utterance):
        return commit(state)
    paused = bounded(replace(state, floor=Pausing(utterance)))
    return then(then(paused, hear_partly), run_ahead)


def _sound(state: State, event: Sound) -> Step:
    state = replace(state, now=event.end)
    if not state.rules.push_to_talk or state.rules.muted:
        return replace(state, free_from=event.end), ()
    if state.now - state.free_from > state.rules.max_utterance and not state.overflowed:
        limit = state.rules.max_utterance // RATE
        return replace(state, overflowed=True), (
            Send(
                Problem(
                    "audio_overflow",
                    f"an utterance is at most {limit} s: only its last {limit} s are kept",
                )
            ),
        )
    return state, ()


def _starved(state: State) -> Step:
    utterance = the_utterance(state)
    if utterance is None:
        return state, ()
    if not utterance.turn:
        return doubt.starves(state) if state.doubt else (replace(state, floor=Idle()), ())
    return committed_unheard(state)


def _end_utterance(state: State) -> Step:
    if state.rules.push_to_talk:
        start, end = state.free_from, state.now
        if end > start:
            start = max(start, end - state.rules.max_utterance)
            state = replace(
                state,
                floor=Pausing(Utterance(start=start, end=end, voiced=end - start)),
                overflowed=False,
            )
            return _ended_by_robot(then(open_turn(state), commit))
    else:
        utterance = the_utterance(state)
        if utterance is not None:
            opened = open_turn(state) if not utterance.turn else (state, ())
            return _ended_by_robot(then(opened, commit))
    if state.ended_by_silence or state.under_way:
        # Silence was faster, or a button bounced: what was said is in good hands already.
        return replace(state, ended_by_silence=False), ()
    return state, (Send(Problem("not_understood", "no speech was heard before end_utterance")),)


def _ended_by_robot(ended: Step) -> Step:
    state, effects = ended
    return replace(state, ended_by_silence=False), effects


def _clear(state: State) -> Step:
    utterance = the_utterance(state)
    state = replace(state, floor=Idle(), free_from=state.now, overflowed=False, spoken=(0, 0))
    stopped = (Send(SpeechStopped(utterance.turn)),) if utterance and utterance.turn else ()
    return state, (*stopped, ForgetSound())


def _cancel(state: State) -> Step:
    state = replace(state, answering=0, wait=None)
    if state.doubt is not None and state.doubt.starved:  # said long ago, and never understood
        state = replace(state, floor=Idle())
    return end_reply(state, "cancelled")


def _typed(state: State, event: Typed) -> Step:
    turn = state.last_turn + 1
    state, ended = end_reply(replace(state, last_turn=turn), "interrupted")
    state, started = start_reply(state, turn, "answer")
    return state, (*ended, Remember(event.text, turn), *started)


def _say(state: State, event: Say) -> Step:
    turn = state.last_turn + 1
    return start_reply(replace(state, last_turn=turn), turn, "say", event.text)


def _idle_signal(state: State, event: IdleSignal) -> Step:
    if state.reply or state.wait or state.answering or the_utterance(state):
        return state, ()  # not idle after all
    turn = state.last_turn + 1
    return start_reply(replace(state, last_turn=turn), turn, "idle", event.note)


def _change_rules(state: State, event: ChangeRules) -> Step:
    changed = replace(state, rules=event.rules)
    if event.rules.push_to_talk == state.rules.push_to_talk and not changed.deaf:
        if changed.ahead is not None:  # what was wanted by the old rules
            changed = replace(changed, ahead=replace(changed.ahead, silence=None))
        return changed, ()
    # The two ways of taking turns share no half-said utterance, and a deaf ear has none.
    return _clear(changed)


def _foreseen(state: State, event: Foreseen) -> Step:
    ahead = state.ahead
    if ahead is None or not ahead.hearing:
        return state, ()
    if (ahead.turn, ahead.revision) != (event.turn, event.revision):
        return state, ()
    state = replace(state, ahead=replace(ahead, text=event.text, silence=event.silence))
    utterance = the_utterance(state)
    attended = utterance is not None and utterance.attended
    words = for_robot(state, event.text, attended=attended)
    if not words:
        dropped = () if state.prepared is None else (DropPrepared(),)
        return replace(state, prepared=None), dropped
    return replace(state, prepared=words), (PrepareReply(event.turn, words),)


def _judged(state: State, event: Judged) -> State:
    ahead = state.ahead
    if ahead is None or not ahead.hearing:
        return state
    if (ahead.turn, ahead.revision) != (event.turn, event.revision):
        return state
    return replace(state, ahead=replace(ahead, silence=event.silence))


def _overheard(state: State, event: Overheard) -> Step:
    starved = state.doubt is not None and state.doubt.starved
    state, wanted = doubt.overheard(state, event)
    ahead = state.ahead
    if ahead is None or not any(isinstance(effect, AdoptOverheard) for effect in wanted):
        return state, wanted
    if starved or not state.rules.tentative:
        known = replace(state, ahead=replace(ahead, text=event.text)), wanted
        return then(known, committed_unheard) if starved else known
    # As if it had been heard ahead.
    foreseen = Foreseen(ahead.turn, ahead.revision, event.text)
    return then((state, wanted), lambda state: _foreseen(state, foreseen))


def _transcription_failed(state: State, event: TranscriptionFailed) -> Step:
    problem = Send(Problem(event.code, event.message, event.turn))
    state, attended = settled(state, event.turn)
    if event.turn != state.answering:
        return state, (problem,)
    if not attended:  # nobody knows whether it was for the robot: no word of excuse
        return replace(state, answering=0), (problem,)
    state, started = start_reply(state, event.turn, "apology", event.code)
    failing = replace(state, reply=replace(the_reply(state), failing=True))
    return failing, (problem, *started)


def _call_made(state: State, event: CallMade) -> Step:
    if state.reply is None or state.reply.reply_id != event.reply_id:
        return state, ()
    reply = replace(state.reply, calls=state.reply.calls | {event.call_id})
    open_calls = (*state.open_calls, event.call_id)[-_OPEN_CALLS:]
    return replace(state, reply=reply, open_calls=open_calls), ()


def _tool_result(state: State, event: ToolResult) -> Step:
    if event.call_id not in state.open_calls:
        return state, (Send(_unknown_call(event.call_id)),)
    still_open = tuple(call_id for call_id in state.open_calls if call_id != event.call_id)
    answered = (*state.answered_calls, (event.call_id, _waiting_turn(state, event.call_id)))
    state = replace(
        state,
        open_calls=still_open,
        answered_calls=answered[-_OPEN_CALLS:],
        answers_tools=True,
    )
    remember = (RememberResult(event.call_id, event.output),)
    if state.reply is not None and event.call_id in state.reply.calls:
        results = state.results | {(event.call_id, event.follow_up)}
        return replace(state, results=results), remember
    if state.wait is None or event.call_id not in state.wait.missing:
        return state, remember
    wait = replace(
        state.wait,
        missing=state.wait.missing - {event.call_id},
        wanted=state.wait.wanted or event.follow_up,
    )
    return then((replace(state, wait=wait), remember), follow_up)


def _unknown_call(call_id: str) -> Problem:
    return Problem("unknown_call_id", f"no open tool call has the id {call_id!r}")


def _waiting_turn(state: State, call_id: str) -> int:
    """The turn that waits for this call's result; 0 for none."""
    if state.reply is not None and call_id in state.reply.calls:
        return state.reply.turn
    return state.wait.turn if state.wait is not None and call_id in state.wait.missing else 0


def _tool_picture(state: State, event: ToolPicture) -> Step:
    answered = dict(state.answered_calls)
    if event.call_id not in state.open_calls and event.call_id not in answered:
        return state, (Send(_unknown_call(event.call_id)),)
    remember = (RememberPicture(event.call_id, event.picture),)
    reply = state.reply
    if (
        reply is None
        or reply.kind != "follow_up"
        or reply.turn != answered.get(event.call_id)
        or reply.calls
        or reply.failing
        or state.sounding
    ):
        return state, remember
    # It comes after its result, which is being thought about without it: once more, with it.
    return then((state, remember), lambda s: start_reply(s, reply.turn, "follow_up"))


def _tools_overdue(state: State, event: ToolsOverdue) -> Step:
    if state.wait is None or state.wait.reply_id != event.reply_id:
        return state, ()
    if not state.answers_tools:  # a robot that never answers isn't asked to
        return replace(state, wait=None), ()
    return follow_up(replace(state, wait=replace(state.wait, missing=frozenset(), wanted=True)))


def _sound_began(state: State) -> Step:
    state = replace(state, sounding=True)
    if state.deaf and not isinstance(state.floor, Idle):
        return _clear(state)
    return state, ()


def _sound_ended(state: State) -> Step:
    return replace(state, sounding=False), ()


def _reply_played(state: State, event: ReplyPlayed) -> Step:
    if state.reply is None or state.reply.reply_id != event.reply_id:
        return state, ()
    reply, results = state.reply, state.results
    state, ended = end_reply(state, "failed" if reply.failing else "completed")
    if not reply.calls or reply.kind == "idle" or reply.failing:
        state, waited = follow_up(state)  # what a `say` has held up
        return state, (*ended, *waited)
    wait = ToolWait(
        turn=reply.turn,
        reply_id=reply.reply_id,
        missing=reply.calls - {call_id for call_id, _ in results},
        wanted=any(follow_up for _, follow_up in results),
    )
    state, more = follow_up(replace(state, wait=wait))
    waiting = (AwaitTools(reply.reply_id),) if state.wait is not None else ()
    return state, (*ended, *more, *waiting)


def _reply_failed(state: State, event: ReplyFailed) -> Step:
    if state.reply is None or state.reply.reply_id != event.reply_id:
        return state, ()
    problem = Send(Problem(event.code, event.message, state.reply.turn))
    if event.mute or state.reply.failing:
        state, ended = end_reply(state, "failed")
        return state, (problem, *ended)
    failing = replace(state, reply=replace(the_reply(state), failing=True))
    return failing, (problem, Apologise(event.reply_id, event.code))


def _hangup(state: State) -> Step:
    state, ended = end_reply(state, "cancelled")
    return replace(state, closed=True, floor=Idle(), wait=None, answering=0), ended
