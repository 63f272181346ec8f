#!/usr/bin/env bash
# Everything that must hold: lint, types, and all tests.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/lint.sh

# The robot's side as a robot has it: with fastrtc, without the brain but for its command. Both
# suites spend most of their time waiting, so they run side by side.
tools/setup_reachy.sh
log=$(mktemp)
trap 'kill "${beside:-}" 2>/dev/null || true; rm -f "$log"' EXIT
.venv-reachy/bin/python -m pytest -p no:cacheprovider \
    robot_client/tests/reachy_tests >"$log" 2>&1 &
beside=$!

tools/suite.sh .venv "$@"

status=0
wait "$beside" || status=$?
cat "$log"
exit "$status"
