"""Tokens and certificates: where they come from, and a brain that can't have them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from brain.house import ConfigError, way_in
from brain.ops.health import ready
from brain.settings import Settings, load
from brain.settings.access import Access, access_of
from tests.certificates import a_certificate


def access(environ: Mapping[str, str] | None = None, **changes: str) -> Access:
    return access_of(Settings.model_validate(changes), environ or {})


@pytest.mark.parametrize(
    ("setting", "tokens"),
    [
        ("", ()),
        ("one", ("one",)),
        ("one,two", ("one", "two")),
        (" one , two ,, one", ("one", "two")),
        ("#1,a b", ("#1", "a b")),
    ],
)
def test_one_setting_may_hold_several(setting: str, tokens: tuple[str, ...]) -> None:
    found = access(brain_token=setting)
    assert found.tokens == tokens
    assert found.open_to_all == (not tokens)
    assert not found.problems


def test_they_come_from_all_places_together(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_bytes(b"\xef\xbb\xbf# the new one\r\nnew-1\r\n\r\n  old#1  \r\n")
    (tmp_path / "brain-token").write_text("by-systemd\n")
    found = access(
        {"CREDENTIALS_DIRECTORY": str(tmp_path)},
        brain_token="typed",
        brain_token_file=str(tmp_path / "tokens"),
    )
    assert found.tokens == ("typed", "new-1", "old#1", "by-systemd")
    assert not found.problems


def test_a_service_without_that_credential_has_none(tmp_path: Path) -> None:
    assert access({"CREDENTIALS_DIRECTORY": str(tmp_path)}).open_to_all


def test_a_folder_of_credentials_that_cannot_be_looked_into_locks_the_brain() -> None:
    assert access({"CREDENTIALS_DIRECTORY": "/none/such"}).locked


@pytest.mark.parametrize("content", [None, b"", b"# none yet\n", b"\xff\xfe", b"x" * 70_000])
@pytest.mark.parametrize("place", ["file", "credential"])
def test_a_file_without_a_token_locks_the_brain(
    tmp_path: Path, content: bytes | None, place: str
) -> None:
    file = tmp_path / "brain-token"
    if content is not None:
        file.write_bytes(content)
    elif place == "credential":
        file.mkdir()
    if place == "file":
        found = access(brain_token_file=str(file))
    else:
        found = access({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.locked
    assert not found.open_to_all
    [problem] = found.problems
    assert problem.severity == "error"
    assert "a brain that lets nobody in holds instead" in str(problem)
    assert ("BRAIN_TOKEN_FILE=" if place == "file" else "the credential") in str(problem)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert access(brain_token_file=str(tmp_path / "pipe")).locked


def test_only_commas_are_no_token() -> None:
    assert access(brain_token=" , ,").locked


def test_the_other_tokens_stay_in_force(tmp_path: Path) -> None:
    found = access(brain_token="typed", brain_token_file=str(tmp_path / "missing"))
    assert found.tokens == ("typed",)
    assert not found.locked
    assert "the others hold" in str(found.problems[0])


@pytest.mark.parametrize(
    "line",
    [
        "BRAIN_TOKEN hunter2",
        "export BRAIN_TOKEN hunter2",
        "BRAIN_TOKN=hunter2",
        "BRAIN_TOKENS=hunter2",
        "brain_token=hunter2",
        "BRAIN_TOKEN_FIEL=/etc/brain/hunter2",
        'BRAIN_TOKEN="hunter2',
        'BRAIN_NAME="kitchen\nBRAIN_TOKEN=hunter2\nLOG_LEVEL="info"',
        "BRAIN_NAME='kitchen\nBRAIN_TOKEN=hunter2\n# that was the robots'",
    ],
)
def test_a_token_that_a_typo_took_away_leaves_no_open_brain(tmp_path: Path, line: str) -> None:
    (tmp_path / "brain.env").write_text(f"{line}\nTTS_LEAD_MS=450\n")
    settings = load(environ={}, config_dir=tmp_path, lenient=True)
    found = access_of(settings, {})
    assert found.locked
    told = [str(problem) for problem in found.problems]
    assert any("a token may have been meant" in problem for problem in told)
    assert "hunter2'" not in str(told)
    assert "=hunter2" not in str(told)


def test_neither_does_a_whole_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "brain.env").write_bytes(b"BRAIN_TOKEN=hunter2\n\xff")
    assert access_of(load(environ={}, config_dir=tmp_path, lenient=True), {}).locked
    shown = load(environ={"BRAIN_TOKEN": "x"}, config_dir=tmp_path, lenient=True)
    assert access_of(shown, {}).tokens == ("x",)


def test_a_file_that_cannot_be_read_locks_nobody_out_where_there_was_no_token(
    tmp_path: Path,
) -> None:
    state, file = tmp_path / "state", tmp_path / "brain.env"

    def start(text: bytes) -> Access:
        file.write_bytes(text)
        environ = {"STATE_DIR": str(state)}
        settings = load(environ=environ, config_dir=tmp_path, lenient=True)
        return way_in(settings, environ, lenient=True)[1]

    assert start(b"\xff").open_to_all
    assert start(b"LOG_LEVEL=info").open_to_all
    assert start(b"\xff").open_to_all
    assert start(b"BRAIN_TOKEN=hunter2").tokens == ("hunter2",)
    assert start(b"\xff").locked
    assert start(b"\xff").locked, "as long as nobody has mended it"
    assert start(b"LOG_LEVEL=info").open_to_all, "somebody has taken the token out"
    assert start(b"\xff").open_to_all


@pytest.mark.parametrize("line", ["TTS_LEAD_MS=4500000", "HF_TOKN=x", "LOG_LEVL=info", "oops"])
def test_other_typos_lock_nobody_out(tmp_path: Path, line: str) -> None:
    (tmp_path / "brain.env").write_text(f"# BRAIN_TOKEN=later\n{line}\n")
    settings = load(environ={}, config_dir=tmp_path, lenient=True)
    assert settings.problems
    assert access_of(settings, {}).open_to_all


# -- TLS ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("one_file", [False, True])
def test_a_certificate_and_its_key(tmp_path: Path, one_file: bool) -> None:
    made = a_certificate(tmp_path)
    key = str(made.key)
    if one_file:
        made.cert.write_text(made.cert.read_text() + made.key.read_text())
        key = ""
    found = access(tls_cert=str(made.cert), tls_key=key)
    assert found.tls is not None
    assert not found.problems


def test_what_is_wrong_with_it_is_told_and_nothing_is_served_in_plain(tmp_path: Path) -> None:
    good, other = a_certificate(tmp_path), a_certificate(tmp_path, "other")
    secret = a_certificate(tmp_path, "secret", password="hunter2")
    (tmp_path / "text").write_text("no certificate")
    cert, key, nothing = str(good.cert), str(good.key), str(tmp_path / "nothing")
    for files, words in {
        (nothing, key): f"TLS_CERT={nothing}: can't be read: No such file",
        (cert, nothing): f"TLS_KEY={nothing}: can't be read: No such file",
        (cert, str(other.key)): "isn't the key of",
        (cert, ""): "in PEM form were expected",
        ("", key): "TLS_CERT, its certificate, isn't set",
        (str(tmp_path / "text"), key): "in PEM form were expected",
        (cert, str(tmp_path / "text")): "in PEM form were expected",
        (str(tmp_path), key): "it isn't a file",
        (str(secret.cert), str(secret.key)): "the key has a password",
    }.items():
        settings = Settings(tls_cert=files[0], tls_key=files[1])
        with pytest.raises(ConfigError) as caught:
            way_in(settings, {}, lenient=False)
        assert words in str(caught.value), files
        assert "\n" not in str(caught.value)
        settings, found = way_in(settings, {}, lenient=True)
        assert found.tls is None
        assert found.local_only
        assert settings.server_host == "127.0.0.1"
        body = ready(settings, [], version="1", access=found).body
        assert body["degraded"]
        assert body["access"]["local_only"]
        assert words in body["problems"][0]


def test_a_key_that_only_others_may_read(tmp_path: Path) -> None:
    made = a_certificate(tmp_path)
    made.key.chmod(0)
    if os.access(made.key, os.R_OK):  # root may: then there is nothing to tell
        made.key.chmod(stat.S_IRUSR)
        assert access(tls_cert=str(made.cert), tls_key=str(made.key)).tls is not None
    else:
        found = access(tls_cert=str(made.cert), tls_key=str(made.key))
        assert "Permission denied" in str(found.problems[0])


# -- at the start ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "token", "warned"),
    [
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("192.168.1.20", "", True),
        ("0.0.0.0", "s3cret", False),
        ("127.0.0.1", "", False),
        ("127.0.0.9", "", False),
        ("::1", "", False),
        ("localhost", "", False),
    ],
)
def test_an_open_brain_says_so_in_one_line(
    caplog: pytest.LogCaptureFixture, host: str, token: str, warned: bool
) -> None:
    way_in(Settings(server_host=host, brain_token=token), {}, lenient=False)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == warned
    if warned:
        assert "ANYBODY ON THIS NETWORK CAN TALK TO THE BRAIN" in lines[0]
        assert host in lines[0]
        assert "BRAIN_TOKEN" in lines[0]
        assert "\n" not in lines[0]


def test_a_locked_brain_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(brain_token_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"BRAIN_TOKEN_FILE=.*can't be read: No such file"):
        way_in(settings, {}, lenient=False)
    settings, found = way_in(settings, {}, lenient=True)
    assert "lets nobody in" in caplog.text
    body = ready(settings, [], version="1", access=found).body
    assert body["degraded"]
    assert body["access"] == {"token": True, "tls": False, "locked": True, "local_only": False}
    assert "lets nobody in" in body["problems"][0]


def test_a_state_folder_that_nobody_can_look_into_stops_no_brain(tmp_path: Path) -> None:
    """Such as one that root made; here it is one whose name no file system has room for."""
    closed = tmp_path / ("x" * 300)
    settings = load(environ={"STATE_DIR": str(closed)}, config_dir=tmp_path / "none")
    assert way_in(settings, {}, lenient=True)[1].open_to_all
    (tmp_path / "brain.env").mkdir()  # what can't be read may have held a token
    settings = load(environ={"STATE_DIR": str(closed)}, config_dir=tmp_path, lenient=True)
    assert way_in(settings, {}, lenient=True)[1].locked
