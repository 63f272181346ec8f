#!/usr/bin/env bash
# Style, types and shell scripts; the import rules are a test (tests/test_imports.py).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

"$bin/ruff" check --quiet .
"$bin/ruff" format --quiet --check .
"$bin/mypy"
git ls-files -z -- '*.sh' .ci/run | xargs -0 "$bin/shellcheck"
