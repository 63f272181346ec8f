"""A file that a setting names and that can't be used: told, and under systemd no end."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.house import ConfigError, house_rules, with_usable_files
from brain.ops.health import ready
from brain.settings import Settings


@pytest.mark.setting("PERSONA_FILE", "DEFAULT_TOOLS")
@pytest.mark.parametrize("name", ["PERSONA_FILE", "DEFAULT_TOOLS"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_it_is_done_without_under_systemd(tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    settings = Settings.model_validate({name.lower(): str(file)})
    with pytest.raises(ConfigError, match=f"{name}={file}"):
        with_usable_files(settings, lenient=False)
    usable = with_usable_files(settings, lenient=True)
    assert house_rules(usable).defaults == house_rules(Settings()).defaults
    [problem] = ready(usable, [], version="1").body["problems"]
    assert problem.startswith(f"{name}={file}")
    assert problem.endswith("holds instead")


def test_good_files_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "robin.txt"
    file.write_text("You are Robin.")
    settings = Settings(persona_file=str(file), default_tools="none")
    assert with_usable_files(settings, lenient=True) == settings


@pytest.mark.parametrize("host", ["0.0.0.O", "192.168.1.300", "no such host.invalid", "x" * 300])
def test_a_host_that_is_none_is_done_without_under_systemd(host: str) -> None:
    settings = Settings(server_host=host)
    with pytest.raises(ConfigError, match="SERVER_HOST="):
        with_usable_files(settings, lenient=False)
    usable = with_usable_files(settings, lenient=True)
    assert usable.server_host == Settings().server_host
    report = ready(usable, [], version="1").body
    assert report["degraded"]
    assert "neither an address" in report["problems"][0]
    assert "restart the brain" in report["advice"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "localhost", "203.0.113.7"])
def test_a_good_host_stays(host: str) -> None:
    assert with_usable_files(Settings(server_host=host), lenient=True).server_host == host
