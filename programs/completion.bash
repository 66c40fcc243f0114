# bash completion for fathom: the program itself says which words may follow.
_fathom() {
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} words=() i
    for ((i = 1; i < COMP_CWORD && i <= 2; i++)); do
        [[ ${COMP_WORDS[i]} == [a-z]* ]] || break
        words+=("${COMP_WORDS[i]}")
    done
    local known
    # The second word may be a file name, which is no part of a command.
    known=$("$program" help --words "${words[@]}" 2>/dev/null) ||
        known=$("$program" help --words "${words[@]:0:1}" 2>/dev/null)
    COMPREPLY=()
    [[ $COMP_CWORD -gt 1 && $current != -* && $known == --* ]] && return
    mapfile -t COMPREPLY < <(compgen -W "$known" -- "$current")
}
complete -o default -F _fathom fathom
