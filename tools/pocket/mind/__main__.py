"""`python -m tools.pocket.mind [--out DIR] [--resume]`: make the pocket mind's GGUF."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from brain.engines.llm.chat_prompt import ChatTemplate
from tools.pocket.mind.batches import Batches
from tools.pocket.mind.dialogues import Dialogues
from tools.pocket.mind.model import Mind, Shape
from tools.pocket.mind.plans import planning
from tools.pocket.mind.tokens import Tokens
from tools.pocket.mind.train import Recipe, train
from tools.pocket.mind.wordings import Wordings

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]
TEMPLATE_FILE = _HERE / "chat_template.jinja"


# Batches of ever new lengths make the C library's heap and oneDNN's cache grow without end (8 GB in
# 700 steps), or, trimmed eagerly, spend half the time in the kernel. These keep both at bay; the
# C library reads them only as a process starts.
_MEMORY = {
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824"
    ":glibc.malloc.trim_threshold=4294967296",
}


def dialogues() -> Dialogues:
    """The maker of training conversations, from the wordings and the ears' repertoire."""
    return Dialogues(Wordings(_HERE / "wordings"), _HERE.parent / "repertoire.toml")


def chat_template() -> ChatTemplate:
    return ChatTemplate(TEMPLATE_FILE.read_text("utf-8"))


def tokeniser(path: Path, seed: int) -> Tokens:
    """The tokeniser, learnt once from a sample of the training text and kept in `path`."""
    if not path.exists():
        print("learning the tokeniser", flush=True)
        Tokens.train(_sample(seed)).save(path)
    return Tokens.load(path)


def _sample(seed: int) -> Iterator[str]:
    rng, talk, template = random.Random(seed), dialogues(), chat_template()
    for _ in range(8000):
        if rng.random() < 0.08:
            segments = template.segments(planning(rng), open_reply=False)
        else:
            conversation = talk.conversation(rng)
            segments = template.segments(
                conversation.messages, conversation.tools, open_reply=False
            )
        yield from (segment.text for segment in segments)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.pocket.mind", description=__doc__)
    parser.add_argument("--out", type=Path, default=_ROOT / "brain" / "pocket")
    parser.add_argument("--work", type=Path, default=_ROOT / "build" / "pocket" / "mind")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument(
        "--export-only", action="store_true", help="write the GGUF of the checkpoint"
    )
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in _MEMORY.items()):
        again = [sys.executable, "-m", "tools.pocket.mind", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, **_MEMORY})  # noqa: S606
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(steps=options.steps)
    codec = tokeniser(options.work / "tokenizer.json", recipe.seed)
    torch.manual_seed(recipe.seed)
    mind = Mind(Shape())
    checkpoint = options.work / "checkpoint.pt"
    if options.export_only:
        mind.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    else:
        batches = Batches(dialogues(), chat_template(), codec, recipe.tokens, recipe.seed)
        train(mind, batches, recipe, checkpoint, resume=options.resume)
    from tools.pocket.mind.export import write_gguf

    target = options.out / "mind.gguf"
    write_gguf(mind, codec, TEMPLATE_FILE.read_text("utf-8"), target)
    print(f"wrote {target} ({target.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
