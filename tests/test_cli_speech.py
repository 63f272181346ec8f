"""`brain say` and `brain listen` with real engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brain.audio.pcm import Audio
from brain.cli import wav
from brain.cli.speech import listen, say
from brain.settings import Settings
from brain.settings.layers import Assignment, Layer, profile_layer
from brain.settings.load import resolve

QUESTION = "What is your name?"


def pocket(**changed: str) -> Settings:
    """The pocket profile and nothing of this machine's."""
    flags = Layer(tuple(Assignment(name, value, "--set") for name, value in changed.items()))
    return resolve([profile_layer("pocket"), flags], profile="pocket")


@pytest.mark.parametrize("backend", ["piper", "espeak"])
def test_a_text_becomes_a_file_with_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    path = tmp_path / "out.wav"
    assert say(pocket(TTS_BACKEND=backend), QUESTION, out=str(path), voice=None) == 0
    audio = wav.read(path, 16000)
    assert 0.5 < audio.seconds < 4
    assert np.abs(audio.samples).max() > 1000
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{path}: {audio.seconds:.2f} s, spoken by {backend}")
    assert printed.err == ""


def test_what_cannot_be_spoken_is_said_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.wav"
    assert say(pocket(), "...", out=str(path), voice=None) == 1
    assert say(pocket(TTS_BACKEND="off"), QUESTION, out=str(path), voice=None) == 1
    assert not path.exists()
    assert capsys.readouterr().err.splitlines() == [
        "brain: nothing in that text can be spoken",
        "brain: TTS_BACKEND=off: this profile has no voice",
    ]


def test_a_missing_voice_is_told_of_and_the_next_rung_speaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.wav"
    missing = pocket(PIPER_VOICE=str(tmp_path / "gone.onnx"))
    assert say(missing, QUESTION, out=str(path), voice="nobody") == 0
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 2
    assert "gone.onnx" in warnings[0]
    assert warnings[1].startswith("warning: no voice 'nobody'; there is ")
    assert path.exists()


def test_a_file_that_cannot_be_written_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    espeak = pocket(TTS_BACKEND="espeak")
    assert say(espeak, QUESTION, out=str(tmp_path / "no" / "x.wav"), voice=None) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_the_ears_understand_the_mouth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.wav"
    assert say(pocket(), QUESTION, out=str(path), voice=None) == 0
    capsys.readouterr()
    assert listen(pocket(), str(path)) == 0
    assert capsys.readouterr().out.strip().lower().rstrip("?.") == "what is your name"


def test_in_silence_nothing_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "silence.wav"
    wav.write(path, [Audio(np.zeros(16000, np.int16), 16000)])
    assert listen(pocket(), str(path)) == 1
    assert capsys.readouterr().err == "brain: nothing was heard\n"


def test_no_file_and_no_wav_are_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listen(pocket(), str(tmp_path / "gone.wav")) == 1
    assert "No such file or directory" in capsys.readouterr().err
    (tmp_path / "text.wav").write_text("hello")
    assert listen(pocket(), str(tmp_path / "text.wav")) == 1
    assert "isn't a WAV file" in capsys.readouterr().err
