"""A model of the end of turns, in the form of Smart Turn v3.

It hears the last 8 s of a turn, shorter ones with silence in front: `input_features` float32
[batch, 80, 800], Whisper's log-mel picture of them. It gives [batch, 1], the probability that the
turn is over (a sigmoid is in the network, whatever its output is called).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.engines.endpointing.log_mel import MELS, RATE, log_mel
from brain.engines.onnx_network import Network
from brain.engines.ports import (
    CancelToken,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Ticket,
)
from brain.engines.worker import Worker

SAMPLES = 8 * RATE
_FRAMES = 800
_ADVICE = "take another ENDPOINTING_MODEL, or none"


class SmartTurn:
    """An `EndOfTurn`, on a thread of its own. Made by `load`."""

    def __init__(self, file: Path, worker: Worker, network: Network) -> None:
        self._file = file
        self._worker = worker
        self._network = network

    @classmethod
    async def load(cls, file: Path, *, threads: int = 1) -> SmartTurn:
        """Load `file`. `threads`: as `Network`. Raises `EngineUnavailable`."""
        worker = Worker("end-of-turn")
        try:
            network = await worker.run(_open, file, threads)
        except BaseException:
            await worker.close()
            raise
        return cls(file, worker, network)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("smart-turn", self._file.name.removesuffix(".onnx"), "cpu")

    async def probability(self, samples: NDArray[np.float32], *, ticket: Ticket) -> float:
        """As `EndOfTurn.probability`. Not-a-number samples are taken as silence."""
        ticket.cancel.raise_if_cancelled()
        return await self._worker.run(self._judge, samples, ticket.cancel)

    async def close(self) -> None:
        """As `EndOfTurn.close`. It ends a run of the network that is under way."""
        self._network.stop()
        await self._worker.close(self._network.free)

    def _judge(self, samples: NDArray[np.float32], token: CancelToken) -> float:
        token.raise_if_cancelled()
        self._network.under(token)
        name = self._network.get_inputs()[0].name
        found = np.asarray(self._network.run(None, {name: features(samples)})[0]).reshape(-1)
        if len(found) != 1 or not 0.0 <= float(found[0]) <= 1.0:
            raise EngineFailed(
                f"{self._file} gave {found[:3]} where one probability was expected: {_ADVICE}"
            )
        return float(found[0])


def features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network is given of `samples` (float32 [n] at 16 kHz): float32 [1, 80, 800]."""
    last = samples[-SAMPLES:].astype(np.float32, copy=False)
    last = np.clip(np.nan_to_num(last, posinf=0.0, neginf=0.0), -1.0, 1.0)
    return log_mel(np.pad(last, (SAMPLES - len(last), 0)))[np.newaxis]


def _open(file: Path, threads: int) -> Network:
    if not file.is_file():
        raise EngineUnavailable(
            f"There is no model of the end of turns in {file}: ENDPOINTING_MODEL is an ONNX file, "
            "or a name of the catalogue; brain models pull smart-turn fetches that one."
        )
    network = Network(file, advice=_ADVICE, threads=threads, what="model of the end of turns")
    inputs, outputs = network.get_inputs(), network.get_outputs()
    takes = [(one.type, list(one.shape)[1:]) for one in inputs]
    if takes != [("tensor(float)", [MELS, _FRAMES])] or not outputs:
        told = ", ".join(f"{one.name} {one.type} {list(one.shape)}" for one in inputs)
        raise EngineUnavailable(
            f"{file} takes {told}, and Smart Turn v3 takes tensor(float) [batch, {MELS}, "
            f"{_FRAMES}]: {_ADVICE}."
        )
    return network
