"""The trained network as a Piper voice: one ONNX graph and its JSON beside it.

The graph's contract is Piper's: `input` int64 [1, T] phoneme ids with padding between them,
`input_lengths` int64 [1], `scales` float32 [3] (noise, length, noise width); `output` float32
[1, 1, 1, N]. A second output `durations` float32 [1, T], in hops, is what piper's alignments use.
"""

from __future__ import annotations

import collections
import copy
import io
import json
import warnings
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from torch import Tensor, nn

from .borrow import borrow
from .features import FRAME, RATE, Utterance
from .net import SHORTEST, SYMBOLS, Acoustic
from .source import SourceFilter

NAME = "voice.onnx"
OPSET = 17
NOISE_SCALE = 0.667
"""Piper's usual noise scale; here it gives consonants the breath that they were learnt with."""
NOISE_TABLE = 1 << 15
FADE_IN, FADE_OUT = 110, 441
"""Samples (5 and 20 ms) over which a clause comes out of digital silence and goes back."""
QUIET = 0.004
"""Peak below which a clause is silence. Piper's normalising would make it a rumble."""
HALF_FROM = 256
"""Tensors of at least so many numbers are stored in half precision."""


class Voice(nn.Module):
    """Ids to sound, with Piper's signature."""

    noise: Tensor

    def __init__(self, net: Acoustic) -> None:
        super().__init__()
        self.net = net
        self.source = SourceFilter()
        noise = np.random.default_rng(1).standard_normal(NOISE_TABLE)
        self.register_buffer("noise", torch.tensor(noise, dtype=torch.float32))

    def forward(self, ids: Tensor, lengths: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
        spoken = ids[0] > lengths[0] * 0  # padding is 0; the lengths are part of the signature
        kept = ids[0][torch.nonzero(spoken).squeeze(1)].unsqueeze(0)
        states, log_durations = self.net.encode(kept)
        stretch = torch.clamp(scales[1], 0.2, 5.0)
        durations = torch.clamp(torch.exp(log_durations) - SHORTEST, 0.0, 120.0) * stretch
        total = durations.sum()
        frames = torch.ceil(total).long() + 1
        count = cast("int", frames)  # a tensor, so that the graph's length stays open
        centres = (torch.arange(count).float() + 0.25).unsqueeze(0)
        said = self.net.decode(states, durations, centres, torch.ones_like(centres).unsqueeze(2))
        places = torch.arange(count * FRAME)
        breath = 0.5 + 0.5 * torch.clamp(scales[0], 0.0, 2.0) / NOISE_SCALE
        noise = self.noise[places % NOISE_TABLE].unsqueeze(0) * breath
        sound = self.source(
            said.envelope,
            said.aperiodicity,
            said.log_f0,
            torch.sigmoid(said.voice_logit),
            noise,
        )
        place = places.float()
        ramp = torch.clamp(place / FADE_IN, 0.0, 1.0)
        ramp = ramp * torch.clamp((frames * FRAME - 1).float() - place, 0.0, FADE_OUT) / FADE_OUT
        sound = sound * ramp
        peak = sound.abs().max()
        sound = sound * torch.clamp((peak - QUIET) / QUIET, 0.0, 1.0)
        order = torch.clamp(torch.cumsum(spoken.long(), 0) - 1, min=0)
        last = (order == order[-1]).float() * spoken.float()
        shown = durations[0][order] * spoken.float() + last * (frames.float() - total)
        return sound.view(1, 1, 1, -1), shown.unsqueeze(0)


def _halve(model: onnx.ModelProto) -> None:
    """Store the large float tensors in half precision, with a Cast in front of their users."""
    casts = []
    for tensor in list(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < HALF_FROM:
            continue
        name = tensor.name
        half = numpy_helper.from_array(
            numpy_helper.to_array(tensor).astype(np.float16), name + "_half"
        )
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    for index, node in enumerate(casts):
        model.graph.node.insert(index, node)


def _config() -> dict[str, object]:
    return {
        "audio": {"sample_rate": RATE, "quality": "pocket"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": NOISE_SCALE, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "num_symbols": SYMBOLS,
        "num_speakers": 1,
        "speaker_id_map": {},
        "hop_length": FRAME,
        "language": {"code": "en_US", "family": "en", "name_english": "English"},
        "dataset": "robot-brain pocket mouth, learnt from espeak-ng",
    }


def build(net: Acoustic, utterances: list[Utterance]) -> onnx.ModelProto:
    """The graph of `net`; symbols that `utterances` lack borrow their neighbours' sounds."""
    net = copy.deepcopy(net).eval()
    borrow(net, dict(collections.Counter(t for u in utterances for t in u.tokens)))
    example = utterances[0]
    ids = [DEFAULT_PHONEME_ID_MAP[t][0] for t in example.tokens]
    padded = torch.tensor([[i for id_ in ids for i in (id_, 0)][:-1]])
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's warnings about shapes that stay dynamic
        torch.onnx.export(
            Voice(net).eval(),
            (padded, torch.tensor([padded.shape[1]]), torch.tensor([NOISE_SCALE, 1.0, 0.8])),
            buffer,  # type: ignore[arg-type]
            input_names=["input", "input_lengths", "scales"],
            output_names=["output", "durations"],
            dynamic_axes={
                "input": {1: "phonemes"},
                "output": {3: "time"},
                "durations": {1: "phonemes"},
            },
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    _halve(model)
    onnx.checker.check_model(model)
    return model


def write(net: Acoustic, utterances: list[Utterance], out: Path) -> int:
    """Write voice.onnx and voice.onnx.json to `out`, each in one step; returns its size."""
    model = build(net, utterances)
    out.mkdir(parents=True, exist_ok=True)
    payload = model.SerializeToString()
    for name, data in (
        (NAME + ".json", json.dumps(_config(), ensure_ascii=False, indent=1).encode() + b"\n"),
        (NAME, payload),
    ):
        partial = out / (name + ".partial")
        partial.write_bytes(data)
        partial.replace(out / name)
    return len(payload)
