#!/bin/bash
# Clocks that jump by hours (tests/faults) and a program that is stopped and continued: what is
# trained has the same bits, and what is said of speed and time stays sane.
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"
make_model
options=(--model init --data shards --sequence-length 32 --batch 4 --micro-batch 2 --steps 40
    --warmup 5 --heldout-every 10 --save-every 10)
needs "pretrain" pretrain "${options[@]}" --out whole
same() { cmp -s whole/model.safetensors "$1/model.safetensors"; }

# ---- jumps ----
faults=$(dirname "$FATHOM")/tests/libfathom_faults.so
insane='(^|[^a-z])-?(nan|inf)([^a-z]|$)|[ (]-[0-9.]+[a-z]* *(tok|GFLOP|[a-z]*/s)'
jumps() { # NAME READINGS ARGUMENT...: the clocks jump after so many readings
    local name=$1
    status=0
    timeout -s KILL 100 env LD_PRELOAD="$faults" FATHOM_CLOCK="$2" "$FATHOM" "${@:3}" \
        >"$out" 2>"$err" </dev/null || status=$?
    check "$name" test "$status" -eq 0
    ! grep -Eim 1 "$insane" "$err" >"$work/insane" || fail "$name" "it says $(cat "$work/insane")"
}
if [ -e "$faults" ]; then
    for readings in 1 3 50; do
        jumps "a run whose clocks jump after $readings readings" $readings \
            pretrain "${options[@]}" --out "jumped-$readings"
        check "it trains the same bits ($readings)" same "jumped-$readings"
        wrong='null|nan|inf|"(seconds|tokens_per_second|gflops|peak_share)": -'
        check "its metrics hold numbers" test -z "$(grep -Eom 1 "$wrong" "jumped-$readings/metrics.jsonl")"
        check "they have every step" test "$(wc -l <"jumped-$readings/metrics.jsonl")" -eq 40
        jumps "a report of it" 1 report "jumped-$readings" --out report.html
        rm -f report.html
        jumps "data build" "$readings" data build --tokenizer tok --heldout 0.05 --out "shards-$readings" corpus.jsonl
        check "it builds the same shards" diff -rq shards "shards-$readings"
        jumps "eval" "$readings" eval --model whole --data shards --sequence-length 32
    done
else
    skip "jumping clocks" "no $faults in this build (sanitizers want to be preloaded first)"
fi

# ---- stops ----
start pretrain "${options[@]}" --out stopped </dev/null
stops=0
for pause in 0.2 0.02 0.05 0.02 0.05 0.02; do
    kill -STOP "$child" 2>/dev/null && stops=$((stops + 1))
    sleep "$pause"
    kill -CONT "$child" 2>/dev/null
    sleep 0.03
done
check "it was stopped" test "$stops" -ge 1
status=0
wait "$child" || status=$?
running=()
check "a stopped and continued run ends" test "$status" -eq 0
check "it trains the same bits" same stopped
finish
