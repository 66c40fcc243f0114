#!/usr/bin/env bash
# learning.sh: what formats, the router's bias and multi-token prediction do to learning. Runs of the
# quickstart's model and data that differ in one thing each, in ./learning, and a table of them.
#
# Runs that are done are not made again, and an interrupted one is resumed. STEPS steps each (300),
# of the quickstart's batch, or of BATCH sequences. ONLY='f32|fp8' makes the runs of these names alone;
# the first is what the others are compared with. Needs what `make quickstart` makes first.
set -euo pipefail
cd "$(dirname "$0")/.."
fathom=${FATHOM:-build/release/fathom} from=${QUICKSTART:-quickstart} work=${LEARNING:-learning}
steps=${STEPS:-300}
common=(--recipe recipes/quickstart.ini --model "$from/init" --data "$from/shards" --steps "$steps"
    --warmup $((steps / 10)) --heldout-every "$steps" --heldout-sequences 128)
[ -z "${BATCH:-}" ] || common+=(--batch "$BATCH")

# name, and what is different. The first is what the others are compared with; the next two are the
# same run but for the order in which gradients are added: what chance is worth.
runs=(
    "f32"
    "f32, micro-batches of 4 --micro-batch 4"
    "f32, micro-batches of 2 --micro-batch 2"
    "bf16 --precision bf16"
    "fp8 --precision fp8"
    "fp8, BF16 moments --precision fp8 --moments bf16"
    "no router bias --bias-speed 0"
    "no MTP loss --mtp-weight 0 --mtp-weight-last 0"
)

name_of() { echo "${1%% --*}"; }
if [ -n "${ONLY:-}" ]; then
    chosen=()
    for run in "${runs[@]}"; do
        [[ ${run%% --*} =~ ^(${ONLY})$ ]] && chosen+=("$run")
    done
    [ ${#chosen[@]} -gt 0 ] || { echo "learning.sh: no run is named $ONLY" >&2; exit 2; }
    runs=("${chosen[@]}")
fi
is_done() { tail -n 1 "$1/metrics.jsonl" 2>/dev/null | grep -q "\"step\": $steps,"; }
directory_of() { echo "$work/$(name_of "$1" | tr -cs 'A-Za-z0-9\n' '-')"; }

if [ ! -e "$from/init" ] || [ ! -e "$from/shards" ]; then
    echo "learning.sh: $from has no init and shards: run make quickstart first" >&2
    exit 1
fi
mkdir -p "$work"
for run in "${runs[@]}"; do
    dir=$(directory_of "$run") name=$(name_of "$run")
    read -ra options <<<"${run#"$name"}"
    if is_done "$dir"; then continue; fi
    printf '\n== %s\n' "$run"
    if compgen -G "$dir/step-*" >/dev/null; then
        "$fathom" pretrain --resume --out "$dir" 2>&1 | tee -a "$dir.log"
    else
        rm -rf "$dir"
        "$fathom" pretrain "${common[@]}" "${options[@]}" --out "$dir" 2>&1 | tee "$dir.log"
    fi
    # An interrupt ends pretrain with success, its work saved.
    is_done "$dir" || exit 1
done

number() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p"; }
# held-out loss at the end, mean training loss of the last tenth of the steps, and the mean and worst
# MaxVio of the loads over the last fifth
figures() {
    local held late
    held=$(tail -n 1 "$1/metrics.jsonl" | number heldout_loss)
    late=$(tail -n $((steps / 10)) "$1/metrics.jsonl" | number loss |
        awk '{ sum += $1 } END { printf "%.4f", sum / NR }')
    echo "$held" "$late" "$(sed -n 's/.*fullest expert has \([0-9.]*\)%.*layer \([0-9.]*\)%.*/\1% (\2%)/p' "$1.log")"
}
base=$(figures "$(directory_of "${runs[0]}")")
printf '\n| run | held-out loss | | training loss, last tenth | | fullest expert over the mean (worst layer) |\n'
printf '|---|---|---|---|---|---|\n'
for run in "${runs[@]}"; do
    figures "$(directory_of "$run")" | awk -v base="$base" -v name="$(name_of "$run")" '{
        split(base, b, " ")
        printf "| %s | %.4f | %+.2f%% | %.4f | %+.2f%% | %s %s |\n", name, $1, 100 * ($1 / b[1] - 1),
               $2, 100 * ($2 / b[2] - 1), $3, $4 }'
done
