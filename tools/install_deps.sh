#!/bin/bash
# install_deps.sh [long]: the Debian packages that building needs; with `long` also those of
# `make check-long` and `make lint`. Installs what is missing when run as root, else prints the line
# that does and fails. Does nothing, quickly, when everything is there. On a system without dpkg it
# trusts that the packages are there under other names; CMake says what it misses.
set -euo pipefail

packages=(build-essential cmake ninja-build pkg-config libjansson-dev libinih-dev libxxhash-dev
    zlib1g-dev libzstd-dev libonig-dev libutf8proc-dev)
case "${1:-}" in
'') ;;
long) packages+=(clang clang-format clang-tidy libclang-rt-14-dev) ;;
*)
    echo "usage: tools/install_deps.sh [long]" >&2
    exit 2
    ;;
esac
command -v dpkg-query >/dev/null || exit 0

# A virtual package (pkg-config in later releases) counts by what provides it.
installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
    sed -n 's/^installed //p' | sed 's/([^)]*)//g; s/,/ /g' | tr '\n' ' ') "
missing=()
for package in "${packages[@]}"; do
    [[ $installed == *" $package "* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; install them with:" >&2
    echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
