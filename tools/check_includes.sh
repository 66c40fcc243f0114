#!/bin/bash
# check_includes.sh [--self-test]: holds every #include to the layers of docs/architecture.md.
#
#   src/DIR       may include itself, and directories with a lower number, less those that the
#                 table below says it must not know; equals are siblings and do not see each other.
#                 cpu/ and cuda/ are seen by nobody: src/drivers.c alone names every backend.
#   programs/     layers 4 and up, base/ and view/, and what those layers' interfaces show:
#                 num/dtype.h, backend/device.h, backend/profile.h, format/, text/.
#   examples/     include/fathom only.
#   libraries     each behind the files that wrap it, listed in `wrappers` below.
# A name without a directory means the including file's own directory, or, when it ends in .inc, what
# the build generates; fathom/ is for everybody.
# --self-test builds a small tree of wrong includes and demands that each is found.
set -uo pipefail

# Prints FILE:LINE: what is wrong, for each wrong include below the current directory.
wrong_includes() {
    local places=()
    for place in src programs examples; do [ -d "$place" ] && places+=("$place"); done
    grep -rnE --include='*.[ch]' --include='*.def' '^[[:space:]]*#[[:space:]]*include' \
        "${places[@]}" | awk '
    function fail(why) { printf "%s:%s: %s\n", file, line, why }
    function own_directory(path) {
        sub(/\/[^\/]*$/, "", path)
        return path
    }
    function check_layer(layer, target,    known) {
        if (layer == target) return
        if (!(target in number)) return fail("src/" target "/ is not a layer")
        if (!(layer in number)) return fail("src/" layer "/ is not a layer")
        known = number[target] < number[layer] && index(blind[layer] " ", " " target " ") == 0
        if (target == "cpu" || target == "cuda") known = 0
        if (!known) fail(layer "/ may not include " target "/")
    }
    function check_program(target, name) {
        if (target in number && number[target] >= 4) return
        if (target ~ /^(base|view|format|text)$/) return
        if (name == "num/dtype.h" || name ~ /^backend\/(device|profile)\.h$/) return
        fail("programs/ may not include " name)
    }
    function check_library(name,    i) {
        for (i = 1; i <= libraries; i++)
            if (name ~ library[i] && file !~ wrapper[i])
                fail("<" name "> belongs in " place[i] " only")
    }
    function wrap(header, files, words) {
        library[++libraries] = header; wrapper[libraries] = files; place[libraries] = words
    }
    BEGIN {
        layers = "base:0 num:1 view:1 backend:2 cpu:3 cuda:3 comm:3 format:3 text:3 ops:4 model:5 " \
                 "data:5 plan:6 infer:6 train:6 convert:6 eval:7 rl:8 serve:8"
        count = split(layers, list, " ")
        for (i = 1; i <= count; i++) { split(list[i], pair, ":"); number[pair[1]] = pair[2] }
        # "Must not know", where the numbers alone would allow it.
        blind["comm"] = " view"
        blind["format"] = " backend"
        blind["text"] = " backend num"
        blind["model"] = " text"
        blind["data"] = " backend ops"
        blind["plan"] = " backend"
        blind["eval"] = " train"
        blind["serve"] = " train"
        wrap("^jansson", "^src/base/json\\.c$", "src/base/json.c")
        wrap("^ini\\.h$", "^src/base/options\\.c$", "src/base/options.c")
        wrap("^xxh", "^src/base/", "src/base/")
        wrap("^oniguruma", "^src/text/regex\\.c$", "src/text/regex.c")
        wrap("^utf8proc", "^src/text/normalizer\\.c$", "src/text/normalizer.c")
        wrap("^(zlib|zstd)\\.h$", "^src/data/", "src/data/")
        wrap("^(cuda|cublas|nvml|nccl)", "^src/cuda/", "src/cuda/")
        wrap("^mpi\\.h$", "^src/comm/", "src/comm/")
    }
    {
        split($0, head, ":")
        file = head[1]; line = head[2]
        name = $0
        if (match(name, /<[^>]*>/)) {
            check_library(substr(name, RSTART + 1, RLENGTH - 2))
            next
        }
        if (!match(name, /"[^"]*"/)) { fail("an include that this script cannot read"); next }
        name = substr(name, RSTART + 1, RLENGTH - 2)
        if (name ~ /\.\./) { fail("an include may not climb: " name); next }
        if (name !~ /\//) {
            if (name !~ /\.inc$/ && system("test -f " own_directory(file) "/" name) != 0)
                fail(name " is not beside this file; name its directory")
            next
        }
        target = name
        sub(/\/.*/, "", target)
        if (target == "fathom") next
        if (file == "src/drivers.c") next
        split(file, part, "/")
        if (part[1] == "programs") check_program(target, name)
        else if (part[1] == "examples") fail("examples/ may include fathom/ only")
        else check_layer(part[2], target)
    }'
}

self_test() {
    local found expected status=0
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    cd "$tree" || exit 1
    mkdir -p src/{base,num,ops,model,comm,text,train,infer,cpu/vec,eval} programs examples
    plant() { printf '%s\n' "$2" >>"$1"; }
    touch src/num/near.h
    # Right: none of these may be reported.
    plant src/num/good.c '#include "base/text.h"'
    plant src/num/good.c '#include "near.h"'
    plant src/num/good.c '#include <stdio.h>'
    plant src/base/json.c '#include <jansson.h>'
    plant src/cpu/vec/good.c '#include "cpu/cpu.h"'
    plant src/drivers.c '#include "cpu/cpu.h"'
    plant src/comm/good.c '#include <mpi.h>'
    plant src/comm/good.c '#include "backend/device.h"'
    plant src/train/good.c '#include "comm/comm.h"'
    plant programs/good.c '#include "train/trainer.h"'
    plant programs/good.c '#include "backend/device.h"'
    plant programs/good.c '#include "generated.inc"'
    plant examples/good.c '#include "fathom/status.h"'
    # Wrong: each must be.
    plant src/base/bad_1.c '#include "num/dtype.h"'
    plant src/num/bad_2.c '#  include "view/chart.h"'
    plant src/num/bad_3.c '#include "far.h"'
    plant src/num/bad_4.c '#include <jansson.h>'
    plant src/num/bad_5.c '#include "../base/text.h"'
    plant src/ops/bad_6.c '#include "cpu/cpu.h"'
    plant src/model/bad_7.h '#include "text/bpe.h"'
    plant src/train/bad_8.c '#include "infer/session.h"'
    plant src/eval/bad_9.c '#include "train/trainer.h"'
    plant src/train/bad_10.c '#include <cuda_runtime.h>'
    plant src/train/bad_11.c '#include <mpi.h>'
    plant programs/bad_12.c '#include "cpu/cpu.h"'
    plant programs/bad_13.c '#include "ini.h"'
    plant examples/bad_14.c '#include "base/text.h"'
    plant src/train/bad_15.c '#include INCLUDE_BY_MACRO'
    plant src/train/bad_16.c '#include <xxhash.h>'
    plant src/comm/bad_17.c '#include "cpu/cpu.h"'
    plant src/comm/bad_18.c '#include "format/shard.h"'
    found=$(wrong_includes | sed -E 's/:.*//; s/.*\///' | sort)
    expected=$(find . -name 'bad_*' -printf '%f\n' | sort)
    if [ "$found" != "$expected" ]; then
        echo "the include check does not find what it should (<) or finds too much (>):"
        diff <(echo "$expected") <(echo "$found")
        status=1
    fi
    return $status
}

cd "$(dirname "$0")/.." || exit 1
case "${1:-}" in
--self-test) self_test ;;
'')
    wrong=$(wrong_includes)
    if [ -n "$wrong" ]; then
        echo "$wrong"
        exit 1
    fi
    ;;
*)
    echo "usage: tools/check_includes.sh [--self-test]" >&2
    exit 2
    ;;
esac
