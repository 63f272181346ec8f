"""Where conversations are kept, and how much of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from brain.dialogue.history import Said
from brain.dialogue.memory import Kept
from brain.history.database import FILE
from brain.history.keeper import HistoryKeeper
from brain.history.shared import SharedKeeper
from brain.house import ConfigError, history_keeper, with_usable_files
from brain.ops.bundle.redact import secrets_of
from brain.settings import Settings, SettingsError, load
from brain.settings.layers import Assignment
from brain.settings.places import SERVICE_DIR, state_dir
from brain.settings.report import as_json, as_table


@pytest.mark.setting("HISTORY_MB")
@pytest.mark.parametrize(("megabytes", "found"), [(0.01, ["r2", "r3"]), (1, ["r1", "r2", "r3"])])
def test_the_oldest_conversations_go_where_they_take_too_much(
    tmp_path: Path, megabytes: float, found: list[str]
) -> None:
    keeper = history_keeper(Settings(history_mb=megabytes, state_dir=str(tmp_path)), {})
    assert isinstance(keeper, HistoryKeeper)
    keeper.load()
    for robot in ("r1", "r2", "r3"):
        keeper.keep(robot, Kept((Said("user", "x" * 4_000),), 1, 1), connected=False)
        keeper.work()
    assert [restored.robot for restored in keeper.load()] == found


@pytest.mark.setting("STATE_DIR")
def test_they_are_kept_where_they_are_wanted(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "here"))
    keeper = history_keeper(settings, {"STATE_DIRECTORY": str(tmp_path / "there")})
    assert isinstance(keeper, HistoryKeeper)
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


@pytest.mark.setting("HISTORY_STORE")
def test_an_address_is_a_redis_that_brains_share() -> None:
    keeper = history_keeper(Settings(history_store="rediss://u:p@h:1/2", history_minutes=1), {})
    assert isinstance(keeper, SharedKeeper)
    assert (keeper.kind, keeper._live_ms) == ("redis", 60_000)


@pytest.mark.parametrize(
    "good",
    ["redis://h", "redis://[::1]:6379/0", "rediss://:p%40ss@h.example:6380/15", "redis://h:1/"],
)
def test_what_is_an_address(good: str) -> None:
    assert Settings(history_store=good).history_store == good
    assert Settings(history_store=" SQLite ").history_store == "sqlite"


@pytest.mark.parametrize(
    "bad",
    ["redis", "http://h", "redis://", "redis://:a/b@h", "redis://h?db=1", "redis://h:x", "a redis"],
)
def test_what_is_none_is_refused_without_its_password(bad: str) -> None:
    with pytest.raises(SettingsError) as said:
        load([Assignment("HISTORY_STORE", bad, "--set")], environ={}, config_dir=Path("/nowhere"))
    assert "sqlite, off, or an address such as redis://" in str(said.value)
    assert "a/b" not in str(said.value)


def test_its_password_is_never_shown() -> None:
    settings = Settings(history_store="redis://robots:s3cret@h:6379/0")
    assert "s3cret" not in as_table(settings) + as_json(settings)
    assert "h:6379" in as_table(settings)
    assert "s3cret" in secrets_of(settings, {})
    assert "s3cret" in secrets_of(Settings(), {"HISTORY_STORE": "redis://:s3cret@h"})


def test_without_the_library_an_address_is_refused_or_done_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    settings = Settings(history_store="redis://:s3cret@h")
    with pytest.raises(ConfigError, match="extra fleet"):
        with_usable_files(settings, lenient=False)
    fallen = with_usable_files(settings, lenient=True)
    assert fallen.history_store == "sqlite"
    assert "HISTORY_STORE" in str(fallen.problems[0])
    assert "s3cret" not in str(fallen.problems[0])


@pytest.mark.setting("HISTORY_STORE", "HISTORY_MINUTES")
@pytest.mark.parametrize("changes", [{"history_store": "off"}, {"history_minutes": 0}])
def test_nothing_is_kept_where_nothing_is_wanted(changes: dict[str, object]) -> None:
    assert history_keeper(Settings.model_validate(changes), {}) is None
