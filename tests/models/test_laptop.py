"""`brain models pull --profile laptop`, and then the laptop's engines, by the command itself.

The hub is a local one that has the pocket models under the names of the real ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brain.engines.ladder import Ladder
from brain.engines.recipes import (
    POCKET,
    language_model_rungs,
    synthesizer_rungs,
    transcriber_rungs,
)
from brain.settings import Settings, load
from brain.settings.layers import Assignment
from tests.models.local_hub import LocalHub, commit, serving

MIND, EARS, VOICE = "Qwen3-1.7B-Q8_0.gguf", "whisper/base.en", "piper/en_US-lessac-medium.onnx"


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with serving(LocalHub()) as local:
        mind = (POCKET / "mind.gguf").read_bytes()
        local.put("Qwen/Qwen3-1.7B-GGUF", commit(1), {MIND: mind, "README.md": b"#"})
        ears = {path.name: path.read_bytes() for path in (POCKET / "ears").iterdir()}
        local.put("Systran/faster-whisper-base.en", commit(2), ears)
        folder = "en/en_US/lessac/medium/en_US-lessac-medium"
        voice = {
            f"{folder}.onnx": (POCKET / "voice.onnx").read_bytes(),
            f"{folder}.onnx.json": (POCKET / "voice.onnx.json").read_bytes(),
        }
        local.put("rhasspy/piper-voices", commit(3), voice)
        yield local


def environment(home: Path, hub: LocalHub | None, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "BRAIN_", "MODELS_"))}
    return {
        **kept,
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": hub.url if hub is not None else "http://127.0.0.1:9",
        "BRAIN_CONFIG_DIR": str(home),
        "MODELS_DIR": str(home / "models"),
        **more,
    }


def brain(*words: str, env: dict[str, str], status: int = 0) -> str:
    """The output of `brain models ...`, both streams."""
    command = [sys.executable, "-m", "brain", "models", *words, "--profile", "laptop"]
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("BRAIN_CONFIG_DIR", str(home))
    named = {"BRAIN_PROFILE": "laptop", "MODELS_DIR": str(home / "models")}
    return load([Assignment(name, value, "test") for name, value in named.items()])


@pytest.mark.setting("MODELS_DIR")
def test_pulled_and_then_it_speaks_without_a_hub(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(tmp_path, hub)
    said = brain("pull", env=env)
    assert "fetched: qwen3-1.7b-q8_0, whisper-base.en, piper-lessac" in said
    assert f"In {tmp_path}/models." in said
    assert not (tmp_path / "hf").exists(), "one copy is enough"
    offline = environment(tmp_path, None, HF_HUB_OFFLINE="1")
    assert "there already: qwen3" in brain("pull", env=offline)

    async def engines() -> list[tuple[str | None, str | None, str]]:
        chosen = settings(tmp_path, monkeypatch)
        found = []
        recipes: list[Any] = [language_model_rungs, transcriber_rungs, synthesizer_rungs]
        for rungs in (recipe(chosen) for recipe in recipes):
            ladder: Ladder[Any] = Ladder("x", rungs)
            try:
                await ladder.climb()
                found.append((ladder.state.active, ladder.state.model, ladder.state.reason))
            finally:
                await ladder.close()
        return found

    assert asyncio.run(engines()) == [
        ("llamacpp", MIND, ""),
        ("whisper", "base.en", ""),
        ("piper", "en_US-lessac-medium", ""),
    ]


def test_a_power_cut_loses_little(hub: LocalHub, tmp_path: Path) -> None:
    """kill -9 in the middle; the next pull asks for the rest alone."""
    env = environment(tmp_path, hub)
    hub.stalls[MIND] = 4_000_000
    command = [sys.executable, "-m", "brain", "models", "pull", "qwen3-1.7b-q8_0"]
    pull = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert hub.stalled.wait(60)
        partial = tmp_path / "models" / ".partial"
        while not any(file.stat().st_size > 3_000_000 for file in partial.glob("*.gguf")):
            assert pull.poll() is None
            os.sched_yield()
    finally:
        pull.send_signal(signal.SIGKILL)
        pull.communicate()
    assert not (tmp_path / "models" / MIND).exists()
    hub.go_on.set()
    hub.asked.clear()
    assert "fetched: qwen3" in brain("pull", "qwen3-1.7b-q8_0", env=env)
    assert hub.begins(MIND)[0] > 3_000_000
    assert (tmp_path / "models" / MIND).read_bytes() == (POCKET / "mind.gguf").read_bytes()


def test_looked_after_by_the_command(hub: LocalHub, tmp_path: Path) -> None:
    env = environment(tmp_path, hub)
    rows = json.loads(brain("list", "--json", env=env))["models"]
    wanted = {row["model"]: row["state"] for row in rows if row["use"] == "wanted"}
    assert wanted == dict.fromkeys(
        ["qwen3-1.7b-q8_0", "whisper-base.en", "piper-lessac"], "missing"
    )
    assert "absent   piper-lessac" in brain("verify", env=env, status=1)

    brain("pull", env=env)
    assert "ok       " + VOICE in brain("verify", env=env)
    stick = tmp_path / "stick"
    (tmp_path / "models").rename(stick)
    assert "imported: qwen3-1.7b-q8_0" in brain("import", str(stick), env=env)
    assert "there already" in brain("import", str(stick), env=env)
    (tmp_path / "empty").mkdir()
    assert "no model of the catalogue" in brain(
        "import", str(tmp_path / "empty"), env=env, status=1
    )

    voice = tmp_path / "models" / VOICE
    voice.write_bytes(voice.read_bytes()[:-1] + b"x")
    said = brain("verify", env=env, status=1)
    assert f"changed  {VOICE}" in said
    assert "brain models pull piper-lessac" in said
    assert "fetched: piper-lessac" in brain("pull", "piper-lessac", env=env)
    brain("verify", env=env)

    assert "nothing to delete" in brain("prune", env=env)
    shown = brain("list", env=env)
    assert shown.count("wanted") == 3
    assert "no model nix" in brain("pull", "nix", env=env, status=1)


def test_prune_only_shows_until_it_is_told(hub: LocalHub, tmp_path: Path) -> None:
    env = environment(tmp_path, hub)
    brain("pull", env=env)
    file = tmp_path / "models" / "Qwen3-1.7B-Q8_0.gguf"
    words = [sys.executable, "-m", "brain", "models", "prune", "--profile", "pocket"]
    for more, there in (
        ([], True),
        (["--keep", "qwen3-1.7b-q8_0", "--yes"], True),
        (["--yes"], False),
    ):
        done = subprocess.run([*words, *more], env=env, capture_output=True, text=True, check=True)
        assert file.exists() is there, done.stdout
    assert not (tmp_path / "models" / VOICE).exists()


def test_offline_and_lacking_says_what_is_set(hub: LocalHub, tmp_path: Path) -> None:
    env = environment(tmp_path, hub, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE=1 is set" in brain("pull", env=env, status=1)
    assert not hub.asked
