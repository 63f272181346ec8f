"""The page of the profiles is in step with them, and leaves none out."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.models import catalog
from brain.settings.layers import profile_names
from tools import profiles_page


def test_the_page_is_in_step() -> None:
    written = profiles_page.PATH.read_text(encoding="utf-8")
    assert written == profiles_page.page(), "run python -m tools.profiles_page"


def test_it_does_not_depend_on_what_is_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = profiles_page.page()
    monkeypatch.setenv("HOME", str(tmp_path))
    store = tmp_path / ".local/share/brain/models"
    store.mkdir(parents=True)
    (store / "Qwen3-1.7B-Q8_0.gguf").write_bytes(b"0" * 1000)
    assert profiles_page.page() == before


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_has_its_models_its_memory_its_speed_and_its_ladder(profile: str) -> None:
    [_, section] = profiles_page.page().split(f"\n## {profile}\n")
    section = section.split("\n## ")[0]
    for model in catalog.load().wanted(profile):
        assert f"`{model.id}`" in section
    for word in (
        "| process |",
        "\nSpeed: ",
        "\n- mind: ",
        "\n- ears: ",
        "\n- mouth: ",
        "GB are left",
    ):
        assert word in section, word


def test_a_page_that_is_behind_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(profiles_page, "PATH", tmp_path / "profiles.md")
    monkeypatch.setattr("sys.argv", ["profiles_page", "--check"])
    assert profiles_page.main() == 1
    assert "python -m tools.profiles_page" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["profiles_page"])
    assert profiles_page.main() == 0
    monkeypatch.setattr("sys.argv", ["profiles_page", "--check"])
    assert profiles_page.main() == 0
