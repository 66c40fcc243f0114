#!/bin/bash
# fuzz.sh [NAME...]: runs each libFuzzer target tests/fuzz/fuzz_NAME.c for FUZZ_SECONDS from its
# corpus tests/fuzz/corpus/NAME. New inputs stay in build/fuzz/corpus/NAME, and one that crashes in
# build/fuzz/crash/: reduce it, fix the reader, and add it to the corpus.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/stages.sh
seconds=${FUZZ_SECONDS:-60}
if [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source##*/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi

fuzz_one() { # NAME
    local grown=build/fuzz/corpus/$1 seeds=tests/fuzz/corpus/$1 log=build/fuzz/$1.log
    mkdir -p "$grown" build/fuzz/crash
    [ -d "$seeds" ] || seeds=
    if ! "build/fuzz/tests/fuzz_$1" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=3000 \
        -artifact_prefix="build/fuzz/crash/$1-" -print_final_stats=1 "$grown" $seeds >"$log" 2>&1; then
        tail -n 60 "$log"
        return 1
    fi
    grep -E 'number_of_executed_units|peak_rss' "$log"
}

if ! tools/build.sh fuzz "${@/#/fuzz_}"; then
    count_failure "build fuzz"
else
    for name in "$@"; do step "fuzz $name" fuzz_one "$name"; done
fi
finish
