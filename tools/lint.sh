#!/usr/bin/env bash
# Style, types and shell scripts; the import rules are a test (tests/test_imports.py).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

"$bin/ruff" check --quiet .
"$bin/ruff" format --quiet --check .
"$bin/mypy"
if shellcheck=$(PATH="$bin:$PATH" command -v shellcheck); then
    git ls-files -z -- '*.sh' .ci/run | xargs -0 "$shellcheck"
else
    echo "lint: no shellcheck here, so the shell scripts were not looked at" >&2
fi
