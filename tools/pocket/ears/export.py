"""From a trained network to the folder that faster-whisper loads: CTranslate2, int8."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ctranslate2.converters.transformers import WhisperLoader
from ctranslate2.specs import whisper_spec
from tokenizers import Tokenizer

from tools.pocket.ears.network import Ears
from tools.pocket.ears.tokens import vocabulary


def export(ears: Ears, tokenizer: Tokenizer, out: Path) -> None:
    """Write `model.bin`, `config.json`, `vocabulary.json`, `tokenizer.json` and
    `preprocessor_config.json` to `out`, each swapped in whole. Needs write access to `out`.
    """
    size, whisper, loader = ears.size, ears.whisper.eval(), WhisperLoader()
    spec = whisper_spec.WhisperSpec(
        size.encoder_layers, size.heads, size.decoder_layers, size.heads
    )
    loader.set_encoder(spec.encoder, whisper.model.encoder)
    loader.set_decoder(spec.decoder, whisper.model.decoder)
    loader.set_linear(spec.decoder.projection, whisper.proj_out)
    spec.register_vocabulary(vocabulary(tokenizer))
    # Nothing is forbidden at the beginning: an empty hearing is a hearing.
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = []
    spec.config.alignment_heads = [[size.decoder_layers - 1, 0]]
    spec.validate()
    spec.optimize("int8")
    fresh = out.parent / f".{out.name}.part"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    spec.save(str(fresh))
    tokenizer.save(str(fresh / "tokenizer.json"), pretty=False)
    features = {"feature_size": 80, "sampling_rate": 16000, "hop_length": 160,
                "chunk_length": 30, "n_fft": 400}  # fmt: skip
    (fresh / "preprocessor_config.json").write_text(json.dumps(features, indent=1) + "\n")
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(fresh.iterdir()):
        file.replace(out / file.name)
    fresh.rmdir()
