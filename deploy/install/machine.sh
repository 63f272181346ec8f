# shellcheck shell=bash
# What this machine is and has, and changing it by steps that can be shown beforehand. Sourced by
# install.sh, never run.

# What is set here is read in the other pieces, too.
# shellcheck disable=SC2034

root=${root:-} dry=${dry:-} python=${python:-} task=${task:-} profile=${profile:-}
without_extra=${without_extra:-}
base=$root/opt/robot-brain
etc=$root/etc/brain
# Whether anything changed that a running brain has to be restarted for.
changed=

# A terminal that went away, with its network, must not end this halfway.
trap '' HUP PIPE
say() { printf 'install: %s\n' "$*" || true; }
warn() { printf 'install: %s\n' "$*" >&2 || true; }
fail() { warn "$*"; exit 1; }
refuse() { warn "$*"; exit 2; }
# Whatever wasn't foreseen; a second run goes on from there.
trap 'warn "stopped, since this failed: $BASH_COMMAND"' ERR

# With a root, only the programs in it: the tests must not change the machine they run on.
program() {
    local folder
    if [ -z "$root" ]; then
        type -P "$1" || fail "$1 isn't here: this needs systemd 247 or later"
        return
    fi
    for folder in usr/bin usr/sbin; do
        if [ -x "$root/$folder/$1" ]; then
            echo "$root/$folder/$1"
            return
        fi
    done
    fail "$1 isn't in $root"
}

# step "what it does" COMMAND...: does it and says so, or says that it would.
step() {
    if [ -n "$dry" ]; then
        say "would $1"
        return
    fi
    say "$1"
    "${@:2}"
}

# As step, of a change that a running brain only sees after a restart.
changing() {
    changed=1
    step "$@"
}

# put SOURCE TARGET: a copy that is whole at any moment, unless it is there already.
put() {
    if ! cmp -s "$1" "$2"; then changing "write ${2#"$root"}" put_whole "$1" "$2"; fi
}

put_whole() {
    mkdir -p "$(dirname "$2")"
    install -m 0644 "$1" "$2.part"
    mv -T "$2.part" "$2"
}

become_the_only_one() {
    if [ -n "$dry" ]; then
        if [ -d "$etc" ] && [ ! -x "$etc" ]; then
            warn "${etc#"$root"} can't be looked into: with sudo, --dry-run tells more"
        fi
        return
    fi
    if [ -z "$root" ] && [ "$(id -u)" -ne 0 ]; then
        fail 'this changes the system: run it with sudo, or with --dry-run to see what it would do'
    fi
    if [ "$task" != install ] && [ ! -d "$base" ]; then return; fi
    mkdir -p "$base"
    exec 9>>"$base/.lock"
    flock -n 9 || fail 'another install.sh is at work'
}

# What is needed of systemd.
check_systemd() {
    local name version
    for name in systemctl systemd-sysusers systemd-tmpfiles; do program "$name" >/dev/null || exit 2; done
    version=$(systemctl --version | awk 'NR == 1 { print $2 }')
    if ((version < 247)); then refuse "this needs systemd 247 or later; here is $version"; fi
}

systemd_runs() { [ -d "$root/run/systemd/system" ]; }

systemctl() { "$(program systemctl)" "$@"; }

# The tags of the Pythons that the compiled wheels in a folder are for, such as "cp310 ".
wheel_tags() {
    find "$1" -maxdepth 1 -name '*.whl' | sed -n 's/.*-\(cp3[0-9]*\)-\1-[^/]*$/\1/p' | sort -u |
        tr '\n' ' '
}

# Whether the wheels in a folder are for this kind of processor.
check_processor() {
    local foreign
    foreign=$(find "$1" -maxdepth 1 -name '*linux*_*.whl' ! -name "*_$(uname -m).whl" -print -quit)
    if [ -n "$foreign" ]; then
        refuse "$(basename "$foreign") is for another processor: this machine is $(uname -m)"
    fi
}

# Sets `python` to one that the wheels in a folder, if given, are for. The service sees no home folder, so that
# a Python in one (pyenv's, say) is none.
choose_python() {
    local tags='' candidates candidate told tag prefix why='' least=10
    # (vLLM's wheels are for no older one; without them the profile serves on any.)
    if [ "$profile" = rtx3090ti ] && [ -z "$without_extra" ]; then least=11; fi
    if [ -n "${1:-}" ]; then tags=$(wheel_tags "$1"); fi
    candidates=("$python")
    if [ -z "$python" ]; then
        # /usr/bin/python3 is another one after an upgrade of the system; what it leads to stays.
        candidates=("$(readlink -f /usr/bin/python3)" /usr/bin/python3.{10..13}
            /usr/local/bin/python3.{10..13})
    fi
    for candidate in "${candidates[@]}"; do
        told=$("$candidate" -c 'import sys, venv
assert (3, 10) <= sys.version_info[:2] <= (3, 13)
print("cp%d%d" % sys.version_info[:2], sys.base_prefix)' 2>/dev/null) || continue
        read -r tag prefix <<<"$told"
        if [ -z "$root" ] && [[ "$prefix" =~ ^/(root|home|run/user)/ ]]; then
            why="$candidate lies in a home folder, which the service can't see"
        elif [ "${tag#cp3}" -lt "$least" ]; then
            why="vLLM, the mind of profile $profile, needs Python 3.11 or later, and $candidate is"
            why+=" 3.${tag#cp3}; --profile rtx3090 serves on it"
        elif [ -n "$tags" ] && [[ " $tags" != *" $tag "* ]]; then
            why="the wheels are for ${tags% }, $candidate is $tag"
        else
            python=$candidate
            python_tag=$tag
            return
        fi
    done
    refuse "no Python from 3.$least to 3.13 that fits (apt install python3 python3-venv)${why:+: $why}"
}

# enough_disk KIB: where the versions lie.
enough_disk() {
    local folder=$base free df=df
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    if [ -x "$root/usr/bin/df" ]; then df=$root/usr/bin/df; fi
    free=$("$df" -Pk "$folder" | awk 'NR == 2 { print $4 }')
    if ((free < $1)); then
        refuse "$(($1 / 1024)) MB are needed in ${base#"$root"}, $((free / 1024)) MB are free"
    fi
}
