"""Keeps both sides of a conversation while it goes: WAV files and a time line.

What a device's thread hands over goes through a queue to a thread that writes, so that no disk,
however slow, holds up sound. A second at most is lost when the power goes.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from robot_client.pcm import PCM, Resampler
from robot_client.wav import WavFile

RATE = 16_000
WAKE_S = 0.25
FLUSH_S = 0.9  # with WAKE_S: each second at least
SLACK_S = 0.1
MAX_WAITING = 20_000  # blocks of 20 ms: over three minutes of both sides
JOIN_S = 2.0


class Track:
    """One side, held to the clock: what a device left out is silence, what it is ahead is cut.

    Two devices' clocks drift apart, and blocks come unevenly; a side is set right in its silences,
    and in the midst of sound when it is `SLACK_S` off. Pure.
    """

    def __init__(self, device_rate: int, rate: int = RATE) -> None:
        self.samples = 0  # what has been given out so far
        self._rate = rate
        self._resampler = Resampler(device_rate, rate)

    def put(self, start_s: float, pcm: PCM) -> PCM:
        """A block that begins at this time of the recording; what to append to the file."""
        sound = self._resampler.feed(pcm)
        off = round(start_s * self._rate) - self.samples
        if not sound.any():
            sound = np.zeros(max(0, off + len(sound)), np.int16)  # it may as well be exact
        elif off > SLACK_S * self._rate:
            sound = np.concatenate([np.zeros(off, np.int16), sound])
        elif off < -SLACK_S * self._rate:
            sound = sound[-off:]
        self.samples += len(sound)
        return sound

    def silence_until(self, end_s: float) -> PCM:
        """What is missing up to this time, if it is more than a device's unevenness."""
        missing = round(end_s * self._rate) - self.samples
        silence = np.zeros(missing if missing > SLACK_S * self._rate else 0, np.int16)
        self.samples += len(silence)
        return silence


@dataclass(frozen=True)
class _Block:
    side: int  # 0 the microphone, 1 the speaker
    start_s: float
    pcm: PCM


class Recorder:
    """Records into a new folder under `parent`, named for the time; `folder` says which.

    `microphone_rate` and `speaker_rate` are the devices', Hz. A disk that is full (or gone, or too
    slow for minutes) ends the recording, not the conversation: `on_error` gets one sentence, on
    the writer's thread. Raises `OSError` if it can't begin. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        parent: Path,
        on_error: Callable[[str], None],
        *,
        microphone_rate: int = RATE,
        speaker_rate: int = RATE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = _new_folder(parent)
        self._on_error = on_error
        self._clock = clock
        self._microphone_rate = microphone_rate
        self._items: queue.SimpleQueue[_Block | bytes] = queue.SimpleQueue()
        self._tracks = (Track(microphone_rate), Track(speaker_rate))
        self._pending: tuple[list[PCM], list[PCM]] = ([], [])
        self._files: list[WavFile | BinaryIO] = []
        try:
            self._sides = tuple(self._wav(name) for name in ("mic.wav", "speaker.wav"))
            self._both = self._wav("both.wav", 2)
            self._lines = (self.folder / "timeline.jsonl").open("xb", buffering=0)
        except OSError:
            self._close_files()
            raise
        self._files.append(self._lines)
        _keep_names(self.folder)
        self._over = threading.Event()
        self._failed = False
        self._flushed_at = self.started_at = clock()
        self.note({"event": "started", "at": datetime.now().astimezone().isoformat(), "rate": RATE})
        self._thread = threading.Thread(target=self._run, daemon=True, name="robot-client recorder")
        self._thread.start()

    # -- any thread ----------------------------------------------------------------------------

    def microphone(self, pcm: PCM) -> None:
        """Sound that the microphone has just given."""
        now = self._clock() - self.started_at
        self._add(_Block(0, now - len(pcm) / self._microphone_rate, pcm))

    def speaker(self, pcm: PCM) -> None:
        """Sound that the speaker has just taken, to be heard from now on."""
        self._add(_Block(1, self._clock() - self.started_at, pcm))

    def note(self, entry: Mapping[str, Any], at: float | None = None) -> None:
        """A line of the time line. `at`: by the clock, now if not given.

        Its `t` is seconds since the start of the recording, in which the WAV files begin.
        """
        now = self._clock() if at is None else at
        fields = {"t": round(now - self.started_at, 4)} | {
            name: value for name, value in entry.items() if name != "t"
        }
        self._add(json.dumps(fields, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        """Write what is left, put the headers right and end the thread. Twice is once."""
        if not self._over.is_set():
            self.note({"event": "ended"})
            self._over.set()
            self._thread.join(JOIN_S)  # a disk that hangs doesn't hold up the exit

    def _add(self, item: _Block | bytes) -> None:
        if not self._failed and not self._over.is_set():
            self._items.put(item)

    # -- the writer's thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._over.wait(WAKE_S):
                now = self._clock()
                self._write(now - self.started_at)
                if now - self._flushed_at >= FLUSH_S:
                    self._flushed_at = now
                    for file in (*self._sides, self._both):
                        file.flush()
                    os.fsync(self._lines.fileno())
            self._write(self._clock() - self.started_at)
        except OSError as error:
            self._failed = True
            why = error.strerror or str(error)
            self._on_error(f"the recording in {self.folder} has ended: {why}")
        finally:
            self._close_files()

    def _write(self, now_s: float) -> None:
        if self._items.qsize() > MAX_WAITING:
            raise OSError("the disk doesn't keep up")
        while not self._items.empty():
            item = self._items.get()
            if isinstance(item, bytes):
                self._lines.write(item)
            else:
                self._append(item.side, self._tracks[item.side].put(item.start_s, item.pcm))
        for side, track in enumerate(self._tracks):
            # Behind the clock by what a device may still be collecting.
            self._append(side, track.silence_until(now_s - SLACK_S))
        self._join()

    def _append(self, side: int, sound: PCM) -> None:
        if len(sound):
            self._sides[side].write(sound)
            self._pending[side].append(sound)

    def _join(self) -> None:
        """Both sides in one file, as far as both have come."""
        left, right = (np.concatenate([np.zeros(0, np.int16), *p]) for p in self._pending)
        ready = min(len(left), len(right))
        if ready:
            self._both.write(left[:ready], right[:ready])
            for pending, rest in zip(self._pending, (left[ready:], right[ready:]), strict=True):
                pending[:] = [rest]

    def _wav(self, name: str, channels: int = 1) -> WavFile:
        file = WavFile(self.folder / name, RATE, channels)
        self._files.append(file)
        return file

    def _close_files(self) -> None:
        for file in self._files:
            with suppress(OSError):  # a full disk has been told of; what is on it stays
                file.close()


def _keep_names(folder: Path) -> None:
    """Put the folder itself on the disk: files that a power cut unnames are lost, too."""
    for path in (folder, folder.parent):
        with suppress(OSError):  # a system whose folders can't be opened
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _new_folder(parent: Path) -> Path:
    """A folder that wasn't there. Raises `OSError`."""
    parent.mkdir(parents=True, exist_ok=True)
    name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder
