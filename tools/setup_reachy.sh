#!/usr/bin/env bash
# Sets up .venv-reachy: the robot's side as a robot has it, with fastrtc and without the brain, from
# a hashed lock. Usage: tools/setup_reachy.sh [VENV], after tools/setup.sh, whose Python it takes.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${1:-.venv}
reachy=${venv}-reachy

stamp=$("$venv/bin/python" -VV; cat robot_client/reachy.lock robot_client/pyproject.toml)
if [ -f "$reachy/.made-of" ] && [ "$(cat "$reachy/.made-of")" = "$stamp" ]; then
    exit 0
fi
echo "making $reachy: fastrtc and what it needs, about 1.2 GB on disk"
"$venv/bin/uv" venv --quiet --allow-existing --python "$(readlink -f "$venv/bin/python")" "$reachy"
"$venv/bin/uv" pip install --quiet --python "$reachy/bin/python" --require-hashes \
    -r robot_client/reachy.lock
"$venv/bin/uv" pip install --quiet --python "$reachy/bin/python" --no-deps --editable robot_client
printf '%s\n' "$stamp" >"$reachy/.made-of"
