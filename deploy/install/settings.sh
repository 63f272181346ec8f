# shellcheck shell=bash
# The one line BRAIN_PROFILE= in /etc/brain/brain.env. Sourced by install.sh, never run.

etc=${etc:-} profile=${profile:-}
# The profile that the file had before it was changed; "none" if there was no such line.
profile_was=''

# The number of the line that decides: the last one, as the brain reads it.
profile_line() {
    awk '/^(\xEF\xBB\xBF)?[ \t]*(export[ \t]+)?BRAIN_PROFILE[ \t]*=/ { line = NR } END { print line }' \
        "$etc/brain.env" 2>/dev/null
}

# What the file chooses; status 1 if it doesn't.
profile_in_settings() {
    local line value
    line=$(profile_line) && [ -n "$line" ] || return 1
    value=$(sed -n "${line}s/^[^=]*=[ \t]*//p" "$etc/brain.env")
    value=$(sed -e 's/[ \t\r]*$//' -e "s/^\(['\"]\)\([^'\"]*\)\1.*/\2/" -e 's/[ \t]*#.*//' <<<"$value")
    [ -n "$value" ] && echo "$value"
}

write_settings() {
    local now
    if [ ! -e "$etc/brain.env" ]; then
        changing "make /etc/brain/brain.env with BRAIN_PROFILE=$profile" make_settings
    elif ! now=$(profile_in_settings); then
        profile_was=none
        changing "add BRAIN_PROFILE=$profile to /etc/brain/brain.env" edit_settings \
            add_profile "$profile"
    elif [ "$now" != "$profile" ]; then
        profile_was=$now
        changing "change BRAIN_PROFILE=$now to $profile in /etc/brain/brain.env, and no other line" \
            edit_settings change_profile "$profile"
    fi
    if grep -qE '^[ \t]*(export[ \t]+)?BRAIN_PROFILE[ \t]*=' "$etc/override.env" 2>/dev/null; then
        warn '/etc/brain/override.env has a BRAIN_PROFILE of its own, which wins over brain.env'
    fi
}

# A version that isn't READY takes its profile along.
settings_back() {
    case $profile_was in
        '') return ;;
        none) changing 'take the BRAIN_PROFILE out of /etc/brain/brain.env again' \
            edit_settings drop_profile ;;
        *)
            profile=$profile_was
            changing "change BRAIN_PROFILE back to $profile in /etc/brain/brain.env" \
                edit_settings change_profile "$profile" ;;
    esac
}

# Its owner is root, its group brain (by tmpfiles): a token may be in it one day.
make_settings() {
    mkdir -p "$etc"
    chmod 0750 "$etc"
    (umask 0137
        cat >"$etc/.brain.env.part" <<EOF
# This machine's settings, NAME=VALUE: docs/settings.md has them all, \`sudo brain settings\` shows
# what holds and why. A change holds from the next start: sudo systemctl restart brain
BRAIN_PROFILE=$profile

# Where conversations are kept; here, so that \`sudo brain history list\` finds them, too.
STATE_DIR=/var/lib/brain
EOF
    )
    settings_whole
}

settings_whole() {
    sync "$etc/.brain.env.part"
    mv -T "$etc/.brain.env.part" "$etc/brain.env"
    sync "$etc"
}

# edit_settings FUNCTION [PROFILE]: the old file or the new one, whole, with its owner and mode.
edit_settings() {
    cp -p "$etc/brain.env" "$etc/.brain.env.part"
    "$@" <"$etc/brain.env" >"$etc/.brain.env.part"
    settings_whole
}

# What stands behind the value, a comment or a carriage return, stays.
change_profile() {
    local value="\"[^\"]*\"\|'[^']*'\|[^[:space:]#]*\([ \t]\+[^[:space:]#]\+\)*"
    sed "$(profile_line)s/\(BRAIN_PROFILE[ \t]*=[ \t]*\)\($value\)/\1$1/"
}

add_profile() {
    # A last line without an end gets one.
    # shellcheck disable=SC1003
    sed '$a\'
    echo "BRAIN_PROFILE=$1"
}

drop_profile() { sed "$(profile_line)d"; }
