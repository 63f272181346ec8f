#!/usr/bin/env bash
# Builds llama-cpp-python and CTranslate2 with CUDA for this Jetson (sm_87), and fills a wheelhouse
# from which the brain installs without internet. Run it again after a cut: it goes on where it was.
#
# Usage: build-wheels.sh [--dry-run] [--out DIR] [--work DIR] [--jobs N] [--python PYTHON]
#                        [--gpu-wheels-only] [--root DIR]
#   --out DIR          the wheelhouse (default: one in the cache for this CUDA and Python)
#   --work DIR         sources and half-built things; an interrupted build goes on from them
#   --jobs N           compilers at a time (default: one for each 2 GiB of free memory)
#   --gpu-wheels-only  the two wheels alone, not what else the brain needs
# Needs: apt install git cmake ninja-build g++ python3-dev python3-venv libopenblas-dev, and CUDA.
# Exit status: 0 built, 1 something failed (its log is named), 64 wrong usage.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)

root=
dry=
out=
work=
jobs=
python=python3
everything=1
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=1 ;;
        --out) out=${2:?--out wants a folder}; shift ;;
        --work) work=${2:?--work wants a folder}; shift ;;
        --jobs) jobs=${2:?--jobs wants a number}; shift ;;
        --python) python=${2:?--python wants a Python}; shift ;;
        --gpu-wheels-only) everything= ;;
        --root) root=${2:?--root wants a folder}; shift ;;
        -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "build-wheels: $1 isn't known; try --help" >&2; exit 64 ;;
    esac
    shift
done
# shellcheck source=deploy/jetpack/board.sh
. "$here/board.sh"
if [ -n "$root" ]; then
    export PATH="$root/usr/bin:$root/usr/local/cuda/bin:$PATH"
else
    export PATH="$PATH:/usr/local/cuda/bin"
fi

started=$SECONDS
say() { printf '[%4ds] %s\n' "$((SECONDS - started))" "$*"; }
fail() { printf 'build-wheels: %s\n' "$*" >&2; exit 1; }

if [[ -n "$jobs" && ! "$jobs" =~ ^[1-9][0-9]*$ ]]; then fail "--jobs $jobs isn't a number from 1"; fi

missing=
for tool in git cmake ninja g++ nvcc "$python"; do
    command -v "$tool" >/dev/null || missing+=" $tool"
done
if [ -n "$missing" ]; then
    fail "not found:$missing (apt install git cmake ninja-build g++ python3-dev python3-venv" \
        "libopenblas-dev nvidia-jetpack)"
fi

# --- What is to be built, from the locks that the brain is tested with.

locked() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" "$repository/$2" | head -n 1; }
llama_version=$(locked llama-cpp-python llama-cpp.lock)
ct2_version=$(locked ctranslate2 appliance.lock)
if [ -z "$llama_version" ] || [ -z "$ct2_version" ]; then
    fail 'the locks do not name llama-cpp-python and ctranslate2'
fi
cuda=$(cuda_version)
if [ -z "$cuda" ]; then fail 'no CUDA toolkit in /usr/local/cuda (apt install nvidia-jetpack)'; fi
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')

# A version of its own, so that neither pip nor uv takes an index's wheel for the CPU for the same.
local_version="+cuda$cuda.sm87"
llama_flags='-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=87'
# CTranslate2 reads CUDA_ARCH_LIST, not CMAKE_CUDA_ARCHITECTURES; it calls cuDNN 9's interface.
cudnn=ON
if [ "$(cudnn_major)" != 9 ]; then cudnn=OFF; fi
ct2_flags="-DCMAKE_BUILD_TYPE=Release -DWITH_CUDA=ON -DWITH_CUDNN=$cudnn -DCUDA_ARCH_LIST=8.7"
ct2_flags+=' -DWITH_MKL=OFF -DWITH_OPENBLAS=ON -DWITH_RUY=ON -DOPENMP_RUNTIME=COMP'
ct2_flags+=' -DBUILD_CLI=OFF -DCMAKE_INSTALL_LIBDIR=lib'

