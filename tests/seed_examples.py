"""Every JSON block of the two documents that started this, as data."""

from __future__ import annotations

from typing import Any

PLAN_REQUEST: dict[str, Any] = {
    "robot_id": "robot-1",
    "seq": 42,
    "monotonic_ts_ms": 123456789,
    "mode": "WANDER",
    "battery_mv": 7800,
    "range_mm": 600,
    "faults": [],
    "clear_confidence": 0.92,
    "ball_detected": True,
    "ball_bearing_deg": 15.2,
    "speed_l_mm_s": 100,
    "speed_r_mm_s": 95,
    "v_capped": 80,
    "w_capped": 0,
    "trigger": "ball_seen",
}

PLAN_RESPONSE: dict[str, Any] = {
    "plan_id": "f6a4d07e9abf49ce88381d0b0b6a93ab",
    "robot_id": "robot-1",
    "seq": 42,
    "monotonic_ts_ms": 123456789,
    "server_monotonic_ts_ms": 987654321,
    "actions": [
        {"action": "emote", "name": "excited", "intensity": 0.9},
        {"action": "say", "text": "Oh! A ball!"},
        {"action": "gesture", "name": "look_at", "params": {"bearing": 15.2}},
        {"action": "skill", "name": "investigate_ball"},
    ],
    "ttl_ms": 2000,
}

HEALTH: dict[str, Any] = {
    "status": "ok",
    "model": "Qwen/Qwen3-8B-AWQ",
    "llm_backend": "vllm",
    "llm_engine_loaded": True,
    "ollama": False,
    "resource_profile": "conservative",
    "performance_mode": False,
    "orpheus_enabled": False,
    "gpu_budget": {
        "qwen_backend": "vllm",
        "qwen_utilization": 0.35,
        "orpheus_utilization": 0.35,
        "combined_utilization": 0.7,
        "cap": 0.8,
    },
    "ai": {
        "stt": {"model_size": "base.en", "device": "cpu", "compute_type": "int8", "loaded": False},
        "tts": {"backend_pref": "auto", "backend_active": "espeak", "loaded": True},
    },
}

AUDIO_IN: dict[str, Any] = {"type": "audio", "data": "<base64_pcm_chunk>"}

BRAIN_SAYS: tuple[dict[str, Any], ...] = (
    {"type": "transcript_user", "text": "Hello robot."},
    {"type": "audio_delta", "data": "<base64_pcm_chunk>"},
    {"type": "transcript_assistant", "text": "Hi there!"},
    {"type": "tool_call", "name": "dance", "args": "{}"},
)
