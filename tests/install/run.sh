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
    test -s "$prefix/share/zsh/site-functions/_nlsh"
    test -s "$prefix/share/fish/vendor_completions.d/nlsh.fish"
    if command -v man >/dev/null; then
        # A page that man finds fault with is a fault of ours.
        LC_ALL=C MANWIDTH=80 man --warnings -l "$prefix/share/man/man1/nlsh.1" 2>&1 >/dev/null |
            grep . && exit 1
    fi
fi
# Python's ctypes: the example's structures are the header's, and its answers are the command's.
if command -v python3 >/dev/null && [ -x "$prefix/bin/nlsh" ]; then
    echo "python:"
    cat >"$work/sizes.c" <<'END'
#include <nlsh/nlsh.h>
#include <stdio.h>
int main(void)
{
    printf("%zu %zu %zu %zu\n", sizeof(struct nlsh_error), sizeof(struct nlsh_matrix),
           sizeof(struct nlsh_index_info), sizeof(struct nlsh_search_options));
}
END
    cc -std=c11 -I "$prefix/include" -o "$work/sizes" "$work/sizes.c"
    NLSH_LIBRARY=$prefix/$libdir/libnlsh.so PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../../examples
    export NLSH_LIBRARY PYTHONDONTWRITEBYTECODE PYTHONPATH
    sizes=$(python3 -c 'import ctypes, search as s
print(*(ctypes.sizeof(t) for t in (s.Error, s.Matrix, s.Info, s.Options)))')
    test "$sizes" = "$("$work/sizes")" || { echo "examples/search.py: sizes $sizes"; exit 1; }

    python3 -c 'import array, sys
n, dim, state = 400, 8, 1
out = open(sys.argv[1], "wb")
for i in range(n):
    row = array.array("f")
    for d in range(dim):
        state = state * 16807 % 2147483647
        row.append(i % 10 * 20 + state % 32)
    out.write(dim.to_bytes(4, "little") + row.tobytes())' "$work/base.fvecs"
    "$prefix/bin/nlsh" build -d "$work/base.fvecs" -i "$work/py.nlsh" -m 8 --epochs 2 --nodes 16 \
        --partitioner kmeans --no-cache --quiet
    "$prefix/bin/nlsh" search -i "$work/py.nlsh" -q "$work/base.fvecs" -N 4 --no-cache --quiet |
        sed -n 's/^Query: //p; s/^Nearest neighbor-[0-9]*: //p; s/^distanceApproximate: //p' \
            >"$work/command"
    python3 "$here/../../examples/search.py" "$work/py.nlsh" "$work/base.fvecs" 4 |
        tr ' :' '\n\n' >"$work/python"
    test -s "$work/python"
    cmp "$work/command" "$work/python"
    echo "  examples/search.py answers as the command does"
fi
echo "all of it works"
