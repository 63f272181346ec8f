"""Whether sound comes from the robots, and whether it is any good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brain.ops.doctor.facts import RunningBrain
from brain.ops.doctor.findings import Finding

_QUIET_DBFS = -60.0
"""RMS of 10 s: a room with nobody in it lies between -70 and -50, one with speech above."""
_CLIPPED = 0.01
_LATE_S = 5.0


def check(running: RunningBrain) -> list[Finding]:
    """A finding for each robot that is connected."""
    if running.is_a != "brain":
        return []
    if running.sessions is None:
        told = "which robots are connected isn't told without the token"
        return [Finding("note", "microphones", told, "ask as the brain's user, with its settings")]
    robots: Mapping[str, Mapping[str, Any]] = running.sessions.get("robots", {})
    if not robots:
        todo = "robot-client --local-server-ip ADDRESS from the robot; is it on this network?"
        return [Finding("note", "microphones", "no robot is connected", todo)]
    return [_robot(robot, sound) for robot, sound in robots.items()]


def _robot(robot: str, sound: Mapping[str, Any]) -> Finding:
    name = "microphone"
    silent, level, peak = sound["silent_for_s"], sound["level_dbfs"], sound["peak_dbfs"]
    if silent is None:
        todo = "is it one that types (robot-client --chat)? else look at the robot's log"
        return Finding("note", name, f"{robot}: connected, but no sound has ever come", todo)
    if sound["dead"]:
        todo = "unmute it on the robot (alsamixer), and see which device its client records from"
        return Finding("error", name, f"{robot}: only silence comes, not even noise", todo)
    heard = f"{robot}: sound arrives, {level} dBFS (peak {peak})"
    if silent > _LATE_S:
        todo = "push-to-talk is quiet in between; else look at the robot's log and its Wi-Fi"
        return Finding("note", name, f"{robot}: no sound for {silent} s, {level} dBFS before", todo)
    if sound["clipped"] > _CLIPPED:
        todo = "turn the microphone's gain down on the robot (alsamixer)"
        return Finding("warning", name, f"{heard}, {sound['clipped']:.0%} of it clipped", todo)
    if level is not None and level < _QUIET_DBFS:
        todo = "say something and ask again; if it stays so, turn its gain up (alsamixer)"
        return Finding("warning", name, f"{heard}: very quiet", todo)
    return Finding("ok", name, heard)
