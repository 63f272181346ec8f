"""The app's configuration: read once, at import."""

from __future__ import annotations

import os
from pathlib import Path


def load_dotenv(path: Path) -> None:
    """Put a file's values into the environment; they win over what is there."""
    for line in path.read_text(encoding="utf-8").splitlines():
        name, is_value, value = line.partition("=")
        if is_value and not name.lstrip().startswith("#"):
            os.environ[name.strip()] = value.strip()


if Path(".env").exists():
    load_dotenv(Path(".env"))


class Config:
    OPENAI_API_KEY = os.getenv("OPENAI_API_KEY")
    MODEL_NAME = os.getenv("MODEL_NAME", "gpt-realtime")
    REACHY_MINI_CUSTOM_PROFILE = os.getenv("REACHY_MINI_CUSTOM_PROFILE")


config = Config()


def set_custom_profile(profile: str | None) -> None:
    config.REACHY_MINI_CUSTOM_PROFILE = profile
    if profile:
        os.environ["REACHY_MINI_CUSTOM_PROFILE"] = profile
    else:
        os.environ.pop("REACHY_MINI_CUSTOM_PROFILE", None)
