"""The decoder on onnxruntime: its geometry, and files that are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brain.engines.ports import EngineFailed, EngineUnavailable
from brain.engines.recipes import POCKET
from brain.engines.tts.orpheus.snac import SnacDecoder
from tests.engines.tts.orpheus.tiny_snac import CODEBOOK, NAMES, sound_of_its_own, write_snac


def test_it_sounds_as_it_does_in_its_own_code(tmp_path: Path) -> None:
    """PyPI's `snac` on torch: tools/snac/export.py kept what it made of some codes."""
    frames, sound = sound_of_its_own()
    assert np.std(sound) > 0.05
    decoder = SnacDecoder(write_snac(tmp_path / "snac.onnx"))
    assert np.abs(decoder.decode(frames) - sound).max() < 1e-5


@pytest.mark.parametrize("names", [NAMES, ("coarse_codes1", "middle_codes2", "finest_codes3")])
def test_a_frame_is_2048_samples_and_each_of_its_codes_is_heard(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    decoder = SnacDecoder(write_snac(tmp_path / "snac.onnx", names=names))
    frames = [(1, 2, 3, 4, 5, 6, 7), (8, 9, 10, 11, 12, 13, 14)]
    sound = decoder.decode(frames)
    assert (sound.shape, sound.dtype) == ((2 * 2048,), np.float32)
    assert np.array_equal(decoder.decode(frames), sound)
    for place in range(7):
        other = tuple(0 if place == p else code for p, code in enumerate(frames[1]))
        assert np.abs(decoder.decode([frames[0], other]) - sound).max() > 1e-3


def test_the_layers_go_to_the_inputs_in_the_order_of_the_file(tmp_path: Path) -> None:
    backwards = ("audio_codes.2", "audio_codes.1", "audio_codes.0")
    one = SnacDecoder(write_snac(tmp_path / "one.onnx"))
    other = SnacDecoder(write_snac(tmp_path / "other.onnx", names=backwards))
    frame = [(1, 2, 3, 4, 5, 6, 7)]
    assert np.array_equal(one.decode(frame), other.decode(frame)), "the same but for the names"


def test_what_is_no_snac_at_24_khz_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="ORPHEUS_DECODER_PATH"):
        SnacDecoder(tmp_path / "absent.onnx")
    (tmp_path / "cut.onnx").write_bytes(write_snac(tmp_path / "a.onnx").read_bytes()[:5000])
    with pytest.raises(EngineUnavailable, match="not a decoder that loads"):
        SnacDecoder(tmp_path / "cut.onnx")
    coarse = write_snac(tmp_path / "coarse.onnx", last_stride=1)
    with pytest.raises(EngineUnavailable, match="1025 samples of 1 frames, not 2048"):
        SnacDecoder(coarse)


def test_another_network_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match="is not SNAC's decoder at 24 kHz"):
        SnacDecoder(POCKET / "voice.onnx")


def test_a_code_beyond_the_book_is_an_error(tmp_path: Path) -> None:
    decoder = SnacDecoder(write_snac(tmp_path / "snac.onnx"))
    with pytest.raises(EngineFailed, match="SNAC's decoder failed"):
        decoder.decode([(4096,) * 7])


def test_a_damaged_weight_is_told_not_played(tmp_path: Path) -> None:
    file = write_snac(tmp_path / "snac.onnx")
    data = bytearray(file.read_bytes())
    first = data.index(CODEBOOK + b"J") + len(CODEBOOK) + 4  # tag and length of what it holds
    data[first + 32 * 9 : first + 32 * 10] = 8 * np.float32(np.nan).tobytes()  # of the tenth code
    file.write_bytes(data)
    decoder = SnacDecoder(file)
    with pytest.raises(EngineFailed, match="isn't a number"):
        decoder.decode([(code,) * 7 for code in range(64)])
