"""`python -m tools.profiles_page` writes docs/profiles.md from the profiles and the memory plan.

`--check` writes nothing, and fails if the page isn't in step.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brain.engines.recipes import language_model_rungs, synthesizer_rungs, transcriber_rungs
from brain.engines.recipes.gpu_needs import orpheus_on_gpu
from brain.models import catalog
from brain.models.catalog import Catalog, Model
from brain.ops.memory.parts import plan
from brain.ops.memory.plan import MemoryPlan
from brain.ops.memory.show import size, sums, where
from brain.settings import Settings
from brain.settings.layers import PROFILES, Assignment, flags_layer, profile_layer, profile_names
from brain.settings.load import resolve
from tools.written_page import write_or_check

PATH = Path(__file__).parent.parent / "docs" / "profiles.md"
_REAL_TIME = 82
"""Tokens/s at which Orpheus keeps up with its own speech."""

INTRODUCTION = """\
# Profiles

Written by `python -m tools.profiles_page` from `brain/profiles/`, `brain/models/catalog.toml` and
the memory plan. The same plan, of your own settings and on your machine:

```
brain doctor --profile orin-nx --plan-only --set LLM_CONTEXT=8192     # --json for scripts
```

It loads nothing. Its exit status is that of the profile's machine: 0 it fits, 1 hardly, or a part
isn't known, 2 it doesn't.

GB are 10^9 bytes: a card of 24 GiB has 25.8. What a number says: *catalogue* is a size from
`brain/models/catalog.toml`, where it says of each how it was come by; *file*: read from the file
that is here, of a GGUF from its header; *reckoned*: as `brain/ops/memory/parts.py` says;
*measured*: on x86-64, 2 cores; *assumed*: nobody measured it here. The plan of `pocket` is held
against a real brain by `tests/e2e/test_memory_measured.py` (planned 298 MB, measured 297).

**Speed.** For each token a model reads its weights and its cache once, so that the bandwidth of its
memory divided by those is what no software can pass. What is reached of it is less: on Orin boards
others have seen half to two thirds. No figure of a GPU here was measured by us.

**What gives way first.** Engines are loaded one after the other, and each finds its memory free or
isn't loaded: then the next in its row below serves, `/ready` says what it needs and what is free,
and it is tried again (after 5, 15, 60, then every 300 s). vLLM's shares are also held against
`GPU_UTILIZATION_CAP`; over it Orpheus goes first. What else can fail: [degrade.md](degrade.md).
"""


@dataclass(frozen=True)
class Variant:
    """A profile as it is, or with settings of one's own, which are named in its title."""

    title: str
    values: tuple[tuple[str, str], ...] = ()


VARIANTS = {
    "rtx3090ti": (
        Variant("`PERFORMANCE_MODE=0`, as it comes"),
        Variant("`PERFORMANCE_MODE=1`", (("PERFORMANCE_MODE", "1"),)),
    ),
    "orin-nx": (
        Variant("As it comes"),
        Variant(
            "With the 4B: `LLM_MODEL_PATH=Qwen3-4B-Q4_K_M.gguf`",
            (("LLM_MODEL_PATH", "Qwen3-4B-Q4_K_M.gguf"),),
        ),
    ),
}

SPEEDS = {
    "pocket": "Measured: 2 000 to 3 000 tokens/s on one thread, first sound 635 ms after the last\n"
    "sample of speech, 500 of them the silence that ends a turn (`benchmarks/RESULTS.md`).",
    "laptop": "51.2 GB/s are two channels of DDR4-3200; with one channel it is half. Nothing was\n"
    "measured.",
    "orin-nx": "Seen by others on Orin NX and Nano: 8B 10 to 13 tokens/s, 4B 15 to 22; a prompt\n"
    "of 1 000 tokens that isn't cached costs the 8B 4 to 7 s. So the 4B is the better talker, the\n"
    "8B the one that was asked for. {orpheus}",
    "rtx3090": "Not measured. If as much of it is reached as on an Orin: 50 to 70 tokens/s.\n"
    "{orpheus}",
    "rtx3090ti": "Not measured. {orpheus} While it speaks, that much of the\n"
    "bandwidth is not the mind's.",
}
_ORPHEUS = {
    "orin-nx": "orpheus-3b-q4_k_m",
    "rtx3090": "orpheus-3b-q4_k_m",
    "rtx3090ti": "orpheus-3b",
}


