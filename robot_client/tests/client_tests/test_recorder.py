"""Both sides of a conversation on the disk: on one time line, and there after a crash."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_client.recorder import RATE, Recorder, Track
from robot_client.wav import WavFile, read_wav


def ramp(count: int, start: int = 1) -> np.ndarray:
    return (np.arange(start, start + count) % 30_000).astype(np.int16)


def test_a_track_is_held_to_the_clock() -> None:
    track = Track(1_000, 1_000)
    assert track.put(0.0, ramp(20)).tolist() == ramp(20).tolist()
    # A little late or early is a device's unevenness.
    assert len(track.put(0.05, ramp(20))) == 20
    assert len(track.put(0.01, ramp(20))) == 20
    # Missing sound is silence.
    late = track.put(1.0, ramp(20))
    assert len(late) == 1_000 - 60 + 20
    assert not late[:940].any()
    assert late[940:].tolist() == ramp(20).tolist()
    assert track.samples == 1_020
    # What is too far ahead is cut.
    assert len(track.put(0.9, ramp(150))) == 30
    # In silence it is set right to the sample.
    assert len(track.put(1.06, ramp(20) * 0)) == 30
    assert len(track.put(1.04, ramp(20) * 0)) == 0
    assert len(track.put(1.06, ramp(20) * 0)) == 0
    assert len(track.silence_until(1.1)) == 0
    assert len(track.silence_until(1.5)) == 420
    assert track.samples == 1_500


def test_a_fast_devices_clock_does_not_run_away_from_the_other() -> None:
    fast = Track(RATE)
    for block in range(50 * 600):  # ten minutes with a clock that is 0.1 % fast
        fast.put(block * 0.02 / 1.001, ramp(320))
    assert abs(fast.samples / RATE - 600 / 1.001) < 0.13


def test_a_wav_file_is_whole_after_a_flush_and_readable_without(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "a.wav", 8_000, 2)
    file.write(ramp(100), ramp(100))
    sound, rate = read_wav(tmp_path / "a.wav")  # the header says nothing yet
    assert (rate, sound.tolist()) == (8_000, ramp(100).tolist())
    file.flush()
    file.write(ramp(50), ramp(50))
    with wave.open(str(tmp_path / "a.wav")) as other:  # another program's view of it
        assert (other.getnchannels(), other.getnframes()) == (2, 100)
    file.close()
    file.close()
    with wave.open(str(tmp_path / "a.wav")) as other:
        assert other.getnframes() == 150
    with pytest.raises(FileExistsError):
        WavFile(tmp_path / "a.wav", 8_000)


def test_both_sides_lie_on_the_time_line(tmp_path: Path) -> None:
    now = 100.0
    recorder = Recorder(tmp_path, print, speaker_rate=48_000, clock=lambda: now)
    for frame in range(100):
        now = 100.0 + (frame + 1) * 0.02
        recorder.microphone(ramp(320, 1 + frame * 320))
        if frame == 50:
            recorder.note({"event": "beep", "t": "another's"})
        if frame >= 50:
            t = np.arange(960) / 48_000
            recorder.speaker((8_000 * np.sin(2 * np.pi * 500 * t)).astype(np.int16))
    recorder.note({"event": "before"}, at=100.5)
    recorder.close()
    recorder.close()
    folder = recorder.folder
    microphone, rate = read_wav(folder / "mic.wav")
    assert rate == RATE
    assert microphone[:32_000].tolist() == ramp(32_000).tolist()
    speaker, _ = read_wav(folder / "speaker.wav")
    lines = [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["started", "beep", "before", "ended"]
    assert lines[0]["rate"] == RATE
    assert lines[2]["t"] == 0.5
    beep = round(lines[1]["t"] * RATE)
    assert not speaker[: beep - 200].any()  # the resampler's onset rings a little before
    assert np.abs(speaker[beep : beep + 400]).max() > 7_000
    with wave.open(str(folder / "both.wav")) as both:
        frames = np.frombuffer(both.readframes(1 << 20), "<i2").reshape(-1, 2)
    assert both.getnchannels() == 2
    assert frames[:, 0].tolist() == microphone[: len(frames)].tolist()
    assert frames[:, 1].tolist() == speaker[: len(frames)].tolist()
    assert len(frames) >= 31_000


def test_two_recordings_never_overwrite_each_other(tmp_path: Path) -> None:
    first, second = Recorder(tmp_path, print), Recorder(tmp_path, print)
    first.close()
    second.close()
    assert first.folder != second.folder


def test_a_folder_that_cannot_be_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Recorder(tmp_path / "file", print)


PROGRAM = """
import resource, signal, sys, time
from pathlib import Path
import numpy as np
from robot_client.recorder import Recorder
if limit := int(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
recorder = Recorder(Path(sys.argv[1]), lambda words: print("ERROR", words, flush=True))
start = time.monotonic()
for frame in range(1, 131):
    time.sleep(max(0, start + frame * 0.02 - time.monotonic()))
    recorder.microphone(np.full(320, 1000, np.int16))
    recorder.speaker(np.full(320, -1000, np.int16))
    print(frame, flush=True)
recorder.close()
print("over", flush=True)
"""


def recording(folder: Path, limit: int = 0) -> Any:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(limit)], stdout=subprocess.PIPE, text=True
    )


def test_what_was_there_a_second_before_a_crash_is_kept(tmp_path: Path) -> None:
    with recording(tmp_path) as process:
        for line in process.stdout:
            if line == "120\n":
                break
        process.send_signal(signal.SIGKILL)
    (folder,) = tmp_path.iterdir()
    for name, level in (("mic.wav", 1000), ("speaker.wav", -1000), ("both.wav", 0)):
        sound, rate = read_wav(folder / name)
        assert len(sound) >= (2.4 - 1.25) * rate  # flushed each second; a wake-up more for a load
        assert np.abs(sound[4_000:] - level).max() == 0
        with wave.open(str(folder / name)) as other:
            assert other.getnframes() >= RATE  # not our own reader alone
    assert json.loads((folder / "timeline.jsonl").read_text().splitlines()[0])["rate"] == RATE


def test_a_full_disk_ends_the_recording_once_and_nothing_else(tmp_path: Path) -> None:
    process = recording(tmp_path, limit=50_000)  # the kernel refuses what goes beyond
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = out.splitlines()
    errors = [line for line in lines if line.startswith("ERROR")]
    assert len(errors) == 1
    assert "has ended: File too large" in errors[0]
    assert lines[-1] == "over"
    (folder,) = tmp_path.iterdir()
    sound, _rate = read_wav(folder / "mic.wav")
    assert len(sound) > 8_000
    assert time.time() - (folder / "mic.wav").stat().st_mtime < 60
