# shellcheck shell=bash
# What this Jetson is: its L4T, JetPack, CUDA, power modes. Sourced by the scripts beside it.
#
# What isn't there is empty, and no error. With `root` set, files are read below that folder and only the programs in it are run: that is how
# the tests show these scripts boards of every L4T, and why they can't change the machine they run on.

root=${root:-}

# Below it, the path of a program of the board; not found: empty, and status 1.
on_board() {
    local folder
    if [ -z "$root" ]; then
        command -v "$1" 2>/dev/null || command -v "/usr/sbin/$1" 2>/dev/null ||
            command -v "/usr/local/cuda/bin/$1" 2>/dev/null
        return
    fi
    for folder in usr/sbin usr/bin usr/local/cuda/bin; do
        if [ -x "$root/$folder/$1" ]; then
            printf '%s\n' "$root/$folder/$1"
            return
        fi
    done
    return 1
}

# A program that only looks, or only builds: the board's, else (below a root) this machine's.
on_board_or_here() { on_board "$1" || command -v "$1"; }

# 36.4.7, from "# R36 (release), REVISION: 4.7, GCID: ...". 36.3.0 calls itself "REVISION: 3.0".
l4t_version() {
    sed -n '1s/^# R\([0-9][0-9]*\) (release), REVISION: \([0-9.]*\).*/\1.\2/p' \
        "$root/etc/nv_tegra_release" 2>/dev/null || true
}

# When that L4T was made, in seconds since 1970: no clock of this board can be right before it.
l4t_made_at() {
    local made
    made=$(sed -n '1s/.*DATE: \(.*\)$/\1/p' "$root/etc/nv_tegra_release" 2>/dev/null)
    [ -n "$made" ] && date -d "$made" +%s 2>/dev/null
}

# "JETPACK CUDA CUDNN" of an L4T; of one that isn't in the table: empty, and status 1.
# From NVIDIA's JetPack release notes, 6.0 to 6.2.3.
jetpack_of() {
    case $1 in
        36.3 | 36.3.0) echo '6.0 12.2 8' ;;
        36.4 | 36.4.0) echo '6.1 12.6 9' ;;
        36.4.3) echo '6.2 12.6 9' ;;
        36.4.4) echo '6.2.1 12.6 9' ;;
        36.5 | 36.5.0) echo '6.2.2 12.6 9' ;;
        36.5.2) echo '6.2.3 12.6 9' ;;
        *) return 1 ;;
    esac
}

# Packages of L4T 36.4.7 on a board that calls itself something else: half an upgrade.
l4t_packages_of_36_4_7() {
    awk '/^Package: / { package = $2 }
         /^Status: / { here = / installed$/ }
         /^Version: 36\.4\.7-/ && here && package ~ /^nvidia-l4t-/ { print package }' \
        "$root/var/lib/dpkg/status" 2>/dev/null || true
}

# 12.6, of the CUDA toolkit that /usr/local/cuda leads to.
cuda_version() {
    sed -n '/"cuda" *:/,/}/s/.*"version" *: *"\([0-9]*\.[0-9]*\).*/\1/p' \
        "$root/usr/local/cuda/version.json" 2>/dev/null | head -n 1 || true
}

# 9, of the cuDNN whose headers are installed.
cudnn_major() {
    local header
    for header in "$root"/usr/include/cudnn_version.h "$root"/usr/include/*/cudnn_version.h; do
        sed -n 's/^#define CUDNN_MAJOR \([0-9]*\).*/\1/p' "$header" 2>/dev/null && return
    done | head -n 1 || true
}

# "ID NAME" a line. The ids differ from board to board, the names don't.
power_modes() {
    sed -n 's/^< *POWER_MODEL  *ID=\([0-9]*\)  *NAME=\([^ >]*\).*/\1 \2/p' \
        "$root/etc/nvpmodel.conf" 2>/dev/null || true
}

# The name of the power mode in force.
power_mode() {
    local nvpmodel
    nvpmodel=$(on_board nvpmodel) || return 1
    "$nvpmodel" -q 2>/dev/null | sed -n 's/^NV Power Mode: *\([^ ]*\).*/\1/p' | head -n 1
}

# The folder of the GPU's clock in sysfs: 17000000.gpu on L4T 36.
gpu_clock() {
    local folder
    for folder in "$root"/sys/class/devfreq/*.gpu "$root"/sys/class/devfreq/*.ga10b; do
        if [ -r "$folder/max_freq" ]; then
            printf '%s\n' "$folder"
            return
        fi
    done
    return 1
}

# KiB, by its name in /proc/meminfo.
memory_kib() {
    awk -v name="$1:" '$1 == name { print $2; found = 1 } END { exit !found }' \
        "$root/proc/meminfo" 2>/dev/null
}

# Where the board boots to: graphical.target or multi-user.target.
boot_target() {
    local link
    for link in etc/systemd/system lib/systemd/system usr/lib/systemd/system; do
        if [ -L "$root/$link/default.target" ]; then
            basename "$(readlink "$root/$link/default.target")"
            return
        fi
    done
    return 1
}

# The zram devices that are swapped to.
zram_swaps() { awk '$1 ~ /^\/dev\/zram/ { print $1 }' "$root/proc/swaps" 2>/dev/null || true; }
