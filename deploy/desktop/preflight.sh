#!/usr/bin/env bash
# Is this desktop with an NVIDIA GPU fit for the brain (profiles rtx3090, rtx3090ti)? Looks; with
# --fix it also makes /dev/nvidia-uvm, which a machine without a desktop may lack after a boot.
# Usage: preflight.sh [--json] [--fix] [--dry-run] [--vllm] [--venv DIR] [--root DIR]
#   --vllm      the GPU is vLLM's (profile rtx3090ti): what that needs, and not what llama.cpp and
#              CTranslate2 would
#   --venv DIR  the brain's Python environment, to ask its wheels (default: .venv of this checkout;
#              none: there is none yet)
# Exit status: 0 all is well, 1 warnings, 2 errors, 64 wrong usage.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

root=
findings_as=text
fix=
dry=
vllm=
venv=$here/../../.venv
while [ $# -gt 0 ]; do
    case $1 in
        --json) findings_as=json ;;
        --fix) fix=1 ;;
        --dry-run) dry=1 ;;
        --vllm) vllm=1 ;;
        --venv) venv=${2:?--venv wants a folder}; shift ;;
        --root) root=${2:?--root wants a folder}; shift ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "preflight: $1 isn't known; try --help" >&2; exit 64 ;;
    esac
    shift
done
# shellcheck source=deploy/findings.sh
. "$here/../findings.sh"

# With a root, only the programs in it: so the tests can't change the machine they run on.
program() {
    if [ -n "$root" ]; then
        [ -x "$root/usr/bin/$1" ] && echo "$root/usr/bin/$1"
    else
        command -v "$1"
    fi
}

