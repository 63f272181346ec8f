"""Tools of the robot: run beside the event loop, each with a time limit; errors are results.

Whatever a tool does, the brain gets one JSON object back: a robot whose camera hangs must go on
talking.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from robot_client.requests import ToolSpec

log = logging.getLogger(__name__)

TIME_LIMIT_S = 10.0  # the brain itself waits 15 s (TOOL_TIMEOUT_S)
_LEAVE_S = 0.5  # what a tool that is cancelled may take to clean up
MAX_THREADS = 64  # a tool that hangs keeps its thread: they may not eat up the robot
_threads = threading.BoundedSemaphore(MAX_THREADS)

ToolFunction = Callable[[Mapping[str, Any]], Any]


class ToolFileError(ValueError):
    """A list of tools that can't be used; the message says why."""


@dataclass(frozen=True)
class Tool:
    """A tool and what it does. `run` may be async; if it isn't it gets a thread of its own."""

    spec: ToolSpec
    run: ToolFunction
    time_limit_s: float = TIME_LIMIT_S


@dataclass(frozen=True)
class ToolOutcome:
    """What goes back to the brain: a JSON object and perhaps a camera picture, as base64."""

    output: Mapping[str, Any]
    picture: str | None = None


@dataclass
class ToolBox:
    """The tools that this robot has, by name."""

    tools: Mapping[str, Tool] = field(default_factory=dict)

    @staticmethod
    def of(tools: Iterable[Tool]) -> ToolBox:
        """A box of these tools."""
        return ToolBox({tool.spec.name: tool for tool in tools})

    @property
    def specs(self) -> list[ToolSpec]:
        """What to offer the brain."""
        return [tool.spec for tool in self.tools.values()]

    async def call(self, name: str, args: str) -> ToolOutcome:
        """Use a tool; `args` is the text of a JSON object. Never raises for what the tool does.

        An unknown tool, arguments that aren't an object, an exception, a result that isn't JSON,
        or more time than its limit give `{"error": …}`.
        """
        tool = self.tools.get(name)
        if tool is None:
            return _error(f"this robot has no tool {name!r}")
        try:
            arguments = json.loads(args) if args.strip() else {}
        except (ValueError, RecursionError) as error:
            return _error(f"the arguments of {name} are not JSON: {error}")
        if not isinstance(arguments, dict):
            return _error(f"the arguments of {name} are not an object")
        # Not wait_for: it waits for a tool that doesn't take its cancelling, and takes one that was
        # cancelled by somebody else for a cancelling of ours.
        using = asyncio.ensure_future(_run(tool.run, arguments))
        try:
            await asyncio.wait({using}, timeout=tool.time_limit_s)
        finally:
            ended = using.done()
            if not ended:
                using.cancel()
                await asyncio.wait({using}, timeout=_LEAVE_S)
        if not ended:
            log.warning("tool %s took more than %g s", name, tool.time_limit_s)
            return _error(f"{name} took more than {tool.time_limit_s:g} s")
        try:
            return _outcome(name, using.result())
        except asyncio.CancelledError:
            return _error(f"{name} was cancelled")
        except Exception as error:  # a tool is the robot owner's code and may raise anything
            log.warning("tool %s failed", name, exc_info=True)
            return _error(f"{name} failed: {str(error) or type(error).__name__}")


def _error(sentence: str) -> ToolOutcome:
    return ToolOutcome({"error": sentence})


def _outcome(name: str, result: object) -> ToolOutcome:
    output = dict(result) if isinstance(result, Mapping) else {"result": result}
    picture = output.pop("b64_im", None)  # the Reachy Mini app's name for a camera frame
    try:
        json.dumps(output, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return _error(f"the result of {name} is not JSON: {error}")
    if isinstance(picture, str):
        return ToolOutcome(output or {"status": "here is the picture"}, picture)
    return ToolOutcome(output)


async def _run(function: ToolFunction, arguments: Mapping[str, Any]) -> object:
    try:
        if inspect.iscoroutinefunction(function):
            return await function(arguments)
        result = await _in_thread(lambda: function(arguments))
        return await result if inspect.isawaitable(result) else result
    except SystemExit as error:  # it would end the event loop, and the robot with it
        raise RuntimeError(repr(error)) from error


T = TypeVar("T")


async def _in_thread(function: Callable[[], T]) -> T:
    """Run on a daemon thread of its own: one that hangs holds up neither others nor the exit.

    (`asyncio.to_thread` shares a few threads, and the interpreter waits for them at its end.)
    """
    if not _threads.acquire(blocking=False):
        raise RuntimeError(f"{MAX_THREADS} uses of tools have not ended yet")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():  # given up on
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001  handed to the waiting coroutine
            failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
        _threads.release()
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            log.debug("a tool ended after its event loop")

    try:
        threading.Thread(target=work, daemon=True, name="robot-client tool").start()
    except RuntimeError:  # the system has no more threads
        _threads.release()
        raise
    return await future


def read_specs(text: str) -> list[ToolSpec]:
    """Tool specs from JSON: a list of `{name, description, parameters}`. Raises `ToolFileError`."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise ToolFileError(f"not JSON: {error}") from error
    if not isinstance(entries, list):
        raise ToolFileError("not a JSON list of tools")
    specs = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ToolFileError(f"a tool without a name: {entry!r}")
        parameters = entry.get("parameters") or {"type": "object", "properties": {}}
        if not isinstance(parameters, dict):
            raise ToolFileError(f"the parameters of {entry['name']} are not a JSON Schema")
        specs.append(ToolSpec(entry["name"], str(entry.get("description", "")), parameters))
    return specs
