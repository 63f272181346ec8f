#!/usr/bin/env bash
# The tests in two processes, since most of them wait for something; what fails so is asked once more
# alone, where nothing else takes the processor from it. Usage: tools/suite.sh VENV [PYTEST OPTIONS]
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1/bin/python
shift

status=0
"$python" -m pytest -n 2 --dist loadfile "$@" || status=$?
if [ "$status" -ne 1 ]; then exit "$status"; fi
echo "once more, alone: what failed beside the others"
"$python" -m pytest --last-failed --last-failed-no-failures none "$@"
