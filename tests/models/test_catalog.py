"""The catalogue: sound, and in step with what the profiles ask for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brain.models import catalog
from brain.models.catalog import Model
from brain.models.errors import ModelsError
from brain.settings import load
from brain.settings.layers import Assignment, profile_names

KNOWN = catalog.load()


@pytest.mark.parametrize("model", KNOWN.models.values(), ids=lambda model: model.id)
def test_a_model_is_told_whole(model: Model) -> None:
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", model.repository)
    assert model.files
    assert "*" not in model.files[-1], "an engine is pointed at a file, not at a pattern"
    assert model.licence
    assert model.about
    assert 0 < model.memory_gb < 24


def test_no_two_models_share_a_place() -> None:
    places = [model.place(f) for model in KNOWN.models.values() for f in model.files]
    assert len(places) == len(set(places))


def test_every_profile_has_an_entry() -> None:
    assert sorted(KNOWN.profiles) == sorted(profile_names())


@pytest.mark.parametrize("profile", profile_names())
def test_what_a_profile_names_is_what_is_fetched_for_it(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAIN_CONFIG_DIR", str(tmp_path))
    settings = load([Assignment("BRAIN_PROFILE", profile, "test")])
    fetched = {model.place(model.files[-1]): model for model in KNOWN.wanted(profile)}
    if settings.llm_backend == "vllm":
        mind = f"vllm/{settings.vllm_model_name.split('/')[-1]}/config.json"
        assert fetched[mind].repository == settings.vllm_model_name
    else:
        mind = settings.llm_model_path
    named = {mind, f"whisper/{settings.stt_model_size}/model.bin", settings.piper_voice}
    if profile == "pocket":
        named = set()
    assert set(fetched) == named - {""}


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(ModelsError, match=r"no model nix.*brain models list"):
        KNOWN.named(["nix", "snac"])
    with pytest.raises(ModelsError, match=r"did you mean orpheus-3b or orpheus-3b-q4_k_m\?"):
        KNOWN.named(["orpheus"])
    with pytest.raises(ModelsError, match=r"did you mean snac\?"):
        KNOWN.named(["snack"])
    with pytest.raises(ModelsError, match=r"no models for the profile 'mars'"):
        KNOWN.wanted("mars")


@pytest.mark.parametrize(
    "text",
    ["", "models = 1", "[models]\n[profiles.p]\nwants = ['x']", "[profiles]\n[models.m]\nfiles=1"],
)
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(text)
    with pytest.raises(ModelsError, match=re.escape(str(path))):
        catalog.load(path)
