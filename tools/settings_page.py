"""`python -m tools.settings_page` writes docs/settings.md from the settings and the profiles.

`--check` writes nothing, and fails if the page isn't in step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from brain.settings import SPECS, Settings, Spec
from brain.settings.layers import PROFILES, profile_layer, profile_names
from brain.settings.load import resolve, show
from tools.written_page import write_or_check

PATH = Path(__file__).parent.parent / "docs" / "settings.md"

INTRODUCTION = """\
# Settings

Written by `python -m tools.settings_page` from `brain/settings/sections/` and `brain/profiles/`.

## Where a value comes from

Every setting has one name, whatever the place. The last place that speaks of it decides:

1. its default,
2. the profile's file (`BRAIN_PROFILE`, below),
3. `/etc/brain/brain.env`, or `.env` in the working directory where there is no such file,
4. `/etc/brain/override.env`,
5. the environment of the process,
6. the command line: `--set NAME=VALUE`, `--profile`, `--host`, `--port`.

The files hold `NAME=VALUE` lines and `#` comments. `BRAIN_CONFIG_DIR` names another folder than
`/etc/brain`. A change takes effect at the next start. `brain settings` prints each value and where
it came from; it never prints a secret.

A value that isn't allowed stops a start from a terminal: one line with the setting, the value and
what is allowed, and exit status 78. Under systemd what would hold without it holds instead, and the
log and `/ready` say so: a typo doesn't take a robot down. The same goes for vLLM and Orpheus asking
for more of the GPU than `GPU_UTILIZATION_CAP`: under systemd the brain comes up without Orpheus. An
empty value counts as none, save where it has a meaning below.
"""

NOTES = {
    "Language model: llama.cpp": "With `LLM_BACKEND=llamacpp`, where not said otherwise.",
    "Language model: vLLM": "With `LLM_BACKEND=vllm` and the extra `vllm` (Python 3.11 or later).\n"
    "A model that isn't on this machine is fetched from the hub as it is loaded; without it, or\n"
    "while it loads, the embedded model answers in its stead. The model runs in a process of its\n"
    "own: if that dies, it is started anew, and the brain goes on.",
    "Language model: Ollama": "With `LLM_BACKEND=ollama`.",
    "Language model: OpenAI-compatible server": "With `LLM_BACKEND=openai`. Of several\n"
    "servers each has a third of `LLM_TIMEOUT_S` for its first token, so that others can be asked\n"
    "in its stead. The key is shown to all of them, the ears' and the mouth's too.",
    "Ears: OpenAI-compatible server": "With `STT_BACKEND=openai`.",
    "Mouth: OpenAI-compatible server": "With `TTS_BACKEND=openai`.",
    "Mouth: Orpheus": "With `PERFORMANCE_MODE=1` and `TTS_BACKEND=auto` or `orpheus`.\n"
    "What runs its model says `ORPHEUS_BACKEND`. llama.cpp: on the GPU as `LLM_GPU_LAYERS` says,\n"
    "after `brain models pull orpheus-3b-q4_k_m snac`; each 2960 tokens of\n"
    "`ORPHEUS_MAX_MODEL_LEN` let one more text be spoken at once, up to `ORPHEUS_MAX_NUM_SEQS`.\n"
    "vLLM in this process: with the extra `vllm`, after `brain models pull orpheus-3b snac`, in\n"
    "numbers of `VLLM_DTYPE`. A vLLM server elsewhere: of its models it is `TTS_MODEL_NAME`, or\n"
    "the first; the decoder (`snac`) is here.",
}


def page() -> str:
    """The whole page, Markdown."""
    parts = [INTRODUCTION]
    for group, specs in groupby(SPECS.values(), key=lambda spec: spec.group):
        note = f"{NOTES[group]}\n\n" if group in NOTES else ""
        parts.append(f"## {group}\n\n{note}{_settings_table(specs)}")
    parts.append(f"## Profiles\n\n{_profile_list()}\n\n{_profile_table()}")
    return "\n".join(parts)


def _settings_table(specs: Iterable[Spec]) -> str:
    rows = [("setting", "default", "unit", "allowed", "what it does")]
    rows += [(f"`{s.name}`", _value(s.default), s.unit, _allowed(s), f"{s.about}.") for s in specs]
    return _table(rows)


def _profile_list() -> str:
    """A line for each profile: the comment that its file begins with."""
    lines = ["A profile is a file of settings, with a reason for each, in `brain/profiles/`.", ""]
    for name in profile_names():
        head = (PROFILES / f"{name}.env").read_text(encoding="utf-8").split("\n\n")[0]
        words = " ".join(line.removeprefix("#").strip() for line in head.splitlines())
        lines.append(f"- **{name}**{words.removeprefix(name)}")
    return (
        "\n".join(lines) + "\n\nWhere they differ from the defaults; an empty cell is the default."
    )


def _profile_table() -> str:
    profiles = {name: _profile(name) for name in profile_names()}
    rows: list[tuple[str, ...]] = [("setting", "default", *profiles)]
    for spec in SPECS.values():
        if spec.name == "BRAIN_PROFILE":
            continue
        values = [getattr(settings, spec.attribute) for settings in profiles.values()]
        if any(value != spec.default for value in values):
            cells = ["" if value == spec.default else _value(value) for value in values]
            rows.append((f"`{spec.name}`", _value(spec.default), *cells))
    return _table(rows)


def _profile(name: str) -> Settings:
    return resolve([profile_layer(name)], profile=name)


def _allowed(spec: Spec) -> str:
    """`any text` says nothing that a reader would need."""
    if spec.name == "BRAIN_PROFILE":
        return "one of " + ", ".join(profile_names())
    return "" if spec.allowed == "any text" else spec.allowed


def _value(value: object) -> str:
    text = show(value)
    return f"`{text}`" if text else "(empty)"


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = ["|" + "".join(_cell(text) for text in row) for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A cell and the bar after it."""
    escaped = text.replace("|", r"\|")
    return f" {escaped} |" if escaped else " |"


def main() -> int:
    """Write the page, or with `--check` compare it; the exit status."""
    return write_or_check(PATH, page(), "tools.settings_page")


if __name__ == "__main__":
    sys.exit(main())
