# shellcheck shell=bash
# The service: units, drop-ins, users; putting a version in force and seeing whether it is READY.
# Sourced by install.sh, never run.

here=${here:-} root=${root:-} profile=${profile:-} patience=${patience:-} base=${base:-} etc=${etc:-} dry=${dry:-}
units=$root/etc/systemd/system
drop_ins=$units/brain.service.d
sysusers=$root/usr/lib/sysusers.d/robot-brain.conf
tmpfiles=$root/usr/lib/tmpfiles.d/robot-brain.conf
journald=$root/etc/systemd/journald.conf.d/robot-brain.conf
command=$root/usr/local/bin/brain
settle_s=3
started_at=0

# put_in_force VERSION BEFORE: units, links, and the boot. BEFORE, if given, is what to go back to.
put_in_force() {
    local version=$1 before=$2 from=$1/deploy/systemd
    if [ ! -d "$from" ]; then from=$here/systemd; fi # a dry run
    if [ -n "$before" ] && [ -z "$dry" ]; then trial_begins "$before"; fi
    put_units "$from"
    put_drop_ins "$from/drop-ins"
    if [ "$(version_in_force || true)" != "$version" ]; then
        changing "put $(basename "$version") in force" link current "$version"
    fi
    if [ -n "$before" ] && [ "$(version_before || true)" != "$before" ]; then
        step "keep $(basename "$before") as the version before" link previous "$before"
    fi
    put_command
    if [ -n "$dry" ]; then return; fi
    if [ -n "$changed" ] && systemd_runs; then systemctl daemon-reload; fi
    systemctl --quiet enable brain.service
}

put_units() {
    local unit before=$changed
    changed=
    put "$1/brain.sysusers.conf" "$sysusers"
    if [ -n "$changed" ]; then step 'make the user brain' make_user; fi
    for unit in "$1"/brain*.service; do put "$unit" "$units/$(basename "$unit")"; done
    changed=${changed:-$before}
    put "$1/brain.tmpfiles.conf" "$tmpfiles"
    # Folders, owners and modes; what is right stays as it is.
    if [ -z "$dry" ]; then make_folders; fi
    if ! cmp -s "$1/brain.journald.conf" "$journald"; then
        step "write ${journald#"$root"}" put_whole "$1/brain.journald.conf" "$journald"
        if systemd_runs; then
            step 'restart the journal' systemctl restart systemd-journald.service
        fi
    fi
}

make_folders() {
    "$(program systemd-tmpfiles)" --create "$tmpfiles" && return
    if systemd_runs; then fail "the folders could not be made as ${tmpfiles#"$root"} has them"; fi
    say 'the folders are made at the next boot'
}

make_user() { "$(program systemd-sysusers)" "$sysusers"; }

# Ours for this profile; those of ours for another go, those of others stay.
put_drop_ins() {
    local file wanted=''
    case $profile in
        orin-nx) wanted='10-jetson.conf' ;;
        rtx3090) wanted='10-desktop.conf' ;;
        rtx3090ti) wanted='10-desktop.conf 30-vllm.conf' ;;
    esac
    for file in 10-jetson.conf 10-desktop.conf 30-vllm.conf; do
        if [[ " $wanted " = *" $file "* ]]; then
            put "$1/${file#*-}" "$drop_ins/$file"
        elif [ -e "$drop_ins/$file" ]; then
            changing "remove ${drop_ins#"$root"}/$file, which is for another profile" \
                rm "$drop_ins/$file"
        fi
    done
}

# The command for people. Somebody else's program of that name stays.
put_command() {
    local leads=/opt/robot-brain/current/bin/brain
    if [ "$(readlink "$command" || true)" = "$leads" ]; then return; fi
    if [ -e "$command" ] || [ -L "$command" ]; then
        warn "${command#"$root"} is somebody else's and stays; ours is $leads"
        return
    fi
    step "link ${command#"$root"} to it" link_command "$leads" ||
        warn "${command#"$root"} can't be made, so the command is $leads; the service needs it not"
}

