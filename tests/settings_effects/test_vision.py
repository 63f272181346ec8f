"""What the settings of pictures do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from brain.dialogue import events, outputs
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.recipes import POCKET, language_model_rungs
from brain.house import house_rules
from brain.settings import Settings
from tests.dialogue.house import a_session
from tests.engines.llm.tiny_eyes import write_llava_eyes
from tests.scripted_engines import ScriptedMind
from tests.settings_effects.test_engines import climbed
from tests.virtual_time import run_virtual


def shown(pictures: list[list[bytes]], **changes: int) -> list[int]:
    """How many pictures each message has, in the prompt of the last of these turns."""
    mind = ScriptedMind(["Yes."], sees=True)
    house = house_rules(Settings(**changes))

    async def main() -> None:
        memory = RobotMemory(History(pictures=house.pictures))
        async with a_session(mind=mind, house=house, memory=memory) as robot:
            for turn, some in enumerate(pictures, 1):
                for picture in some:
                    robot.session.show(picture)
                robot.session.post(events.Typed("Look."))
                await robot.until(outputs.ReplyDone, reply_id=turn)

    run_virtual(main())
    return [len(message.images) for message in mind.asked[-1][0] if message.role == "user"]


@pytest.mark.setting("IMAGES_PER_TURN")
@pytest.mark.parametrize(("most", "seen"), [(1, 1), (3, 3), (8, 4)])
def test_how_many_pictures_a_turn_has(most: int, seen: int) -> None:
    assert shown([[b"1", b"2", b"3", b"4"]], images_per_turn=most) == [seen]


@pytest.mark.setting("IMAGE_HISTORY")
@pytest.mark.parametrize(("kept", "seen"), [(0, [0, 0, 1]), (1, [0, 1, 1]), (2, [1, 1, 1])])
def test_how_many_pictures_of_earlier_turns_stay(kept: int, seen: list[int]) -> None:
    assert shown([[b"1"], [b"2"], [b"3"]], image_history=kept) == seen


@pytest.mark.setting("LLM_MMPROJ_PATH")
def test_the_eyes_are_the_file_here_or_in_the_models_folder(tmp_path: Path) -> None:
    write_llava_eyes(tmp_path / "mmproj.gguf")
    (tmp_path / "own.gguf").symlink_to(POCKET / "mind.gguf")
    values = {"llm_backend": "llamacpp", "llm_gpu_layers": 0, "models_dir": str(tmp_path)}

    async def sees(path: str, model: str = "own.gguf") -> bool | None:
        settings = Settings(**values, llm_model_path=model, llm_mmproj_path=path)
        async with climbed(language_model_rungs(settings)[:1]) as ladder:
            return ladder.engine.info.sees

    assert asyncio.run(sees("mmproj.gguf")) is True
    assert asyncio.run(sees(str(tmp_path / "mmproj.gguf"))) is True
    assert asyncio.run(sees("")) is False
    assert asyncio.run(sees("mmproj.gguf", "pocket")) is False  # whose own eyes there are none
