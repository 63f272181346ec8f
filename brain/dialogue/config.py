"""What a robot may set for its session, and what the house sets for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from brain.dialogue.endpointing import Endpointing
from brain.dialogue.filler import FillerRules
from brain.dialogue.pictures import PictureLimits
from brain.dialogue.quiet import QuietMode
from brain.dialogue.state import Rules, samples
from brain.engines.ports import ToolSpec
from brain.persona.character import speaker_note
from brain.persona.moods import mood_instruction

Echo = Literal["half_duplex", "guard", "none"]


@dataclass(frozen=True)
class TurnDetection:
    """End-pointing by the brain. `silence_ms` ends a turn; `threshold` 0..1 is speech;
    `interrupt`: speech stops a reply."""

    silence_ms: int = 500
    threshold: float = 0.5
    interrupt: bool = True


@dataclass(frozen=True)
class SessionConfig:
    """One session as it now stands; immutable, so that a reply runs on a snapshot of it.

    `turn_detection` None is push-to-talk. `voice` None is the synthesiser's default. `language`
    ISO 639-1, None to detect. `speaker`: what is known of who speaks. `temperature` and
    `max_output_tokens` (of one reply): None is the language model's own. `wake_phrases`: who says
    one is answered (none: everybody is). `muted`: the microphone isn't listened to. `quiet`: short
    answers and nothing unasked; None: in the house's quiet hours.
    """

    input_sample_rate: int = 16_000
    output_sample_rate: int = 16_000
    audio: Literal["base64", "binary"] = "base64"
    instructions: str = ""
    voice: str | None = None
    language: str | None = "en"
    tools: tuple[ToolSpec, ...] = ()
    turn_detection: TurnDetection | None = field(default_factory=TurnDetection)
    playback_marks: bool = False
    echo_cancellation: bool = False
    speaker: str = ""
    temperature: float | None = None
    max_output_tokens: int | None = None
    wake_phrases: tuple[str, ...] = ()
    muted: bool = False
    quiet: bool | None = None


@dataclass(frozen=True)
class HouseRules:
    """What holds for every session of this brain; in ms where not said otherwise.

    `emotions`: the house's own character is asked for a mood with each reply. `tentative_ms`: of
    silence, after which an answer is made ahead (0: never). `partials`: what a user says is heard
    while it is being said. `endpointing`: how the silence that ends a turn adapts to what is heard
    ahead (None: it doesn't). `wake_window_s`: so long after a reply a conversation is gone on with
    without a wake phrase.
    """

    defaults: SessionConfig = field(default_factory=SessionConfig)
    echo: Echo = "half_duplex"
    tentative_ms: int = 0
    partials: bool = False
    endpointing: Endpointing | None = None
    barge_in_ms: int = 300
    backchannel_ms: int = 1000
    pre_roll_ms: int = 300
    max_utterance_s: float = 30.0
    echo_tail_ms: int = 300
    lead_ms: int = 600
    tool_timeout_s: float = 15.0
    max_tool_rounds: int = 5
    history_chars: int = 8_000
    starved_ms: int = 1_000
    emotions: bool = False
    pictures: PictureLimits = field(default_factory=PictureLimits)
    wake_window_s: float = 8.0
    quiet: QuietMode = field(default_factory=QuietMode)
    filler: FillerRules = field(default_factory=FillerRules)


def changed(
    config: SessionConfig, defaults: SessionConfig, changes: Mapping[str, Any]
) -> SessionConfig:
    """`config` with `changes`, by the rules of the protocol: absent keeps, lists replace,
    `turn_detection` merges and None of it is push-to-talk, any other None restores the default.

    Values are checked before (by the wire's models); unknown names raise TypeError.
    """
    known = {item.name for item in fields(SessionConfig)}
    if unknown := set(changes) - known:
        raise TypeError(f"no such session field: {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name == "turn_detection":
            default = defaults.turn_detection or TurnDetection()
            values[name] = None if value is None else _merged(config, default, value)
        else:
            values[name] = getattr(defaults, name) if value is None else value
    return replace(config, **values)


def _merged(
    config: SessionConfig, default: TurnDetection, changes: Mapping[str, Any]
) -> TurnDetection:
    restored = {key: getattr(default, key) for key, value in changes.items() if value is None}
    return replace(config.turn_detection or default, **{**changes, **restored})


def rules(config: SessionConfig, house: HouseRules) -> Rules:
    """How this session takes turns."""
    detection = config.turn_detection
    hears_itself = not config.echo_cancellation and house.echo != "none"
    guards = hears_itself and house.echo == "guard"
    return Rules(
        silence=samples((detection or TurnDetection()).silence_ms),
        tentative=samples(house.tentative_ms),
        partials=house.partials,
        barge_in=samples(house.barge_in_ms),
        pre_roll=samples(house.pre_roll_ms),
        max_utterance=samples(house.max_utterance_s * 1000),
        backchannel=samples(house.backchannel_ms),
        needs_words=guards,
        deaf_in_reply=(hears_itself and not guards)
        or (detection is not None and not detection.interrupt),
        push_to_talk=detection is None,
        wake_phrases=config.wake_phrases,
        muted=config.muted,
    )


def asks_for_moods(config: SessionConfig, house: HouseRules) -> bool:
    """Whether this session's model is asked for a mood with each reply: only the house's own
    character is, for a robot with instructions of its own has asked for what it wants."""
    return house.emotions and config.instructions == house.defaults.instructions


def system_prompt(config: SessionConfig, *, moods: bool, note: str = "") -> str:
    """What the model is told before all else. `moods`: it is asked for a mood. `note`: what holds
    for now; it comes last, so that all before it stays the same.

    The pocket mind is trained on these words, put together in this very way.
    """
    parts = [config.instructions]
    if moods:
        parts.append(mood_instruction())
    if config.speaker:
        parts.append(speaker_note(config.speaker))
    return " ".join(part for part in (*parts, note) if part)
