"""The newer app's configuration: no key any more."""

from __future__ import annotations

import os


class Config:
    REACHY_MINI_CUSTOM_PROFILE = os.getenv("REACHY_MINI_CUSTOM_PROFILE")


config = Config()


def set_custom_profile(profile: str | None) -> None:
    config.REACHY_MINI_CUSTOM_PROFILE = profile


def get_default_voice() -> str:
    return "Aiden"
