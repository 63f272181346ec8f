#!/usr/bin/env bash
# The appliance in a real systemd: boots Debian 12 (systemd 252) and Debian 11 (247) in containers and
# in a virtual machine, installs with deploy/install.sh, and goes through what may befall it.
#
# Needs root, Debian or Ubuntu on x86-64, and internet the first time: then it fetches what it lacks
# (apt), builds a wheelhouse (llama.cpp: about 5 minutes on 2 cores) and two systems (about 2 minutes).
# They are kept in ROBOT_BRAIN_CACHE/appliance. Arguments are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."

started=$SECONDS
say() { printf '[%3ds] %s\n' "$((SECONDS - started))" "$*"; }
fail() { printf 'test-appliance: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || fail 'this boots whole systems: run it as root (sudo make test-appliance)'
[ "$(uname -m)" = x86_64 ] || fail "this machine is $(uname -m); the systems here are x86-64"

cache=${ROBOT_BRAIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/robot-brain}/appliance
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock -n 9 || fail "another test of the appliance is at work in $cache"

lacking=
for pair in mmdebstrap:mmdebstrap systemd-nspawn:systemd-container setpriv:util-linux \
    qemu-system-x86_64:qemu-system-x86 mke2fs:e2fsprogs debugfs:e2fsprogs; do
    command -v "${pair%%:*}" >/dev/null || lacking+=" ${pair#*:}"
done
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || lacking+=' debian-archive-keyring'
if [ -n "$lacking" ]; then
    command -v apt-get >/dev/null || fail "these packages are missing:$lacking"
    say "installing$lacking"
    {
        apt-get -qq update
        # shellcheck disable=SC2086 # several words
        DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $lacking
    } >"$cache/apt.log" 2>&1 || { tail -n 20 "$cache/apt.log" >&2; fail 'apt failed, see above'; }
fi

# llama.cpp needs AVX2, which qemu's processor has since then.
version=$(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9.]*\).*/\1/p')
printf '7.2\n%s\n' "$version" | sort -C -V || fail "qemu 7.2 or later is needed, this is $version"

tools/setup.sh

# system SUITE PACKAGES: the archive of a system, named by what it is made of. Sets `archive`.
system() {
    local print
    print=$(printf '%s\n' "$*" | sha256sum)
    archive=$cache/$1-${print:0:12}.tar
    if [ -s "$archive" ]; then return; fi
    say "making a system: $1, about a minute"
    rm -f "$cache/$1"-*.tar
    mmdebstrap --quiet --variant=minbase --include="$2" "$1" "$cache/$1-part.tar" \
        >"$cache/$1.log" 2>&1 || { tail -n 20 "$cache/$1.log" >&2; fail "mmdebstrap failed"; }
    mv "$cache/$1-part.tar" "$archive"
}
# What install.sh asks for is python3; libgomp1 is llama.cpp's. The kernel is the virtual machine's.
system bookworm systemd,systemd-sysv,dbus,python3,libgomp1,linux-image-cloud-amd64
export APPLIANCE_DEBIAN_12=$archive
system bullseye systemd,systemd-sysv,dbus,python3-minimal
export APPLIANCE_DEBIAN_11=$archive

# For the Python of Debian 12, whatever this machine's is.
python=
for candidate in .venv/bin/python python3.11 "$HOME"/.pyenv/versions/3.11.*/bin/python \
    /usr/bin/python3; do
    if "$candidate" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' \
        2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail 'a Python 3.11 is needed to fetch the wheels for Debian 12 (apt install python3-venv)'
say 'filling the wheelhouse'
deploy/build-wheelhouse.sh --out "$cache/wheelhouse" --python "$(command -v "$python")"
export APPLIANCE_WHEELHOUSE=$cache/wheelhouse

# What an earlier run that was cut short has left. (Its processes died with it.)
rm -rf "$cache/run"
mkdir -p "$cache/run"
export APPLIANCE_RUN=$cache/run
trap 'rm -rf "$cache/run"' EXIT

say 'the tests'
.venv/bin/python -m pytest tests/appliance --timeout=600 --basetemp="$cache/run/pytest" "$@"
