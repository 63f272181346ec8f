#!/usr/bin/env bash
# Stand-in for python3 (with pip, venv and wheel), git, cmake, ninja, g++ and nvcc: does nothing but
# note what it was asked, and leave files of the right names. Its tests link it by those names.
# In $STAND_IN: asked (the notes), and what a test wants to happen to the compilers:
#   cut (the build is killed in the next one), out-of-memory (a line for each that fails), no-gpu,
#   tag (of Python, instead of cp310)
set -eu
name=$(basename "$0")
# In one piece: two of them may be at work side by side.
with="jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-} ${CMAKE_ARGS:-} ${LDFLAGS:-}"
printf '%s\n' "$(echo "$name $*" | tr '\n' ' ')$with" >>"$STAND_IN/asked"

compiles() {
    if [ -e "$STAND_IN/cut" ]; then
        rm "$STAND_IN/cut"
        kill -KILL "$PPID"
        exit 137
    fi
    if [ -s "$STAND_IN/out-of-memory" ]; then
        sed -i 1d "$STAND_IN/out-of-memory"
        echo 'nvcc: Killed' >&2
        exit 137
    fi
}

# The argument after an option.
after() {
    local option=$1
    shift
    while [ "$1" != "$option" ]; do shift; done
    echo "$2"
}

version_in() { sed -n 's/^__version__ = "\(.*\)"/\1/p' "$1"; }

pip() {
    local last=${*: -1} folder
    case " $* " in
        *' download '*llama-cpp.lock*)
            folder=$(mktemp -d)
            mkdir -p "$folder/llama_cpp_python-1/llama_cpp"
            echo '__version__ = "1"' >"$folder/llama_cpp_python-1/llama_cpp/__init__.py"
            tar -czf "$(after -d "$@")/llama_cpp_python-1.tar.gz" -C "$folder" llama_cpp_python-1
            rm -r "$folder" ;;
        *' download '*) echo numpy >"$(after -d "$@")/numpy-2.2.6-cp310-cp310-linux_aarch64.whl" ;;
        *' wheel '*llama-cpp.lock*)
            compiles
            echo llama >"$(after -w "$@")/llama_cpp_python-1-py3-none-linux_aarch64.whl" ;;
        *' wheel '*)
            if [ -e "$last/llama_cpp/__init__.py" ]; then
                compiles
                echo llama >"$(after -w "$@")/llama_cpp_python-$(
                    version_in "$last/llama_cpp/__init__.py")-py3-none-linux_aarch64.whl"
            elif [ -e "$last/ctranslate2/version.py" ]; then
                echo module >"$(after -w "$@")/ctranslate2-$(
                    version_in "$last/ctranslate2/version.py")-cp310-cp310-linux_aarch64.whl"
            else
                echo brain >"$(after -w "$@")/robot_brain-1-py3-none-any.whl"
            fi ;;
    esac
}

case $name in
    git)
        mkdir -p "${*: -1}/python/ctranslate2"
        echo '__version__ = "1"' >"${*: -1}/python/ctranslate2/version.py" ;;
    cmake)
        case $1 in
            -S) mkdir -p "$4"; sed -n 's/.*-DCMAKE_INSTALL_PREFIX=//p' <<<"$*" >"$4/prefix" ;;
            --build) compiles ;;
            --install)
                mkdir -p "$(cat "$2/prefix")/lib"
                echo library >"$(cat "$2/prefix")/lib/libctranslate2.so.4" ;;
        esac ;;
    python*)
        case "$1 ${2:-}" in
            '-m venv')
                mkdir -p "$3/bin"
                ln -sf "$(readlink -f "$0")" "$3/bin/python" ;;
            '-m pip') pip "${@:3}" ;;
            '-m wheel')
                if [ "$3" = unpack ]; then
                    folder=$5/$(basename "$6" | cut -d- -f1,2)
                    mkdir -p "$folder/ctranslate2"
                    basename "$6" >"$folder/name"
                else
                    ls "$6/ctranslate2" >"$5/$(cat "$6/name")"
                fi ;;
            '-c import sys'*) cat "$STAND_IN/tag" 2>/dev/null || echo cp310 ;;
            *build_progress.py*) cat >/dev/null ;;
            *) [ ! -e "$STAND_IN/no-gpu" ] || { echo 'CTranslate2 sees no GPU' >&2; exit 1; } ;;
        esac ;;
esac
