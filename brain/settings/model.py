"""Every setting of the brain: name, type, default, unit, bounds, meaning.

The attribute is the environment name in lower case. The defaults of the settings that the
supervisor's server had are those of its table; what the profile `pocket` needs otherwise stands in
`brain/profiles/pocket.env`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ConfigDict, PrivateAttr, field_validator

from brain.settings.fields import Spec, specs_of
from brain.settings.problem import Problem
from brain.settings.sections.ears import EarSettings
from brain.settings.sections.minds import MindSettings
from brain.settings.sections.mouths import MouthSettings
from brain.settings.sections.plans import PlanSettings
from brain.settings.sections.server import ServerSettings
from brain.settings.sections.turns import TurnSettings


# pydantic collects the fields from the last base to the first: this is their order as shown, upside
# down.
class Settings(
    MouthSettings, EarSettings, PlanSettings, MindSettings, TurnSettings, ServerSettings
):
    """All settings, checked. Made by `brain.settings.load`; `Settings()` is the bare defaults.

    Raises pydantic's `ValidationError` for a value out of its bounds and for an unknown name.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False
    )

    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _problems: tuple[Problem, ...] = PrivateAttr(default=())

    @field_validator("*", mode="before")
    @classmethod
    def _choices_in_any_case(cls, value: object, info: Any) -> object:
        """`LOG_LEVEL=INFO` means info. Only choices: a path keeps its case."""
        if isinstance(value, str) and info.field_name in _CHOICES:
            return value.strip().lower()
        return value

    @property
    def embedded_mind(self) -> bool:
        """Whether the language model asked for is the one that comes with the brain."""
        return self.llm_backend == "llamacpp" and self.llm_model_path == "pocket"

    @property
    def shared_history(self) -> bool:
        """Whether conversations are kept where other brains find them, too."""
        return "://" in self.history_store

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from, by the setting's name; "default" where nobody set it."""
        return MappingProxyType({name: self._origins.get(name, "default") for name in SPECS})

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was wrong with the files, the environment and the flags; for log, /ready, doctor."""
        return self._problems

    def with_account(self, origins: Mapping[str, str], problems: tuple[Problem, ...]) -> Settings:
        """The same values with where they came from and what was wrong on the way."""
        copy = self.model_copy()
        copy._origins = dict(origins)
        copy._problems = problems
        return copy


SPECS: Mapping[str, Spec] = MappingProxyType({spec.name: spec for spec in specs_of(Settings)})
_CHOICES = frozenset(spec.attribute for spec in SPECS.values() if spec.choices)