# CUDA 12 runs on any driver from this one on (NVIDIA, "CUDA Compatibility"); the wheels of vLLM and
# torch are for CUDA 13.
cuda=12 oldest_driver=525.60.13
if [ -n "$vllm" ]; then cuda=13 oldest_driver=580.65.06; fi
# The profiles for 24 GB take about 14 GB; below that their models do not fit.
wanted_mib=14336

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_driver() {
    local smi line name driver mib
    if ! smi=$(program nvidia-smi); then
        finding error driver 'no NVIDIA driver (nvidia-smi is missing)' \
            "Ubuntu: sudo ubuntu-drivers install; Debian: apt install nvidia-driver; then reboot"
        return
    fi
    if ! line=$("$smi" --query-gpu=name,driver_version,memory.total \
        --format=csv,noheader,nounits 2>/dev/null | head -n 1) || [ -z "$line" ]; then
        finding error driver "nvidia-smi fails: the driver isn't loaded, or was upgraded since boot" \
            'reboot; if that does not help: dmesg | grep -i nvrm (Secure Boot may refuse the module)'
        return
    fi
    IFS=, read -r name driver mib <<<"$line"
    driver=${driver# } mib=${mib# }
    if at_least "$driver" "$oldest_driver"; then
        finding ok driver "$name, driver $driver"
    else
        finding error driver "$name, driver $driver; CUDA $cuda needs $oldest_driver or later" \
            'install a newer driver'
    fi
    # A GPU that won't tell says [N/A].
    if [[ "$mib" =~ ^[0-9]+$ ]]; then
        if ((mib < wanted_mib)); then
            finding warning gpu-memory "$mib MiB; profiles rtx3090 and rtx3090ti want $wanted_mib" \
                'use smaller models (LLM_MODEL_PATH, STT_MODEL_SIZE)'
        else
            finding ok gpu-memory "$mib MiB"
        fi
    fi
}

check_uvm() {
    local modprobe
    if [ -e "$root/dev/nvidia-uvm" ]; then
        finding ok uvm '/dev/nvidia-uvm is there'
        return
    fi
    if [ -n "$fix" ] && modprobe=$(program nvidia-modprobe); then
        if [ -n "$dry" ]; then
            finding error uvm 'no /dev/nvidia-uvm, so CUDA finds no GPU' \
                "would run: nvidia-modprobe -u -c0"
            return
        fi
        "$modprobe" -u -c0 || true
        if [ -e "$root/dev/nvidia-uvm" ]; then
            finding ok uvm '/dev/nvidia-uvm was made'
            return
        fi
    fi
    finding error uvm 'no /dev/nvidia-uvm, so CUDA finds no GPU' \
        'sudo nvidia-modprobe -u -c0 (apt install nvidia-modprobe), or this script with sudo and --fix'
}

# Asks the environment's Python; its last line is the answer.
ask() { "$venv/bin/python" -c "$1" 2>&1 | tail -n 1; }

check_wheels() {
    local answer
    if [ "$venv" = none ]; then return; fi
    if [ ! -x "$venv/bin/python" ]; then
        finding warning wheels "no Python environment in $venv, so its wheels were not looked at" \
            'set it up (tools/setup.sh), or name it with --venv'
        return
    fi
    answer=$(ask 'import llama_cpp; print(llama_cpp.llama_supports_gpu_offload())') || true
    case $answer in
        True) finding ok llama.cpp 'built with CUDA' ;;
        False) finding error llama.cpp 'built for the CPU alone' \
            'CMAKE_ARGS="-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=86" tools/setup.sh' ;;
        *) finding error llama.cpp "does not load: $answer" 'tools/setup.sh' ;;
    esac
    answer=$(ask 'import ctranslate2; print(ctranslate2.get_cuda_device_count())') || true
    case $answer in
        [1-9]*) finding ok ctranslate2 'sees the GPU' ;;
        0) finding error ctranslate2 'sees no GPU' 'first mend what is said above of the driver' ;;
        *) finding error ctranslate2 "does not load: $answer" 'tools/setup.sh' ;;
    esac
    # CTranslate2 looks for cuBLAS only when a model runs: a missing one shows in the first
    # utterance. It finds what the dynamic linker finds; a wheel's folder isn't among that.
    answer=$(ask 'import ctypes
ctypes.CDLL("libcublas.so.12")
print(True)') || true
    case $answer in
        True) finding ok cublas 'libcublas.so.12 is there' ;;
        *) finding error cublas 'no libcublas.so.12, which CTranslate2 needs to hear on the GPU' \
            'install it as deploy/desktop/README.md says' ;;
    esac
}

# Triton compiles what it launches on the GPU with the system's compiler, as vLLM starts.
check_compiler() {
    if program gcc >/dev/null || program cc >/dev/null; then
        finding ok compiler 'there is a C compiler, for Triton'
    else
        finding error compiler 'no C compiler, which Triton needs as vLLM starts' 'apt install gcc'
    fi
}

check_vllm() {
    local answer
    if [ "$venv" = none ]; then return; fi
    if [ ! -x "$venv/bin/python" ]; then
        finding warning wheels "no Python environment in $venv, so its wheels were not looked at" \
            'set it up (deploy/install.sh), or name it with --venv'
        return
    fi
    answer=$(ask 'import torch; print(torch.cuda.is_available())') || true
    case $answer in
        True) finding ok torch 'sees the GPU' ;;
        False) finding error torch 'sees no GPU' 'first mend what is said above of the driver' ;;
        *) finding error torch "does not load: $answer" 'sudo deploy/install.sh --profile rtx3090ti' ;;
    esac
    answer=$(ask 'import os, sysconfig
print(os.path.exists(sysconfig.get_path("include") + "/Python.h"))') || true
    case $answer in
        True) finding ok headers "Python's headers are there" ;;
        *) finding error headers "no Python.h, which Triton needs as vLLM starts" \
            "apt install the -dev package of that Python, such as python3-dev" ;;
    esac
}

check_driver
check_uvm
if [ -n "$vllm" ]; then
    check_compiler
    check_vllm
else
    check_wheels
fi
findings_end
