"""Exports SNAC's decoder from its own architecture (PyPI's `snac`), with random weights, as ONNX.

Run by `tools/snac/make.sh` in an environment of its own: it needs torch, which the brain doesn't.
The decoder's noise is off, so that the same codes are the same sound. Names of inputs and output
are those of the ONNX files that are published.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from snac import SNAC
from torch import nn

# The published snac_24khz, whose encoder isn't used here.
RATES, STRIDES = [8, 8, 4, 2], [4, 2, 1]
REAL = {"encoder_dim": 48, "decoder_dim": 1024}
NARROW = {"encoder_dim": 1, "decoder_dim": 64}
LOUDNESS = 0.1
"""RMS of the sound of random codes, 1 the loudest there is."""
FRAMES = 6
"""Of the codes whose sound goes with the file."""


class Decoder(nn.Module):
    """Codes to sound, as `SNAC.decode`, in operators that ONNX has for any length."""

    def __init__(self, snac: SNAC) -> None:
        super().__init__()
        self.quantizers = snac.quantizer.quantizers
        self.decoder = snac.decoder

    def forward(self, *codes: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(())
        for layer, quantizer in zip(codes, self.quantizers, strict=True):
            found = quantizer.out_proj(quantizer.decode_code(layer))
            # `repeat_interleave` is exported for the length of its example alone.
            spread = found.unsqueeze(-1).expand(-1, -1, -1, quantizer.stride)
            total = total + spread.flatten(2)
        return self.decoder(total)


def made(widths: dict[str, int], seed: int) -> SNAC:
    """A SNAC at 24 kHz with random weights, as loud as speech."""
    torch.manual_seed(seed)
    snac = SNAC(
        sampling_rate=24_000, encoder_rates=RATES[::-1], decoder_rates=RATES, vq_strides=STRIDES,
        attn_window_size=None, codebook_size=4096, codebook_dim=8, noise=False, depthwise=True,
        **widths,
    ).eval()  # fmt: skip
    for part in snac.modules():
        if isinstance(part, (nn.Conv1d, nn.ConvTranspose1d)):
            torch.nn.utils.parametrize.remove_parametrizations(part, "weight")
    with torch.no_grad():
        last = snac.decoder.model[-2]
        last.bias.zero_()
        before = snac.decoder.model[:-1](snac.quantizer.from_codes(random_codes(64, seed)))
        last.weight *= LOUDNESS / before.std()
    return snac


def random_codes(frames: int, seed: int) -> list[torch.Tensor]:
    """int64 [1, n], [1, 2n] and [1, 4n]."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (frames * STRIDES[0] // stride for stride in STRIDES)
    return [torch.randint(0, 4096, (1, size), generator=generator) for size in sizes]


def export(widths: dict[str, int], path: Path, seed: int = 1) -> None:
    """Write the decoder to `path`, and beside it (.npz) codes with the sound that torch makes."""
    snac = made(widths, seed)
    codes = random_codes(FRAMES, seed + 1)
    names = [f"audio_codes.{index}" for index in range(len(STRIDES))]
    axes = {
        name: {0: "batch", 1: f"time{stride}"} for name, stride in zip(names, STRIDES, strict=True)
    }
    axes["audio_values"] = {0: "batch", 2: "samples"}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        Decoder(snac), tuple(codes), str(path), input_names=names, output_names=["audio_values"],
        dynamic_axes=axes, opset_version=17, dynamo=False,
    )  # fmt: skip
    _without_paths(path)
    with torch.no_grad():
        sound = snac.decode(codes)[0, 0].numpy()
    given = {name: layer.numpy().astype(np.int16) for name, layer in zip(names, codes, strict=True)}
    np.savez_compressed(path.with_suffix(".npz"), audio_values=sound, **given)


def _without_paths(path: Path) -> None:
    """Exporters write where they lie into the file, line by line."""
    model = onnx.load(str(path))
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.save(model, str(path))


def main() -> None:
    """`export.py WIDTH FILE`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("width", choices=["real", "narrow"])
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    export(REAL if given.width == "real" else NARROW, given.file)


if __name__ == "__main__":
    main()
