#!/bin/bash
# What `make check` runs: the dev build, every test, and the layer rules.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/stages.sh
step "build dev" tools/build.sh dev
stage "tests" tools/run_tests.sh build/dev
step "include rules find a bad include" tools/check_includes.sh --self-test
step "include rules" tools/check_includes.sh
finish