cache=${ROBOT_BRAIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/robot-brain}
out=${out:-$cache/wheelhouse-jetson-cuda$cuda-$tag}
# What was compiled with another CUDA or for another Python is of no use here.
work=${work:-$cache/build-jetson}/cuda$cuda-$tag-cudnn$cudnn

# nvcc takes up to 2 GiB a file. The GPU's and the CPU's memory are one here, and swap only cushions.
if [ -z "$jobs" ]; then
    available=$(memory_kib MemAvailable) || available=0
    jobs=$((available / 2097152))
    cores=$(nproc)
    if ((jobs > cores)); then jobs=$cores; fi
    if ((jobs < 1)); then jobs=1; fi
fi

say "llama-cpp-python $llama_version$local_version: $llama_flags"
say "ctranslate2 $ct2_version$local_version: $ct2_flags"
if [ "$cudnn" = OFF ]; then say 'without cuDNN: CTranslate2 wants version 9 of it'; fi
say "$jobs compilers at a time; wheels to $out, work in $work"
if [ -n "$dry" ]; then exit 0; fi

mkdir -p "$out" "$work"
out=$(cd "$out" && pwd)
work=$(cd "$work" && pwd)
exec 9>"$work/lock"
flock -n 9 || fail "another build-wheels.sh is at work in $work"
log=$work/build.log
: >"$log"

# Runs something long with its words in the log.
quietly() {
    if ! "$@" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        return 1
    fi
}

# A compiler that was killed for memory is tried again alone: what it had finished stays.
compile() {
    local title=$1
    shift
    CMAKE_BUILD_PARALLEL_LEVEL=$jobs quietly "$@" && return
    if ((jobs == 1)); then fail "$title did not compile; the whole log is in $log"; fi
    say "$title did not compile; once more with one compiler at a time"
    jobs=1
    CMAKE_BUILD_PARALLEL_LEVEL=1 quietly "$@" ||
        fail "$title did not compile; the whole log is in $log"
}

# --- A wheel is kept with what it was built from and its checksum; both must fit to use it again.

recipe() { printf '%s\n' "$1$local_version $2" "$tag $(uname -m) cuda $cuda cudnn $cudnn"; }

built() {
    local name=$1 wanted=$2 wheel sum
    [ -f "$out/$name.built" ] || return 1
    { read -r sum wheel && [ "$(cat)" = "$wanted" ]; } <"$out/$name.built" || return 1
    if ! (cd "$out" && echo "$sum  $wheel" | sha256sum --check --status 2>/dev/null); then
        say "$wheel is damaged or gone, and is built again"
        return 1
    fi
}

keep() {
    local name=$1 made_from=$2 wheel=$3 partial
    partial=$out/.$(basename "$wheel").part
    cp "$wheel" "$partial"
    find "$out" -maxdepth 1 -name "${name//-/_}-*.whl" -delete
    mv "$partial" "$out/$(basename "$wheel")"
    (cd "$out" && sha256sum "$(basename "$wheel")" && printf '%s\n' "$made_from") \
        >"$out/.$name.built.part"
    mv "$out/.$name.built.part" "$out/$name.built"
    say "$(basename "$wheel")"
}

only_wheel() {
    local found
    found=$(find "$1" -name '*.whl')
    [ -f "$found" ] || fail "no wheel came of it; the whole log is in $log"
    echo "$found"
}

emptied() { rm -rf "${1:?}"; mkdir -p "$1"; }

# An environment of the build's own, that stays where it is: pip's isolated one has a new path every
# time, and what was compiled before a cut would be compiled anew.
prepare() {
    venv=$work/venv
    if [ -f "$venv/ready" ]; then return; fi
    say 'preparing the build'
    rm -rf "$venv"
    quietly "$python" -m venv "$venv" || fail 'no virtual environment (apt install python3-venv)'
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check 'pip>=24' 'setuptools>=77' \
        'wheel>=0.45' 'scikit-build-core[pyproject]>=0.10' 'hatchling>=1.27' ||
        fail "the build's tools could not be fetched; the whole log is in $log"
    touch "$venv/ready"
}

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

