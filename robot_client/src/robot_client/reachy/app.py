"""What the handler asks of the app: its tools, its prompts, its configuration."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

log = logging.getLogger(__name__)

PACKAGE = "reachy_mini_conversation_app"

# The app waits for ever for an OpenAI key that nobody here needs. This isn't one, and it is kept
# in memory only: a real key, if there is one, is left alone.
NO_KEY = "not-needed-with-a-local-server"


class App(Protocol):
    """The parts of the app that a handler uses. Each may raise what the app raises."""

    def tool_specs(self) -> Sequence[Mapping[str, Any]]:
        """Flat specs: `{"type": "function", "name", "description", "parameters"}`."""

    async def dispatch(self, name: str, args: str, deps: Any) -> Mapping[str, Any]:
        """Use a tool; `args` is the text of a JSON object."""

    def instructions(self) -> str:
        """The personality's prompt. May raise `SystemExit`."""

    def voice(self) -> str:
        """The personality's voice; the app's own default means the brain's default."""

    def profile(self) -> str | None:
        """The personality that is chosen; None is the built-in one."""

    def choose_profile(self, profile: str | None) -> None:
        """Choose a personality, and load its tools where the app can do that while it runs."""

    def need_no_key(self) -> None:
        """Let the app start without an OpenAI key."""


class InstalledApp:
    """The app that is installed, imported as late as it can be. `package` is for tests."""

    def __init__(self, instance_path: object = None, package: str = PACKAGE) -> None:
        self._instance_path = instance_path
        self._package = package

    def tool_specs(self) -> Sequence[Mapping[str, Any]]:
        """See `App`."""
        specs: Sequence[Mapping[str, Any]] = self._module("tools.core_tools").get_tool_specs()
        return specs

    async def dispatch(self, name: str, args: str, deps: Any) -> Mapping[str, Any]:
        """See `App`."""
        result: Mapping[str, Any] = await self._module("tools.core_tools").dispatch_tool_call(
            name, args, deps
        )
        return result

    def instructions(self) -> str:
        """See `App`. Newer apps look for the prompt in the instance's folder too."""
        get = self._module("prompts").get_session_instructions
        return str(get(self._instance_path) if inspect.signature(get).parameters else get())

    def voice(self) -> str:
        """See `App`."""
        return str(self._module("prompts").get_session_voice())

    def profile(self) -> str | None:
        """See `App`."""
        chosen = getattr(self._module("config").config, "REACHY_MINI_CUSTOM_PROFILE", None)
        return str(chosen) if chosen else None

    def choose_profile(self, profile: str | None) -> None:
        """See `App`. The app of January 2026 loads its tools once, at import."""
        self._module("config").set_custom_profile(profile)
        tools = self._module("tools.core_tools")
        load = getattr(tools, "initialize_tools", None)
        if load is not None:  # without `force` it does nothing the second time
            load(**({"force": True} if "force" in inspect.signature(load).parameters else {}))

    def need_no_key(self) -> None:
        """See `App`."""
        config = self._module("config").config
        if not str(getattr(config, "OPENAI_API_KEY", None) or "").strip():
            config.OPENAI_API_KEY = NO_KEY

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"{self._package}.{name}")
