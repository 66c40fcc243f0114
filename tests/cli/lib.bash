# Sourced by the tests of this directory, which are called with FATHOM naming the program.
#
# A test runs in $work/tree, an empty directory that goes away at the end; what the program printed
# is in $out and $err, outside of it, and its exit status in $status.
set -u
: "${FATHOM:?set FATHOM to the path of the program}"
FATHOM=$(realpath -- "$FATHOM") || exit 2
work=$(mktemp -d "${TMPDIR:-/tmp}/fathom-cli.XXXXXX") || exit 2
out=$work/out err=$work/err status=0
passed=0 failed=0 skipped=0
running=() # children that must not outlive the script
unset FATHOM_ISA

clean_up() {
    local child
    for child in ${running[@]+"${running[@]}"}; do kill -KILL "$child" 2>/dev/null; done
    rm -rf "$work"
}
trap clean_up EXIT
mkdir "$work/tree" && cd "$work/tree" || exit 2

pass() { passed=$((passed + 1)); }

fail() { # NAME WHY
    failed=$((failed + 1))
    echo "FAILED  $1: $2"
}

skip() { # NAME WHY
    skipped=$((skipped + 1))
    echo "skipped $1: $2"
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}

# The program with its output in $out and $err. Standard input is the caller's.
run() {
    status=0
    "$FATHOM" "$@" >"$out" 2>"$err" || status=$?
}

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@"; then pass; else fail "$name" "\`$*\` is false"; fi
}

says() { # FILE PATTERN
    grep -Eq -- "$2" "$1"
}

differs() { # FILE FILE
    [ -e "$1" ] && [ -e "$2" ] && ! cmp -s "$1" "$2"
}

# The program succeeds.
works() { # NAME ARGUMENT...
    local name=$1
    shift
    run "$@" </dev/null
    if [ "$status" -eq 0 ]; then pass; else
        fail "$name" "exit status $status: $(tail -n 1 "$err")"
        return 1
    fi
}

# works, for what later tests need: without it the script ends here.
needs() { # NAME ARGUMENT...
    works "$@" || finish
}

# Names, sizes and times of all files, and the names of all directories.
listing() { find . \( -type d -printf 'd %p\n' -o -printf '%y %p %s %T@\n' \) | sort; }

# The program ends with STATUS and one complaint, the last line on standard error: "fathom: " and
# PATTERN; progress may come before. Every file stays as it was.
refuses() { # NAME STATUS PATTERN ARGUMENT...
    local name=$1 wanted=$2 pattern=$3 before after
    shift 3
    before=$(listing)
    run "$@" </dev/null
    after=$(listing)
    if [ "$status" -ne "$wanted" ]; then
        fail "$name" "exit status $status, not $wanted: $(tail -n 1 "$err")"
    elif [ "$(grep -c '^fathom: ' "$err")" -ne 1 ] ||
        ! tail -n 1 "$err" | grep -Eq -- "^fathom: .*($pattern)"; then
        fail "$name" "no single last line \"fathom: ... $pattern\" but: $(head -c 600 "$err")"
    elif [ "$before" != "$after" ]; then
        fail "$name" "it changed files: $(diff <(echo "$before") <(echo "$after") | grep '^[<>]')"
    else
        pass
    fi
}

# Waits until COMMAND succeeds; gives up after a minute, times FATHOM_TEST_TIME_SCALE.
wait_for() { # COMMAND...
    local left=$((600 * ${FATHOM_TEST_TIME_SCALE:-1}))
    until "$@"; do
        [ $((left--)) -gt 0 ] || return 1
        sleep 0.1
    done
}

# The program in the background, its pid in $child, once it would catch SIGINT. Standard input is
# the caller's.
start() {
    "$FATHOM" "$@" >"$out" 2>"$err" <&0 &
    child=$!
    running+=("$child")
    wait_for catches_interrupt "$child"
}

catches_interrupt() { # PID
    local mask
    mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null)
    [ -n "$mask" ] && [ $((16#$mask & 2)) -ne 0 ]
}

# Interrupts what start began and waits for its end.
interrupt() {
    status=0
    kill -INT "$child"
    wait "$child" || status=$?
    running=()
}

is_sanitized() { grep -aq __asan_init "$FATHOM" || grep -aq __tsan_init "$FATHOM"; }

# A corpus, a tokenizer of 512 tokens, shards and a nano model, in the current directory.
make_model() {
    needs "data synth" data synth --bytes 300K --words builtin --out corpus.jsonl
    needs "tokenizer train" tokenizer train --vocab-size 512 --out tok corpus.jsonl
    needs "data build" data build --tokenizer tok --heldout 0.05 --out shards corpus.jsonl
    needs "init" init --config nano --tokenizer tok --out init
}
