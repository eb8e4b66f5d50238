#!/bin/sh
# run.sh CMAKE BUILD_DIR LIBDIR: installs the build into a fresh place and uses it as a stranger
# would: through find_package, through pkg-config, from C and from C++.
set -eu
cmake=$1 build=$2 libdir=$3
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/nlsh install.XXXXXX") # a space on purpose
trap 'rm -rf "$work"' EXIT
prefix="$work/a prefix"

"$cmake" --install "$build" --prefix "$prefix" >"$work/install.log" 2>&1 || {
    cat "$work/install.log"
    exit 1
}
# The libraries are to be found where they were put, not in the build.
unset LD_LIBRARY_PATH LD_PRELOAD PKG_CONFIG_PATH || true

echo "find_package:"
"$cmake" -S "$here" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 &&
    "$cmake" --build "$work/build" >>"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
for program in consume_search consume_learn consume_cxx; do
    if [ ! -e "$work/build/$program" ]; then
        echo "  $program: left out (no C++ compiler)"
        continue
    fi
    "$work/build/$program" "$work"
done

echo "pkg-config:"
# pkg-config writes a space in a path as a backslash and a space: eval reads it back.
PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$prefix/$libdir
export LD_LIBRARY_PATH
for pair in nlsh:consume_search nlsh-learn:consume_learn; do
    package=${pair%:*} program=${pair#*:}
    flags=$(pkg-config --cflags --libs "$package")
    eval "cc -std=c11 -Wall -Wextra -Werror -o \"\$work/$program\" \"\$here/$program.c\" $flags -lm"
    "$work/$program" "$work"
done
test "$(pkg-config --modversion nlsh)" = "$("$work/consume_search" --version)"

if [ -x "$prefix/bin/nlsh" ]; then
    echo "command:"
    unset LD_LIBRARY_PATH
    "$prefix/bin/nlsh" --version
    test -s "$prefix/share/man/man1/nlsh.1"
    bash -n "$prefix/share/bash-completion/completions/nlsh"
    if command -v man >/dev/null; then
        # A page that man finds fault with is a fault of ours.
        LC_ALL=C MANWIDTH=80 man --warnings -l "$prefix/share/man/man1/nlsh.1" 2>&1 >/dev/null |
            grep . && exit 1
    fi
fi
echo "all of it works"
