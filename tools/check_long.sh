#!/bin/bash
# What `make check-long` runs: the tests under sanitizers, clang with warnings as errors, the
# lints, and a short while of fuzzing. Sanitized code is several times slower: tests get more time.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/stages.sh
export FUZZ_SECONDS=${FUZZ_SECONDS:-15}
export ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# A test's process leaves by _exit, past the report at exit: so stop at the first race.
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:allocator_may_return_null=1}

step "build clang" tools/build.sh clang
step "lint" tools/lint.sh build/clang
for preset in asan tsan; do
    step "build $preset" tools/build.sh "$preset"
    stage "tests under $preset" env FATHOM_TEST_TIME_SCALE=10 tools/run_tests.sh "build/$preset"
done
stage "fuzz" tools/fuzz.sh
finish
