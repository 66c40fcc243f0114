#!/bin/bash
# What `make check-long` runs: a build with clang, the lints and a fault at every writing call (which
# sanitizers do not go with), every test under the address and undefined-behaviour sanitizers, and the
# threaded tests under the thread sanitizer. Fuzzing has a target of its own: `make fuzz`. Sanitized
# code is several times slower: tests get more time.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/stages.sh
export FATHOM_TEST_TIME_SCALE=10 FATHOM_TEST_KILLS=100 FATHOM_TEST_FAULTS=150
export ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# A test's process leaves by _exit, past the report at exit: so stop at the first race.
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:allocator_may_return_null=1}
threaded=(test_pool test_op_determinism test_model_determinism test_session test_pretrain test_loopback
    test_ranks test_pretrain_ranks test_pipeline test_build test_bpe_train)

step "build clang" tools/build.sh clang
step "format, clang-tidy, layers, lengths" tools/lint.sh build/clang
stage "every failing write" env FATHOM=build/clang/fathom FATHOM_TEST_FAULTS=1000 \
    bash tests/cli/test_faults.sh
step "build asan" tools/build.sh asan
stage "tests under asan" tools/run_tests.sh build/asan
step "build tsan" tools/build.sh tsan "${threaded[@]}"
for name in "${threaded[@]}"; do
    stage "$name under tsan" "build/tsan/tests/$name"
done
finish
