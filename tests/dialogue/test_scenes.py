"""The whole actor under scenes drawn at random: whatever happens, DESIGN's invariants hold."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, seed, settings

from brain.dialogue import events, outputs
from brain.dialogue.clauses import speakable
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from tests.dialogue import scenes
from tests.dialogue.house import Robot, a_session
from tests.dialogue.scenes import FRAME, Listener, Move, Scene, Script, World
from tests.virtual_time import run_virtual

CHUNKS, EACH = 10, 50


@dataclass
class Story:
    """All that was told in a scene's connections."""

    world: World = field(default_factory=World)
    memory: RobotMemory = field(default_factory=lambda: RobotMemory(History()))
    said: list[outputs.Output] = field(default_factory=list)
    typed: list[str] = field(default_factory=list)
    was_idle: bool = False


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_happens(chunk: int) -> None:
    @settings(max_examples=EACH)
    @given(script=scenes.scripts, connections=scenes.connections)
    def scene(script: Script, connections: list[list[Move]]) -> None:
        run_virtual(_whatever_happens(script, connections))

    same = settings().derandomize
    (seed(chunk)(scene) if same else scene)()


async def _whatever_happens(script: Script, connections: list[list[Move]]) -> None:
    story = Story()
    for i, part in enumerate(connections):
        before = (story.memory.last_turn, story.memory.last_reply)
        listens = functools.partial(Listener, world=story.world)
        async with a_session(
            house=script.house, memory=story.memory, a_robot=listens, **script.engines(story.world)
        ) as robot:
            robot.session.configure(script.session)
            scene = Scene(story.world, robot)
            await scenes.perform(scene, part)
            if i == len(connections) - 1:
                await _rests(scene)
        _hold(robot, before)
        _heard_whole(robot)
        story.said += [output for _, output in robot.said]
        story.typed += scene.typed
        story.was_idle = story.was_idle or scene.was_idle
    _sound_is_used_once(story)
    _remembered_as_told(story)


async def _rests(scene: Scene) -> None:
    """Once everything has come to its end, the robot listens."""
    await asyncio.sleep(1)
    await scene.sound(20, loud=False)
    await asyncio.sleep(20)
    scene.post(events.Cancel())  # of an engine that hangs
    await asyncio.wait_for(scene.robot.session.quiet.wait(), 30)


def _hold(robot: Robot, before: tuple[int, int]) -> None:
    """What holds of each connection, beside what its witness has seen to."""
    turn, reply = before
    assert all(begun.turn > turn for begun in robot.all(outputs.SpeechStarted))
    assert all(begun.reply_id > reply for begun in robot.all(outputs.ReplyStarted))
    for done in robot.all(outputs.ReplyDone):
        clauses = [c.text for c in robot.all(outputs.ClauseStarted) if c.reply_id == done.reply_id]
        said = [s.text for s in robot.all(outputs.AssistantSaid) if s.reply_id == done.reply_id]
        sent = sum(
            sound.audio.seconds
            for sound in robot.all(outputs.ReplyAudio)
            if sound.reply_id == done.reply_id
        )
        assert len(said) <= 1
        words = " ".join(clauses).split()
        heard = " ".join(said).split()
        assert heard == words[: len(heard)], "9: words that were not said"
        if done.reason == "completed":
            assert heard == words
            if robot.session._mouth is not None and sent:
                made = sum(0.06 * len(speakable(text)) for text in clauses)
                assert sent == pytest.approx(made, abs=0.02), "6: sound lost, or sent twice"


def _heard_whole(robot: Robot) -> None:
    """All speech of a turn is heard, from before it was certain to its end."""
    assert isinstance(robot, Listener)
    for said in robot.all(outputs.UserSaid):
        start, stop = map(int, said.text.split())
        began, over = robot.began[said.turn], robot.over[said.turn]
        # With push-to-talk a turn begins and ends when the robot says so.
        spoken = robot.world.loud_frames(began - FRAME if began < over else start, over)
        if not len(spoken):  # over a reply: it was certain only in the pause after it
            spoken = robot.world.loud_frames(start, over)
        assert len(spoken), "nothing was said"
        assert start <= spoken[0], "6: the beginning of speech lost"
        assert spoken[-1] + FRAME <= stop, "6: the end of speech lost"


def _sound_is_used_once(story: Story) -> None:
    end = 0
    said = sorted(
        (output for output in story.said if isinstance(output, outputs.UserSaid)),
        key=lambda output: output.turn,
    )
    for output in said:
        start, stop = map(int, output.text.split())
        assert end <= start < stop, "6: sound used twice"
        end = stop


def _remembered_as_told(story: Story) -> None:
    messages = story.memory.history.snapshot()
    told = [output.text for output in story.said if isinstance(output, outputs.UserSaid)]
    # A picture leaves a note behind the words that it came with.
    users = Counter(m.content.split("\n")[0] for m in messages if m.role == "user")
    assert users == Counter([*told, *story.typed]), "9: not what was said"
    spoken = Counter(o.text for o in story.said if isinstance(o, outputs.AssistantSaid))
    replies = Counter(m.content for m in messages if m.role == "assistant" and m.content)
    assert replies <= spoken, "9: not what was heard"
    if not story.was_idle:
        assert replies == spoken
