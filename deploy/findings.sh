# shellcheck shell=bash
# What a check found, for a person or for a program. Sourced by the preflights, never run.
#
#   finding SEVERITY NAME "what was found" ["what to do"]    SEVERITY is ok, warning or error
#   findings_end        exits with 0 if all is well, 1 after warnings, 2 after errors
#
# With findings_as=json nothing is printed before the end, then one JSON object.

findings_as=${findings_as:-text}
findings_worst=0
findings_json=

# A string as JSON has it. Control characters have no business in a finding and are left out.
json_string() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//[$'\n\t']/ }
    printf '"%s"' "${text//[$'\001'-$'\037']/}"
}

finding() {
    local severity=$1 name=$2 found=$3 todo=${4:-} rank
    case $severity in
        ok) rank=0 ;;
        warning) rank=1 ;;
        error) rank=2 ;;
        *) echo "findings: unknown severity $severity" >&2; exit 70 ;;
    esac
    if ((rank > findings_worst)); then findings_worst=$rank; fi
    if [ "$findings_as" = json ]; then
        findings_json+="${findings_json:+, }{\"name\": $(json_string "$name"), "
        findings_json+="\"severity\": \"$severity\", \"found\": $(json_string "$found"), "
        findings_json+="\"todo\": $(json_string "$todo")}"
        return
    fi
    printf '%-8s %-13s %s\n' "$severity" "$name" "$found"
    if [ -n "$todo" ]; then printf '%-8s %-13s -> %s\n' '' '' "$todo"; fi
}

findings_end() {
    local severities=(ok warning error)
    if [ "$findings_as" = json ]; then
        printf '{"severity": "%s", "findings": [%s]}\n' \
            "${severities[findings_worst]}" "$findings_json"
    fi
    exit "$findings_worst"
}
