"""Where a model in the hub's form lies, by whatever name a setting has for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.engines.ports import EngineUnavailable
from brain.engines.recipes.hub_models import hub_folder, hub_model


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def found(name: str, store: Path) -> str:
    return hub_model(name, "VLLM_MODEL_NAME", str(store))


def test_a_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(tmp_path / "here" / "mine")
    monkeypatch.chdir(tmp_path)
    assert found(str(folder), tmp_path / "store") == str(folder)
    assert found("here/mine", tmp_path / "store") == "here/mine"


def test_a_name_in_the_store(tmp_path: Path) -> None:
    folder = put(tmp_path / "vllm" / "mine")
    assert found("vllm/mine", tmp_path) == str(folder)


def test_a_repository_that_was_pulled_is_its_folder(tmp_path: Path) -> None:
    """As `brain models pull qwen3-8b-awq` puts it there."""
    name = "Qwen/Qwen3-8B-AWQ"
    assert found(name, tmp_path) == name
    folder = put(tmp_path / "vllm" / "Qwen3-8B-AWQ")
    assert found(name, tmp_path) == str(folder) == str(hub_folder(name, str(tmp_path)))
    assert found("another/Qwen3-8B-AWQ", tmp_path) == "another/Qwen3-8B-AWQ"


def test_what_is_watched_for_is_where_a_pull_puts_it(tmp_path: Path) -> None:
    expected = tmp_path / "vllm" / "Qwen3-8B-AWQ"
    assert hub_folder("Qwen/Qwen3-8B-AWQ", str(tmp_path)) == expected


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./none", "~/none", "none", "a/b/c", "x\x00/y", "a" * 300 + "/b/c"]
)
def test_what_is_neither_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(EngineUnavailable, match=r"VLLM_MODEL_NAME names .*OWNER/NAME"):
        found(name, tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineUnavailable, match=r"config\.json"):
        found(str(tmp_path / "empty"), tmp_path)
