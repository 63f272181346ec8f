"""The check of the models, run for real on the models that come with the brain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brain.ops import check_ears, check_mind, model_check
from brain.settings import Settings

POCKET = {
    "llm_backend": "llamacpp", "llm_model_path": "pocket", "llm_gpu_layers": 0, "cpu_threads": 1,
    "stt_model_size": "pocket", "tts_backend": "piper", "piper_voice": "pocket",
}  # fmt: skip
TINY = model_check.Sizes(
    check_ears.Sizes(quiet=6, noise=4, nothing=8),
    check_mind.Sizes(repertoire=16, unseen=16, alike=4, conversations=3, plans=6),
    heard=4,
    mouth=6,
)


def test_the_pocket_models_pass_a_tiny_sample(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_check, "SAMPLE", TINY)
    status = model_check.run(Settings(**POCKET), full=False, json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["not_checked"] == {}
    assert status == (0 if printed["ok"] else 1)
    figures = printed["figures"]
    cases = {key: figure["cases"] for key, figure in figures.items()}
    assert cases["ears.quiet"] == 6
    assert cases["mind.repertoire"] == cases["mind.unseen"] == 16
    assert cases["mind.heard"] == 4
    for key, least in (
        ("ears.quiet", 0.6),
        ("ears.nothing", 0.6),
        ("mind.repertoire", 0.6),
        ("mind.unseen", 0.3),
        ("mind.calls_valid", 1.0),
        ("mind.plans", 0.5),
        ("mouth.understood", 0.5),
        ("mouth.any_text", 1.0),
    ):
        assert figures[key]["value"] >= least, (key, figures[key]["misses"])
    assert figures["mouth.clicks"]["value"] == 0
    assert figures["mouth.rtf"]["value"] > 0


def test_missing_models_are_named_and_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = {"llm_model_path": str(tmp_path / "no.gguf"), "stt_model_size": str(tmp_path / "no")}
    status = model_check.run(Settings(**{**POCKET, **nowhere}), full=False, json=True)
    printed = json.loads(capsys.readouterr().out)
    assert status == 1
    assert printed["figures"] == {}
    assert "no.gguf" in printed["not_checked"]["mind"]
    assert str(tmp_path / "no") in printed["not_checked"]["ears"]
    assert "mouth" in printed["not_checked"]
