"""Utterances to padded tensors, in batches of about equal sound."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from torch import Tensor

from .features import BANDS, FLOOR, FRAME, KNOTS, Utterance


@dataclass(frozen=True)
class Batch:
    """B sentences, N tokens, F network frames, T = 2 F feature frames."""

    ids: Tensor
    lengths: Tensor
    token_mask: Tensor
    durations: Tensor
    centres: Tensor
    frame_mask: Tensor
    fine_mask: Tensor
    envelope: Tensor
    aperiodicity: Tensor
    log_f0: Tensor
    voiced: Tensor
    samples: Tensor
    """[B, F * FRAME] in -1..1."""


def frames_of(utterance: Utterance) -> int:
    """Number of network frames."""
    return len(utterance.samples) // FRAME


def token_ids(tokens: tuple[str, ...]) -> list[int]:
    """Piper's ids without the padding between them."""
    return [DEFAULT_PHONEME_ID_MAP[token][0] for token in tokens]


def collate(utterances: list[Utterance]) -> Batch:
    """Pad to the longest."""
    count = len(utterances)
    tokens = max(len(u.tokens) for u in utterances)
    frames = max(frames_of(u) for u in utterances)
    ids = np.zeros((count, tokens), np.int64)
    durations = np.zeros((count, tokens), np.float32)
    token_mask = np.zeros((count, tokens), np.float32)
    frame_mask = np.zeros((count, frames, 1), np.float32)
    envelope = np.full((count, 2 * frames, KNOTS), FLOOR, np.float32)
    aperiodicity = np.ones((count, 2 * frames, BANDS), np.float32)
    log_f0 = np.full((count, 2 * frames), 4.6, np.float32)
    voiced = np.zeros((count, 2 * frames), np.float32)
    samples = np.zeros((count, frames * FRAME), np.float32)
    for row, u in enumerate(utterances):
        n, f = len(u.tokens), frames_of(u)
        ids[row, :n] = token_ids(u.tokens)
        durations[row, :n] = u.durations
        token_mask[row, :n] = 1.0
        frame_mask[row, :f] = 1.0
        envelope[row, : 2 * f] = u.envelope
        aperiodicity[row, : 2 * f] = u.aperiodicity
        log_f0[row, : 2 * f] = u.log_f0
        voiced[row, : 2 * f] = u.voiced
        samples[row, : f * FRAME] = u.samples.astype(np.float32) / 32768.0
    mask = torch.from_numpy(frame_mask)
    centres = (torch.arange(frames, dtype=torch.float32) + 0.25).expand(count, -1)
    return Batch(
        ids=torch.from_numpy(ids),
        lengths=torch.tensor([len(u.tokens) for u in utterances]),
        token_mask=torch.from_numpy(token_mask),
        durations=torch.from_numpy(durations),
        centres=centres,
        frame_mask=mask,
        fine_mask=mask.squeeze(2).repeat_interleave(2, dim=1),
        envelope=torch.from_numpy(envelope),
        aperiodicity=torch.from_numpy(aperiodicity),
        log_f0=torch.from_numpy(log_f0),
        voiced=torch.from_numpy(voiced),
        samples=torch.from_numpy(samples),
    )


def batches(utterances: list[Utterance], frames: int, seed: int, start: int) -> Iterator[Batch]:
    """Endless batches of at most `frames` network frames, padding included, from step `start`.

    The order depends on `seed` alone, so that a resumed run sees what the first would have seen.
    """
    rng = random.Random(seed)
    step = 0
    while True:
        order = sorted(utterances, key=lambda u: frames_of(u) * (0.9 + 0.2 * rng.random()))
        groups: list[list[Utterance]] = [[]]
        for u in order:
            longest = max([frames_of(u), *(frames_of(v) for v in groups[-1])])
            if groups[-1] and longest * (len(groups[-1]) + 1) > frames:
                groups.append([])
            groups[-1].append(u)
        rng.shuffle(groups)
        for group in groups:
            if step >= start:
                yield collate(group)
            step += 1
