#!/usr/bin/env bash
# Sets up the peers, each in an environment of its own: .venv-pipecat (0.6 GB) and .venv-s2s (1.5 GB,
# with torch for the CPU where pip finds that). Needs what tools/setup.sh needs, and a Python from 3.11
# to 3.13. Usage: benchmarks/peers/setup.sh pipecat|s2s. Exit 3: not to be had on this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

peer=${1:?usage: setup.sh pipecat|s2s}
venv=.venv-$peer
here=benchmarks/peers
uv=.venv/bin/uv
started=$SECONDS

say() { printf '[%3ds] %s\n' "$((SECONDS - started))" "$*"; }
not_here() { printf 'setup: %s\n' "$*" >&2; exit 3; }

case $peer in
    pipecat) locks=("$here/pipecat.lock") ;;
    s2s) locks=("$here/s2s.lock" "$here/s2s-alone.lock") ;;
    *) not_here "no peer is called $peer" ;;
esac
stamp=$(cat "${locks[@]}" "$here/setup.sh")
if [ -f "$venv/.made-of" ] && [ "$(cat "$venv/.made-of")" = "$stamp" ]; then
    exit 0
fi

python=
for candidate in python3 python3.11 python3.12 python3.13 "$HOME"/.pyenv/versions/3.1[123].*/bin/python; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
        2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || not_here "$peer needs a Python from 3.11 to 3.13"

say "making $venv with $("$python" --version)"
rm -f "$venv/.made-of"
"$uv" venv --quiet --allow-existing --seed --python "$(command -v "$python")" "$venv"
say "installing what $peer needs"
"$uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r "${locks[0]}" ||
    not_here "$peer can't be installed, see above"
if [ "$peer" = s2s ]; then
    say "installing torch"
    # pip, which is told on a machine where builds of torch for the CPU are (see tools/setup_vllm.sh).
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --progress-bar off \
        torch==2.13.0 || not_here "$peer needs torch 2.13.0, which pip can't get, see above"
    "$uv" pip install --quiet --python "$venv/bin/python" --require-hashes --no-deps -r "${locks[1]}" ||
        not_here "$peer can't be installed, see above"
fi
printf '%s\n' "$stamp" >"$venv/.made-of"
say ready
