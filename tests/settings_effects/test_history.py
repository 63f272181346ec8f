"""Where conversations are kept, and how much of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.dialogue.history import Said
from brain.dialogue.memory import Kept
from brain.history.database import FILE
from brain.house import history_keeper
from brain.settings import Settings
from brain.settings.places import SERVICE_DIR, state_dir


@pytest.mark.setting("HISTORY_MB")
@pytest.mark.parametrize(("megabytes", "found"), [(0.01, ["r2", "r3"]), (1, ["r1", "r2", "r3"])])
def test_the_oldest_conversations_go_where_they_take_too_much(
    tmp_path: Path, megabytes: float, found: list[str]
) -> None:
    keeper = history_keeper(Settings(history_mb=megabytes, state_dir=str(tmp_path)), {})
    assert keeper is not None
    keeper.load()
    for robot in ("r1", "r2", "r3"):
        keeper.keep(robot, Kept((Said("user", "x" * 4_000),), 1, 1), connected=False)
        keeper.work()
    assert [restored.robot for restored in keeper.load()] == found


@pytest.mark.setting("STATE_DIR")
def test_they_are_kept_where_they_are_wanted(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "here"))
    keeper = history_keeper(settings, {"STATE_DIRECTORY": str(tmp_path / "there")})
    assert keeper is not None
    keeper.load()
    assert (tmp_path / "here" / FILE).exists()
    assert not (tmp_path / "there").exists()


def test_the_state_dir_of_a_service_and_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Settings()
    monkeypatch.setenv("HOME", "/home/somebody")
    assert state_dir(bare, {"STATE_DIRECTORY": "/s/brain:/s/other"}) == Path("/s/brain")
    assert state_dir(bare, {"XDG_STATE_HOME": "/x"}) == Path("/x/robot-brain")
    assert state_dir(bare, {"XDG_STATE_HOME": "relative"}) == Path(
        "/home/somebody/.local/state/robot-brain"
    )

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert state_dir(bare, {}) == SERVICE_DIR


@pytest.mark.setting("HISTORY_STORE", "HISTORY_MINUTES")
@pytest.mark.parametrize("changes", [{"history_store": "off"}, {"history_minutes": 0}])
def test_nothing_is_kept_where_nothing_is_wanted(changes: dict[str, object]) -> None:
    assert history_keeper(Settings.model_validate(changes), {}) is None
