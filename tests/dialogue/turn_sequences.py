"""Random sequences of everything that can happen to a session, each made again by its seed.

`MOVES` is the one table: what may happen, and how often. A move gives events by what is so now. A
new event of turn-taking gets a row in it: the tests want every event seen in every state.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from brain.dialogue import events
from brain.dialogue.state import FRAME, Idle, Rules, State
from tests.dialogue.turn_invariants import PHRASE, TEXTS, StepWitness

# Short turns, so that a few frames see a whole one through.
SHORT = Rules(
    silence=5 * FRAME,
    tentative=2 * FRAME,
    min_speech=2 * FRAME,
    barge_in=4 * FRAME,
    backchannel=8 * FRAME,
    gap=3 * FRAME,
    pre_roll=2 * FRAME,
    post_roll=2 * FRAME,
    max_utterance=24 * FRAME,
)


# What a pause may be said to end with: less than the rules have, and more.
_SILENCES = (3 * FRAME, 12 * FRAME)


@dataclass(frozen=True)
class Reconnect:
    """The robot hangs up, what is late comes in vain, and it comes back."""

    rules: Rules


Item = events.Event | Reconnect
Draw = Callable[[random.Random, StepWitness], Iterable[Item]]


def a_rule(rng: random.Random) -> Rules:
    return replace(
        SHORT,
        silence=rng.choice((3, 5, 9)) * FRAME,
        tentative=rng.choice((0, 1, 2, 2, 4)) * FRAME,
        max_utterance=rng.choice((6, 12, 24, 60)) * FRAME,
        partials=rng.random() < 0.7,
        deaf_in_reply=rng.random() < 0.3,
        backchannel=rng.choice((0, 8, 8, 20)) * FRAME,
        needs_words=rng.random() < 0.3,
        push_to_talk=rng.random() < 0.15,
        wake_phrases=(PHRASE,) if rng.random() < 0.4 else (),
        muted=rng.random() < 0.1,
    )


def frames(speech: bool, most: int) -> Draw:
    """A run of frames, as the session would hand them on."""

    def draw(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
        for _ in range(rng.randint(1, most)):
            end = witness.state.now + FRAME
            unjudged = witness.state.rules.push_to_talk or witness.state.deaf
            # One that was judged before the ear went deaf.
            if unjudged and rng.random() < 0.95:
                yield events.Sound(end)
            else:
                yield events.Frame(speech, end)

    return draw


def _one(event: events.Event) -> Draw:
    return lambda rng, witness: (event,)


def _transcribed(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    late = rng.random() < 0.25
    turn = rng.randint(0, witness.state.last_turn) if late else witness.state.answering
    yield events.Transcribed(turn, rng.choice(TEXTS))


def _ears_fail(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    late = rng.random() < 0.25
    turn = rng.randint(0, witness.state.last_turn) if late else witness.state.answering
    yield events.TranscriptionFailed(turn, "stt_failed", "broken")


def _foreseen(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    turn, revision = witness.ahead or (witness.state.last_turn, 0)
    if rng.random() < 0.2:
        turn, revision = turn - rng.randint(0, 1), revision - 1
    text, silence = rng.choice(TEXTS), rng.choice((None, *_SILENCES))
    yield events.Foreseen(turn, revision, text, silence)


def _judged(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    turn, revision = witness.ahead or (witness.state.last_turn, 0)
    yield events.Judged(turn, revision - (rng.random() < 0.2), rng.choice(_SILENCES))


def _partly_heard(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    turn = witness.state.last_turn - (rng.random() < 0.2)
    text = rng.choice(TEXTS)
    yield events.PartlyHeard(turn, text, max(0, witness.state.now - rng.randint(0, 5) * FRAME))


def _partly_heard_pause(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    """The user speaks for a while, is heard meanwhile, and pauses."""
    yield from frames(speech=True, most=12)(rng, witness)
    yield from _partly_heard(rng, witness)
    yield from frames(speech=False, most=4)(rng, witness)


def _overheard(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    number = witness.state.hearings - (rng.random() < 0.2)
    meaning = rng.choice(get_args(events.Meaning))
    yield events.Overheard(number, "" if meaning in ("nothing", "failed") else "hello", meaning)


def _speech_over_a_reply(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    """The robot speaks, somebody speaks over it, pauses perhaps, and is heard."""
    if witness.active is None:
        yield events.Say("hello")
    yield events.SoundBegan()
    yield from frames(speech=True, most=10)(rng, witness)
    if rng.random() < 0.7:
        yield from frames(speech=False, most=4)(rng, witness)
    yield from _overheard(rng, witness)


def _reply_id(rng: random.Random, witness: StepWitness) -> int:
    """The active reply's, or one that is over."""
    if witness.active and rng.random() < 0.85:
        return witness.active.reply_id
    return rng.choice(witness.begun[-3:] or (0,))


