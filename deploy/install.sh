#!/usr/bin/env bash
# Installs the brain as a service that boots by itself; a second time it changes only what differs.
#
# Usage: sudo install.sh --profile NAME [OPTIONS]     orin-nx, rtx3090, rtx3090ti, laptop or pocket
#        sudo install.sh --upgrade [OPTIONS]          another version; goes back if it isn't READY
#        sudo install.sh --rollback                   back to the version before
#        sudo install.sh --uninstall                  leaves /etc/brain and /var/lib/brain
#   --offline DIR    from this wheelhouse (build-wheelhouse.sh, jetpack/build-wheels.sh), no internet
#   --dry-run        says what it would do, and changes nothing
#   --patience S     how long a version may take to become READY (default: 900 seconds)
#   --python PYTHON  which Python, 3.10 to 3.13 (default: the system's that fits the wheels); from 3.11
#                    on for rtx3090ti
#   --without-extra  even if the wheels lack an engine of the profile: the brain then serves degraded
#   --force          even if the preflight of this machine found errors
#   --root DIR       below this folder, with the programs in it; for tests
# Exit status: 0 done, 1 failed (the version before is back), 2 refused, 64 wrong usage.
set -Eeuo pipefail
umask 022
# The folder itself, and not the link `current` that may lead to it.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

wrong() { echo "install: $*; try --help" >&2; exit 64; }

root='' dry='' task=install profile='' offline='' python='' force='' without_extra='' patience=900
choose() {
    if [ "$task" != install ]; then wrong "--$task and --$1 don't go together"; fi
    task=$1
}
while [ $# -gt 0 ]; do
    case $1 in
        --profile | --offline | --patience | --python | --root)
            if [ -z "${2:-}" ]; then wrong "$1 wants a value"; fi ;;&
        --profile) profile=$2; shift ;;
        --offline) offline=$2; shift ;;
        --patience) patience=$2; shift ;;
        --python) python=$2; shift ;;
        --root) root=$2; shift ;;
        --upgrade | --rollback | --uninstall) choose "${1#--}" ;;
        --dry-run) dry=1 ;;
        --without-extra) without_extra=1 ;;
        --force) force=1 ;;
        -h | --help) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) wrong "$1 isn't known" ;;
    esac
    shift
done
case $profile in
    '' | orin-nx | rtx3090 | rtx3090ti | laptop | pocket) ;;
    *) wrong "there is no profile $profile (but orin-nx, rtx3090, rtx3090ti, laptop, pocket)" ;;
esac
if [[ ! "$patience" =~ ^[1-9][0-9]{0,5}$ ]]; then wrong "--patience $patience isn't a number of seconds"; fi

# shellcheck source=deploy/install/machine.sh
. "$here/install/machine.sh"
# shellcheck source=deploy/install/version.sh
. "$here/install/version.sh"
# shellcheck source=deploy/install/settings.sh
. "$here/install/settings.sh"
# shellcheck source=deploy/install/service.sh
. "$here/install/service.sh"

# Which profile the machine gets, and whether it is fit for it.
settle_profile() {
    if [ -z "$profile" ]; then
        if ! profile=$(profile_in_settings); then
            wrong "say which profile: --profile NAME"
        fi
        case $profile in
            orin-nx | rtx3090 | rtx3090ti | laptop | pocket) ;;
            *) refuse "BRAIN_PROFILE=$profile in $etc/brain.env is no profile; give --profile NAME" ;;
        esac
    fi
    preflight
}

# The look at the board; a second time with the new version's environment, to ask its wheels.
preflight() {
    local script status=0
    case $profile in
        orin-nx) script=jetpack ;;
        rtx3090*) script=desktop ;;
        *) return ;;
    esac
    say "is this machine fit for $profile? ($script/preflight.sh)"
    local options=()
    if [ -n "$root" ]; then options+=(--root "$root"); fi
    if [ "$script" = desktop ]; then options+=(--venv "${1:-none}"); fi
    if [ "$profile" = rtx3090ti ] && [ -z "$without_extra" ]; then options+=(--vllm); fi
    bash "$here/$script/preflight.sh" "${options[@]}" || status=$?
    if ((status < 2)); then return; fi
    if [ -z "$force" ]; then refuse 'mend the errors above, or go on all the same with --force'; fi
    warn '--force: going on although the machine is not fit'
}

install_version() {
    settle_profile
    find_source
    check_source
    if [ -z "$dry" ]; then check_systemd; fi
    make_version
    preflight_of_wheels
    local before
    before=$(version_on_trial || version_in_force || true)
    write_settings
    switch_to "$target" "$before"
}

preflight_of_wheels() {
    if [[ "$profile" = rtx3090* ]] && [ -d "$target/venv" ]; then preflight "$target/venv"; fi
}

# Puts a version in force and sees it become READY, or puts back the one before.
switch_to() {
    local target=$1 before=$2 older
    if [ "$before" = "$target" ]; then before=; fi
    older=$(version_before || true)
    put_in_force "$target" "$before"
    if [ -n "$dry" ]; then return; fi
    if ! systemd_runs; then
        say 'systemd is not running here: the brain starts with the next boot'
        trial_ended
        return
    fi
    if start_and_wait; then
        trial_ended
        prune_versions
        say "$(basename "$target") is READY with profile $(profile_in_settings || echo pocket)"
        next_steps
        return
    fi
    show_journal
    if [ -z "$before" ]; then
        fail "$(basename "$target") isn't READY, and there is no version before it to go back to"
    fi
    warn "$(basename "$target") isn't READY: going back to $(basename "$before")"
    settings_back
    put_in_force "$before" ''
    # What was before that one, and not the version that has just failed.
    if [ -n "$older" ]; then link previous "$older"; else rm -f "$base/previous"; fi
    trial_ended
    # It is known to be good: however little time the new one was given, this one has its own.
    if ((patience < 900)); then patience=900; fi
    if start_and_wait; then
        fail "$(basename "$target") did not become READY; $(basename "$before") is back in force"
    fi
    show_journal
    fail "neither $(basename "$target") nor $(basename "$before") became READY; the latter is in force"
}

become_the_only_one
case $task in
    install | upgrade)
        if [ "$task" = upgrade ] && ! version_in_force >/dev/null; then
            refuse 'nothing is installed here that could be upgraded; give --profile NAME instead'
        fi
        install_version ;;
    rollback)
        before=$(version_before) || refuse 'there is no version before this one'
        profile=$(profile_in_settings || echo pocket)
        switch_to "$before" "$(version_in_force)" ;;
    uninstall) uninstall ;;
esac
if [ -n "$dry" ]; then say 'that was a dry run: nothing was changed'; fi
