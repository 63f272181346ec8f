"""Pictures in a conversation: when they come, how many stay, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.pictures import GONE, PictureLimits, unseen
from brain.engines.ports import CannotSee, EngineFailed, Message, ToolCall
from brain.history.records import decode, encode
from tests.dialogue.house import Robot, a_session
from tests.scripted_engines import ScriptedMind
from tests.virtual_time import run_virtual

ONE, TWO, THREE = b"picture one", b"picture two", b"picture three"
CAMERA = ToolCall("camera", "{}")
BLIND = CannotSee("no eyes")


def images(messages: Sequence[Message]) -> list[tuple[bytes, ...]]:
    return [message.images for message in messages]


def asked(mind: ScriptedMind, index: int = -1) -> tuple[Message, ...]:
    return mind.asked[index][0]


def problems(robot: Robot) -> list[str]:
    return [problem.code for problem in robot.all(outputs.Problem)]


async def ask(robot: Robot, text: str, reply_id: int) -> None:
    robot.session.post(events.Typed(text))
    await robot.until(outputs.ReplyDone, reply_id=reply_id)


# -- the history ---------------------------------------------------------------------------------


def test_a_picture_is_there_for_its_turn_and_then_a_note_for_good() -> None:
    history = History()
    history.user_said("What is this?", 1, [ONE])
    assert images(history.messages()) == [(ONE,)]
    history.assistant_said("A ball.")
    assert images(history.messages()) == [(ONE,), ()]
    history.user_said("And now?", 2, [TWO])
    then = history.messages()
    assert images(then) == [(), (), (TWO,)]
    assert then[0].content == f"What is this?\n{GONE}"
    history.assistant_said("A cup.")
    history.user_said("Thanks.", 3)
    now = history.messages()
    assert now[:2] == then[:2]  # to the byte: the prefix holds
    assert images(now) == [()] * 5
    assert now[2].content == f"And now?\n{GONE}"


def test_pictures_of_earlier_turns_stay_where_the_house_wants_them() -> None:
    history = History(pictures=PictureLimits(turn=2, earlier=2))
    for turn, picture in enumerate((ONE, TWO, THREE), 1):
        history.user_said(f"turn {turn}", turn, [picture])
        history.assistant_said("Yes.")
    assert images(history.messages())[::2] == [(ONE,), (TWO,), (THREE,)]
    history.user_said("turn 4", 4)
    assert images(history.messages())[::2] == [(), (TWO,), (THREE,), ()]


def test_a_turn_has_so_many_pictures_its_tools_included() -> None:
    history = History(pictures=PictureLimits(turn=2))
    history.user_said("Look.", 1, [ONE])
    history.assistant_said("", [ToolCall("camera", "{}", "c1")])
    assert history.tool_showed("c1", TWO)
    history.tool_answered("c1", "ok")
    assert images(history.messages()) == [(ONE,), (), (TWO,)]
    assert not history.tool_showed("c1", THREE)
    assert images(history.messages()) == [(), (), (TWO, THREE)]


def test_results_that_never_come_pile_up_no_pictures() -> None:
    history = History(pictures=PictureLimits(turn=2))
    for number in range(100):
        history.tool_showed(f"c{number}", ONE)
    assert len(history._early_pictures) == 2


def test_words_that_nobody_answered_keep_their_turns_pictures() -> None:
    history = History()
    history.user_said("Look at", 1, [ONE])
    history.user_said("this one.", 2, [TWO])
    (message,) = history.messages()
    assert message.images == (TWO,)
    assert message.content == f"Look at\n{GONE}\nthis one."


def test_no_picture_is_written_to_the_disk() -> None:
    history = History()
    history.user_said("Look.", 1, [ONE])
    history.assistant_said("", [ToolCall("camera", "{}", "c1")])
    history.tool_showed("c1", TWO)
    history.tool_answered("c1", '{"status": "ok"}')
    written = encode(history.snapshot())
    assert "picture one" not in written
    again = decode(written)
    assert [message.content for message in again] == [
        f"Look.\n{GONE}", "", f'{{"status": "ok"}}\n{GONE}',
    ]  # fmt: skip


def test_a_blind_model_is_told_what_it_can_not_see() -> None:
    told = unseen(
        [
            Message("system", "Be brief."),
            Message("user", "Hello.", images=(ONE,)),
            Message("tool", "ok", call_id="c1", name="camera", images=(TWO,)),
        ]
    )
    assert images(told) == [(), (), ()]
    assert told[0].content.startswith("Be brief. ")
    assert "cannot see" in told[0].content
    assert told[1].content == "Hello."  # small models take what stands here for the user's words
    assert "cannot see" in told[2].content


# -- the session ---------------------------------------------------------------------------------


def test_pictures_go_with_the_next_turn() -> None:
    async def main() -> None:
        mind = ScriptedMind(["A ball."], sees=True)
        async with a_session(mind=mind) as robot:
            robot.session.show(ONE)
            robot.session.show(TWO)
            await ask(robot, "What is this?", 1)
            assert asked(mind)[-1].images == (ONE, TWO)
            await ask(robot, "And now?", 2)
            assert images(asked(mind)) == [()] * 4
            assert problems(robot) == []

    run_virtual(main())


def test_of_too_many_the_oldest_goes_and_that_is_told_once_a_turn() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Yes."], sees=True)
        async with a_session(mind=mind) as robot:
            for picture in (ONE, ONE, TWO, THREE):
                robot.session.show(picture)
            await ask(robot, "Look.", 1)
            assert asked(mind)[-1].images == (TWO, THREE)
            assert problems(robot) == ["image_overflow"]

    run_virtual(main())


@pytest.mark.parametrize("picture_first", [True, False])
def test_a_tools_picture_goes_with_its_result_in_either_order(picture_first: bool) -> None:
    async def main() -> None:
        mind = ScriptedMind([[CAMERA], "I see a ball."], sees=True)
        async with a_session(mind=mind) as robot:
            await ask(robot, "What do you see?", 1)
            call_id = robot.all(outputs.ToolCalled)[0].call_id
            if picture_first:
                robot.session.show(ONE, call_id)
            robot.session.post(events.ToolResult(call_id, "ok", True))
            if not picture_first:
                robot.session.show(ONE, call_id)
            last = 2 if picture_first else 3
            done = await robot.until(outputs.ReplyDone, reply_id=last)
            assert done.reason == "completed"
            assert [(m.role, m.images) for m in asked(mind)[-2:]] == [
                ("assistant", ()),
                ("tool", (ONE,)),
            ]
            # What came late has the reply begun again, before a word of it was heard.
            assert [r.text for r in robot.all(outputs.AssistantSaid)] == ["I see a ball."]
            assert problems(robot) == []

    run_virtual(main())


def test_a_picture_that_comes_while_its_result_is_spoken_about_stops_nobody() -> None:
    async def main() -> None:
        mind = ScriptedMind([[CAMERA], "I see a ball, and it is a red one."], sees=True)
        async with a_session(mind=mind) as robot:
            await ask(robot, "What do you see?", 1)
            call_id = robot.all(outputs.ToolCalled)[0].call_id
            robot.session.post(events.ToolResult(call_id, "ok", True))
            await robot.until(outputs.ReplyAudio)
            robot.session.show(ONE, call_id)
            done = await robot.until(outputs.ReplyDone, reply_id=2)
            assert done.reason == "completed"
            assert problems(robot) == []

    run_virtual(main())


def test_a_camera_without_a_picture_keeps_nobody_waiting() -> None:
    async def main() -> None:
        mind = ScriptedMind([[CAMERA], "I see nothing.", [CAMERA], "Nothing came."], sees=True)
        async with a_session(mind=mind, house=HouseRules(tool_timeout_s=15)) as robot:
            await ask(robot, "What do you see?", 1)
            call_id = robot.all(outputs.ToolCalled)[0].call_id
            result_at = asyncio.get_running_loop().time()
            robot.session.post(events.ToolResult(call_id, "ok", True))
            await robot.until(outputs.ReplyDone, reply_id=2)
            assert robot.time_of(outputs.ReplyStarted, 1) == pytest.approx(result_at, abs=0.01)
            await ask(robot, "And now?", 3)  # neither a result nor a picture comes
            await robot.until(outputs.ReplyDone, reply_id=4)
            waited = robot.time_of(outputs.ReplyStarted, 3) - robot.time_of(outputs.ReplyDone, 2)
            assert waited == pytest.approx(15, abs=0.1)

    run_virtual(main())


def test_a_picture_for_no_call_is_told() -> None:
    async def main() -> None:
        async with a_session(mind=ScriptedMind(["Yes."], sees=True)) as robot:
            robot.session.show(ONE, "call_9_9")
            await ask(robot, "Hello.", 1)
            assert problems(robot) == ["unknown_call_id"]

    run_virtual(main())


@pytest.mark.parametrize("sees", [None, True])
def test_a_model_that_turns_out_blind_is_asked_again_and_the_robot_told_once(
    sees: bool | None,
) -> None:
    async def main() -> None:
        mind = ScriptedMind([[BLIND], "I can't see."], sees=sees)
        async with a_session(mind=mind) as robot:
            robot.session.show(ONE)
            robot.session.show(TWO)
            await ask(robot, "What is this?", 1)
            assert problems(robot) == ["vision_unavailable"]
            assert robot.all(outputs.AssistantSaid)[0].text == "I can't see."
            assert asked(mind, 0)[-1].images == (ONE, TWO)
            assert images(asked(mind, 1)) == [(), ()]
            assert "cannot see" in asked(mind, 1)[0].content

    run_virtual(main())


def test_a_model_that_is_known_to_be_blind_is_not_shown_any_and_the_robot_told_at_once() -> None:
    async def main() -> None:
        mind = ScriptedMind(["I can't see.", "Hello."])
        async with a_session(mind=mind) as robot:
            robot.session.show(ONE)
            told = await robot.until(outputs.Problem)
            assert told.code == "vision_unavailable"
            assert not mind.asked
            await ask(robot, "What is this?", 1)
            assert images(asked(mind)) == [(), ()]
            assert "cannot see" in asked(mind)[0].content
            await ask(robot, "Hello.", 2)
            assert "cannot see" not in asked(mind)[0].content
            assert problems(robot) == ["vision_unavailable"]

    run_virtual(main())


def test_whether_it_sees_is_asked_as_it_answers() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Yes."], sees=True)
        async with a_session(mind=mind) as robot:
            robot.session.show(ONE)
            robot.session.post(events.Cancel())
            await robot.until(outputs.Listening)
            mind.sees = False  # the ladder has fallen by a rung
            await ask(robot, "What is this?", 1)
            assert images(asked(mind)) == [(), ()]
            assert problems(robot) == ["vision_unavailable"]
            mind.sees = True
            robot.session.show(TWO)
            await ask(robot, "And now?", 2)
            assert asked(mind)[-1].images == (TWO,)

    run_virtual(main())


def test_a_failure_after_the_pictures_were_left_out_is_a_failure() -> None:
    async def main() -> None:
        mind = ScriptedMind([[BLIND], EngineFailed("broken")], sees=None)
        async with a_session(mind=mind) as robot:
            robot.session.show(ONE)
            await ask(robot, "What is this?", 1)
            assert problems(robot) == ["vision_unavailable", "llm_failed"]

    run_virtual(main())


def test_what_is_heard_late_takes_no_pictures() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Yes."], sees=True)
        async with a_session(mind=mind) as robot:
            robot.session.show(ONE)
            robot.session.post(events.Transcribed(7, "too late"))
            await ask(robot, "Look.", 1)
            assert asked(mind)[-1].images == (ONE,)

    run_virtual(main())