build_llama() {
    local source=$work/llama-cpp-python-$llama_version wheels=$work/llama-wheel sdist wheel
    if [ ! -d "$source" ]; then
        say 'fetching llama-cpp-python'
        emptied "$work/sdist"
        quietly pip download --no-deps --no-build-isolation --no-binary llama-cpp-python \
            --require-hashes -d "$work/sdist" -r "$repository/llama-cpp.lock" ||
            fail "llama-cpp-python could not be fetched; the whole log is in $log"
        sdist=$(find "$work/sdist" -name '*.tar.gz' | head -n 1)
        emptied "$work/unpacked"
        tar -xzf "$sdist" -C "$work/unpacked" --strip-components=1
        sed -i "s/^__version__ = .*/__version__ = \"$llama_version$local_version\"/" \
            "$work/unpacked/llama_cpp/__init__.py"
        mv "$work/unpacked" "$source"
    fi
    say "compiling llama.cpp: about half an hour"
    emptied "$wheels"
    CMAKE_ARGS=$llama_flags compile llama.cpp pip wheel --verbose --no-deps --no-build-isolation \
        --no-cache-dir --config-settings "build-dir=$work/llama-build-$llama_version" -w "$wheels" "$source"
    wheel=$(only_wheel "$wheels")
    keep llama-cpp-python "$(recipe "$llama_version" "$llama_flags")" "$wheel"
}