link_command() { mkdir -p "$(dirname "$command")" && ln -s "$1" "$command"; }

# Restarts it if anything changed; status 1 if it doesn't become READY.
start_and_wait() {
    if [ -z "$changed" ] && systemctl --quiet is-active brain.service; then
        say 'nothing changed, and the brain is running'
        return
    fi
    started_at=$(date +%s)
    systemctl stop brain.service brain-last-resort.service 2>/dev/null || true
    systemctl reset-failed brain.service brain-last-resort.service 2>/dev/null || true
    say "starting the brain (at most $patience s)"
    systemctl --no-block start brain.service
    changed=
    until_ready
}

# Tells what the brain says of itself while it loads.
until_ready() {
    local waited told='' pid
    for ((waited = 0; waited < patience; waited++)); do
        look
        if [ -n "${unit[StatusText]}" ] && [ "${unit[StatusText]}" != "$told" ]; then
            told=${unit[StatusText]}
            say "  [${waited} s] $told"
        fi
        case ${unit[ActiveState]} in
            active)
                # READY and gone a moment later isn't ready.
                pid=${unit[MainPID]}
                "$(program sleep)" "$settle_s"
                look
                if [ "${unit[ActiveState]} ${unit[MainPID]}" = "active $pid" ]; then return; fi ;;
            failed) return 1 ;;
        esac
        if ((unit[NRestarts] >= 2)); then
            warn "it ended ${unit[NRestarts]} times as it started"
            return 1
        fi
        "$(program sleep)" 1
    done
    warn "it is not READY after $patience s"
    return 1
}

declare -A unit
look() {
    local name value
    unit=([ActiveState]='' [MainPID]='' [NRestarts]=0 [StatusText]='')
    while IFS='=' read -r name value; do
        if [ -n "$name" ]; then unit[$name]=$value; fi
    done < <(systemctl show brain.service --property=ActiveState --property=MainPID \
        --property=NRestarts --property=StatusText)
}

show_journal() {
    warn 'the end of its log (journalctl -u brain):'
    "$(program journalctl)" --unit=brain.service --since="@$started_at" --lines=30 --no-pager >&2 ||
        true
}

next_steps() {
    local models=$root/var/lib/brain/models
    if [ "$profile" = pocket ] || [ -n "$(ls -A "$models" 2>/dev/null)" ]; then return; fi
    say 'no models yet, so the pocket brain answers until they have come: sudo brain models pull'
    say '(or, without internet, sudo brain models import DIR)'
}

uninstall() {
    local file
    if [ ! -d "$base" ] && [ ! -e "$units/brain.service" ]; then
        say 'nothing is installed here'
        return
    fi
    if [ -e "$units/brain.service" ] && systemd_runs; then
        step 'stop the brain' systemctl stop brain.service brain-last-resort.service \
            brain-jetson-clocks.service
    fi
    if [ -e "$units/brain.service" ]; then
        step 'no longer start it at boot' systemctl --quiet disable brain.service
    fi
    for file in "$units"/brain{,-last-resort,-jetson-clocks,-memory-prepare,-nvidia-nodes}.service \
        "$drop_ins"/{10-jetson,10-desktop,30-vllm}.conf "$sysusers" "$tmpfiles" "$journald"; do
        if [ -e "$file" ]; then step "remove ${file#"$root"}" rm "$file"; fi
    done
    if [ "$(readlink "$command" || true)" = /opt/robot-brain/current/bin/brain ]; then
        step "remove ${command#"$root"}" rm "$command"
    fi
    for file in "$base" "$root/var/lib/brain-last-resort" "$root/var/cache/brain"; do
        if [ -d "$file" ]; then step "remove ${file#"$root"}" rm -rf "$file"; fi
    done
    rmdir "$drop_ins" 2>/dev/null || true
    if systemd_runs && [ -z "$dry" ]; then
        systemctl daemon-reload
        systemctl reset-failed brain.service brain-last-resort.service 2>/dev/null || true
    fi
    say 'left: /etc/brain, /var/lib/brain (models, conversations) and the user brain'
}
