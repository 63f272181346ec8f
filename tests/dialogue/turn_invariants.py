"""DESIGN's invariants as a witness of every step that turn-taking takes.

One for all who make up sequences of events: hypothesis's machine and the seeded generator. It keeps
books of its own, from events and effects alone, and compares them with the state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from brain.dialogue import effects, events
from brain.dialogue.effects import Effect
from brain.dialogue.outputs import (
    AttentionTurned,
    SpeechStarted,
    SpeechStopped,
    Unattended,
    UserPartial,
    UserSaid,
)
from brain.dialogue.state import FRAME, PARTIAL_EVERY, Idle, Listening, Pausing, Rules, State
from brain.dialogue.turn import step
from tests.dialogue.floor_duties import PHRASE, but_attention
from tests.dialogue.turn_duties import DUTIES

_OF_DOUBT = (
    effects.HoldReply,
    effects.ResumeReply,
    effects.Overhear,
    effects.DropOverheard,
    effects.AdoptOverheard,
)
# What may begin a reply of each kind, and end one for each reason.
_COMMITS = (events.Frame, events.Starved, events.EndUtterance, events.Overheard)
_BEGUN_BY: dict[str, tuple[type, ...]] = {
    "answer": (events.Typed, events.Transcribed, *_COMMITS),
    "follow_up": (events.ToolResult, events.ToolPicture, events.ToolsOverdue, events.ReplyPlayed),
    "say": (events.Say,),
    "idle": (events.IdleSignal,),
    "apology": (events.TranscriptionFailed,),
}
_ENDED_BY: dict[str, tuple[type, ...]] = {
    "completed": (events.ReplyPlayed,),
    "failed": (events.ReplyPlayed, events.ReplyFailed),
    "cancelled": (events.Cancel, events.Hangup),
    "interrupted": (
        events.Typed,
        events.Say,
        events.Transcribed,
        events.TranscriptionFailed,
        events.ToolPicture,
        *_COMMITS,
    ),
}


TEXTS = ("", "hello", "hello", "hello", f"{PHRASE} dance", PHRASE)
"""What is heard. With the phrase among the rules, the last two are said to the robot."""


@dataclass
class StepWitness:
    """Takes events to `step`; AssertionError at the first that breaks an invariant.

    spoken: ends of the frames of speech that make up what is being said. heard_to: end of the
    newest sound that was used. deaf_to: end of the newest sound that was not to be heard. ahead:
    turn and revision of what is heard ahead. prepared: what the reply that was begun ahead answers.
    partial: what the robot was told of the open turn; partly: what was heard of it last. silence:
    as much as was said to end this pause. paused_at: the last turn and the end of its last speech,
    if silence ended it. held: the reply of which no more is sent. hearing: the number of what is
    being overheard. attentive: as the robot was told; window: the newest in which it stays so.
    unattended: turns to be heard that may be for somebody else. The numbers in messages are those
    of DESIGN's invariants.
    """

    state: State = field(default_factory=State)
    active: effects.StartReply | None = None
    failing: bool = False
    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    open_turn: int | None = None
    ahead: tuple[int, int] | None = None
    foreseen: str | None = None
    prepared: str | None = None
    partial: str | None = None
    silence: int | None = None
    paused_at: tuple[int, int] | None = None
    held: int | None = None
    hearing: int = 0
    partly: str | None = None
    spoken: list[int] = field(default_factory=list)
    heard_to: int = 0
    deaf_to: int = 0
    longest: int = 0
    calls: list[str] = field(default_factory=list)
    open_calls: list[str] = field(default_factory=list)
    attentive: bool = False
    window: int = 0
    unattended: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.longest = self.state.rules.max_utterance

    def take(self, event: events.Event) -> tuple[Effect, ...]:
        """One step; its effects."""
        before, attentive = self.state, self.attentive
        self._listen(event)
        self.state, wanted = step(before, event)
        if before.closed:
            assert (self.state, wanted) == (before, ()), "10: nothing is done after the close"
            return wanted
        self._wait(event, before, wanted)
        for effect in wanted:
            self._see(effect, event, before)
        if isinstance(event, events.EndUtterance):
            self.paused_at = None
        if isinstance(event, events.Overheard) or not self._in_doubt(before, wanted):
            # To whom the robot listens is looked at below.
            same = replace(self.state, attention=before.attention, unattended=before.unattended)
            DUTIES[type(event)](before, event, same, but_attention(wanted))
        self._look_back(event, wanted)
        self._compare(before)
        self._compare_attention(event, before, attentive)
        return wanted

    def reconnect(self, rules: Rules) -> None:
        """The robot has hung up and comes back: its next session goes on from these numbers."""
        assert self.state.closed
        self.state = State(
            rules=rules, last_turn=self.state.last_turn, last_reply=self.state.last_reply
        )
        self.spoken, self.open_calls, self.heard_to, self.deaf_to = [], [], 0, 0
        self.paused_at = None
        self.attentive, self.window, self.unattended = False, 0, set()
        self.longest = rules.max_utterance

    def _in_doubt(self, before: State, wanted: tuple[Effect, ...]) -> bool:
        """Whether somebody speaks over a reply and may mean nothing: then an event does what it
        must only once that is settled, and what is seen of it here must do."""
        doubts = before.doubt is not None or self.state.doubt is not None
        return doubts or any(isinstance(effect, _OF_DOUBT) for effect in wanted)

    # -- what the events alone say ---------------------------------------------------------------

    def _listen(self, event: events.Event) -> None:
        if isinstance(event, events.Overheard) and event.number == self.hearing:
            self.hearing = 0
        if isinstance(event, events.Frame | events.Sound) and self.state.deaf:
            self.deaf_to = event.end
        elif isinstance(event, events.Frame) and event.speech:
            self.spoken.append(event.end)
        elif isinstance(event, events.PartlyHeard) and event.turn == self.open_turn and event.text:
            self.partly = event.text
            if not self._for_robot(event.text):
                self.partial = None  # what it was told is no longer so, though it isn't told that
        elif isinstance(event, events.ChangeRules):
            # A shorter limit holds from the next frame on.
            speaking = not isinstance(self.state.floor, Idle)
            self.longest = max(self.longest if speaking else 0, event.rules.max_utterance)

    def _wait(self, event: events.Event, before: State, wanted: tuple[Effect, ...]) -> None:
        """A turn ends by silence exactly when there is as much as is wanted, and every pause that
        did not end it is told."""
        match event:
            case events.ChangeRules():
                self.silence = None
            case events.Foreseen() | events.Judged():
                if (event.turn, event.revision) == self.ahead:
                    self.silence = event.silence
            case events.Frame() if self.open_turn and not before.rules.push_to_talk:
                assert not isinstance(before.floor, Idle)
                utterance = before.floor.utterance
                pause = event.end - utterance.end
                enough = before.rules.silence if self.silence is None else self.silence
                too_long = event.end - utterance.start >= before.rules.max_utterance
                ended = any(isinstance(effect, effects.StartTranscription) for effect in wanted)
                if not event.speech and not too_long:
                    assert ended == (pause >= enough), "a turn that ends too early, or too late"
                told = [effect for effect in wanted if isinstance(effect, effects.Resumed)]
                gone_on = event.speech and isinstance(before.floor, Pausing)
                pauses = [effects.Resumed(utterance.turn, pause - FRAME)] if gone_on else []
                assert told == pauses, "a pause that nobody learns of"
            case _:
                pass
        if any(isinstance(e, effects.DropAhead | effects.StartTranscription) for e in wanted):
            self.silence = None

    # -- each effect, in the order in which it is carried out ------------------------------------

    def _see(self, effect: Effect, event: events.Event, before: State) -> None:
        match effect:
            case effects.HearAhead():
                assert self.ahead is None, "two guesses at once"
                assert self.open_turn == effect.turn, "a guess at a turn that isn't open"
                assert self.active is None, "a guess beside a reply"
                assert isinstance(event, events.Frame)
                assert not event.speech
                assert 0 < self.state.rules.tentative <= event.end - self.spoken[-1], "too early"
                self._all_sound(effect)
                self.ahead, self.foreseen = (effect.turn, effect.revision), None
            case effects.HearPartial():
                self._hear_partly(effect)
            case effects.PrepareReply():
                self._prepare(effect, event)
            case effects.DropAhead():
                assert before.ahead is not None, "nothing runs ahead"
                self.ahead = self.prepared = None
            case effects.DropPrepared():
                assert self.prepared is not None, "nothing is prepared"
                self.prepared = None
            case effects.HoldReply():
                assert self._active_id == effect.reply_id, "only the active reply is held"
                assert self.held is None, "held twice"
                assert self.open_turn is None, "a turn that is open has interrupted"
                assert isinstance(event, events.Frame)
                assert event.speech
                self.held = effect.reply_id
            case effects.ResumeReply():
                assert self._active_id == self.held == effect.reply_id, "nothing is held"
                self.held = None
            case effects.Overhear():
                assert self.open_turn is None, "a turn that is open is no doubt"
                assert len(self.spoken) * FRAME >= self.state.rules.barge_in, "too little"
                self._all_sound(effect)
                self.hearing = effect.number
            case effects.DropOverheard():
                assert self.hearing, "nothing is being overheard"
                self.hearing = 0
            case effects.AdoptOverheard():
                assert isinstance(event, events.Overheard)
                assert self.ahead is None
                assert self.open_turn == effect.turn
                self.ahead, self.foreseen = (effect.turn, effect.revision), event.text
            case effects.StartReply():
                self._begin(effect, event, before)
            case effects.EndReply():
                self._end(effect, event)
            case effects.Apologise():
                assert isinstance(event, events.ReplyFailed)
                assert self._active_id == effect.reply_id, "3: words after the terminal"
                assert not self.failing, "an apology that fails isn't apologised for"
                self.failing = True
            case effects.StartTranscription():
                by_silence = isinstance(event, events.Frame)
                self.paused_at = (effect.turn, self.spoken[-1]) if by_silence else None
                self._hear(effect)
                floor = before.floor
                if not (isinstance(floor, Idle) or floor.utterance.attended):
                    self.unattended.add(effect.turn)
            case effects.Send(Unattended(turn)):
                assert turn in self.unattended, "it was for the robot"
                assert self.state.rules.choosy
                self.unattended.remove(turn)
            case effects.Send(UserSaid(text, turn)):
                said_to = text.startswith(PHRASE) or not self.state.rules.choosy
                assert said_to or turn not in self.unattended, "the television is told of"
                self.unattended.discard(turn)
            case effects.Send(AttentionTurned(on)):
                assert on != self.attentive, "told twice"
                self.attentive = on
            case effects.KeepAttention(window):
                assert self.attentive
                assert window > self.window, "windows count on"
                self.window = window
            case effects.Resumed() if self.open_turn is None:
                assert self.paused_at is not None, "a pause that was none"
                turn, end = self.paused_at
                begun = self.spoken[-1] - len(self.spoken) * FRAME
                assert effect == effects.Resumed(turn, max(begun - end, 0))
                self.paused_at = None
            case effects.Send(SpeechStarted(turn)):
                assert self.open_turn is None
                assert self.active is None, "4: a barge-in ends the reply first"
                assert turn == before.last_turn + 1 == self.state.last_turn, "turns count on"
                assert self.paused_at is None, "a pause that nobody learns of"
                self.open_turn, self.partial = turn, None
            case effects.Send(UserPartial(text, turn)):
                assert isinstance(event, events.PartlyHeard)
                assert self.open_turn == turn, "a partial transcript of no open turn"
                assert text == event.text != self.partial, "no news"
                assert text, "nothing was heard"
                assert self._for_robot(text), "the television is told of"
                self.partial = text
            case effects.Send(SpeechStopped(turn)):
                assert self.open_turn == turn
                self.open_turn = None
            case effects.ForgetSound():
                self.spoken, self.paused_at = [], None
            case effects.Remember():
                assert effect.text, "9: nothing was said"

    def _begin(self, effect: effects.StartReply, event: events.Event, before: State) -> None:
        assert self.active is None, "1: two replies at once"
        assert effect.reply_id == max(self.begun, default=0) + 1 == self.state.last_reply
        assert isinstance(event, _BEGUN_BY[effect.kind]), f"{effect} for {event}"
        assert effect.turn <= self.state.last_turn
        if effect.kind == "idle":
            assert not before.under_way, "an idle robot that isn't"
            assert before.wait is None
        self.begun.append(effect.reply_id)
        self.prepared = None  # it is this one, or goes
        self.active, self.failing = effect, effect.kind == "apology"

    def _hear_partly(self, effect: effects.HearPartial) -> None:
        assert self.state.rules.partials
        assert self.open_turn == effect.turn, "a partial of a turn that isn't open"
        assert self.ahead is None, "a partial of what is being heard whole"
        assert len(self.spoken) * FRAME >= PARTIAL_EVERY or effect.pausing, "too early"
        assert isinstance(self.state.floor, Pausing if effect.pausing else Listening)
        assert self.active is None or not effect.pausing, "a guess beside a reply"
        self._all_sound(effect)

    def _prepare(self, effect: effects.PrepareReply, event: events.Event) -> None:
        assert self.open_turn == effect.turn, "an answer to a turn that isn't open"
        assert isinstance(self.state.floor, Pausing), "an answer to one who goes on"
        assert self.active is None, "an answer beside a reply"
        assert effect.text, "an answer to nothing"
        if isinstance(event, events.Foreseen):
            assert self.ahead == (event.turn, event.revision), "an answer to a stale guess"
            assert effect.text == self._meant(event.text)
        elif isinstance(event, events.Overheard):
            assert event.text == self.foreseen
            assert effect.text == self._meant(event.text)
        else:
            assert isinstance(event, events.Frame | events.PartlyHeard)
            assert self.partly is not None
            assert effect.text == self._meant(self.partly) != self.prepared, "no news"
            assert self._for_robot(self.partly), "an answer to the television"
            assert self.ahead is None or self.foreseen is None, "the whole is known"
        self.prepared = effect.text

    def _end(self, effect: effects.EndReply, event: events.Event) -> None:
        assert self._active_id == effect.reply_id, "2: a terminal for no active reply"
        assert isinstance(event, _ENDED_BY[effect.reason]), f"{effect} for {event}"
        if isinstance(event, events.ReplyPlayed):
            assert effect.reason == ("failed" if self.failing else "completed")
        self.ended.append(effect.reply_id)
        self.active, self.failing, self.held = None, False, None

    def _hear(self, effect: effects.StartTranscription) -> None:
        assert self.open_turn is None, "4: the turn is closed before it is heard"
        assert self.active is None, "4: the reply ended before the turn commits"
        self._all_sound(effect)
        if effect.known:
            assert self.ahead == (effect.turn, effect.revision), "a stale transcript"
            assert self.foreseen is not None, "a transcript that never came"
        if self.ahead == (effect.turn, effect.revision):
            self.ahead = None  # it has come true
        assert effect.end - effect.start <= self.longest + FRAME
        self.spoken, self.heard_to = [], effect.end
        self.longest = self.state.rules.max_utterance

    def _all_sound(
        self,
        effect: (
            effects.HearAhead | effects.HearPartial | effects.Overhear | effects.StartTranscription
        ),
    ) -> None:
        assert self.heard_to <= effect.start < effect.end, "6: sound used twice"
        assert effect.end <= self.state.now, "6: sound that never came"
        assert effect.start >= self.deaf_to, "what was not to be heard"
        if self.spoken:
            assert effect.start <= self.spoken[0] - FRAME, "6: the beginning of speech lost"
            assert self.spoken[-1] <= effect.end, "6: the end of speech lost"

    # -- all effects of an event together --------------------------------------------------------

    def _look_back(self, event: events.Event, wanted: tuple[Effect, ...]) -> None:
        if any(isinstance(effect, effects.Send) for effect in wanted):
            self._no_turn_lost(wanted)
        match event:
            case events.Foreseen() if (event.turn, event.revision) == self.ahead:
                self.foreseen = event.text
            case events.CallMade():
                self.calls.append(event.call_id)
                if event.reply_id == self._active_id:
                    self.open_calls.append(event.call_id)
            case events.ToolResult() if event.call_id in self.open_calls:
                self.open_calls.remove(event.call_id)
            case events.TranscriptionFailed():
                self.unattended.discard(event.turn)
            case events.Hangup():
                self.open_turn = None  # the connection is gone: nobody can be told
                assert not self.state.under_way

    def _no_turn_lost(self, wanted: tuple[Effect, ...]) -> None:
        for i, effect in enumerate(wanted):
            match effect:
                case effects.Send(SpeechStopped(turn)):
                    match wanted[i + 1]:
                        case effects.StartTranscription(heard):
                            assert heard == turn
                            assert effects.DropAhead() not in wanted[i + 1 :], "it is of use"
                        case other:
                            assert isinstance(other, effects.ForgetSound), "6: a turn lost"
                case effects.Send(UserSaid(text, turn)) if words := self._meant(text):
                    follows = wanted[i + 1]
                    assert isinstance(follows, effects.Remember), "9: said, and not remembered"
                    assert (follows.text, follows.turn) == (words, turn)
                case effects.Send(UserSaid() | Unattended()):
                    kept = (effects.Remember, effects.StartReply)
                    assert not any(isinstance(other, kept) for other in wanted)

    def _for_robot(self, text: str) -> bool:
        """Whether `text`, of the open turn, is said to the robot."""
        floor = self.state.floor
        assert not isinstance(floor, Idle)
        return text.startswith(PHRASE) or not self.state.rules.choosy or floor.utterance.attended

    def _meant(self, text: str) -> str:
        """What of `text`, which is said to the robot, is said beside its name."""
        if not (self.state.rules.choosy and text.startswith(PHRASE)):
            return text
        return text.removeprefix(PHRASE).strip().capitalize()

    # -- the state against the books -------------------------------------------------------------

    def _compare(self, before: State) -> None:
        state = self.state
        floor = state.floor
        turn = 0 if isinstance(floor, Idle) else floor.utterance.turn
        assert (self.open_turn or 0) == turn, "4: speech started if and only if a turn is open"
        ahead = state.ahead
        heard = ahead is not None and ahead.hearing
        assert ((ahead.turn, ahead.revision) if ahead and heard else None) == self.ahead
        assert state.prepared == self.prepared
        if self.prepared is not None:
            assert ahead or state.answering, "an answer that nobody will want"
            assert self.foreseen != "" or not heard, "an answer to nothing"
            assert self.active is None
        assert ahead is None or isinstance(floor, Pausing), "a guess beyond its pause"
        assert not state.deaf or isinstance(floor, Idle), "half an utterance in a deaf ear"
        assert (state.reply.reply_id if state.reply else None) == self._active_id
        assert self.state.reply is None or self.state.reply.failing == self.failing
        assert len(self.begun) == len(self.ended) + (self.active is not None)
        assert state.now >= before.now, "the clock ran back"
        assert before.free_from <= state.free_from <= state.now
        assert state.last_turn - before.last_turn in (0, 1)
        assert len(state.open_calls) <= 64
        assert len(state.answered_calls) <= 64
        doubt = state.doubt
        held = doubt.reply_id if doubt and doubt.held else None
        assert held == self.held, "a reply is held if and only if that is in doubt"
        assert (doubt.hearing if doubt else 0) == self.hearing
        assert doubt is None or not isinstance(floor, Idle), "a doubt outlives its speech"
        assert doubt is None or self.open_turn is None, "a doubt beside a turn that is open"
        if isinstance(floor, Idle):
            self.spoken = []

    def _compare_attention(self, event: events.Event, before: State, attentive: bool) -> None:
        state = self.state
        if not state.rules.choosy or state.closed:
            self.attentive = False  # nothing is told of it any more
        assert state.attention.on == self.attentive
        if isinstance(before.floor, Idle) and not isinstance(state.floor, Idle):
            assert state.floor.utterance.attended == (attentive or not state.rules.choosy)
        if isinstance(event, events.AttentionLapsed):
            over = before.attention.lapsing and event.window == self.window
            assert self.attentive == (attentive and not over)
            assert state == before or over
        resting = not state.under_way and state.wait is None
        if self.attentive:
            assert state.attention.lapsing or not resting, "a window without an end"
        conversation = self.active is not None and self.active.kind in ("answer", "follow_up")
        if conversation and state.rules.choosy:
            assert self.attentive
            assert not state.attention.lapsing
        assert len(state.unattended) <= len(self.unattended)

    @property
    def _active_id(self) -> int | None:
        return self.active.reply_id if self.active else None
