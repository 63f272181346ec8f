"""`python -m tools.pocket.mind.parity`: does llama.cpp see what the training saw?

Compares tokens (plain text and prompts), the chat template, and logits of the exported file with
the training side. Raises `AssertionError` where they differ.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import llama_cpp
import numpy as np
import torch

from brain.engines.llm.chat_prompt import ChatTemplate
from brain.engines.llm.marks import Segment
from tools.pocket.mind.__main__ import chat_template, dialogues
from tools.pocket.mind.model import Mind, Shape
from tools.pocket.mind.plans import planning
from tools.pocket.mind.tokens import Tokens

_ROOT = Path(__file__).parents[3]
_ODD = (
    "naïve café ☕", "  two  spaces\n\n\nlines ", "日本語のテキスト", "it's 3+4=7, don't!",
    "\t tab \r\n end", "🤖🤖", "<|im_end|> <|im_start|>", "ÀÉ'S I'LL", "12345 67.89", "",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.pocket.mind.parity", description=__doc__)
    parser.add_argument("--gguf", type=Path, default=_ROOT / "brain" / "pocket" / "mind.gguf")
    parser.add_argument("--work", type=Path, default=_ROOT / "build" / "pocket" / "mind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codec = Tokens.load(options.work / "tokenizer.json")
    mind = Mind(Shape())
    mind.load_state_dict(torch.load(options.work / "checkpoint.pt", weights_only=True)["model"])
    engine = llama_cpp.Llama(
        str(options.gguf), n_ctx=1024, n_threads=1, logits_all=True, verbose=False
    )
    template = chat_template()
    shipped = ChatTemplate(engine.metadata["tokenizer.chat_template"])
    rng, talk = random.Random(5), dialogues()

    def tokenise(segments: list[Segment]) -> list[int]:
        ids: list[int] = []
        for part in segments:
            ids += engine.tokenize(part.text.encode(), add_bos=False, special=part.trusted)
        return ids

    for text in _ODD:
        theirs = engine.tokenize(text.encode(), add_bos=False, special=False)
        assert theirs == codec.text(text), (text, theirs, codec.text(text))
    worst, agreed, places = 0.0, 0, 0
    for number in range(120):
        if number % 6 == 0:
            segments = template.segments(planning(rng), open_reply=False)
        else:
            one = talk.conversation(rng)
            segments = template.segments(one.messages, one.tools, open_reply=False)
            assert shipped.segments(one.messages, one.tools, open_reply=False) == segments
        ids = codec.prompt(segments)
        assert tokenise(segments) == ids, segments
        if number < 24:
            engine.reset()
            engine.eval(ids)
            theirs = np.array(engine.scores[: len(ids)])
            with torch.no_grad():
                ours = mind(torch.tensor([ids]))[0].numpy()
            worst = max(worst, float(np.abs(theirs - ours).max()))
            agreed += int((theirs.argmax(-1) == ours.argmax(-1)).sum())
            places += len(ids)
    print(f"tokens and template agree; logits differ by at most {worst:.3f}, "
          f"and agree on the best token in {agreed / places:.2%} of {places} places")  # fmt: skip
    assert agreed / places > 0.97


if __name__ == "__main__":
    main()
