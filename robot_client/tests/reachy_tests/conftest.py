"""Puts the stand-in app where the real one would be, and nothing of this machine's around it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
STAND_IN = HERE / "stand_in"

# The scripted brain and the network's faults are the other tests' own; the stand-in goes first, so
# that it is found even where the real app is installed.
sys.path.insert(0, str(HERE.parents[2]))
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(STAND_IN))

OURS = (
    "LOCAL_SERVER_IP", "LOCAL_SERVER_PORT", "LOCAL_SERVER_TOKEN", "LOCAL_SERVER_TLS",
    "LOCAL_SERVER_ECHO_CANCELLATION", "BRAIN_TOKEN", "ROBOT_ID", "OPENAI_API_KEY",
    "REACHY_MINI_CUSTOM_PROFILE",
)  # fmt: skip


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer has set must not decide what a test sees."""
    for name in OURS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def deps(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the app gives its tools, around a robot that nobody has started."""
    from reachy_mini import ReachyMini
    from reachy_mini_conversation_app.audio.head_wobbler import HeadWobbler
    from reachy_mini_conversation_app.camera_worker import CameraWorker
    from reachy_mini_conversation_app.config import config
    from reachy_mini_conversation_app.moves import MovementManager
    from reachy_mini_conversation_app.tools.core_tools import ToolDependencies

    monkeypatch.setattr(config, "OPENAI_API_KEY", None)
    monkeypatch.setattr(config, "REACHY_MINI_CUSTOM_PROFILE", None)
    robot = ReachyMini()
    manager = MovementManager(robot)
    return ToolDependencies(
        robot, manager, CameraWorker(robot), head_wobbler=HeadWobbler(manager.set_speech_offsets)
    )


@pytest.fixture
def unplugged() -> Iterator[None]:
    """Afterwards the app has its own handler again, and no key and no personality from here."""
    from reachy_mini_conversation_app import openai_realtime
    from reachy_mini_conversation_app.config import config, set_custom_profile

    before = openai_realtime.OpenaiRealtimeHandler
    key, profile = config.OPENAI_API_KEY, config.REACHY_MINI_CUSTOM_PROFILE
    yield
    openai_realtime.OpenaiRealtimeHandler = before
    config.OPENAI_API_KEY = key
    set_custom_profile(profile)
