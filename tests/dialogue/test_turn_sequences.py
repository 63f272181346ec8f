"""DESIGN's invariants over 20 000 random sequences of events, each made again by its seed."""

from __future__ import annotations

import itertools
import typing
from dataclasses import replace

import pytest

from brain.dialogue import effects, events
from brain.dialogue.effects import Effect
from brain.dialogue.state import FRAME, Floor, State
from tests.dialogue import turn_sequences
from tests.dialogue.turn_invariants import StepWitness
from tests.dialogue.turn_sequences import Seen

CHUNKS, EACH = 8, 2_500

FLOORS = [floor.__name__ for floor in typing.get_args(Floor)]
EVENTS = [event.__name__ for event in typing.get_args(events.Event)]
# Sound that isn't judged is that of a deaf ear or of push-to-talk: there nobody has the floor.
UNREACHABLE = set(itertools.product(["Sound"], ["Listening", "Pausing"], [False, True]))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_invariants_hold_and_every_event_comes_in_every_state(chunk: int) -> None:
    """Every event, whoever has the floor, with and without a reply. A failure says its seed."""
    seen: Seen = set()
    for seed in range(chunk * EACH, (chunk + 1) * EACH):
        seen |= turn_sequences.run(seed).seen
    every = set(itertools.product(EVENTS, FLOORS, [False, True]))
    assert seen == every - UNREACHABLE


def test_a_seed_gives_the_same_sequence_again() -> None:
    first, second = turn_sequences.run(7), turn_sequences.run(7)
    assert first.items == second.items
    assert first.witness.state == second.witness.state


class Stubborn(StepWitness):
    """Takes it for a fault that a reply can be cancelled."""

    def take(self, event: events.Event) -> tuple[Effect, ...]:
        assert self.active is None or not isinstance(event, events.Cancel), "cancelled"
        return super().take(event)


def test_a_failure_names_its_seed_and_the_shortest_way_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turn_sequences, "StepWitness", Stubborn)
    with pytest.raises(AssertionError, match="cancelled") as broken:
        [turn_sequences.run(seed) for seed in range(100)]
    first, _, *told = str(broken.value).splitlines()
    seed = int(first.removeprefix("seed ").split(":")[0])
    with pytest.raises(AssertionError) as again:
        turn_sequences.run(seed)
    assert str(again.value) == str(broken.value)
    assert len(told) == 2, "a reply, and its cancelling"
    assert "Cancel()" in told[-1]


def test_an_ear_that_goes_deaf_in_the_middle_of_speech_forgets_it() -> None:
    witness = StepWitness(State(rules=replace(turn_sequences.SHORT, deaf_in_reply=False)))
    witness.take(events.Say("hello"))
    witness.take(events.SoundBegan())
    for end in (FRAME, 2 * FRAME):
        witness.take(events.Frame(True, end))
    witness.take(events.ChangeRules(turn_sequences.SHORT))
    # Judged before that, perhaps, and come after it.
    assert witness.take(events.Frame(True, 3 * FRAME)) == ()
    witness.take(events.SoundEnded())
    assert witness.take(events.Frame(False, 4 * FRAME)) == ()


def test_the_frame_that_ends_a_pause_and_is_one_too_many_stops_what_ran_ahead() -> None:
    rules = replace(turn_sequences.SHORT, max_utterance=8 * FRAME)
    witness = StepWitness(State(rules=rules))
    for i, speech in enumerate((True,) * 5 + (False,) * 2):
        witness.take(events.Frame(speech, (i + 1) * FRAME))
    assert witness.state.ahead is not None
    _, stopped, *_, hearing = witness.take(events.Frame(True, 8 * FRAME))
    assert stopped == effects.DropAhead()
    assert hearing == effects.StartTranscription(1, 1, 0, 8 * FRAME, 8 * FRAME)


def test_new_rules_in_a_pause_forget_what_was_foreseen_of_it() -> None:
    witness = StepWitness(State(rules=turn_sequences.SHORT))
    for i, speech in enumerate((True,) * 5 + (False,) * 2):
        witness.take(events.Frame(speech, (i + 1) * FRAME))
    witness.take(events.Foreseen(1, 0, "and", 12 * FRAME))
    witness.take(events.ChangeRules(turn_sequences.SHORT))
    for i in range(3):
        assert witness.open_turn
        witness.take(events.Frame(False, (8 + i) * FRAME))
    assert not witness.open_turn


@pytest.mark.parametrize(
    "meanwhile", [events.CallMade(2, "call_2"), events.ReplyFailed(2, "llm_failed", "broken")]
)
def test_a_late_picture_does_not_begin_a_follow_up_anew_that_has_done_something(
    meanwhile: events.Event,
) -> None:
    witness = StepWitness(State())
    for event in (
        events.Typed("look"),
        events.CallMade(1, "call_1"),
        events.ReplyPlayed(1),
        events.ToolResult("call_1", "ok", True),
        meanwhile,
    ):
        witness.take(event)
    picture = events.ToolPicture("call_1", b"picture")
    assert witness.take(picture) == (effects.RememberPicture("call_1", b"picture"),)
