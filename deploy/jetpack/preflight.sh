#!/usr/bin/env bash
# Is this Jetson fit for the brain (profile orin-nx)? Looks, and changes nothing.
# Usage: preflight.sh [--json] [--dry-run] [--root DIR]
# Exit status: 0 all is well, 1 warnings, 2 errors, 64 wrong usage.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

root=
findings_as=text
while [ $# -gt 0 ]; do
    case $1 in
        --json) findings_as=json ;;
        # It only looks, anyway; taken so that the three scripts are called alike.
        --dry-run) ;;
        --root) root=${2:?--root wants a folder}; shift ;;
        -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
        *) echo "preflight: $1 isn't known; try --help" >&2; exit 64 ;;
    esac
    shift
done
# shellcheck source=deploy/findings.sh
. "$here/../findings.sh"
# shellcheck source=deploy/jetpack/board.sh
. "$here/board.sh"

gib() { awk -v kib="$1" 'BEGIN { printf "%.1f GiB", kib / 1048576 }'; }
gib_in_kib=1048576
upgrade='write r36.5 in /etc/apt/sources.list.d/nvidia-l4t-apt-source.list, then apt update,'
upgrade+=' apt dist-upgrade and reboot; or flash JetPack 6.2.2 or later'

check_board() {
    local model
    model=$(tr -d '\0' 2>/dev/null <"$root/proc/device-tree/model" || true)
    case $model in
        # An Orin with too little memory is found by its memory.
        *Orin*) finding ok board "$model" ;;
        '') finding error board "this isn't a Jetson (no /proc/device-tree/model)" \
            'on a desktop, run deploy/desktop/preflight.sh' ;;
        *) finding warning board "$model: nobody tried the brain on it" \
            'profile orin-nx is for a Jetson Orin NX with 16 GB' ;;
    esac
}

check_l4t() {
    local version table half
    version=$(l4t_version)
    if [ -z "$version" ]; then
        finding error l4t "no L4T version in /etc/nv_tegra_release" 'flash JetPack 6.2.3'
        return
    fi
    half=$(l4t_packages_of_36_4_7)
    half=${half//$'\n'/ }
    if [ "$version" = 36.4.7 ]; then
        finding error l4t 'L4T 36.4.7: large allocations on the GPU fail on it (NvMap, error 12)' \
            "$upgrade"
    elif [ -n "$half" ]; then
        finding error l4t "L4T $version with packages of 36.4.7, on which large allocations fail: $half" \
            "$upgrade"
    elif table=$(jetpack_of "$version"); then
        case $version in
            36.5.2) finding ok l4t "L4T $version, JetPack ${table%% *}" ;;
            *) finding ok l4t "L4T $version, JetPack ${table%% *}; 36.5.2 is recommended" ;;
        esac
    elif [ "${version%%.*}" -lt 36 ]; then
        finding error l4t "L4T $version: JetPack 6 (L4T 36) is needed, for its Python 3.10 and CUDA 12" \
            'flash JetPack 6.2.3'
    else
        finding warning l4t "L4T $version isn't known here" \
            '36.5.2 is recommended; if you go on, watch that models load'
    fi
}

check_cuda() {
    local version table wanted
    version=$(cuda_version)
    if [ -z "$version" ]; then
        finding error cuda 'no CUDA toolkit in /usr/local/cuda' 'apt install nvidia-jetpack'
        return
    fi
    table=$(jetpack_of "$(l4t_version)") || table=
    read -r _ wanted _ <<<"$table" || true
    if [ -n "$wanted" ] && [ "$version" != "$wanted" ]; then
        finding warning cuda "CUDA $version, where this JetPack brings $wanted" \
            'build the wheels again (build-wheels.sh) after any change of CUDA'
    else
        finding ok cuda "CUDA $version"
    fi
    if [ -e "$root/dev/nvhost-ctrl-gpu" ]; then
        finding ok gpu 'the GPU is there (/dev/nvhost-ctrl-gpu)'
    else
        finding error gpu 'no /dev/nvhost-ctrl-gpu: the GPU driver is not loaded' \
            "reboot; if that doesn't help: dmesg | grep nvgpu"
    fi
}

check_power() {
    local mode names
    mode=$(power_mode) || mode=
    names=$(power_modes | cut -d' ' -f2)
    names=${names//$'\n'/, }
    case $mode in
        '') finding warning power 'nvpmodel does not say which power mode is on' \
            "sudo systemctl status nvpmodel" ;;
        40W | MAXN_SUPER | MAXN) finding ok power "power mode $mode" ;;
        *) finding warning power "power mode $mode slows the GPU down (this board has $names)" \
            'sudo deploy/jetpack/tune.sh --power-mode 40W (or MAXN_SUPER, if it is well cooled)' ;;
    esac
    check_gpu_clock "$mode"
}

