"""Failing cases of the shared classes show what they compared."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "tests.engines.conformance.bench", "tests.engines.conformance.every_engine"
)
