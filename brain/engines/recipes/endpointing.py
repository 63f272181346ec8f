"""The model that hears whether somebody has ended: the one of the settings, if they have one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brain.engines.admission import AdmissionLimits
from brain.engines.ladder import GivenUp, Rung
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneEndOfTurn
from brain.engines.ports import EndOfTurn, Ticket
from brain.engines.recipes.building import GRACE_S, WARM_UP, warm
from brain.models import catalog
from brain.models.errors import ModelsError
from brain.models.place import located, models_dir
from brain.settings import Settings

# Its verdict is of no use once the silence is over; robots that pause at once are heard in turn.
_LATE_S, _QUEUE_S = 1.0, 0.2


def end_of_turn_rungs(settings: Settings) -> list[Rung[EndOfTurn]]:
    """One, or none: there is nothing below it but the words."""
    if settings.endpointing != "adaptive" or not settings.endpointing_model:
        return []

    async def build(given_up: GivenUp) -> EndOfTurn:
        from brain.engines.endpointing.smart_turn import SmartTurn

        engine: EndOfTurn = await SmartTurn.load(end_of_turn_file(settings))
        await warm(engine, check_end_of_turn)
        limits = LaneLimits(AdmissionLimits(queue_s=_QUEUE_S), _LATE_S, _LATE_S, GRACE_S)
        return LaneEndOfTurn(Lane(engine, limits, given_up=given_up))

    def files() -> tuple[Path]:
        return (end_of_turn_file(settings),)

    return [Rung("smart-turn", build, check_end_of_turn, files=files)]


def end_of_turn_file(settings: Settings) -> Path:
    """Where the model lies: by its name in the catalogue, or as the setting says."""
    name, folder = settings.endpointing_model, models_dir(settings.models_dir)
    try:
        model = catalog.load().models.get(name)
    except ModelsError:  # who says so is the doctor
        model = None
    return folder / model.place(model.files[-1]) if model is not None else located(name, folder)


async def check_end_of_turn(engine: EndOfTurn) -> None:
    """A second of noise through the model: it is loaded, warm, and raises nothing."""
    noise = np.random.default_rng(0).standard_normal(16000) * 0.05
    await engine.probability(noise.astype(np.float32), ticket=Ticket(WARM_UP))
