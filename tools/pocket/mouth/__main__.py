"""`python -m tools.pocket.mouth`: corpus, training and export of the pocket mouth."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
WORK = REPOSITORY / "build" / "pocket" / "mouth"
OUT = REPOSITORY / "brain" / "pocket"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.pocket.mouth", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for voice.onnx")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for work files")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--export-only", action="store_true", help="export the last checkpoint")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Do what is left to do, and write voice.onnx and voice.onnx.json."""
    arguments = _arguments()
    # Before torch is loaded: its pools read this once.
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    import torch

    from . import corpus, features, train

    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    cache = arguments.work / "corpus.pkl"
    checkpoint = arguments.work / "last.pt"
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {line}", flush=True)

    if not (cache.exists() and (arguments.resume or arguments.export_only)):
        texts = corpus.training_texts(train.CORPUS_SEED)
        made: list[features.Utterance] = []
        for index, utterance in enumerate(features.make(texts, arguments.threads), start=1):
            if utterance is not None:
                made.append(utterance)
            if index % 200 == 0:
                left = (time.monotonic() - began) * (len(texts) - index) / index
                say(f"mouth: spoke {index}/{len(texts)} sentences, {left:.0f} s left")
        features.save(made, cache)
    utterances = features.load(cache)
    minutes = sum(len(u.samples) for u in utterances) / features.RATE / 60
    say(f"mouth: {len(utterances)} sentences, {minutes:.0f} minutes of speech")

    state = train.new_state()
    if checkpoint.exists() and (arguments.resume or arguments.export_only):
        state.load(checkpoint)
    if not arguments.export_only:
        for line in train.train(utterances, state, checkpoint):
            say(line)

    from . import export

    size = export.write(state.average, utterances, arguments.out)
    say(f"mouth: wrote {arguments.out / export.NAME}, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
