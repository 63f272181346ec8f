#!/usr/bin/env bash
# The tests of vLLM, for real on the CPU, one engine at a time. Arguments are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup_vllm.sh
# To load an engine takes a quarter of a minute or more, and twice that beside other work.
.venv-vllm/bin/python -m pytest tests/vllm --timeout=600 -p no:cacheprovider "$@"
