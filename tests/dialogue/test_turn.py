"""The turn machine: DESIGN's invariants over random sequences of events, and its drawn cases."""

from __future__ import annotations

import typing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from brain.dialogue import effects, events
from brain.dialogue.outputs import Problem, UserSaid
from brain.dialogue.state import FRAME, RATE, Rules, State, samples
from brain.dialogue.turn import step
from tests.dialogue.turn_invariants import PHRASE, TEXTS, StepWitness

FRAME_MS = 32


def speech_then_silence(
    state: State, speech_ms: int, silence_ms: int
) -> tuple[State, list[object]]:
    wanted: list[object] = []
    for count, is_speech in ((speech_ms // FRAME_MS, True), (silence_ms // FRAME_MS, False)):
        for _ in range(count):
            state, new = step(state, events.Frame(is_speech, state.now + FRAME))
            wanted += new
    return state, wanted


class Conversation(RuleBasedStateMachine):
    """Everything that can happen to a session, in any order, with results that come too late."""

    def __init__(self) -> None:
        super().__init__()
        self.witness = StepWitness(State(rules=Rules(tentative=samples(128), partials=True)))

    @property
    def state(self) -> State:
        return self.witness.state

    @rule(speech=st.booleans(), count=st.integers(1, 30))
    def frames(self, speech: bool, count: int) -> None:
        for _ in range(count):
            end = self.state.now + FRAME
            unjudged = self.state.rules.push_to_talk or self.state.deaf
            self.witness.take(events.Sound(end) if unjudged else events.Frame(speech, end))

    @rule(event=st.sampled_from([
        events.Starved(), events.EndUtterance(), events.Cancel(), events.Clear(),
        events.Typed("hi"), events.Say("hello"), events.IdleSignal("idle"), events.SoundBegan(),
        events.SoundEnded(),
    ]))  # fmt: skip
    def plain(self, event: events.Event) -> None:
        self.witness.take(event)

    @rule(
        deaf=st.booleans(),
        push=st.booleans(),
        longest=st.sampled_from([2_000, 30_000]),
        tentative=st.sampled_from([0, 96, 160]),
        partials=st.booleans(),
        phrases=st.sampled_from([(), (PHRASE,)]),
        muted=st.sampled_from([False, False, True]),
    )
    def change_rules(
        self,
        deaf: bool,
        push: bool,
        longest: int,
        tentative: int,
        partials: bool,
        phrases: tuple[str, ...],
        muted: bool,
    ) -> None:
        changed = Rules(
            deaf_in_reply=deaf,
            push_to_talk=push,
            max_utterance=samples(longest),
            tentative=samples(tentative),
            partials=partials,
            wake_phrases=phrases,
            muted=muted,
        )
        self.witness.take(events.ChangeRules(changed))

    @rule(back=st.integers(0, 1))
    def attention_lapsed(self, back: int) -> None:
        self.witness.take(events.AttentionLapsed(self.witness.window - back))

    @rule(
        text=st.sampled_from(TEXTS),
        silence=st.sampled_from([None, samples(200), samples(1_200)]),
        late=st.booleans(),
        back=st.integers(0, 1),
    )
    def foreseen_text(self, text: str, silence: int | None, late: bool, back: int) -> None:
        turn, revision = self.witness.ahead or (self.state.last_turn, 0)
        if late:
            turn, revision = turn - back, revision - 1
        self.witness.take(events.Foreseen(turn, revision, text, silence))

    @rule(silence=st.sampled_from([None, samples(200), samples(900)]), count=st.integers(1, 40))
    def pause_that_is_foreseen(self, silence: int | None, count: int) -> None:
        """What chance alone hardly ever comes to."""
        self.frames(True, 12)
        self.frames(False, 6)
        turn, revision = self.witness.ahead or (self.state.last_turn, 0)
        self.witness.take(events.Foreseen(turn, revision, "hello", silence))
        self.frames(False, count)

    @rule(silence=st.sampled_from([samples(160), samples(900)]), late=st.booleans())
    def judged(self, silence: int, late: bool) -> None:
        turn, revision = self.witness.ahead or (self.state.last_turn, 0)
        self.witness.take(events.Judged(turn, revision - late, silence))

    @rule(speech=st.integers(1, 40), silence=st.integers(0, 25), needs_words=st.booleans())
    def speaks_over_a_reply(self, speech: int, silence: int, needs_words: bool) -> None:
        changed = Rules(deaf_in_reply=False, tentative=samples(128), needs_words=needs_words)
        self.witness.take(events.ChangeRules(changed))
        if self.witness.active is None:
            self.witness.take(events.Say("hello"))
        self.witness.take(events.SoundBegan())
        self.frames(True, speech)
        self.frames(False, silence)

    @precondition(lambda self: self.state.doubt)
    @rule(meaning=st.sampled_from(typing.get_args(events.Meaning)), stale=st.integers(0, 3))
    def overheard(self, meaning: events.Meaning, stale: int) -> None:
        text = "" if meaning in ("nothing", "failed") else "hello"
        self.witness.take(events.Overheard(self.state.hearings - stale // 3, text, meaning))

    @rule(
        text=st.sampled_from(["", "hello", "hello robot"]),
        late=st.integers(0, 1),
        unheard=st.integers(0, 20),
    )
    def partly_heard(self, text: str, late: int, unheard: int) -> None:
        end = max(0, self.state.now - unheard * FRAME)
        self.witness.take(events.PartlyHeard(self.state.last_turn - late, text, end))

    @rule(turn=st.integers(0, 12), text=st.sampled_from(TEXTS))
    def transcribed(self, turn: int, text: str) -> None:
        self.witness.take(events.Transcribed(turn, text))

    @rule(turn=st.integers(0, 12))
    def transcription_failed(self, turn: int) -> None:
        self.witness.take(events.TranscriptionFailed(turn, "stt_failed", "broken"))

    @precondition(lambda self: self.witness.active)
    @rule(data=st.data())
    def call(self, data: st.DataObject) -> None:
        call_id = f"call_{len(self.witness.calls) + 1}"
        self.witness.take(events.CallMade(data.draw(st.sampled_from(self.witness.begun)), call_id))

    @rule(data=st.data(), follow_up=st.booleans())
    def tool_result(self, data: st.DataObject, follow_up: bool) -> None:
        call_id = data.draw(st.sampled_from([*self.witness.calls, "unknown"]))
        self.witness.take(events.ToolResult(call_id, "ok", follow_up))

    @rule(data=st.data())
    def tool_picture(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from([*self.witness.calls, "unknown"]))
        self.witness.take(events.ToolPicture(call_id, b"picture"))

    @rule(reply_id=st.integers(0, 12))
    def tools_overdue(self, reply_id: int) -> None:
        self.witness.take(events.ToolsOverdue(reply_id))

    @precondition(lambda self: self.witness.begun)
    @rule(data=st.data(), mute=st.booleans(), played=st.booleans())
    def reply_ends(self, data: st.DataObject, mute: bool, played: bool) -> None:
        reply_id = data.draw(st.sampled_from(self.witness.begun[-3:]))
        if played:
            self.witness.take(events.ReplyPlayed(reply_id))
        else:
            self.witness.take(events.ReplyFailed(reply_id, "llm_failed", "broken", mute=mute))

    def teardown(self) -> None:
        for event in (events.Hangup(), events.Hangup(), events.Typed("late")):
            self.witness.take(event)


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_there_is_a_step_for_every_event() -> None:
    values = {
        "int": 1, "int | None": 1, "str": "x", "bool": True, "bytes": b"x", "Rules": Rules(),
        "Meaning": "words",
    }  # fmt: skip
    for kind in typing.get_args(events.Event):
        fields = {name: values[field.type] for name, field in kind.__dataclass_fields__.items()}
        state, wanted = step(State(), kind(**fields))
        assert isinstance(state, State)
        assert isinstance(wanted, tuple)


@given(speech_ms=st.integers(200, 3_000), pause_ms=st.integers(0, 480))
@settings(max_examples=50, deadline=None)
def test_a_pause_shorter_than_the_silence_does_not_end_the_turn(
    speech_ms: int, pause_ms: int
) -> None:
    state, _ = speech_then_silence(State(), speech_ms, pause_ms)
    _, wanted = speech_then_silence(state, 200, 0)
    assert not [effect for effect in wanted if isinstance(effect, effects.StartTranscription)]


def test_resumed_speech_raises_the_revision() -> None:
    state, _ = speech_then_silence(State(), 640, 320)
    state, wanted = speech_then_silence(state, 640, 640)
    (heard,) = [effect for effect in wanted if isinstance(effect, effects.StartTranscription)]
    assert heard.revision == 1


def test_a_click_is_no_speech() -> None:
    _, wanted = speech_then_silence(State(), 64, 2_000)
    assert wanted == []


def test_a_transcript_that_comes_after_more_speech_is_remembered_and_not_answered() -> None:
    state, _ = speech_then_silence(State(), 640, 640)
    state, _ = speech_then_silence(state, 640, 0)
    _, wanted = step(state, events.Transcribed(1, "hello"))
    assert wanted == (effects.Send(UserSaid("hello", 1)), effects.Remember("hello", 1, late=True))


def test_a_duplicate_result_is_an_unknown_call() -> None:
    state, _ = step(State(), events.Typed("dance"))
    state, _ = step(state, events.CallMade(1, "call_1"))
    state, _ = step(state, events.ToolResult("call_1", "ok", True))
    _, wanted = step(state, events.ToolResult("call_1", "ok", True))
    (problem,) = wanted
    assert isinstance(problem, effects.Send)
    assert isinstance(problem.output, Problem)
    assert problem.output.code == "unknown_call_id"


def test_results_that_come_before_the_reply_has_ended_are_answered_after_it() -> None:
    state, _ = step(State(), events.Typed("dance"))
    state, _ = step(state, events.CallMade(1, "call_1"))
    state, _ = step(state, events.ToolResult("call_1", "ok", True))
    _, wanted = step(state, events.ReplyPlayed(1))
    assert wanted == (effects.EndReply(1, "completed"), effects.StartReply(2, 1, "follow_up"))


def test_a_result_that_asks_for_no_words_gets_none() -> None:
    state, _ = step(State(), events.Typed("dance"))
    state, _ = step(state, events.CallMade(1, "call_1"))
    state, _ = step(state, events.ToolResult("call_1", "ok", False))
    _, wanted = step(state, events.ReplyPlayed(1))
    assert wanted == (effects.EndReply(1, "completed"),)


def test_a_word_of_the_app_holds_a_follow_up_back_and_does_not_lose_it() -> None:
    state, _ = step(State(), events.Typed("dance"))
    state, _ = step(state, events.CallMade(1, "call_1"))
    state, _ = step(state, events.ReplyPlayed(1))
    state, _ = step(state, events.Say("Battery low."))
    state, wanted = step(state, events.ToolResult("call_1", "ok", True))
    assert not [effect for effect in wanted if isinstance(effect, effects.StartReply)]
    _, wanted = step(state, events.ReplyPlayed(2))
    assert effects.StartReply(3, 1, "follow_up") in wanted


def test_the_time_out_of_an_earlier_round_does_not_cut_a_later_one_short() -> None:
    state, _ = step(State(), events.Typed("dance"))
    state, _ = step(state, events.CallMade(1, "call_1"))
    state, wanted = step(state, events.ReplyPlayed(1))
    assert effects.AwaitTools(1) in wanted
    state, _ = step(state, events.ToolResult("call_1", "ok", True))
    state, _ = step(state, events.CallMade(2, "call_2"))
    state, _ = step(state, events.ReplyPlayed(2))
    later, wanted = step(state, events.ToolsOverdue(1))
    assert (later, wanted) == (state, ())
    _, wanted = step(state, events.ToolsOverdue(2))
    assert effects.StartReply(3, 1, "follow_up") in wanted


def test_the_open_calls_of_a_robot_that_never_answers_stay_few() -> None:
    state, _ = step(State(), events.Typed("dance"))
    for i in range(1_000):
        state, _ = step(state, events.CallMade(1, f"call_{i}"))
    assert len(state.open_calls) <= 64
    assert "call_999" in state.open_calls


def test_an_end_utterance_that_silence_was_faster_than_is_no_error() -> None:
    state, _ = speech_then_silence(State(), 800, 600)
    state, wanted = step(state, events.EndUtterance())
    assert (wanted, state.answering) == ((), 1)
    # Even when the turn is over altogether; but it is for that turn alone.
    state, _ = speech_then_silence(State(), 800, 600)
    state, _ = step(state, events.Transcribed(1, ""))
    state, wanted = step(state, events.EndUtterance())
    assert wanted == ()
    state, (problem,) = step(state, events.EndUtterance())
    assert isinstance(problem, effects.Send)
    assert problem.output == Problem("not_understood", "no speech was heard before end_utterance")


def test_an_end_utterance_of_the_robot_is_not_followed_by_a_free_one() -> None:
    state, _ = speech_then_silence(State(), 800, 100)
    state, wanted = step(state, events.EndUtterance())
    assert [type(effect).__name__ for effect in wanted] == ["Send", "StartTranscription"]
    state, _ = step(state, events.Transcribed(1, ""))
    _, (problem,) = step(state, events.EndUtterance())
    assert isinstance(problem, effects.Send)
    assert isinstance(problem.output, Problem)


@pytest.mark.parametrize("typed", [False, True])
def test_an_end_utterance_without_sound_leaves_what_is_under_way_alone(typed: bool) -> None:
    state = replace(State(), rules=Rules(push_to_talk=True))
    if typed:
        state, _ = step(state, events.Typed("hi"))
    else:
        state, _ = step(state, events.Sound(RATE))
        state, _ = step(state, events.EndUtterance())
    assert step(state, events.EndUtterance()) == (state, ())
    state, _ = step(state, events.Cancel())
    _, (problem,) = step(state, events.EndUtterance())
    assert isinstance(problem, effects.Send)
    assert isinstance(problem.output, Problem)


def test_a_later_frame_never_makes_the_clock_run_back() -> None:
    state = replace(State(), rules=Rules(push_to_talk=True))
    for _ in range(2_000):
        state, _ = step(state, events.Sound(state.now + FRAME))
    state, wanted = step(state, events.EndUtterance())
    (heard,) = [effect for effect in wanted if isinstance(effect, effects.StartTranscription)]
    assert heard.end == state.now
    assert heard.end - heard.start == samples(30_000)
