#!/bin/sh
# exports.sh ROOT LIBNLSH LIBNLSH_LEARN: what the shared libraries show the world. Under the public version
# NLSH_0.2 exactly the functions that a header declares; besides them only names that start with nlsh__,
# under a version of this very release. libnlsh needs libc and libm, nothing else.
set -eu
root=$1 core=$2 learn=$3
test -r "$core" && test -r "$learn"
wrong=0

# The names declared with NLSH_API in a header, one a line.
declared() {
    tr '\n' ' ' <"$1" | sed 's/;/\n/g' | sed -n 's/.*NLSH_API[^(]*[ *]\(nlsh_[a-z0-9_]*\) *(.*/\1/p' | sort -u
}
exported() { nm -D --defined-only --with-symbol-versions "$1" | awk '$2 != "A" { print $3 }' | sort -u; }

# compare LIBRARY HEADER: both ways.
compare() {
    want=$(declared "$2")
    for symbol in $(exported "$1"); do
        name=${symbol%%@*}
        case $symbol in
        nlsh__*@@NLSH_PRIVATE_*) ;;
        nlsh_*@@NLSH_0.2)
            printf '%s\n' "$want" | grep -qx "$name" ||
                { echo "$(basename "$1") exports $name, which $(basename "$2") does not declare"; wrong=1; }
            ;;
        *) echo "$(basename "$1") exports $symbol: neither public nor private"; wrong=1 ;;
        esac
    done
    got=$(exported "$1" | sed 's/@.*//')
    for name in $want; do
        printf '%s\n' "$got" | grep -qx "$name" ||
            { echo "$(basename "$1") lacks $name, which $(basename "$2") declares"; wrong=1; }
    done
}

test -n "$(declared "$root/include/nlsh/nlsh.h")" # the sed above still reads the headers
compare "$core" "$root/include/nlsh/nlsh.h"
compare "$learn" "$root/include/nlsh/learn.h"

for lib in $(readelf -d "$core" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $lib in
    libc.so.* | libm.so.* | libpthread.so.* | ld-linux*) ;;
    *) echo "libnlsh needs $lib: libc and libm are all it may need"; wrong=1 ;;
    esac
done
exit $wrong
