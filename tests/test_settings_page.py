"""The page of the settings is in step with them, and leaves none out."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.settings import SPECS
from brain.settings.layers import profile_names
from brain.settings.load import show
from tools import settings_page


def test_the_page_is_in_step() -> None:
    written = settings_page.PATH.read_text(encoding="utf-8")
    assert written == settings_page.page(), "run python -m tools.settings_page"


def test_every_setting_has_one_line_with_its_default() -> None:
    settings, profiles = settings_page.page().split("## Profiles")
    for name, spec in SPECS.items():
        [line] = [line for line in settings.splitlines() if line.startswith(f"| `{name}` |")]
        assert show(spec.default) in line
        assert spec.about in line
    assert all(f"- **{name}**" in profiles for name in profile_names())


def test_a_page_that_is_behind_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(settings_page, "PATH", tmp_path / "settings.md")
    monkeypatch.setattr("sys.argv", ["settings_page", "--check"])
    assert settings_page.main() == 1
    assert "python -m tools.settings_page" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["settings_page"])
    assert settings_page.main() == 0
    monkeypatch.setattr("sys.argv", ["settings_page", "--check"])
    assert settings_page.main() == 0
