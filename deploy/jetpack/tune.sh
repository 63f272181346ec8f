#!/usr/bin/env bash
# Readies a Jetson for the brain: power mode, no desktop, no zram. Does only what isn't so already.
# Usage: sudo tune.sh [--dry-run] [--power-mode NAME] [--keep-desktop] [--keep-zram] [--root DIR]
# NAME is 40W unless given. Exit status: 0 done, 1 something did not work, 64 wrong usage.
#
# Back again: nvpmodel -m ID; systemctl set-default graphical.target; systemctl enable nvzramconfig.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

root=
dry=
wanted=40W
desktop=
zram=
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=1 ;;
        --power-mode) wanted=${2:?--power-mode wants a name, such as 40W}; shift ;;
        --keep-desktop) desktop=keep ;;
        --keep-zram) zram=keep ;;
        --root) root=${2:?--root wants a folder}; shift ;;
        -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "tune: $1 isn't known; try --help" >&2; exit 64 ;;
    esac
    shift
done
# shellcheck source=deploy/jetpack/board.sh
. "$here/board.sh"

failed=0
reboot=
say() { printf 'tune: %s\n' "$*"; }
fail() { printf 'tune: %s\n' "$*" >&2; failed=1; }

if [ -z "$root$dry" ] && [ "$(id -u)" -ne 0 ]; then
    fail 'this changes the system: run it with sudo, or with --dry-run to see what it would do'
    exit 1
fi

# Runs a program of the board, or says that it would.
change() {
    local program
    if ! program=$(on_board "$1"); then
        fail "$1 isn't on this board"
        return 1
    fi
    shift
    if [ -n "$dry" ]; then
        say "would run: $(basename "$program") $*"
    else
        say "$(basename "$program") $*"
        "$program" "$@"
    fi
}

tune_power() {
    local now id names
    now=$(power_mode) || now=
    if [ "$now" = "$wanted" ]; then
        say "power mode is $wanted already"
        return
    fi
    id=$(power_modes | awk -v name="$wanted" '$2 == name { print $1; exit }')
    if [ -z "$(power_modes)" ]; then
        fail 'no power modes in /etc/nvpmodel.conf: is this a Jetson?'
        return
    fi
    if [ -z "$id" ]; then
        names=$(power_modes | cut -d' ' -f2)
        fail "this board has no power mode $wanted, but ${names//$'\n'/, }" \
            '(40W and MAXN_SUPER come with the super configuration of JetPack 6.2)'
        return
    fi
    # It may ask whether to reboot now: never in the middle of this.
    change nvpmodel -m "$id" <<<no || { fail "nvpmodel could not set $wanted"; return; }
    if [ -z "$dry" ] && [ "$(power_mode)" != "$wanted" ]; then
        say "power mode $wanted comes with the next boot"
        reboot=1
    fi
}

tune_headless() {
    if [ "$(boot_target || true)" = multi-user.target ]; then
        say 'boots without a desktop already'
        return
    fi
    if change systemctl set-default multi-user.target; then
        reboot=1
    else
        fail 'the desktop could not be turned off'
    fi
}

tune_zram() {
    local device
    if [ -z "$(zram_swaps)" ] && ! zram_at_boot; then
        say 'zram is off already'
        return
    fi
    if zram_at_boot; then
        change systemctl disable nvzramconfig.service || fail 'zram could not be turned off for good'
    fi
    for device in $(zram_swaps); do
        # Not enough memory to take its pages back in: then it goes with the reboot.
        change swapoff "$device" || { say "$device goes with the next boot"; reboot=1; }
    done
}

# Whether zram is made at boot.
zram_at_boot() { [ -L "$root/etc/systemd/system/multi-user.target.wants/nvzramconfig.service" ]; }

tune_power
if [ -z "$desktop" ]; then tune_headless; fi
if [ -z "$zram" ]; then tune_zram; fi
if [ -n "$reboot" ]; then
    if [ -n "$dry" ]; then say 'would want a reboot then'; else say 'reboot now: sudo reboot'; fi
fi
exit "$failed"
