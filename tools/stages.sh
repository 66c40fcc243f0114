# Sourced by the scripts that run several stages and sum them.
#   stage NAME COMMAND...  a command that ends in "N passed, N failed, N skipped"
#   step NAME COMMAND...   a command whose exit status is all: one passed or one failed
#   finish                 prints the sum as the last line; its status is the verdict
# A stage that breaks without a summary, or fails while counting no failure, is one failure.
passed=0 failed=0 skipped=0
broken=()

# The last summary line of a file, as three numbers; nothing when there is none.
summary_of() {
    sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$1" | tail -n 1
}

count_failure() { # NAME
    failed=$((failed + 1))
    broken+=("$1")
}

stage() {
    local name=$1 log status began=$SECONDS counts
    shift
    log=$(mktemp)
    echo "== $name"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    read -r -a counts <<<"$(summary_of "$log")"
    rm -f "$log"
    echo "== $name: $((SECONDS - began)) s, exit status $status"
    if [ ${#counts[@]} -ne 3 ]; then
        echo "FAILED  $name: ended without a summary (exit status $status)"
        count_failure "$name"
        return
    fi
    passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
    if [ "${counts[1]}" -gt 0 ]; then
        broken+=("$name")
    elif [ "$status" -ne 0 ]; then
        echo "FAILED  $name: exit status $status though no test failed"
        count_failure "$name"
    fi
}

step() {
    local name=$1 began=$SECONDS status=0
    shift
    echo "== $name"
    "$@" 2>&1 || status=$?
    echo "== $name: $((SECONDS - began)) s, exit status $status"
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        echo "FAILED  $name"
        count_failure "$name"
    fi
}

finish() {
    [ ${#broken[@]} -eq 0 ] || printf 'failing: %s\n' "${broken[@]}"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}
