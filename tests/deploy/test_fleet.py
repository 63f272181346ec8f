"""The compose file of a fleet: what its brains are told is what a brain knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from brain.settings import SPECS, Settings

FLEET = Path(__file__).parents[2] / "deploy" / "fleet"
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")
GIVEN = {"REDIS_PASSWORD": "s3cret", "BRAIN_TOKEN": "t0ken", "TTS_IMAGE": "speech"}


def filled_in(value: Any) -> Any:
    """As compose fills variables in, for a .env with what must be there."""
    if isinstance(value, dict):
        return {name: filled_in(one) for name, one in value.items()}
    if isinstance(value, list):
        return [filled_in(one) for one in value]
    if not isinstance(value, str):
        return value
    return VARIABLE.sub(lambda found: GIVEN.get(found[1], found[3] or ""), value)


@pytest.fixture(scope="module")
def text() -> str:
    return (FLEET / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def services(text: str) -> dict[str, Any]:
    return filled_in(yaml.safe_load(text)["services"])


def brains(services: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in services.items() if name.startswith("brain-")}


def test_every_brain_is_told_what_a_brain_takes(services: dict[str, Any]) -> None:
    assert len(brains(services)) == 2
    for brain in brains(services).values():
        told = brain["environment"]
        assert set(told) <= set(SPECS)
        values = {name.lower(): value for name, value in told.items()}
        settings = Settings.model_validate(values)
        assert settings.history_store == "redis://:s3cret@redis:6379/0"
        assert {settings.llm_backend, settings.stt_backend, settings.tts_backend} == {"openai"}
        # The balancer is one address.
        assert settings.sessions_per_address == settings.max_sessions


def test_what_is_asked_of_another_service_is_there(services: dict[str, Any]) -> None:
    told = next(iter(brains(services).values()))["environment"]
    asked = re.findall(r"(?:http|redis)://(?:\S*@)?([a-z-]+):", " ".join(told.values()))
    assert set(asked) == {"llm", "stt", "tts", "redis"} <= set(services)
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)


def test_the_example_names_each_variable_and_no_other(text: str) -> None:
    example = (FLEET / "fleet.env.example").read_text()
    named = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    assert named == {found[1] for found in VARIABLE.finditer(text)}
    must = {found[1] for found in VARIABLE.finditer(text) if found[2] == ":?"}
    assert must == set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))


def test_the_balancer_knows_all_brains_and_no_other(services: dict[str, Any]) -> None:
    config = (FLEET / "haproxy.cfg").read_text()
    servers = re.findall(r"^ +server (\S+) (\S+):8100$", config, re.MULTILINE)
    assert {name for name, _ in servers} == {host for _, host in servers} == set(brains(services))
    assert "balance url_param robot_id" in config
    assert "GET /ready" in config


def test_the_image_holds_what_the_extra_fleet_needs_and_no_model() -> None:
    lock = (FLEET / "fleet.lock").read_text()
    whole = (FLEET.parents[1] / "requirements.lock").read_text()
    names = set(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock, re.MULTILINE))
    assert names <= set(re.findall(r"^([a-z0-9._-]+)==(\S+)", whole, re.MULTILINE))
    here = {name for name, _ in names}
    assert {"redis", "openai", "fastapi", "silero-vad", "onnxruntime"} <= here
    assert not here & {"faster-whisper", "piper-tts", "llama-cpp-python", "torch", "ctranslate2"}
    dockerfile = (FLEET / "Dockerfile").read_text()
    for copied in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE):
        for path in copied.split():
            assert (FLEET.parents[1] / path).exists(), path
