#!/usr/bin/env bash
# Fills a wheelhouse for a machine like this one (its CPU family, its Python), from which
# deploy/install.sh installs without internet. A Jetson's is filled by jetpack/build-wheels.sh.
#
# Usage: build-wheelhouse.sh --out DIR [--native | --cuda ARCH] [--extra vllm] [--python PYTHON]
#   --native     llama.cpp for exactly this CPU (default: for any x86-64 with AVX2, any 64-bit ARM)
#   --cuda ARCH  llama.cpp for NVIDIA GPUs, such as 86 (RTX 3090) or 87; needs nvcc
#   --extra vllm vLLM as well, with torch and CUDA's libraries (profile rtx3090ti): several GB, from
#                Python 3.11 on
#   --python     the Python to install for (default: python3)
# Needs internet, g++ and python3-venv. What is there already and still fits is not made again.
# Exit status: 0 filled, 1 something failed (its log is named), 64 wrong usage.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/.." && pwd)

out=
cmake_args='-DGGML_NATIVE=OFF -DGGML_AVX512=OFF'
python=python3
lock=appliance.lock
while [ $# -gt 0 ]; do
    case $1 in
        --out) out=${2:?--out wants a folder}; shift ;;
        --native) cmake_args= ;;
        --cuda) cmake_args="-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=${2:?--cuda wants a number}"
            shift ;;
        --extra)
            if [ "${2:-}" != vllm ]; then
                echo "build-wheelhouse: there is no extra ${2:-}, but vllm" >&2
                exit 64
            fi
            lock=vllm.lock
            shift ;;
        --python) python=${2:?--python wants a Python}; shift ;;
        -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "build-wheelhouse: $1 isn't known; try --help" >&2; exit 64 ;;
    esac
    shift
done

started=$SECONDS
say() { printf '[%4ds] %s\n' "$((SECONDS - started))" "$*"; }
fail() { printf 'build-wheelhouse: %s\n' "$*" >&2; exit 1; }

if [ -z "$out" ]; then echo 'build-wheelhouse: --out wants a folder' >&2; exit 64; fi
command -v "$python" >/dev/null || fail "$python isn't here"
command -v g++ >/dev/null || fail 'g++ is needed to compile llama.cpp (apt install g++)'
case $cmake_args in
    *CUDA*)
        PATH="$PATH:/usr/local/cuda/bin"
        command -v nvcc >/dev/null || fail 'nvcc is needed for --cuda: install a CUDA 12 toolkit' ;;
esac

cache=${ROBOT_BRAIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/robot-brain}
version=$(sed -n 's/^llama-cpp-python==\([^ ]*\).*/\1/p' "$repository/llama-cpp.lock")
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
if [ "$lock" = vllm.lock ] && [ "${tag#cp3}" -lt 11 ]; then
    fail "vLLM needs Python 3.11 or later, and $python is 3.${tag#cp3}: name another with --python"
fi

# The same again means that there is nothing to do, if every file still is what it was.
recipe() {
    echo "$tag $(uname -m) $cmake_args"
    cd "$repository"
    find brain deploy docs "$lock" llama-cpp.lock pyproject.toml README.md LICENSE NOTICE -type f \
        -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
}
made_from=$(recipe | sha256sum)
if [ "$(cat "$out/.made-from" 2>/dev/null)" = "$made_from" ] &&
    (cd "$out" && sha256sum --check --strict --quiet SHA256SUMS >/dev/null 2>&1); then
    say "ready already: $out"
    exit 0
fi

mkdir -p "$out" "$cache"
out=$(cd "$out" && pwd)
exec 9>"$out/.lock"
flock -n 9 || fail "another build-wheelhouse.sh is at work in $out"
rm -f "$out/.made-from"
log=$out/build.log
: >"$log"

quietly() {
    if ! "$@" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        return 1
    fi
}

venv=$cache/build-wheelhouse-$tag
if [ ! -f "$venv/ready" ]; then
    say 'preparing the build'
    rm -rf "$venv"
    quietly "$python" -m venv "$venv" || fail 'no virtual environment (apt install python3-venv)'
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check 'pip>=24' 'hatchling>=1.27' ||
        fail "the build's tools could not be fetched; the whole log is in $log"
    touch "$venv/ready"
fi
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

# Kept where tools/setup.sh keeps it, too: what one has compiled, the other needn't.
say "llama.cpp $version ${cmake_args:-for this CPU}"
wheel=$("$repository/tools/llama_wheel.sh" "$venv/bin/python" "$cmake_args") ||
    fail 'llama.cpp did not compile, see above'

say "fetching the other wheels of $lock"
quietly pip download --no-deps --only-binary :all: --require-hashes -d "$out" \
    -r "$repository/$lock" ||
    fail "not all wheels of $lock could be fetched; the whole log is in $log"
say 'building the wheel of the brain itself'
rm -f "$out"/robot_brain-*.whl "$out"/llama_cpp_python-*.whl
quietly pip wheel --no-deps --no-build-isolation -w "$out" "$repository" ||
    fail "the brain's own wheel could not be built; the whole log is in $log"
cp "$wheel" "$out/"

# The lock, and the wheel that was built here by its checksum. The backslash at the line's end is pip's.
# shellcheck disable=SC1003
{
    cat "$repository/$lock"
    printf 'llama-cpp-python==%s \\\n    --hash=sha256:%s\n' "$version" \
        "$(sha256sum "$wheel" | cut -d' ' -f1)"
} >"$out/requirements.txt"
echo "llama-cpp-python==$version" >"$out/constraints.txt"

# The installer and the pages come along: a stick with this folder is all that a machine needs, and
# whoever stands before it.
rm -rf "$out"/{deploy,docs,README.md}
cp -r "$repository"/{deploy,docs,README.md} "$out/"

cd "$out"
# Of an earlier lock.
for file in *.whl; do
    case $file in robot_brain-*) continue ;; esac
    grep -q "sha256:$(sha256sum "$file" | cut -d' ' -f1)" requirements.txt || rm "$file"
done
find ./*.whl requirements.txt constraints.txt README.md deploy docs -type f -print0 | sort -z |
    xargs -0 sha256sum >.SHA256SUMS.part
mv .SHA256SUMS.part SHA256SUMS
echo "$made_from" >.made-from
say "ready: $out ($(du -sh . | cut -f1)); install from it with"
say "  sudo bash $out/deploy/install.sh --profile NAME"
