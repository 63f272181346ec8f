"""The rules of the house: from the settings, and the files that they name, to what the dialogue
needs to know."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from brain.api.wire_in import tool_list
from brain.dialogue.config import HouseRules, SessionConfig, TurnDetection
from brain.dialogue.endpointing import Endpointing
from brain.dialogue.filler import FillerRules
from brain.dialogue.pictures import PictureLimits
from brain.dialogue.quiet import Hours, QuietMode
from brain.dialogue.state import samples
from brain.engines.ports import ToolSpec
from brain.history.database import Limits
from brain.history.keeper import HistoryKeeper
from brain.history.port import Keeper
from brain.persona.character import DEFAULT_INSTRUCTIONS, character, characters
from brain.settings import SPECS, Problem, Settings
from brain.settings.access import Access, access_of, had_tokens_before, remember_tokens
from brain.settings.endpointing import unusable
from brain.settings.places import state_dir
from brain.settings.values import listed

log = logging.getLogger(__name__)

# Characters of history for each token of context that neither the answer nor the tools need.
_HISTORY_CHARS_PER_TOKEN = 2
# The embedded mind was trained on short conversations: older turns are better forgotten.
_POCKET_HISTORY_CHARS = 1_500
# As much as a robot may send as its own instructions.
_MAX_PERSONA = 32_000
_THIS_MACHINE = "127.0.0.1"


class ConfigError(ValueError):
    """A setting, or a file that one names, can't be used; the message is one line for a person."""


def with_usable_files(settings: Settings, *, lenient: bool) -> Settings:
    """The settings with the default in place of each file or address that can't be used, and a
    problem added that says so. Raises `ConfigError` instead unless `lenient`: a typo must not stop
    a robot.
    """
    settings = _with_usable_file(settings, "SERVER_HOST", _address, lenient)
    settings = _with_usable_file(settings, "PERSONA_FILE", _instructions, lenient)
    settings = _with_usable_file(settings, "ENDPOINTING", _endpointing, lenient)
    settings = _with_usable_file(settings, "HISTORY_STORE", _store, lenient)
    return _with_usable_file(settings, "DEFAULT_TOOLS", _tools, lenient)


def _with_usable_file(
    settings: Settings, name: str, read: Callable[[Settings], object], lenient: bool
) -> Settings:
    try:
        read(settings)
    except ConfigError as error:
        if not lenient:
            raise
        default = SPECS[name].default
        told = str(default or "the default")
        problem = Problem("error", name, str(error), settings.origins[name], told)
        log.error("settings: %s", problem)
        origins = {**settings.origins, name: "default"}
        fallen = settings.model_copy(update={name.lower(): default})
        return fallen.with_account(origins, (*settings.problems, problem))
    return settings


def way_in(
    settings: Settings, environ: Mapping[str, str], *, lenient: bool
) -> tuple[Settings, Access]:
    """Who may come in, and how. Raises `ConfigError` for what can't be used, unless `lenient`: then
    the settings have a problem added for it, and listen on this machine alone where TLS is lost.
    """
    state = state_dir(settings, environ)
    access = access_of(settings, environ, had_tokens=had_tokens_before(state))
    remember_tokens(access, settings, state)
    if access.problems and not lenient:
        raise ConfigError("\n".join(problem.message for problem in access.problems))
    for problem in access.problems:
        log.error("settings: %s", problem)
    if access.local_only:
        settings = settings.model_copy(update={"server_host": _THIS_MACHINE})
    told = settings.with_account(settings.origins, (*settings.problems, *access.problems))
    if access.open_to_all and not _is_loopback(settings.server_host):
        log.warning(
            "ANYBODY ON THIS NETWORK CAN TALK TO THE BRAIN: it listens on %s and BRAIN_TOKEN"
            " isn't set",
            settings.server_host,
        )
    return told, access


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def house_rules(settings: Settings) -> HouseRules:
    """What holds for every session. Raises `ConfigError` for a bad tools or persona file, and for
    settings of end-pointing that don't go together."""
    return HouseRules(
        defaults=SessionConfig(
            instructions=_instructions(settings),
            tools=_tools(settings),
            turn_detection=TurnDetection(
                silence_ms=settings.vad_silence_ms, threshold=settings.vad_threshold
            ),
            wake_phrases=listed(settings.wake_phrases),
        ),
        echo=settings.echo,
        tentative_ms=0 if settings.speculation == "off" else settings.tentative_silence_ms,
        partials=settings.stt_partials,
        endpointing=_endpointing(settings),
        barge_in_ms=settings.barge_in_ms,
        backchannel_ms=settings.backchannel_ms,
        pre_roll_ms=settings.pre_roll_ms,
        max_utterance_s=settings.max_utterance_s,
        lead_ms=settings.tts_lead_ms,
        emotions=settings.emotions,
        tool_timeout_s=settings.tool_timeout_s,
        history_chars=_history_chars(settings),
        wake_window_s=settings.wake_window_s,
        quiet=_quiet(settings),
        filler=_filler(settings),
        pictures=PictureLimits(settings.images_per_turn, settings.image_history),
    )


