"""Scenes for the whole actor: what a robot, its user and its engines do in turn, drawn at random.

`MOVES` is the one table of what may happen. Sound carries its own place: each sample is one of a
known noise, so that the ears of a scene say which part of it they were given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from brain.dialogue import events, outputs
from brain.dialogue.config import Echo, HouseRules
from brain.dialogue.endpointing import Endpointing
from brain.engines.ports import EngineBusy, EngineFailed, Ticket, ToolCall, Transcript
from tests.dialogue.house import RATE, Robot
from tests.scripted_engines import (
    Hang,
    Pause,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)

FRAME = 512
_NOISE = np.random.default_rng(0).integers(-32_768, 32_768, 240 * RATE).astype(np.int16)


@dataclass
class World:
    """What outlives a robot's connection: all sound so far, `samples` of it."""

    samples: int = 0
    sent: NDArray[np.int16] = field(default_factory=lambda: np.zeros(len(_NOISE), np.int16))

    def frame(self, *, loud: bool) -> NDArray[np.int16]:
        """The next one of the microphone."""
        here = slice(self.samples, self.samples + FRAME)
        self.sent[here] = _NOISE[here] // (4 if loud else 256)
        self.samples += FRAME
        return self.sent[here].copy()

    def place(self, samples: NDArray[np.int16]) -> int:
        """Where in `sent` these lie; they must, in one piece."""
        for start in np.flatnonzero(self.sent[: self.samples] == samples[0]):
            if np.array_equal(self.sent[start : start + len(samples)], samples):
                return int(start)
        raise AssertionError("sound that was never sent, or not in one piece")

    def loud_frames(self, start: int, end: int) -> NDArray[np.intp]:
        """Where each loud frame begins of those that lie whole in samples [start, end)."""
        start, end = -(-start // FRAME) * FRAME, end // FRAME * FRAME
        frames = self.sent[start:end].reshape(-1, FRAME).astype(np.float32)
        return start + FRAME * np.flatnonzero(np.mean(np.square(frames), axis=1) > 1_000**2)


@dataclass
class Listener(Robot):
    """A robot that knows how much sound it had sent when a turn began, and when that was over."""

    world: World = field(default_factory=World)
    began: dict[int, int] = field(default_factory=dict)
    over: dict[int, int] = field(default_factory=dict)

    def keep(self, output: outputs.Output) -> None:
        super().keep(output)
        if isinstance(output, outputs.SpeechStarted):
            self.began[output.turn] = self.world.samples
        elif isinstance(output, outputs.SpeechStopped):
            self.over[output.turn] = self.world.samples


class PlacingEars(ScriptedTranscriber):
    """Of a scripted "heard" it says where in the world's sound that lay: "START END"."""

    def __init__(
        self, world: World, texts: Sequence[str | Hang | Exception], seconds: float
    ) -> None:
        super().__init__(texts, seconds)
        self._world = world

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        start = self._world.place(np.round(samples * 32_768).astype(np.int16))
        made = await super().transcribe(samples, language=language, ticket=ticket)
        if made.text != "heard":
            return made
        return Transcript(f"{start} {start + len(samples)}", "en", 0.01, -0.1)


@dataclass
class Scene:
    """One connection under way. `cleared`: sound may have been thrown away, as was asked for."""

    world: World
    robot: Robot
    typed: list[str] = field(default_factory=list)
    cleared: bool = False
    was_idle: bool = False

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def post(self, event: events.Event) -> None:
        self.robot.session.post(event)

    async def sound(self, frames: int, *, loud: bool) -> None:
        for _ in range(frames):
            await asyncio.sleep(FRAME / RATE)
            self.robot.session.hear(self.world.frame(loud=loud))

    def latest(self, kind: type[outputs.ReplyStarted | outputs.ToolCalled]) -> Any:
        return next(iter(reversed(self.robot.all(kind))), None)


Move = tuple[str, Any]
Act = Callable[[Scene, Any], Any]


async def _speak(scene: Scene, frames: int) -> None:
    await scene.sound(frames, loud=True)


async def _pause(scene: Scene, frames: int) -> None:
    await scene.sound(frames, loud=False)


async def _turn(scene: Scene, drawn: tuple[int, int]) -> None:
    spoken, silent = drawn
    await scene.sound(spoken, loud=True)
    await scene.sound(silent, loud=False)


async def _over_the_robot(scene: Scene, frames: int) -> None:
    """Said as soon as the robot is heard to speak, which it may never be."""
    for _ in range(40):
        if scene.robot.said and isinstance(scene.robot.said[-1][1], outputs.ReplyAudio):
            break
        await scene.sound(1, loud=False)
    await scene.sound(frames, loud=True)


async def _wait(scene: Scene, seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _plain(scene: Scene, event: events.Event) -> None:
    scene.cleared = scene.cleared or isinstance(event, events.Clear)
    scene.was_idle = scene.was_idle or isinstance(event, events.IdleSignal)
    scene.post(event)


async def _typed(scene: Scene, number: int) -> None:
    scene.typed.append(f"typed {number}")
    scene.post(events.Typed(scene.typed[-1]))


async def _result(scene: Scene, drawn: tuple[bool, bool]) -> None:
    known, follow_up = drawn
    call = scene.latest(outputs.ToolCalled)
    call_id = call.call_id if call is not None and known else "unknown"
    scene.post(events.ToolResult(call_id, "result", follow_up))


async def _picture(scene: Scene, of_call: bool) -> None:
    call = scene.latest(outputs.ToolCalled)
    scene.robot.session.show(b"picture", call.call_id if call is not None and of_call else None)


async def _mark(scene: Scene, drawn: tuple[int, float]) -> None:
    back, seconds = drawn
    reply = scene.latest(outputs.ReplyStarted)
    scene.robot.session.played(reply.reply_id - back if reply is not None else 1, seconds)


async def _configure(scene: Scene, changes: dict[str, Any]) -> None:
    scene.cleared = True  # it may be: half an utterance is of no use to another way of taking turns
    scene.robot.session.configure(changes)


# What may happen: what is drawn for it, and what is done with that.
MOVES: dict[str, tuple[st.SearchStrategy[Any], Act]] = {
    "speak": (st.sampled_from([2, 5, 10, 20]), _speak),
    "pause": (st.sampled_from([2, 5, 10, 15, 17, 30]), _pause),
    "turn": (st.tuples(st.sampled_from([5, 12, 25]), st.sampled_from([16, 20, 30])), _turn),
    "turn, answered": (st.tuples(st.just(12), st.sampled_from([40, 70])), _turn),
    "over the robot": (st.sampled_from([3, 12, 20]), _over_the_robot),
    "a second thought": (st.tuples(st.just(8), st.sampled_from([5, 8, 12])), _turn),
    "wait": (st.sampled_from([0.0, 0.1, 0.5, 2.0]), _wait),
    "plain": (
        st.sampled_from([
            events.Cancel(), events.Clear(), events.EndUtterance(), events.Say("Battery low."),
            events.IdleSignal("You have been idle."),
        ]),
        _plain,
    ),
    "typed": (st.integers(0, 9), _typed),
    "result": (st.tuples(st.booleans(), st.booleans()), _result),
    "picture": (st.booleans(), _picture),
    "mark": (st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.3, 1.0, 99.0])), _mark),
    "configure": (
        st.sampled_from([
            {"turn_detection": None}, {"turn_detection": {"silence_ms": 320}},
            {"echo_cancellation": True}, {"echo_cancellation": False}, {"voice": "other"},
            {"playback_marks": True}, {"instructions": "You are a pirate."},
            {"muted": True}, {"muted": False}, {"wake_phrases": ("robot",)},
            {"wake_phrases": ()}, {"quiet": True},
        ]),
        _configure,
    ),
}  # fmt: skip

