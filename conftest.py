"""Property tests try the same cases every time; HYPOTHESIS_PROFILE=explore tries new ones.

How long a case takes says more of what else the machine does than of the case.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("same"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def the_log_as_it_was() -> Iterator[None]:
    """A command that is run in the tests' own process sets what is logged, and where, for all of
    it: on a standard error that is closed after its test."""
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", "brain")}
    streams = [one for one in root.handlers if type(one) is logging.StreamHandler]
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for one in list(root.handlers):
        if type(one) is logging.StreamHandler and one not in streams:
            root.removeHandler(one)
