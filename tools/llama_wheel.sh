#!/usr/bin/env bash
# Prints the wheel of llama.cpp, which the index doesn't have: compiled once, and kept, since one
# serves every Python. Usage: llama_wheel.sh PYTHON [CMAKE_ARGS]; PYTHON has pip and wheel.
# Progress goes to stderr. Exit status: 0, or 1 if it didn't compile (what told so is named).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lock=$here/../llama-cpp.lock
python=${1:?the Python to build with}
cmake_args=${2:-}

cache=${ROBOT_BRAIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/robot-brain}
version=$(sed -n 's/^llama-cpp-python==\([^ ]*\).*/\1/p' "$lock")
# Some virtual machines' processors have AMX by their word alone: an "illegal instruction" ends the
# process. Small models gain nothing by it, so it is left out.
without_amx='-U__AMX_TILE__ -U__AMX_INT8__ -U__AMX_BF16__'
built="$version-$(uname -m)-$cmake_args-without-amx"
wheels=$cache/wheels/$(printf '%s' "$built" | tr -c 'A-Za-z0-9.-' _)
kept() { find "$wheels" -name 'llama_cpp_python-*.whl' 2>/dev/null | head -n 1; }

mkdir -p "$cache/wheels"
# Whoever comes second waits for it.
exec 9>"$wheels.lock"
flock 9
if [ -z "$(kept)" ]; then
    echo "compiling llama.cpp $version ${cmake_args:-for this CPU}: some minutes, with CUDA up to an hour" >&2
    log=$wheels.log
    rm -rf "$wheels.part"
    mkdir -p "$wheels.part"
    # Ninja's own counter is the progress; the rest goes to the log. (Not from pip's cache, which
    # doesn't ask with which CMAKE_ARGS a wheel was built.)
    if ! CFLAGS="${CFLAGS-} $without_amx" CXXFLAGS="${CXXFLAGS-} $without_amx" \
        CMAKE_ARGS=$cmake_args CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)} \
        "$python" -m pip wheel --verbose --disable-pip-version-check --no-deps --no-cache-dir \
        --require-hashes --no-binary llama-cpp-python -w "$wheels.part" -r "$lock" 2>&1 |
        tee "$log" | "$python" "$here/build_progress.py" >&2; then
        tail -n 30 "$log" >&2
        echo "llama.cpp did not compile; the whole log is in $log" >&2
        exit 1
    fi
    mkdir -p "$wheels"
    mv "$wheels.part"/*.whl "$wheels/"
    rmdir "$wheels.part"
fi
kept
