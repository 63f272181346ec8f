"""The plans of a set of settings: on the machine that the profile is written for, and on this."""

from __future__ import annotations

from brain.models import catalog
from brain.models.catalog import Hardware
from brain.ops.doctor import machine as this_machine
from brain.ops.doctor.facts import Machine
from brain.ops.memory.parts import plan
from brain.ops.memory.plan import MemoryPlan
from brain.settings import Settings


def plans(settings: Settings) -> tuple[MemoryPlan, ...]:
    """On the profile's machine, if the catalogue has one, then on this machine. Raises
    `ModelsError` for a catalogue that can't be read."""
    known = catalog.load()
    wants = known.profiles.get(settings.brain_profile)
    machines = [] if wants is None or wants.machine is None else [wants.machine]
    machines.append(hardware_of(this_machine.look({})))
    return tuple(plan(settings, known, one) for one in machines)


def hardware_of(machine: Machine) -> Hardware:
    """This machine, as a plan looks at one; what isn't known is 0."""
    gpu = machine.gpu
    return Hardware(
        "this machine" if gpu is None else f"this machine ({gpu.name})",
        machine.memory_gb or 0.0,
        gpu_gb=0.0 if gpu is None or gpu.shared else gpu.total_gb or 0.0,
        shared=gpu is not None and gpu.shared,
    )