# After L4T 36.5 some boards hold the GPU at 624 MHz, whatever the power mode allows.
check_gpu_clock() {
    local mode=$1 folder cap highest
    if ! folder=$(gpu_clock); then
        finding warning gpu-clock 'the clock of the GPU is not in /sys/class/devfreq'
        return
    fi
    cap=$(($(cat "$folder/max_freq") / 1000000))
    highest=$(tr ' ' '\n' <"$folder/available_frequencies" 2>/dev/null | sort -n | tail -n 1 || true)
    highest=$((${highest:-0} / 1000000))
    case $mode in
        40W | MAXN_SUPER | MAXN)
            if ((cap < 900)); then
                finding warning gpu-clock \
                    "the GPU is held at $cap MHz (its clock goes to $highest) although the mode is $mode" \
                    'known of some boards after L4T 36.5: set the mode anew (tune.sh), power off and on; if it stays, flash 36.5.2 with the super configuration'
                return
            fi ;;
    esac
    finding ok gpu-clock "up to $cap MHz"
}

check_memory() {
    local total available
    total=$(memory_kib MemTotal) || total=0
    available=$(memory_kib MemAvailable) || available=0
    if ((total < 9 * gib_in_kib)); then
        finding error memory "$(gib "$total") in all; profile orin-nx takes about 9 GiB" \
            'use a smaller model: LLM_MODEL_PATH, STT_MODEL_SIZE=base.en'
    elif ((available < 19 * gib_in_kib / 2)); then
        finding warning memory \
            "$(gib "$available") of $(gib "$total") are available; profile orin-nx takes about 9 GiB" \
            'boot without a desktop (tune.sh), stop what else runs; fine if the brain itself is running'
    else
        finding ok memory "$(gib "$available") of $(gib "$total") are available"
    fi
}

# CUDA wants its memory in large pieces. Free memory in splinters means that a model that ought to
# fit does not load; once the kernel can't mend it, only a reboot does.
check_fragmentation() {
    local free large
    read -r free large < <(awk '{ for (i = 5; i <= NF; i++) {
            kib = $i * 4 * 2 ^ (i - 5); free += kib; if (i - 5 >= 9) large += kib } }
        END { printf "%d %d\n", free, large }' "$root/proc/buddyinfo" 2>/dev/null) || true
    if ((${free:-0} == 0)); then
        finding warning fragmentation '/proc/buddyinfo does not say how the free memory lies'
    elif ((large * 2 < free)); then
        finding warning fragmentation \
            "of $(gib "$free") free, $(gib "$large") lie in pieces of 2 MiB or more" \
            'sync; echo 3 >/proc/sys/vm/drop_caches; echo 1 >/proc/sys/vm/compact_memory; or reboot'
    else
        finding ok fragmentation "of $(gib "$free") free, $(gib "$large") lie in pieces of 2 MiB or more"
    fi
}

check_swap() {
    local zram files
    zram=$(zram_swaps)
    files=$(awk 'NR > 1 && $1 !~ /^\/dev\/zram/ { sum += $3 } END { printf "%d", sum }' \
        "$root/proc/swaps" 2>/dev/null || true)
    if [ -n "$zram" ]; then
        finding warning swap "zram takes memory that the GPU needs (${zram//$'\n'/ })" \
            'sudo deploy/jetpack/tune.sh'
    elif ((${files:-0} > 0)); then
        finding ok swap "$(gib "$files") on a disk, no zram"
    else
        finding ok swap 'none; a swap file on an NVMe disk helps building the wheels'
    fi
}

check_disk() {
    local folder=$root/var/lib/brain free
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    free=$("$(on_board_or_here df)" -Pk "$folder" | awk 'NR == 2 { print $4 }')
    if ((free < 8 * gib_in_kib)); then
        finding error disk "$(gib "$free") free for the models, which take about 6 GiB" \
            'free some, or put /var/lib/brain on an NVMe disk'
    elif ((free < 20 * gib_in_kib)); then
        finding warning disk "$(gib "$free") free; models, wheels and an upgrade want 20 GiB" \
            'put /var/lib/brain on an NVMe disk'
    else
        finding ok disk "$(gib "$free") free"
    fi
}

check_clock() {
    local made now
    made=$(l4t_made_at) || made=0
    now=$(date +%s)
    if ((now < made)); then
        finding warning clock "it says $(date -u +%F), which is before this L4T was made" \
            "connect the network, or set it (date -s); a battery at the board's RTC keeps it"
    elif [ -e "$root/run/systemd/timesync/synchronized" ]; then
        finding ok clock 'set from the network'
    else
        finding ok clock 'plausible; not set from the network since boot'
    fi
}

check_headless() {
    local target
    target=$(boot_target) || target=
    case $target in
        multi-user.target) finding ok headless 'boots without a desktop' ;;
        '') finding warning headless 'it is not clear where this board boots to' ;;
        *) finding warning headless "boots to $target; a desktop takes 0.8 to 2 GB" \
            'sudo deploy/jetpack/tune.sh' ;;
    esac
}

check_board
check_l4t
check_cuda
check_power
check_memory
check_fragmentation
check_swap
check_disk
check_clock
check_headless
findings_end