def _played(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    yield events.ReplyPlayed(_reply_id(rng, witness))


def _failed(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    mute = rng.random() < 0.3
    yield events.ReplyFailed(_reply_id(rng, witness), "llm_failed", "broken", mute=mute)


def _call(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    yield events.CallMade(_reply_id(rng, witness), f"call_{len(witness.calls) + 1}")


def _call_id(rng: random.Random, witness: StepWitness) -> str:
    if witness.open_calls and rng.random() < 0.7:
        return rng.choice(witness.open_calls)
    return rng.choice((*witness.calls[-4:], "unknown"))


def _result(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    yield events.ToolResult(_call_id(rng, witness), "ok", rng.random() < 0.6)


def _picture(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    yield events.ToolPicture(_call_id(rng, witness), b"picture")


def _overdue(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    wait = witness.state.wait
    yield events.ToolsOverdue(wait.reply_id if wait and rng.random() < 0.8 else rng.randint(0, 9))


def _tools(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    """A call, its result and what is said of it, now and then with a part left out."""
    typed = events.Typed("dance")
    idle = _one(events.IdleSignal("idle"))
    steps: tuple[Draw, ...] = (_call, _played, idle, _overdue, _result, _picture, _result, _picture)
    for draw in (_one(typed), *steps):
        if rng.random() < 0.75:
            yield from draw(rng, witness)


def _lapsed(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    yield events.AttentionLapsed(witness.window - (rng.random() < 0.2))


def _over_a_reply(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    """Too little to be certain of, a pause, and something else in it."""
    yield events.Typed("hi")
    yield from frames(speech=True, most=3)(rng, witness)
    yield from frames(speech=False, most=2)(rng, witness)
    plain = (events.Clear(), events.Cancel(), events.Starved(), events.EndUtterance())
    yield rng.choice((*plain, events.Say("hello"), events.SoundBegan()))


def _change(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    yield events.ChangeRules(a_rule(rng))


def _reconnect(rng: random.Random, witness: StepWitness) -> Iterator[Item]:
    yield events.Hangup()
    yield rng.choice((events.Hangup(), events.Typed("late"), events.Transcribed(1, "late")))
    yield Reconnect(a_rule(rng))


MOVES: tuple[tuple[int, Draw], ...] = (
    (18, frames(speech=True, most=6)),
    (18, frames(speech=False, most=6)),
    (8, _transcribed),
    (2, _ears_fail),
    (6, _foreseen),
    (3, _partly_heard),
    (5, _partly_heard_pause),
    (3, _judged),
    (2, _overheard),
    (5, _speech_over_a_reply),
    (5, _played),
    (3, _failed),
    (4, _call),
    (3, _tools),
    (3, _over_a_reply),
    (4, _result),
    (3, _picture),
    (2, _overdue),
    (3, _one(events.SoundBegan())),
    (3, _one(events.SoundEnded())),
    (2, _one(events.Starved())),
    (3, _one(events.EndUtterance())),
    (2, _one(events.Clear())),
    (2, _one(events.Cancel())),
    (4, _one(events.Typed("hi"))),
    (3, _one(events.Say("hello"))),
    (2, _one(events.IdleSignal("idle"))),
    (3, _lapsed),
    (2, _change),
    (1, _reconnect),
)
_WEIGHTS = [weight for weight, _ in MOVES]
_DRAWS = [draw for _, draw in MOVES]

Seen = set[tuple[str, str, bool]]
"""Event, floor and whether a reply was under way, of each step."""


@dataclass
class Run:
    """One sequence under way: what has happened so far, for who wants to see it again."""

    witness: StepWitness
    items: list[Item] = field(default_factory=list)
    seen: Seen = field(default_factory=set)

    def take(self, item: Item) -> None:
        self.items.append(item)
        if isinstance(item, Reconnect):
            self.witness.reconnect(item.rules)
            return
        state = self.witness.state
        if not state.closed:
            floor = type(state.floor).__name__
            self.seen.add((type(item).__name__, floor, state.reply is not None))
        self.witness.take(item)

    def settle(self) -> None:
        """Whatever has happened: once all that is under way has come to its end, the robot can be
        spoken to, is understood and answered."""
        if self.witness.state.rules.muted:
            self.take(events.ChangeRules(replace(self.witness.state.rules, muted=False)))
        self._rest()
        state = self.witness.state
        assert not state.under_way, "it never comes to rest"
        assert isinstance(state.floor, Idle)
        if state.rules.push_to_talk:
            self.take(events.Sound(state.now + FRAME))
            self.take(events.EndUtterance())
        else:
            self._frames(True, state.rules.min_speech // FRAME)
            self._frames(False, state.rules.silence // FRAME)
        turn = self.witness.state.answering
        assert turn == state.last_turn + 1, "a turn that nobody hears"
        self.take(events.Transcribed(turn, f"{PHRASE} hello"))
        active = self.witness.active
        assert active is not None
        assert (active.turn, active.kind) == (turn, "answer"), "a turn that nobody answers"

    def _rest(self) -> None:
        self.take(events.SoundEnded())
        self._silence()
        for _ in range(4):  # the reply, what its tools gave, and what a `say` held up
            if turn := self.witness.state.answering:
                self.take(events.Transcribed(turn, ""))
            if doubt := self.witness.state.doubt:
                self.take(events.Overheard(doubt.hearing, "", "failed"))
            if self.witness.state.wait:
                self.take(events.ToolsOverdue(self.witness.state.wait.reply_id))
            if active := self.witness.active:
                self.take(events.ReplyPlayed(active.reply_id))
            if not isinstance(self.witness.state.floor, Idle):  # what was in doubt is a turn
                self._silence()

    def _silence(self) -> None:
        rules = self.witness.state.rules
        if not rules.push_to_talk:
            wanted = self.witness.silence or 0
            self._frames(False, max(rules.silence, rules.gap, wanted) // FRAME + 1)

    def _frames(self, speech: bool, count: int) -> None:
        for _ in range(count):
            self.take(events.Frame(speech, self.witness.state.now + FRAME))


def replay(rules: Rules, items: Sequence[Item]) -> Run:
    """The same once more; sound counts on, whatever has been left out of it."""
    sequence = Run(StepWitness(State(rules=rules)))
    for item in items:
        if isinstance(item, events.Frame | events.Sound):
            item = replace(item, end=sequence.witness.state.now + FRAME)
        sequence.take(item)
    return sequence


def shrunk(rules: Rules, items: Sequence[Item], error: Exception) -> list[Item]:
    """As few of the items as still break in the same place. `settle` comes after them."""
    place = _place(error)
    left = list(items)
    size = max(1, len(left) // 2)
    while True:
        start, before = 0, len(left)
        while start < len(left):
            fewer = left[:start] + left[start + size :]
            try:
                replay(rules, fewer).settle()
            except Exception as other:  # noqa: BLE001 - whatever it is, it has a place
                broken = _place(other)
            else:
                broken = None
            if broken == place:
                left = fewer
            else:
                start += size
        if size == 1 and len(left) == before:
            return left
        size = max(1, size // 2)


def _place(error: Exception) -> tuple[str, int | None]:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.filename, last.lineno


def run(seed: int, *, short: bool = True) -> Run:
    """The sequence of this seed. AssertionError with the shortest that breaks as it does, or with
    all of it if that needn't be `short`."""
    rng = random.Random(seed)
    rules = a_rule(rng)
    sequence = Run(StepWitness(State(rules=rules)))
    try:
        for draw in rng.choices(_DRAWS, _WEIGHTS, k=rng.randint(3, 13)):
            for item in draw(rng, sequence.witness):
                sequence.take(item)
        if seed % 2:  # the others are hung up wherever they are
            sequence.settle()
        for _ in range(2):
            sequence.take(events.Hangup())
    except Exception as error:
        items = shrunk(rules, sequence.items, error) if short else sequence.items
        told = "\n".join(f"    {item!r}," for item in items)
        raise AssertionError(f"seed {seed}: {error!r}\nrules={rules}\n{told}") from error
    return sequence
