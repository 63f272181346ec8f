#!/usr/bin/env bash
# Sets up .venv with the brain, the robot client and all that they need, from hashed locks.
# Needs git, python3 (3.10 to 3.13) with pip or uv, gcc and g++. Usage: tools/setup.sh [PYTHON [VENV]]
# CMAKE_ARGS are llama.cpp's (-DGGML_CUDA=ON); they are remembered until they are given anew.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:-}
venv=${2:-.venv}
cache=${ROBOT_BRAIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/robot-brain}
started=$SECONDS

say() { printf '[%3ds] %s\n' "$((SECONDS - started))" "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

if [ -z "$python" ]; then
    for candidate in python3 python3.11 python3.12 python3.10 python3.13; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
            2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || fail "no Python from 3.10 to 3.13 was found; install one and try again"
command -v g++ >/dev/null || fail "gcc and g++ are needed to compile llama.cpp (apt install g++)"

cmake_args=${CMAKE_ARGS-$(cat "$venv/.cmake-args" 2>/dev/null || true)}

# What the environment was made of; the same again means that there is nothing to do.
stamp=$("$python" -VV; echo "$cmake_args"; cat requirements.lock llama-cpp.lock pyproject.toml robot_client/pyproject.toml)
if [ -f "$venv/.made-of" ] && [ "$(cat "$venv/.made-of")" = "$stamp" ]; then
    exit 0
fi

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=$cache/uv/bin/uv
    if [ ! -x "$uv" ]; then
        say "fetching uv"
        "$python" -m pip --version >/dev/null 2>&1 ||
            fail "neither uv nor pip is here; install one of them (apt install python3-pip)"
        "$python" -m pip install --quiet --disable-pip-version-check --target "$cache/uv" uv
    fi
fi

say "making $venv with $("$python" --version)"
"$uv" venv --quiet --allow-existing --seed --python "$(command -v "$python")" "$venv"
say "installing the locked packages"
"$uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements.lock

wheel=$(tools/llama_wheel.sh "$venv/bin/python" "$cmake_args") || fail "llama.cpp is missing, see above"
say "installing llama.cpp, the brain and the robot client"
"$uv" pip install --quiet --python "$venv/bin/python" --no-deps --reinstall "$wheel"
"$uv" pip install --quiet --python "$venv/bin/python" --no-deps --editable . --editable robot_client
printf '%s\n' "$cmake_args" >"$venv/.cmake-args"
printf '%s\n' "$stamp" >"$venv/.made-of"
say "ready"
