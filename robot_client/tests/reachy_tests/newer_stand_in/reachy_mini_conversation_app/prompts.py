"""Prompts of the profiles, which here are two."""

from __future__ import annotations

from pathlib import Path

from reachy_mini_conversation_app.config import config, get_default_voice

PROFILES = {
    "default": ("You are a small robot.", None),
    "noir": ("You are a detective in the rain.", "Ryan"),
}


def _active() -> tuple[str, str | None]:
    profile = config.REACHY_MINI_CUSTOM_PROFILE or "default"
    if profile not in PROFILES:
        raise RuntimeError(f"no profile {profile}")
    return PROFILES[profile]


def get_session_instructions(instance_path: str | Path | None = None) -> str:
    instructions, _voice = _active()
    return f"Remember {instance_path}.\n\n{instructions}" if instance_path else instructions


def get_session_voice(default: str | None = None) -> str:
    _instructions, voice = _active()
    return voice or (get_default_voice() if default is None else default)
