"""What can be wrong with settings, as it is told to people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """Something wrong with the settings as they were given.

    `severity` "error": a value was refused and another stands in for it; "warning": a name that
    no setting has. `message` is one line that names the setting, the value and what is allowed;
    `instead` what holds in its stead; `str()` gives both.
    `file_unread`: it is of a whole file, whatever would have been in it.
    """

    severity: Literal["error", "warning"]
    setting: str
    message: str
    origin: str
    instead: str = ""
    file_unread: bool = False

    def __str__(self) -> str:
        return f"{self.message}; {self.instead} holds instead" if self.instead else self.message
