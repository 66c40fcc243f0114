#!/bin/bash
# build.sh PRESET [TARGET...]: configures build/PRESET when needed and builds it (or the targets).
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?usage: tools/build.sh PRESET [TARGET...]}
shift
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset"
[ $# -eq 0 ] || set -- --target "$@"
exec cmake --build "build/$preset" "$@"