def _quiet(settings: Settings) -> QuietMode:
    return QuietMode(
        hours=Hours.parse(settings.quiet_hours) if settings.quiet_hours else None,
        max_tokens=min(settings.quiet_max_output_tokens, _longest_answer(settings)),
    )


def _filler(settings: Settings) -> FillerRules:
    after_s = settings.thinking_filler_ms / 1000 if settings.thinking_filler else None
    return FillerRules(after_s, listed(settings.thinking_filler_texts, "|"))


def history_keeper(settings: Settings, environ: Mapping[str, str]) -> Keeper | None:
    """What keeps conversations over a restart; None: nothing does, as the settings have it."""
    if settings.history_store == "off" or settings.history_minutes == 0:
        return None
    if settings.shared_history:
        from brain.history.shared import SharedKeeper

        return SharedKeeper(settings.history_store, age_s=settings.history_minutes * 60)
    limits = Limits(
        age_s=settings.history_minutes * 60,
        robots=settings.history_robots,
        size=int(settings.history_mb * 1e6),
    )
    return HistoryKeeper(state_dir(settings, environ), limits)


def _history_chars(settings: Settings) -> int:
    """What of a conversation the chosen language model is told, beside its instructions."""
    if settings.embedded_mind:
        return _POCKET_HISTORY_CHARS
    room = _context(settings) - _longest_answer(settings)
    return max(1_000, room * _HISTORY_CHARS_PER_TOKEN)


def _context(settings: Settings) -> int:
    """Tokens that the chosen language model looks back on."""
    if settings.llm_backend == "ollama":
        return settings.num_ctx
    return settings.vllm_max_model_len if settings.llm_backend == "vllm" else settings.llm_context


def _longest_answer(settings: Settings) -> int:
    vllm = settings.llm_backend == "vllm"
    return settings.vllm_max_output_tokens if vllm else settings.llm_max_output_tokens


def _address(settings: Settings) -> None:
    host = settings.server_host
    try:
        socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"SERVER_HOST={host}: neither an address (0.0.0.0 is every network) nor a name of one"
        ) from error


def _endpointing(settings: Settings) -> Endpointing | None:
    if refused := unusable(settings):
        raise ConfigError(refused)
    if settings.endpointing == "fixed":
        return None
    return Endpointing(samples(settings.endpointing_min_ms), samples(settings.endpointing_max_ms))


def _store(settings: Settings) -> None:
    if settings.shared_history and importlib.util.find_spec("redis") is None:
        raise ConfigError(
            "HISTORY_STORE is an address, and the package redis isn't here: install the brain with"
            " its extra fleet"
        )


def _instructions(settings: Settings) -> str:
    asked = settings.persona_file
    if not asked:
        return DEFAULT_INSTRUCTIONS
    if asked in characters():
        return character(asked)
    # (Of a name that is too long for a file, pathlib would raise.)
    if not os.path.isfile(asked):  # noqa: PTH113
        names = ", ".join(characters())
        raise ConfigError(
            f"PERSONA_FILE={asked}: no such file, and no character of that name ships ({names})"
        )
    text = _read(Path(asked), "PERSONA_FILE").strip()
    if not text:
        raise ConfigError(f"PERSONA_FILE={asked}: the file is empty")
    if len(text) > _MAX_PERSONA:
        raise ConfigError(
            f"PERSONA_FILE={asked}: {len(text)} characters, at most {_MAX_PERSONA} are taken"
        )
    return text


def _tools(settings: Settings) -> tuple[ToolSpec, ...]:
    if settings.default_tools == "none":
        return ()
    if settings.default_tools == "reachy_mini":
        path = Path(__file__).parent / "persona" / "reachy_mini_tools.json"
    else:
        path = Path(settings.default_tools)
    text = _read(path, "DEFAULT_TOOLS")
    try:
        tools = tool_list(json.loads(text))
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"DEFAULT_TOOLS={settings.default_tools}: a list of tools was expected: {reason}"
        ) from error
    return tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in tools)


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{setting}={path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{setting}={path}: the file isn't UTF-8 text") from error
