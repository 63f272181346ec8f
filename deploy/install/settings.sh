# shellcheck shell=bash
# The one line BRAIN_PROFILE= in /etc/brain/brain.env. Sourced by install.sh, never run.

etc=${etc:-} profile=${profile:-}
# The profile that the file had before it was changed; "none" if there was no such line.
profile_was=''

# The number of the line that decides: the last one, as the brain reads it. A line inside of a quoted
# value that goes over several is none; of a BRAIN_PROFILE like that only its replacement counts.
profile_line() {
    LC_ALL=C awk '
        function end_of_value(from, text, quote,    line, at) {
            for (line = from; line <= NR; line++) {
                for (at = 1; at <= length(text); at++) {
                    if (substr(text, at, 1) == "\\") at++
                    else if (substr(text, at, 1) == quote) return line
                }
                text = lines[line + 1]
            }
            return from # it never ends, so that the brain takes the line for no assignment
        }
        NR == 1 { sub(/^\xEF\xBB\xBF/, "") }
        { lines[NR] = $0 }
        END {
            for (line = 1; line <= NR; line = last + 1) {
                text = lines[line]
                last = line
                if (match(text, /^[ \t]*(export[ \t]+)?[^=# \t]+[ \t]*=[ \t]*["\x27]/))
                    last = end_of_value(line, substr(text, RLENGTH + 1), substr(text, RLENGTH, 1))
                if (text ~ /^[ \t]*(export[ \t]+)?BRAIN_PROFILE[ \t]*=/)
                    found = last == line ? line : ""
            }
            print found
        }' "$etc/brain.env" 2>/dev/null
}

# What the file chooses; status 1 if it doesn't.
profile_in_settings() {
    local line value
    line=$(profile_line) && [ -n "$line" ] || return 1
    value=$(sed -n "${line}s/^[^=]*=[ \t]*//p" "$etc/brain.env")
    value=$(sed -e 's/[ \t\r]*$//' -e "s/^\(['\"]\)\([^'\"]*\)\1.*/\2/;t" \
        -e 's/\(^\|[ \t]\+\)#.*//' <<<"$value")
    [ -n "$value" ] && echo "$value"
}

write_settings() {
    local now
    if [ -e "$etc/brain.env" ] && [ ! -f "$etc/brain.env" ]; then
        fail '/etc/brain/brain.env is no file: move it away first'
    fi
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
# This machine's settings, NAME=VALUE: /opt/robot-brain/current/docs/settings.md has them all, sudo
# brain settings shows what holds and why. A change holds after: sudo systemctl restart brain
BRAIN_PROFILE=$profile

# Where conversations are kept; here, so that \`sudo brain history list\` finds them, too.
STATE_DIR=/var/lib/brain
EOF
    )
    settings_whole
}

settings_whole() {
    local file
    file=$(readlink -f "$etc/brain.env") # a link stays one
    sync "$etc/.brain.env.part"
    mv -T "$etc/.brain.env.part" "$file"
    sync "$(dirname "$file")"
}

# edit_settings FUNCTION [PROFILE]: the old file or the new one, whole, with its owner and mode.
edit_settings() {
    iconv -f UTF-8 -t UTF-8 "$etc/brain.env" >/dev/null 2>&1 ||
        fail '/etc/brain/brain.env is no UTF-8 text, so the brain reads none of it: put it right first'
    cp -p "$etc/brain.env" "$etc/.brain.env.part"
    "$@" <"$etc/brain.env" >"$etc/.brain.env.part"
    settings_whole
}

# What stands behind the value, a comment or a carriage return, stays.
change_profile() {
    local value="\"[^\"]*\"\|'[^']*'\|[^[:space:]]*\([ \t]\+[^[:space:]#][^[:space:]]*\)*"
    sed "$(profile_line)s/\(BRAIN_PROFILE[ \t]*=[ \t]*\)\($value\)/\1$1/"
}

add_profile() {
    # A last line without an end gets one.
    # shellcheck disable=SC1003
    sed '$a\'
    printf 'BRAIN_PROFILE=%s%s\n' "$1" "$(grep -qm1 $'\r$' "$etc/brain.env" && printf '\r')"
}

drop_profile() { sed "$(profile_line)d"; }
