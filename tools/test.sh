#!/usr/bin/env bash
# Everything that must hold: lint, types, and all tests.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/lint.sh
.venv/bin/python -m pytest "$@"
