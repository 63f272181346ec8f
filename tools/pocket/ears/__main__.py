"""`python -m tools.pocket.ears`: make the clips, train, export, evaluate; each stage resumes."""

from __future__ import annotations

import argparse
import json
import random
import shutil
from pathlib import Path

import torch

from tools.pocket.ears import evaluate, library, mouth_clips, phrases, tokens
from tools.pocket.ears.export import export
from tools.pocket.ears.network import Size
from tools.pocket.ears.phrases import Phrase
from tools.pocket.ears.train import Schedule, Symbols, Trainer

_ROOT = Path(__file__).parents[3]
_SEED = 1


def main() -> None:
    """Run the stages that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tools.pocket.ears", description=__doc__)
    parser.add_argument("--out", type=Path, default=_ROOT / "brain/pocket/ears")
    parser.add_argument("--work", type=Path, default=_ROOT / "build/pocket/ears")
    parser.add_argument("--voice", type=Path, default=_ROOT / "brain/pocket/voice.onnx")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--until", type=int, help="stop (and export) at this step")
    parser.add_argument("--export", action="store_true", help="export the checkpoint as it is")
    parser.add_argument("--evaluate", action="store_true", help="only measure what is in --out")
    parser.add_argument("--whole", action="store_true", help="measure with the whole 30 s window")
    parser.add_argument("--sample", type=float, default=1.0, help="share of phrases to measure")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.evaluate:
        measure(args.out, args.voice, args.sample, whole=args.whole)
        return
    trainer = prepared(args.work, args.resume or args.export)
    if not args.export:
        schedule = trainer.schedule
        until = min(args.until or schedule.steps, schedule.steps)
        # The last part of the training hears the mouth too, if there is one by then.
        alone = min(until, int(schedule.steps * schedule.mouth_from))
        trainer.run(args.work, alone)
        if until > alone:
            trainer.run(args.work, until, mouth_shelf(args.work, args.voice))
    export(trainer.average, trainer.symbols.tokenizer, args.out)
    print(f"ears: step {trainer.step} exported", flush=True)
    if not args.export and trainer.step == trainer.schedule.steps:
        measure(args.out, args.voice, args.sample, whole=args.whole)


def prepared(work: Path, resume: bool) -> Trainer:
    """The shelves and the tokeniser (made where missing), and a trainer, resumed if asked."""
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "clips.npz").exists():
        curriculum = phrases.curriculum(phrases.read(), _SEED)
        library.make_noises(work, curriculum, _SEED + 1)
        library.make_clips(work, curriculum, _SEED)
    texts = [text for text, _ in json.loads((work / "texts.json").read_text())]
    if not (work / "tokenizer.json").exists():
        tokens.train(texts).save(str(work / "tokenizer.json"))
    symbols = Symbols.of(tokens.load(work / "tokenizer.json"), texts)
    trainer = Trainer(symbols, Schedule(), _SEED, Size())
    if resume and (work / "checkpoint.pt").exists():
        trainer.load(work / "checkpoint.pt")
        print(f"ears: resumed at step {trainer.step}", flush=True)
    return trainer


def mouth_shelf(work: Path, voice: Path) -> str | None:
    """Name of the shelf of mouth-made clips, made if there is a voice; None without one."""
    if not voice.exists():
        print("ears: no pocket mouth yet; trained on espeak-ng alone", flush=True)
        return None
    if not (work / "mouth.npz").exists():
        known = json.loads((work / "texts.json").read_text())
        said = [Phrase(text, family, 0) for text, family in known]
        mouth_clips.make(work, said, voice, _SEED + 2)
    return "mouth"


def measure(folder: Path, voice: Path, share: float, *, whole: bool) -> list[evaluate.Score]:
    """Print every figure of the recipe for the ears in `folder`, on a share of the phrases."""
    recipe, repertoire = library.recipe(), phrases.read()
    listener = evaluate.Listener(folder, recipe["gate"], whole=whole)
    spoken = recipe["speech"]
    draw = random.Random(3)

    def some(texts: tuple[str, ...]) -> list[str]:
        return draw.sample(texts, max(1, round(len(texts) * share)))

    asked = some(repertoire.phrasings)
    digits = [phrases.dictated(draw, repertoire.digits) for _ in range(round(60 * share) or 1)]
    rate = int(spoken["sample_rate"])
    jobs = {
        "quiet": evaluate.phrases_aloud(spoken, asked, spoken["repeats"], 0),
        "noise 15 dB": evaluate.phrases_aloud(
            spoken, asked, recipe["noise"]["repeats"], 100_000, evaluate.in_noise(recipe)
        ),
        "nothing": evaluate.nothings(recipe["nothing"], spoken["seed"], rate),
    }
    if voice.exists():
        jobs["the pocket mouth"] = evaluate.by_mouth(voice, asked)
        jobs["the mouth's replies"] = evaluate.by_mouth(voice, some(repertoire.replies))
    for number, (name, change) in enumerate(evaluate.conditions(recipe).items()):
        first = 200_000 + number * 10_000
        jobs[name] = evaluate.phrases_aloud(spoken, asked, 1, first, change)
    jobs["two in one clip"] = evaluate.pairs(spoken, asked, round(100 * share) or 1, 400_000)
    for number, (name, texts) in enumerate(
        {
            "small sounds": list(repertoire.small),
            "cut utterances": list(repertoire.cut),
            "dictated digits": digits,
            "the mind's replies": some(repertoire.replies),
        }.items()
    ):
        jobs[name] = evaluate.phrases_aloud(spoken, texts, 1, 300_000 + number * 10_000)
    scores = []
    for name, clips in jobs.items():
        scores.append(listener.score(name, clips))
        print(evaluate.report(scores[-1:]), flush=True)
    return scores


if __name__ == "__main__":
    main()
