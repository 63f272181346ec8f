#!/usr/bin/env bash
# Everything that must hold: lint, types, and all tests.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/lint.sh
.venv/bin/python -m pytest "$@"

# The robot's side as a robot has it: with fastrtc, without the brain but for its command.
tools/setup_reachy.sh
.venv-reachy/bin/python -m pytest robot_client/tests/reachy_tests
