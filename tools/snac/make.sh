#!/usr/bin/env bash
# Exports SNAC's decoder with random weights: a narrow one for the tests, which is kept with them, and
# one as wide as the real one, in build/snac/, for `python -m benchmarks.orpheus_sound`.
# Usage: tools/snac/make.sh [PYTHON], a Python that has tools/snac/requirements.txt; without one an
# environment is made (.venv-snac: torch, some GB).
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${1:-.venv-snac/bin/python}
if [ -z "${1:-}" ] && ! cmp -s tools/snac/requirements.txt .venv-snac/.made-of; then
    echo "making .venv-snac (torch: some minutes)"
    .venv/bin/python -m venv .venv-snac
    "$python" -m pip install --quiet --disable-pip-version-check -r tools/snac/requirements.txt
    cp tools/snac/requirements.txt .venv-snac/.made-of
fi
"$python" -W ignore tools/snac/export.py narrow tests/engines/tts/orpheus/snac_narrow.onnx
"$python" -W ignore tools/snac/export.py real build/snac/decoder.onnx
