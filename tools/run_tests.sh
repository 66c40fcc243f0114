#!/bin/bash
# run_tests.sh BUILD_DIR: runs every test of a build and sums them.
#
# - each binary named in BUILD_DIR/tests.list
# - golden_model on the directories in tests/golden and, where it is, in ../shared/goldens
# - each fuzz target's replay on its corpus
# - tests/cli/*.sh, with FATHOM naming the program
#
# Prints the names of failing and skipped tests and ends in "N passed, N failed, N skipped". A
# program that ends without such a line, or badly while counting no failure, is one failure.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:?usage: tools/run_tests.sh BUILD_DIR}" && pwd) || exit 2
cd "$root" || exit 2
. tools/stages.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
limit=$((1800 * ${FATHOM_TEST_TIME_SCALE:-1}))

run() { # LABEL COMMAND...
    local label=$1 began=$SECONDS status=0 counts
    shift
    timeout "$limit" "$@" >"$log" 2>&1 </dev/null || status=$?
    read -r -a counts <<<"$(summary_of "$log")"
    if [ ${#counts[@]} -ne 3 ]; then
        echo "FAILED  $label: ended without a summary (exit status $status)"
        tail -n 30 "$log" | sed 's/^/        /'
        count_failure "$label"
        return
    fi
    grep -aE '^(FAILED|skipped) ' "$log" | sed "s|^|$label: |"
    passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
    if [ "${counts[1]}" -gt 0 ]; then
        grep -aE -A 40 'Sanitizer|runtime error' "$log" | head -n 60
        broken+=("$label")
    elif [ "$status" -ne 0 ]; then
        echo "FAILED  $label: exit status $status though no test failed"
        tail -n 30 "$log" | sed 's/^/        /'
        count_failure "$label"
    fi
    printf '%s: %s passed, %s failed, %s skipped (%s s)\n' "$label" "${counts[@]}" \
        $((SECONDS - began))
}

skip() { # LABEL REASON
    echo "$1: skipped: $2"
    skipped=$((skipped + 1))
}

run_goldens() { # LABEL DIR...
    local label=$1
    shift
    run "$label, ref64" "$build/tests/golden_model" --isa ref64 "$@"
    run "$label, best ISA" "$build/tests/golden_model" "$@"
    run "$label, recomputed layers" "$build/tests/golden_model" --recompute layer "$@"
}

if [ ! -s "$build/tests.list" ]; then
    echo "FAILED  $build/tests.list: not there; configure the build first"
    count_failure "tests.list"
fi
while read -r name; do
    [ -z "$name" ] || run "$name" "$build/tests/$name"
done < <(cat "$build/tests.list" 2>/dev/null)

own=()
for directory in tests/golden/*/; do
    [ -d "$directory" ] && own+=("${directory%/}")
done
if [ ${#own[@]} -gt 0 ]; then run_goldens "tests/golden" "${own[@]}"; fi
published=()
for name in v3 v3-mtp v3-noq-plain v3-noscale v2 v2-lite qwen2 qwen2-untied qwen3 llama3; do
    published+=("../shared/goldens/$name")
done
if [ -d ../shared/goldens ]; then
    run_goldens "shared goldens" "${published[@]}"
else
    skip "shared goldens" "../shared/goldens is not here"
fi

for source in tests/fuzz/fuzz_*.c; do
    [ -e "$source" ] || continue
    name=$(basename "$source" .c)
    corpus=tests/fuzz/corpus/${name#fuzz_}
    if [ -d "$corpus" ]; then
        run "$name on its corpus" "$build/tests/$name" "$corpus"
    else
        skip "$name" "$corpus is not here"
    fi
done

for script in tests/cli/*.sh; do
    [ -e "$script" ] || continue
    run "$script" env FATHOM="$build/fathom" bash "$script"
done
finish
