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

# llama.cpp has no wheel on the index. One built here serves every Python, so it is kept.
version=$(sed -n 's/^llama-cpp-python==\([^ ]*\).*/\1/p' llama-cpp.lock)
# Some virtual machines' processors have AMX by their word alone: an "illegal instruction" ends the
# process. Small models gain nothing by it, so it is left out.
without_amx='-U__AMX_TILE__ -U__AMX_INT8__ -U__AMX_BF16__'
built="$version-$(uname -m)-$cmake_args-without-amx"
wheels=$cache/wheels/$(printf '%s' "$built" | tr -c 'A-Za-z0-9.-' _)
wheel=$(find "$wheels" -name 'llama_cpp_python-*.whl' 2>/dev/null | head -n 1 || true)
if [ -z "$wheel" ]; then
    say "compiling llama.cpp $version ${cmake_args:-for the CPU}: about 4 minutes on 2 cores, once"
    mkdir -p "$wheels"
    log=$wheels/build.log
    # Ninja's own counter is the progress; the rest goes to the log. (Not from pip's cache, which
    # doesn't ask with which CMAKE_ARGS a wheel was built.)
    if ! CFLAGS="${CFLAGS-} $without_amx" CXXFLAGS="${CXXFLAGS-} $without_amx" \
        CMAKE_ARGS=$cmake_args CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)} \
        "$venv/bin/python" -m pip wheel --verbose --disable-pip-version-check --no-deps --no-cache-dir \
        --require-hashes --no-binary llama-cpp-python -w "$wheels" -r llama-cpp.lock 2>&1 |
        tee "$log" | "$python" tools/build_progress.py; then
        tail -n 30 "$log" >&2
        fail "llama.cpp did not compile; the whole log is in $log"
    fi
    wheel=$(find "$wheels" -name 'llama_cpp_python-*.whl' | head -n 1)
fi
say "installing llama.cpp, the brain and the robot client"
"$uv" pip install --quiet --python "$venv/bin/python" --no-deps --reinstall "$wheel"
"$uv" pip install --quiet --python "$venv/bin/python" --no-deps --editable . --editable robot_client
printf '%s\n' "$cmake_args" >"$venv/.cmake-args"
printf '%s\n' "$stamp" >"$venv/.made-of"
say "ready"