build_ctranslate2() {
    local source=$work/ctranslate2-$ct2_version prefix=$work/ctranslate2-installed
    local build=$work/ctranslate2-build-$ct2_version
    local wheels=$work/ctranslate2-wheel package unpacked flags wheel
    local url=${CTRANSLATE2_SOURCE:-https://github.com/OpenNMT/CTranslate2}
    if [ ! -d "$source" ]; then
        say 'fetching CTranslate2'
        rm -rf "$work/cloning"
        quietly git clone --quiet --depth 1 --branch "v$ct2_version" --recurse-submodules \
            --shallow-submodules "$url" "$work/cloning" ||
            fail "CTranslate2 could not be fetched; the whole log is in $log"
        mv "$work/cloning" "$source"
    fi
    say 'compiling CTranslate2: about half an hour'
    read -ra flags <<<"$ct2_flags"
    quietly cmake -S "$source" -B "$build" -G Ninja "${flags[@]}" \
        "-DCMAKE_INSTALL_PREFIX=$prefix" ||
        fail "CTranslate2 could not be configured; the whole log is in $log"
    compile CTranslate2 cmake --build "$build"
    quietly cmake --install "$build" ||
        fail "CTranslate2 could not be installed to $prefix; the whole log is in $log"

    package=$work/ctranslate2-package
    rm -rf "$package"
    cp -r "$source/python" "$package"
    sed -i "s/^__version__ = .*/__version__ = \"$ct2_version$local_version\"/" \
        "$package/ctranslate2/version.py"
    # It says itself which pybind11 it is built with.
    quietly pip install -r "$package/install_requirements.txt" ||
        fail "what CTranslate2's module is built with could not be fetched; see $log"
    emptied "$wheels"
    # The library goes into the wheel, beside the module that looks for it there: nothing is
    # installed in /usr/local, and a rollback of the brain takes its library along.
    # shellcheck disable=SC2016
    CTRANSLATE2_ROOT=$prefix LDFLAGS='-Wl,-rpath,$ORIGIN' compile "CTranslate2's module" \
        pip wheel --no-deps --no-build-isolation --no-cache-dir -w "$wheels" "$package"
    emptied "$work/ctranslate2-unpacked"
    wheel=$(only_wheel "$wheels")
    quietly "$venv/bin/python" -m wheel unpack -d "$work/ctranslate2-unpacked" "$wheel" ||
        fail "the wheel could not be unpacked; see $log"
    unpacked=$(echo "$work"/ctranslate2-unpacked/*)
    cp -L "$prefix"/lib/libctranslate2.so.[0-9] "$unpacked/ctranslate2/"
    emptied "$wheels"
    quietly "$venv/bin/python" -m wheel pack -d "$wheels" "$unpacked" ||
        fail "the wheel could not be packed; see $log"
    wheel=$(only_wheel "$wheels")
    keep ctranslate2 "$(recipe "$ct2_version" "$ct2_flags")" "$wheel"
}

# --- The wheelhouse around the two.

# Whatever is installed later, these two stay: no index has these versions.
write_constraints() {
    printf '%s\n' "ctranslate2==$ct2_version$local_version" \
        "llama-cpp-python==$llama_version$local_version" >"$out/constraints.txt"
}

# One line for pip: the wheel that was built here, by its checksum.
pinned() {
    local sum
    read -r sum _ <"$out/$1.built"
    # The backslash at the line's end is pip's.
    # shellcheck disable=SC1003
    printf '%s==%s \\\n    --hash=sha256:%s\n' "$1" "$2$local_version" "$sum"
}

# The brain's own lock, with the wheel for the GPU in the place of the index's for the CPU.
write_requirements() {
    local others=$out/.others.part
    awk '/^[a-z0-9]/ { skip = /^ctranslate2==/ } !skip' "$repository/appliance.lock" >"$others"
    { cat "$others"; pinned ctranslate2 "$ct2_version"; pinned llama-cpp-python "$llama_version"; } \
        >"$out/.requirements.part"
    if [ -n "$everything" ]; then
        say 'fetching the other wheels of the lock'
        quietly pip download --no-deps --only-binary :all: --require-hashes -d "$out" -r "$others" ||
            fail "not all wheels of appliance.lock could be fetched; the whole log is in $log"
        say 'building the wheel of the brain itself'
        quietly pip wheel --no-deps --no-build-isolation -w "$out" "$repository" ||
            fail "the brain's own wheel could not be built; the whole log is in $log"
    fi
    rm "$others"
    mv "$out/.requirements.part" "$out/requirements.txt"
}

# What counts is that they run here: in an environment of their own, from the wheelhouse alone.
check_on_gpu() {
    say 'asking both whether they see the GPU'
    rm -rf "$work/check"
    quietly "$python" -m venv "$work/check" || fail "no environment for the check; see $log"
    quietly "$work/check/bin/python" -m pip install --disable-pip-version-check --no-index \
        --find-links "$out" -c "$out/constraints.txt" llama-cpp-python ctranslate2 ||
        fail "the wheels could not be installed from $out; the whole log is in $log"
    quietly "$work/check/bin/python" -c 'import ctranslate2, llama_cpp
assert ctranslate2.get_cuda_device_count() > 0, "CTranslate2 sees no GPU"
assert llama_cpp.llama_supports_gpu_offload(), "llama.cpp was built without the GPU"' ||
        fail "the wheels don't see the GPU; the whole log is in $log (run preflight.sh)"
    rm -rf "$work/check"
}

if built llama-cpp-python "$(recipe "$llama_version" "$llama_flags")"; then
    say 'llama-cpp-python is there already'
else
    prepare
    build_llama
fi
if built ctranslate2 "$(recipe "$ct2_version" "$ct2_flags")"; then
    say 'ctranslate2 is there already'
else
    prepare
    build_ctranslate2
fi
prepare
write_constraints
write_requirements
if [ -n "$everything" ]; then check_on_gpu; fi
# The installer and the pages come along: a stick with this folder is all that another board needs.
rm -rf "$out"/{deploy,docs,README.md}
cp -r "$repository"/{deploy,docs,README.md} "$out/"
(cd "$out" && find ./*.whl requirements.txt constraints.txt README.md deploy docs -type f -print0 | sort -z |
    xargs -0 sha256sum >.SHA256SUMS.part && mv .SHA256SUMS.part SHA256SUMS)
say "ready: $out; install from it with"
say "  sudo bash $out/deploy/install.sh --profile orin-nx"
