#!/bin/bash
# Every writing call of a command fails once, or from there on, or writes a half (tests/faults): the
# command ends with success and all it should have written, or with one line; what stands in the final
# place is whole; and the run that is resumed without faults ends with the undisturbed one's bits.
# FATHOM_TEST_FAULTS says how many of the calls are tried for each kind of fault (check-long: all).
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"
most=${FATHOM_TEST_FAULTS:-6}
faults=$(dirname "$FATHOM")/tests/libfathom_faults.so
if [ ! -e "$faults" ]; then
    skip "failing writes" "no $faults in this build (sanitizers want to be preloaded first)"
    finish
fi
kinds=(enospc full eio dead short)
log=$work/faults

# The program with a fault of KIND at call N; what failed is in $log.
run_with() { # KIND N ARGUMENT...
    local fault=$1:$2
    shift 2
    rm -f "$log"
    status=0
    timeout -s KILL $((60 * ${FATHOM_TEST_TIME_SCALE:-1})) \
        env LD_PRELOAD="$faults" FATHOM_FAULT="$fault" FATHOM_FAULT_LOG="$log" \
        "$FATHOM" "$@" >"$out" 2>"$err" </dev/null || status=$?
}

# Success, or one complaint: the last line.
ends_well() {
    [ "$status" -eq 0 ] && return
    [ "$status" -eq 1 ] && [ "$(grep -c '^fathom: ' "$err")" -eq 1 ] &&
        tail -n 1 "$err" | grep -q '^fathom: .*[a-z]'
}

# Whether the fault kept the program from removing what it had begun.
may_leave() { # KIND
    [ "$1" = dead ] || { [ "$1" = eio ] && grep -Eq '^(unlink|rmdir) ' "$log"; }
}

# Calls NAME with a fault at each of the calls that the command makes, $most of them at most, once
# per kind. NAME gets KIND N after its own arguments, runs the command and says what is wrong.
sweep() { # LABEL NAME [ARGUMENT...]
    local label=$1 kind count step at wrong tried=0
    shift
    for kind in "${kinds[@]}"; do
        "$@" "$kind" 999999999 >/dev/null
        count=$(sed -n 's/^calls //p' "$log")
        step=$((count / most + 1))
        for ((at = 1 + tried % step; at <= count; at += step)); do
            tried=$((tried + 1))
            wrong=$("$@" "$kind" "$at")
            [ -z "$wrong" ] && continue
            fail "$label" "$kind at call $at of $count ($(head -n 1 "$log")): $wrong"
        done
    done
    check "$label: some calls failed" test "$tried" -ge 5
    echo "$label: $tried faults, $count calls"
}

# ---- a command that makes one thing: it is there whole, or as it was ----
is_either() { # FILE OTHER... : the first equals one of the others, or is absent where "" is one
    local made=$1 other
    shift
    for other in "$@"; do
        if [ -z "$other" ]; then [ ! -e "$made" ]; else diff -rq "$made" "$other" >/dev/null 2>&1; fi &&
            return
    done
    return 1
}

makes() { # EXPECTED BEFORE ARGUMENT... KIND N: the command's target is made.jsonl
    local expected=$1 before=$2 kind=${*: -2:1} at=${*: -1}
    rm -rf made.jsonl*
    [ -z "$before" ] || cp -r "$before" made.jsonl
    run_with "$kind" "$at" "${@:3:$#-4}"
    ends_well || echo "exit status $status, $(wc -l <"$err") lines: $(tail -n 3 "$err")"
    [ "$kind" != short ] || [ "$status" -eq 0 ] || echo "a short write is no failure"
    if [ "$status" -eq 0 ]; then
        is_either made.jsonl "$expected" || echo "it is not what it should be"
    else
        is_either made.jsonl "$expected" "$before" || echo "it is torn"
    fi
    may_leave "$kind" || [ -z "$(compgen -G '*.tmp-*')" ] || echo "left: $(echo ./*.tmp-*)"
}

make_model
run data build --tokenizer tok --heldout 0.3 --out other corpus.jsonl
sweep "data synth" makes corpus.jsonl "" \
    data synth --bytes 300K --words builtin --out made.jsonl
sweep "tokenizer train" makes tok "" tokenizer train --vocab-size 512 --out made.jsonl corpus.jsonl
sweep "data build" makes shards "" \
    data build --tokenizer tok --heldout 0.05 --out made.jsonl corpus.jsonl
sweep "data build --force" makes shards other \
    data build --tokenizer tok --heldout 0.05 --force --out made.jsonl corpus.jsonl
sweep "init" makes init "" init --config nano --tokenizer tok --out made.jsonl

# ---- a building with checkpoints ----
needs "small documents" data synth --mix sums=1 --words builtin --bytes 1M --out many.jsonl
building=(--tokenizer tok --dedup exact --heldout 0.05 --shard-tokens 60K)
needs "data build without a fault" data build "${building[@]}" --out whole-many many.jsonl
builds() { # KIND N
    rm -rf made made.building
    run_with "$1" "$2" data build "${building[@]}" --out made many.jsonl
    ends_well || echo "exit status $status, $(wc -l <"$err") lines: $(tail -n 3 "$err")"
    [ "$1" != short ] || [ "$status" -eq 0 ] || echo "a short write is no failure"
    if [ "$status" -ne 0 ]; then
        [ ! -e made ] || diff -rq whole-many made
        rm -rf made
        if [ -e made.building/state.json ]; then
            run data build --resume --out made </dev/null
        else
            run data build "${building[@]}" --force --out made many.jsonl </dev/null
        fi
        [ "$status" -eq 0 ] || echo "going on: $(tail -n 1 "$err")"
    fi
    diff -rq whole-many made
    [ ! -e made.building ] || echo "left: made.building"
}
sweep "data build with checkpoints" builds

# ---- a run ----
options=(--model init --data shards --sequence-length 16 --batch 2 --micro-batch 2 --steps 6
    --warmup 1 --ema 0.5 --heldout-every 3 --heldout-sequences 2 --save-every 2 --keep 1 --threads 1)
needs "pretrain without a fault" pretrain "${options[@]}" --out whole

is_run() { compgen -G "run/step-????????" >/dev/null; }
differing() { # Files of the run that are not the undisturbed one's.
    local file
    for file in model.safetensors ema/model.safetensors step-00000006/state/state.safetensors \
        step-00000006/model.safetensors config.json tokenizer.json; do
        cmp -s "whole/$file" "run/$file" || echo "$file differs"
    done
    [ "$(grep -o '"step": [0-9]*' run/metrics.jsonl | sort -u | wc -l)/$(wc -l <run/metrics.jsonl)" = 6/6 ] ||
        echo "the metrics' steps: $(grep -o '"step": [0-9]*' run/metrics.jsonl | tr '\n' ' ')"
}

trains() { # KIND N
    local arguments=("${options[@]}")
    rm -rf run
    run_with "$1" "$2" pretrain "${options[@]}" --out run
    ends_well || echo "exit status $status, $(wc -l <"$err") lines: $(tail -n 3 "$err")"
    [ "$1" != short ] || [ "$status" -eq 0 ] || echo "a short write is no failure"
    [ "$status" -ne 0 ] || differing
    ! is_run || arguments=(--resume)
    run pretrain "${arguments[@]}" --out run </dev/null
    [ "$status" -eq 0 ] || echo "${arguments[0]}: $(tail -n 1 "$err")"
    differing
    [ -z "$(find run -name '*.tmp-*' -o -name '*.damaged')" ] ||
        echo "left: $(find run -name '*.tmp-*' -o -name '*.damaged')"
}
sweep "pretrain" trains
finish