def page() -> str:
    """The whole page, Markdown."""
    known = catalog.load()
    return "\n".join([INTRODUCTION, *(_profile(name, known) for name in profile_names())])


def _profile(name: str, known: Catalog) -> str:
    text = (PROFILES / f"{name}.env").read_text(encoding="utf-8")
    head = text.split("\n\n")[0].split("\n#\n")[0]
    words = " ".join(line.removeprefix("#").strip() for line in head.splitlines())
    about = words.removeprefix(f"{name}: ").removeprefix(f"{name} ")
    parts = [f"## {name}\n", f"{about[0].upper()}{about[1:]}\n", _models(name, known)]
    for variant in VARIANTS.get(name, (Variant(""),)):
        settings = _settings(name, variant.values)
        machine = known.profiles[name].machine
        assert machine is not None
        made = plan(settings, known, machine)
        if variant.title:
            parts.append(f"### {name}: {variant.title}\n")
        parts += [_memory(made), _sums(made), _ladders(settings)]
    parts.append(f"Speed: {SPEEDS[name].format(orpheus=_orpheus(name, known))}\n")
    return "\n".join(parts)


def _settings(name: str, values: Sequence[tuple[str, str]]) -> Settings:
    # A folder that isn't there, so that the page doesn't depend on what its writer has fetched.
    own = [("BRAIN_PROFILE", name), ("MODELS_DIR", "/nowhere"), *values]
    flags = flags_layer([Assignment(key, value, "--set") for key, value in own])
    return resolve([profile_layer(name), flags], profile=name)


def _models(name: str, known: Catalog) -> str:
    wants = known.profiles[name]
    if not wants.wants:
        return "Models: the embedded ones alone.\n"
    rows = [("model", "", "licence")]
    rows += [_model(known.models[one], "comes with a pull") for one in wants.wants]
    rows += [_model(known.models[one], "may stand in") for one in wants.may]
    return _table(rows)


def _model(model: Model, how: str) -> tuple[str, str, str]:
    return (f"`{model.id}`: {model.about}", how, model.licence)


def _memory(made: MemoryPlan) -> str:
    rows = [("part", "GB", "lies in", "what", "says")]
    rows += [
        (part.name, size(part), where(part, made.machine), part.what, part.source)
        for part in made.parts
    ]
    return _table(rows)


def _sums(made: MemoryPlan) -> str:
    told = "".join(f"- {line}\n" for line in sums(made))
    return f"On {made.machine.about}:\n\n{told}"


def _ladders(settings: Settings) -> str:
    mind = [rung.name if not rung.embedded else "the pocket mind"
            for rung in language_model_rungs(settings)]  # fmt: skip
    ears = [rung.name if not rung.embedded else "the pocket ears"
            for rung in transcriber_rungs(settings)]  # fmt: skip
    mouth = [rung.name if not rung.embedded or rung.name == "espeak" else "the pocket voice"
             for rung in synthesizer_rungs(settings)]  # fmt: skip
    large = mouth[:1] == ["orpheus"] and orpheus_on_gpu(settings)
    order = "mind, Orpheus, ears" if large else "mind, ears, mouth"
    rows = [f"- {kind}: {' → '.join(names)}\n"
            for kind, names in (("mind", mind), ("ears", ears), ("mouth", mouth))]  # fmt: skip
    return "".join([*rows, f"- loaded in this order: {order}; the last finds no room first\n"])


def _orpheus(name: str, known: Catalog) -> str:
    machine = known.profiles[name].machine
    if name not in _ORPHEUS or machine is None:
        return ""
    model = known.models[_ORPHEUS[name]]
    most = machine.bandwidth_gb_s / model.weights_gb
    asked = f"Orpheus needs {_REAL_TIME} tokens/s to keep up with its own speech"
    if most < _REAL_TIME:
        return f"{asked}, and can't pass\n{most:.0f} here as `{model.id}` ({model.weights_gb} GB)."
    takes = _REAL_TIME * model.weights_gb
    return (
        f"{asked}: as\n`{model.id}` ({model.weights_gb} GB) it can't pass {most:.0f}, and takes"
        f" {takes:.0f} of the {machine.bandwidth_gb_s:.0f} GB/s."
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or with `--check` compare it; the exit status."""
    return write_or_check(PATH, page(), "tools.profiles_page")


if __name__ == "__main__":
    sys.exit(main())
