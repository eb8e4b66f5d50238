#!/bin/sh
# exports.sh ROOT LIBNLSH LIBNLSH_LEARN: what the shared libraries show the world. Exactly the
# functions that the public headers declare; and libnlsh needs libc and libm, nothing else.
set -eu
root=$1 core=$2 learn=$3
test -r "$core" && test -r "$learn"
wrong=0

# The names declared with NLSH_API in a header, one a line.
declared() {
    tr '\n' ' ' <"$1" | sed 's/;/\n/g' | sed -n 's/.*NLSH_API[^(]*[ *]\(nlsh_[a-z0-9_]*\) *(.*/\1/p' | sort -u
}
exported() { nm -D --defined-only "$1" | awk '{ print $3 }' | sort -u; }

# compare LIBRARY HEADER...: both ways.
compare() {
    lib=$1
    shift
    want=$(for h in "$@"; do declared "$h"; done | sort -u)
    got=$(exported "$lib")
    for name in $got; do
        case "
$want
" in *"
$name
"*) ;;
        *) echo "$(basename "$lib") exports $name, which no public header declares"; wrong=1 ;;
        esac
    done
    for name in $want; do
        case "
$got
" in *"
$name
"*) ;;
        *) echo "$(basename "$lib") lacks $name, which a public header declares"; wrong=1 ;;
        esac
    done
}

test -n "$(declared "$root/include/nlsh/nlsh.h")" # the sed above still reads the headers
compare "$core" "$root/include/nlsh/nlsh.h"
compare "$learn" "$root/include/nlsh/nlsh.h" "$root/include/nlsh/learn.h"

for lib in $(readelf -d "$core" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $lib in
    libc.so.* | libm.so.* | libpthread.so.* | ld-linux*) ;;
    *) echo "libnlsh needs $lib: libc and libm are all it may need"; wrong=1 ;;
    esac
done
exit $wrong
