#!/usr/bin/env bash
# Trains the pocket models from nothing and prints their evaluation: under 3 hours on 2 cores.
# With RESUME=1 it goes on from the last checkpoints in build/pocket/.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=.venv-pocket
python=$venv/bin/python
resume=()
if [ -n "${RESUME:-}" ]; then resume=(--resume); fi

if [ ! -x "$python" ] || ! cmp -s tools/pocket/requirements.txt "$venv/.made-of"; then
    echo "making $venv (torch and friends: some minutes)"
    .venv/bin/python -m venv "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r tools/pocket/requirements.txt
    # The parity tests of the mind run it on the llama.cpp that set-up has compiled.
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
        "${XDG_CACHE_HOME:-$HOME/.cache}"/robot-brain/wheels/*/llama_cpp_python-*.whl
    cp tools/pocket/requirements.txt "$venv/.made-of"
fi

# The mind on one core; the mouth and then the ears, which listen to it at the end, on the other.
export OMP_NUM_THREADS=1
"$python" -u -m tools.pocket.mind "${resume[@]}" 2>&1 | sed -u 's/^/[mind] /' &
mind=$!
{
    "$python" -u -m tools.pocket.mouth "${resume[@]}"
    "$python" -u -m tools.pocket.ears "${resume[@]}"
} 2>&1 | sed -u 's/^/[voice] /'
wait "$mind"

# The repertoire and the replies as the check reads them, and what the training could have made of
# the held-out sets.
.venv/bin/python -m tools.pocket.export_evaluation
.venv/bin/python -m tools.pocket.held_out_overlap
.venv/bin/brain models check --full
