"""A picture of a conversation: both sides over time, and each turn's way from question to reply."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from robot_client.asking import RATE, Asked, Recording
from robot_client.pcm import PCM
from tools.demo.table import first_timings

mpl.use("Agg")

from matplotlib import pyplot as plt

USER, ROBOT = "#1f6fb2", "#d9822b"
STAGE_COLOURS = {
    "silence": "#b8b8b8",
    "hear": "#5aa469",
    "1st token": "#8e6bbf",
    "1st clause": "#b79ad8",
    "1st audio": "#d9822b",
    "the rest": "#e6c35c",
}
BEFORE_S, AFTER_S = 0.4, 0.7


def draw(recording: Recording, path: Path) -> None:
    """Write the picture as PNG."""
    asked = recording.asked
    figure = plt.figure(figsize=(max(14, 4 * len(asked)), 10), layout="constrained")
    grid = figure.add_gridspec(4, max(1, len(asked)), height_ratios=[1.0, 1.0, 1.1, 0.7])
    _overview(figure, grid, recording)
    axes: list[Any] = []
    for column, one in enumerate(asked):
        axes.append(_turn(figure, grid, column, recording, one))
    figure.suptitle(
        "A robot asks, the brain answers: questions (blue) and replies (orange), as the robot "
        "sent and received them",
        fontsize=13,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def stages(asked: Asked) -> list[tuple[str, float, float]]:
    """Those of the first reply to a question, if there was one (see `stages_of`)."""
    total = asked.voice_to_voice_ms
    return stages_of(first_timings(asked), total) if total is not None else []


def stages_of(timings: Mapping[str, float], total: float) -> list[tuple[str, float, float]]:
    """(stage, when it began, ms): from the last sample of speech to the first of the reply, `total`
    ms later. What is done ahead lies within the silence."""
    first_token = timings.get("llm_first_token", 0.0)
    parts = {
        "silence": timings.get("endpoint", 0.0),
        "hear": timings.get("stt", 0.0),
        "1st token": first_token,
        "1st clause": max(0.0, timings.get("first_clause", 0.0) - first_token),
        "1st audio": timings.get("tts_first_audio", 0.0),
    }
    silence = parts.pop("silence")
    found = [("silence", 0.0, silence)]
    at = silence - timings.get("ahead", 0.0)
    for name, ms in parts.items():
        found.append((name, at, ms))
        at += ms
    found.append(("the rest", max(at, silence), total - max(at, silence)))
    return [stage for stage in found if stage[2] > 0]


def _overview(figure: Any, grid: Any, recording: Recording) -> None:
    top = figure.add_subplot(grid[0, :])
    bottom = figure.add_subplot(grid[1, :], sharex=top)
    for axis, pcm, colour, who in (
        (top, recording.microphone, USER, "microphone"),
        (bottom, recording.speaker, ROBOT, "speaker"),
    ):
        _wave(axis, pcm, 0.0, colour)
        axis.set_ylabel(who)
        axis.set_ylim(-0.75, 1.25)  # room for words above the sound
        axis.set_yticks([-0.5, 0, 0.5])
        axis.set_xlim(0, max(1.0, len(recording.microphone) / RATE))
    top.tick_params(labelbottom=False)
    bottom.set_xlabel("seconds")
    since = recording.started_at
    for one in recording.asked:
        top.annotate(
            f"heard: {one.heard or 'nothing'}",
            ((one.speech_started_at or one.started_at) - since, 0.97), xycoords=_mixed(top),
            va="top", fontsize=9, color=USER, weight="bold",
        )  # fmt: skip
        if one.speech_ended_at is not None:
            top.axvline(one.speech_ended_at - since, color=USER, lw=0.8, ls=":")
        for turn in one.turns:
            for used in turn.tools:
                at = (turn.tool_used_at or 0.0) - since
                bottom.axvline(at, color="black", lw=1, ls="--")
                bottom.annotate(
                    f"called {used.call.name}", (at, 0.03), xycoords=_mixed(bottom),
                    xytext=(3, 0), textcoords="offset points", fontsize=8,
                )  # fmt: skip
            for reply in turn.replies:
                if reply.first_sound_at is None:
                    continue
                at = reply.first_sound_at - since
                bottom.axvline(at, color=ROBOT, lw=0.8, ls=":")
                words = textwrap.fill(f"said: {reply.text}", 34)
                bottom.annotate(
                    words, (at, 0.97), xycoords=_mixed(bottom),
                    xytext=(3, 0), textcoords="offset points", va="top", fontsize=8,
                    color="#8a4a06",
                )  # fmt: skip
    for at, flushed in recording.log.flushes:
        for axis in (top, bottom):
            axis.axvline(at - since, color="red", lw=1.2)
        bottom.annotate(
            f"interrupted: {flushed.dropped_ms} ms dropped", (at - since, 0.10),
            xycoords=_mixed(bottom), xytext=(3, 0), textcoords="offset points", fontsize=8,
            color="red",
        )  # fmt: skip


def _turn(figure: Any, grid: Any, column: int, recording: Recording, asked: Asked) -> Any:
    waves = figure.add_subplot(grid[2, column])
    bars = figure.add_subplot(grid[3, column], sharex=waves)
    waves.tick_params(labelbottom=False)
    waves.set_yticks([])
    waves.set_ylim(-0.75, 0.75)
    bars.set_yticks([])
    total = asked.voice_to_voice_ms
    waves.set_title(
        f"{asked.question.label}  " + ("no reply" if total is None else f"{total:.0f} ms"),
        fontsize=10,
    )
    end = asked.speech_ended_at
    if end is None or total is None:
        return waves
    zero = end - recording.started_at
    first, last = zero - BEFORE_S, zero + total / 1000 + AFTER_S
    for pcm, colour in ((recording.speaker, ROBOT), (recording.microphone, USER)):
        piece = pcm[max(0, int(first * RATE)) : int(last * RATE)]
        _wave(waves, piece, max(0.0, first) - zero, colour)
    for name, begins, ms in stages(asked):
        at, row = begins / 1000, 0.0 if name == "silence" else -0.9
        bars.barh(row, ms / 1000, left=at, color=STAGE_COLOURS[name], edgecolor="white", label=name)
        if ms >= 0.06 * (last - first) * 1000:
            bars.text(at + ms / 2000, row, f"{ms:.0f}", ha="center", va="center", fontsize=8)
    for axis in (waves, bars):
        axis.axvline(0, color=USER, lw=1, ls=":")
        axis.axvline(total / 1000, color=ROBOT, lw=1, ls=":")
    bars.set_xlim(-BEFORE_S, last - zero)
    bars.set_ylim(-1.5, 1.3)
    bars.set_xlabel("s after the last sample of speech")
    bars.legend(fontsize=7, ncols=3, loc="upper center", frameon=False)
    return waves


def _wave(axis: Any, pcm: PCM, begins_s: float, colour: str) -> None:
    """The envelope rather than every sample: a few thousand points look the same."""
    step = max(1, len(pcm) // 4000)
    whole = pcm[: len(pcm) // step * step].reshape(-1, step).astype(np.float32) / 32768
    at = begins_s + np.arange(len(whole)) * step / RATE
    axis.fill_between(at, whole.min(axis=1, initial=0), whole.max(axis=1, initial=0), color=colour,
                      lw=0.3)  # fmt: skip


def _mixed(axis: Any) -> Any:
    """Time on the x axis, share of the panel on the y axis."""
    return axis.get_xaxis_transform()