_WELL = ["A short answer.", "One two three four, five six seven eight. And nine, and ten."]
TOOL = [ToolCall("dance", "{}")]
BROKEN = EngineFailed("broken")


@dataclass(frozen=True)
class Script:
    """What the engines do, one call after the other, and how the house is set."""

    ears: list[str | Hang | Exception]
    ears_s: float
    mind: list[Any]
    mind_s: float
    mouth: list[Exception | Hang | None]
    mute: bool
    tentative_ms: int
    partials: bool
    endpointing: Endpointing | None
    echo: Echo
    session: dict[str, Any]

    @property
    def house(self) -> HouseRules:
        return HouseRules(
            tentative_ms=self.tentative_ms,
            partials=self.partials,
            endpointing=self.endpointing,
            echo=self.echo,
            tool_timeout_s=2.0,
        )

    def engines(self, world: World) -> dict[str, Any]:
        return {
            "ears": PlacingEars(world, self.ears, self.ears_s),
            "mind": ScriptedMind(self.mind, first_seconds=self.mind_s),
            "mouth": ScriptedMouth(failures=self.mouth),
            "mute": self.mute,
        }


def _script_of(usual: Sequence[Any], fault: Sequence[Any]) -> st.SearchStrategy[list[Any]]:
    one = st.sampled_from([*usual, *usual, *usual, *fault])
    return st.lists(one, min_size=1, max_size=4)


scripts = st.builds(
    Script,
    ears=_script_of(["heard", "heard"], ["", BROKEN, EngineBusy("busy"), Hang()]),
    ears_s=st.sampled_from([0.01, 0.15, 0.7]),
    mind=_script_of(
        [*_WELL, TOOL, ["Wait.", *TOOL]],
        ["", BROKEN, EngineBusy("busy"), ["Half a ", BROKEN], [Pause(2.0), "Late."], [Hang()]],
    ),
    mind_s=st.sampled_from([0.01, 0.2, 1.0]),
    mouth=_script_of([None, None, None], [BROKEN, Hang()]),
    mute=st.sampled_from([False, False, False, True]),
    tentative_ms=st.sampled_from([0, 128, 128]),
    partials=st.booleans(),
    endpointing=st.sampled_from([None, Endpointing()]),
    echo=st.sampled_from(["half_duplex", "guard", "none"]),
    session=st.sampled_from([
        {}, {"echo_cancellation": True}, {"echo_cancellation": True, "playback_marks": True},
        {"turn_detection": None},
    ]),
)  # fmt: skip

moves = st.one_of([
    st.tuples(st.just(name), drawn) for name, (drawn, _) in MOVES.items()
])  # fmt: skip
connections = st.lists(st.lists(moves, min_size=2, max_size=7), min_size=1, max_size=3)


async def perform(scene: Scene, part: Sequence[Move]) -> None:
    for name, drawn in part:
        _, act = MOVES[name]
        await act(scene, drawn)
