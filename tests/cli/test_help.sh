#!/bin/bash
# Help, the choice of an instruction set, and standard output that cannot be written.
# shellcheck source-path=SCRIPTDIR source=lib.bash
completion=$(dirname "$(realpath "$0")")/../../programs/completion.bash
. "$(dirname "$0")/lib.bash"

# ---- help ----
for command in "tokenizer train" "tokenizer encode" "tokenizer decode" "tokenizer show" "tokenizer compare" report watch "data synth" "data build" \
    "data show" init pretrain extend report generate logits eval inspect "bench machine" "bench ops" \
    "bench text" "bench train" tokenizer data bench; do
    # The words of a command are arguments of their own.
    # shellcheck disable=SC2086
    works "$command --help" $command --help
    check "$command --help shows its usage" says "$out" "^usage: fathom $command( |$)"
    check "$command --help is silent on standard error" test ! -s "$err"
    # shellcheck disable=SC2086
    "$FATHOM" help $command >"$out.help" 2>&1
    check "help $command is $command --help" cmp -s "$out" "$out.help"
done
works "--help" --help
check "--help shows the usage" says "$out" '^usage: fathom COMMAND'
listed=$(sed -nE 's/^  ([a-z]+) .*/\1/p' "$out" | sort | tr '\n' ' ')
check "--help lists the commands that are tested here" \
    test "$listed" = "bench data eval extend generate init inspect logits pretrain report tokenizer watch "

# ---- the same for a shell and for man ----
works "help --words" help --words
check "help --words lists the commands" \
    test "$(sort "$out" | tr '\n' ' ')" = "bench data eval extend generate help init inspect logits pretrain report tokenizer watch "
works "help --words data" help --words data
check "help --words data lists its commands" test "$(tr '\n' ' ' <"$out")" = "synth build show "
works "help --words init" help --words init
check "help --words init lists its options" says "$out" '^--init-std$'
works "help --man data build" help --man data build
check "help --man is a page" says "$out" '^\.TH "FATHOM data build" 1$'
refuses "a man page of a group" 2 'data is a group' help --man data
refuses "a man page of nothing" 2 'help --man needs a command' help --man

completed() { # WORD... : what the shell offers behind these words
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _fathom
    echo "${COMPREPLY[*]}"
}
# shellcheck source=../../programs/completion.bash
. "$completion"
check "completion offers commands" test "$(completed "$FATHOM" pre)" = pretrain
check "completion offers commands of a group" test "$(completed "$FATHOM" data s)" = "synth show"
check "completion offers options" test "$(completed "$FATHOM" data build --held)" = --heldout
check "completion leaves values to file names" test -z "$(completed "$FATHOM" init --out re)"
works "--version" --version
check "--version tells it" says "$out" '^fathom [0-9]+\.[0-9]+\.[0-9]+$'

# ---- instruction sets ----
make_model
ids=(generate --model init --prompt "Once upon" --max-tokens 16 --temperature 0 --ignore-eos)
refuses "an unknown --isa" 2 'nonsense.*avx2.*ref' "${ids[@]}" --isa nonsense
FATHOM_ISA=nonsense refuses "an unknown FATHOM_ISA" 2 'nonsense.*avx2.*ref' "${ids[@]}"
works "generate with the best ISA" "${ids[@]}"
cp "$out" best.txt
FATHOM_ISA=ref works "generate with FATHOM_ISA=ref" "${ids[@]}"
check "the reference kernels give the same greedy text" cmp -s best.txt "$out"
works "generate with --isa ref" "${ids[@]}" --isa ref
check "--isa ref is FATHOM_ISA=ref" cmp -s best.txt "$out"

# ---- standard output ----
if [ -w /dev/full ]; then
    for command in "--help" "pretrain --help" "inspect init" "data show shards" \
        "tokenizer encode --model init corpus.jsonl" "${ids[*]:0:3} --prompt a --max-tokens 4" \
        "data synth --bytes 100K --out -"; do
        status=0
        # shellcheck disable=SC2086
        "$FATHOM" $command >/dev/full 2>"$err" </dev/null || status=$?
        check "$command > /dev/full exits 1" test "$status" -eq 1
        check "$command > /dev/full says so" says "$err" '^fathom: standard output'
    done
else
    skip "a full standard output" "no /dev/full"
fi
finish
