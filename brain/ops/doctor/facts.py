"""What the doctor knows of a machine and of the brain on it. Read by `gather`, judged by checks.

GB are 10^9 bytes, times are seconds since 1970. None: it isn't known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from brain.models.store import State
from brain.ops.memory.plan import MemoryPlan
from brain.settings import Problem


@dataclass(frozen=True)
class RunningBrain:
    """What answers at the brain's own address.

    `is_a` "none": nobody; "other": some other program; "busy": one that this machine
    has asked too often; "brain": it, with the bodies of `/ready`,
    `/health` and `/sessions` (empty where it didn't tell). `reason`: why it is no brain.
    """

    address: str
    is_a: Literal["none", "other", "busy", "brain"]
    reason: str = ""
    ready: Mapping[str, Any] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)
    sessions: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Incident:
    """One time that the brain ended badly, as the journal has it. `said`: its last line before, ""
    where it was ended from outside."""

    at: float
    what: str
    said: str = ""


@dataclass(frozen=True)
class Unit:
    """brain.service, by systemd's own words. `since`: when its process was started."""

    active: str
    sub: str = ""
    result: str = ""
    exit_status: int = 0
    restarts: int = 0
    status: str = ""
    since: float | None = None


@dataclass(frozen=True)
class Service:
    """`managed`: a systemd runs this machine. `unit` None: there is no brain.service.

    `log_readable`: whoever asks may read its journal. `last_error`: the last line of severity error
    there. `reboots`: restarts of the machine by brain-last-resort that it counts now.
    `orpheus_anew`: times that the voice Orpheus was loaded anew, and why.
    """

    managed: bool
    unit: Unit | None = None
    log_readable: bool = False
    incidents: tuple[Incident, ...] = ()
    last_error: str = ""
    reboots: int = 0
    orpheus_anew: tuple[Incident, ...] = ()


@dataclass(frozen=True)
class Gpu:
    """`shared`: its memory is the machine's (a Jetson)."""

    name: str
    driver: str = ""
    total_gb: float | None = None
    free_gb: float | None = None
    shared: bool = False


@dataclass(frozen=True)
class Disk:
    """The disk below a folder. `what`: what the folder is for."""

    what: str
    folder: str
    free_gb: float
    read_only: bool = False


@dataclass(frozen=True)
class Machine:
    """The machine. `l4t`: release of a Jetson's system, "" elsewhere."""

    system: str
    now: float
    memory_gb: float | None = None
    available_gb: float | None = None
    gpu: Gpu | None = None
    l4t: str = ""
    clock_synchronized: bool | None = None
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True)
class Library:
    """An engine's library as it loads in a process of its own. `trouble`: why it doesn't.

    `gpu`: whether it finds a GPU that it can use; None: it isn't asked.
    """

    name: str
    version: str = ""
    gpu: bool | None = None
    trouble: str = ""


@dataclass(frozen=True)
class UsedModel:
    """A model that the settings name. `setting` and its `value`; `path` of its file.

    `model` is its name in the catalogue, "" for one of the user's own; `on_gpu`: it is to be put
    there; `extra`: the profile doesn't want it by itself; `readable`: it isn't a GGUF's name for
    what is none.
    """

    setting: str
    value: str
    path: str
    there: bool
    model: str = ""
    on_gpu: bool = False
    extra: bool = False
    readable: bool = True


@dataclass(frozen=True)
class Models:
    """`states`: of the models that the profile wants or the settings name, by name; `hashed`: every
    byte of them was compared, not only their sizes. `trouble`: why the store can't be read."""

    folder: str
    used: tuple[UsedModel, ...] = ()
    states: Mapping[str, State] = field(default_factory=dict)
    hashed: bool = False
    trouble: str = ""


@dataclass(frozen=True)
class Facts:
    """Everything. `env_changed`: when the settings' files were last written to. `preflight`: what
    deploy's own look at this kind of machine found. `addresses`: where other machines reach the
    brain. `plan`: what the settings take of this machine's memory. `open_to_all`: no token is asked
    for; `access_problems`: why tokens or a certificate that were meant can't be had.
    """

    running: RunningBrain
    service: Service
    machine: Machine
    models: Models
    plan: MemoryPlan | None = None
    libraries: tuple[Library, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    env_changed: float | None = None
    preflight: tuple[Mapping[str, str], ...] = ()
    addresses: tuple[str, ...] | None = None
    open_to_all: bool = False
    access_problems: tuple[Problem, ...] = ()
