"""Every setting, where it may come from, and how it is shown.

`load()` reads them all; `Settings` holds them, frozen: the attribute is the environment name in
lower case (`LLM_BACKEND` is `settings.llm_backend`).
"""

from __future__ import annotations

from brain.settings.fields import Spec
from brain.settings.load import SettingsError, load
from brain.settings.model import SPECS, Settings
from brain.settings.problem import Problem

__all__ = ["SPECS", "Problem", "Settings", "SettingsError", "Spec", "load"]
