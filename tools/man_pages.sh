#!/bin/bash
# man_pages.sh PROGRAM DIRECTORY: writes DIRECTORY/fathom-COMMAND.1 for every command of PROGRAM.
set -euo pipefail
program=${1:?usage: tools/man_pages.sh PROGRAM DIRECTORY}
directory=${2:?usage: tools/man_pages.sh PROGRAM DIRECTORY}
mkdir -p "$directory"

page() { "$program" help --man "$@" >"$directory/$(IFS=-; echo "fathom-$*").1"; }

for command in $("$program" help --words); do
    [ "$command" != help ] || continue
    members=$("$program" help --words "$command")
    case $members in
    --*) page "$command" ;;
    *) for member in $members; do page "$command" "$member"; done ;;
    esac
done
