"""Prompts and voices of the profiles. A profile without a prompt ends the process, or tries to."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from reachy_mini_conversation_app.config import config

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent


def get_session_instructions() -> str:
    profile = config.REACHY_MINI_CUSTOM_PROFILE
    if profile:
        path = HERE / "profiles" / profile / "instructions.txt"
    else:
        path = HERE / "prompts" / "default_prompt.txt"
    words = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if not words:
        logger.error("no instructions in %s", path)
        sys.exit(1)
    return words


def get_session_voice(default: str = "cedar") -> str:
    profile = config.REACHY_MINI_CUSTOM_PROFILE
    path = HERE / "profiles" / (profile or "default") / "voice.txt"
    if not profile or not path.exists():
        return default
    return path.read_text(encoding="utf-8").strip() or default
