#!/bin/bash
# kill -9 at random moments of a run, saving included: what is resumed ends with the undisturbed run's
# bits, every time. FATHOM_TEST_KILLS says how many (check-long: 100).
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"
kills=${FATHOM_TEST_KILLS:-12}
make_model
options=(--model init --data shards --sequence-length 32 --batch 4 --micro-batch 2 --steps 60
    --warmup 5 --heldout-every 20 --save-every 2)
RANDOM=1
began=$(date +%s%N)
needs "pretrain without a kill" pretrain "${options[@]}" --out whole
whole=$(($(date +%s%N) - began)) # its time: a kill comes within half of it

is_run() { compgen -G "cut/step-????????" >/dev/null; }
same() { # FILE: both runs have it with the same bytes
    cmp -s "whole/$1" "cut/$1"
}
killed=0 ended=0 differing=0
while [ "$killed" -lt "$kills" ]; do
    if is_run; then arguments=(--resume); else arguments=("${options[@]}"); fi
    "$FATHOM" pretrain "${arguments[@]}" --out cut >"$out" 2>"$err" </dev/null &
    child=$! running=("$child")
    wait_ns=$((whole / 2 * RANDOM / 32768))
    sleep "$((wait_ns / 1000000000)).$(printf %09d $((wait_ns % 1000000000)))"
    if kill -KILL "$child" 2>/dev/null; then killed=$((killed + 1)); fi
    status=0
    wait "$child" 2>/dev/null || status=$?
    running=()
    # 137: killed. 0: it had ended.
    if [ "$status" -ne 137 ] && [ "$status" -ne 0 ]; then
        fail "a run that was killed $killed times goes on" "$(tail -n 1 "$err")"
        finish
    fi
    pass
    [ "$status" -eq 0 ] || continue
    ended=$((ended + 1))
    same model.safetensors && same step-00000060/state/state.safetensors || differing=$((differing + 1))
    rm -rf cut
done
if is_run; then arguments=(--resume); else arguments=("${options[@]}"); fi
needs "the last pretrain after $killed kills" pretrain "${arguments[@]}" --out cut
same model.safetensors && same step-00000060/state/state.safetensors || differing=$((differing + 1))
check "$((ended + 1)) runs that were killed $killed times end with the same bits" test "$differing" -eq 0
check "nothing is left of the killed" test -z "$(find cut -name '*.tmp-*')"
check "nothing was damaged" test -z "$(find cut -name '*.damaged')"
check "metrics have every step once" test "$(grep -o '"step": [0-9]*' cut/metrics.jsonl |
    sort -u | wc -l)/$(wc -l <cut/metrics.jsonl)" = 60/60
finish
