"""What some settings take: the choices, and the texts of a form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

LlmBackend = Literal["llamacpp", "vllm", "ollama", "openai"]
SttBackend = Literal["whisper", "openai"]
TtsBackend = Literal["auto", "orpheus", "kokoro", "piper", "espeak", "openai", "off"]
OrpheusBackend = Literal["auto", "llamacpp", "vllm", "server"]
EndpointingMode = Literal["fixed", "adaptive"]
Speculation = Literal["on", "idle", "off"]
EchoMode = Literal["half_duplex", "guard", "none"]
LogLevel = Literal["debug", "info", "warning", "error"]
Device = Literal["cpu", "cuda"]
ComputeType = Literal[
    "default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16",
    "int16", "float16", "bfloat16", "float32",
]  # fmt: skip
VllmDtype = Literal["auto", "half", "float16", "bfloat16", "float", "float32"]


def _in_home(value: str) -> str:
    """`~/models/x.gguf` is a file of whoever runs the brain, from whichever place it came."""
    return str(Path(value).expanduser()) if value.startswith("~/") else value


# What may be a file, beside names that are none.
FileOrName = Annotated[str, AfterValidator(_in_home)]


def _word_in_lower_case(value: str) -> str:
    return value if "://" in value else value.lower()


HistoryStore = Annotated[str, AfterValidator(_word_in_lower_case)]

KEEP_ALIVE: dict[str, Any] = {
    "pattern": r"^-?\d+(\.\d+)?(ms|s|m|h)?$",
    "pattern_means": "a time such as 0s, 30s, 5m or 1h (-1 keeps it for ever)",
}
_SKILL = (
    "(patrol_drift|investigate_ball|avoid_obstacle|greet_on_button|scan_for_target"
    "|approach_until_range|retreat_and_recover)"
)
SKILLS: dict[str, Any] = {
    "pattern": rf"^(all|{_SKILL}( ?, ?{_SKILL})*)$",
    "pattern_means": "all, or skills such as patrol_drift,avoid_obstacle",
}
URL: dict[str, Any] = {
    "pattern": r"^https?://[^\s/]+",
    "pattern_means": "an address such as http://localhost:11434",
}
_URL = r"https?://[^\s/,]+[^\s,]*"
# Commas too many are no matter, as they are none to `listed`.
_URL_LIST = rf"[\s,]*{_URL}(\s*,[\s,]*{_URL})*[\s,]*"
URLS: dict[str, Any] = {
    "pattern": rf"^{_URL_LIST}$",
    "pattern_means": "an address such as http://localhost:8000/v1, or several, commas between",
}
URLS_OR_NONE: dict[str, Any] = {
    "pattern": rf"^({_URL_LIST})?$",
    "pattern_means": "an address such as http://localhost:8000/v1, or several, commas between",
}
HISTORY_STORE: dict[str, Any] = {
    "pattern": r"^((?i:sqlite|off)|rediss?://([^\s:/@?#,]*(:[^\s:/@?#,]*)?@)?"
    r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/\d{0,4})?)$",
    "pattern_means": "sqlite, off, or an address such as redis://:PASSWORD@HOST:6379/0 (in a"
    " password, signs such as @ and / are written %40 and %2F)",
}
# (1 to 16 of 1 to 60 characters, each with one at least that can be said.)
_PHRASE = r"[^,\n]{0,29}[\p{L}\p{N}][^,\n]{0,30}"
WAKE_PHRASES: dict[str, Any] = {
    "pattern": rf"^([\s,]*{_PHRASE}(,[\s,]*{_PHRASE}){{0,15}}[\s,]*)?$",
    "pattern_means": "up to 16 phrases such as hey reachy, hello robot, commas between",
}
_FILLER = r"[^|\n]{0,29}[\p{L}\p{N}][^|\n]{0,30}"
FILLERS: dict[str, Any] = {
    "pattern": rf"^[\s|]*{_FILLER}(\|[\s|]*{_FILLER}){{0,15}}[\s|]*$",
    "pattern_means": "up to 16 short texts such as Hm.|Let me think., with | between",
}
_TIME = r"([01]?[0-9]|2[0-3]):[0-5][0-9]"
HOURS: dict[str, Any] = {
    "pattern": rf"^({_TIME} ?- ?{_TIME})?$",
    "pattern_means": "hours such as 22:00-07:00",
}
_ORIGIN = r"(https?://[A-Za-z0-9._-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:\d{1,5})?|null)"
ORIGINS: dict[str, Any] = {
    "pattern": rf"^(\*|{_ORIGIN}( ?, ?{_ORIGIN})*)?$",
    "pattern_means": "*, or origins such as http://192.168.1.5:3000 (no path), commas between",
}


def listed(value: str, between: str = ",") -> tuple[str, ...]:
    """What stands between the commas of `value`, each once; or between something else."""
    return tuple(dict.fromkeys(part for one in value.split(between) if (part := one.strip())))
