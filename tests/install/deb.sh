#!/bin/sh
# deb.sh CPACK BUILD_DIR: makes the Debian packages of a build and looks at them as Debian would: what depends on what,
# links, no search paths of the build's, documents, lintian's errors. Then they are unpacked and used.
set -eu
cpack=$1 build=$2
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
for tool in dpkg-deb dpkg-shlibdeps file readelf pkg-config; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is not here (Debian: dpkg-dev, file, binutils, pkg-config)"
        exit 77
    fi
done
if ! grep -q '^set(CPACK_GENERATOR "DEB")' "$build/CPackConfig.cmake" 2>/dev/null; then
    echo "skipped: this build makes no Debian packages (no man page, or no Debian)"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/nlsh-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
wrong=0
complain() {
    echo "$*"
    wrong=1
}

"$cpack" --config "$build/CPackConfig.cmake" -B "$work/packages" >"$work/cpack.log" 2>&1 || {
    cat "$work/cpack.log"
    exit 1
}
package() { echo "$work/packages/$1"_*.deb; }
field() { dpkg-deb -f "$(package "$1")" "$2"; }

# depends PACKAGE NAME...: on these and no others. Numbers at the ends of names are a release's of Debian, and left out.
depends() {
    name=$1
    shift
    found=$(field "$name" Depends | tr -d ' ' | tr , '\n' | sed 's/[(].*//; s/[0-9]*\(t64\)\{0,1\}$//' | sort | tr '\n' ' ')
    wanted=$(printf '%s\n' "$@" | sort | tr '\n' ' ')
    test "$found" = "$wanted" || complain "$name depends on $found, not on $wanted"
}
# linked FILE LIBRARY: its name where the build has it: some may be absent.
linked() { readelf -d "$build/$1" | sed -n "s/.*NEEDED.*\[\($2\)\.so.*/\1/p"; }
depends libnlsh1 libc
# shellcheck disable=SC2046
depends libnlsh-learn1 libc libdnnl libgomp libjansson liblapacke libmetis libnlsh libsqlite3- zlib1g \
    $(linked libnlsh-learn.so libzstd)
depends libnlsh-dev libnlsh libnlsh-learn
# shellcheck disable=SC2046
depends nlsh libc libjansson libnlsh libnlsh-learn libsqlite3- $(linked nlsh libmicrohttpd)
extension=
if [ -e "$(package libsqlite3-mod-nlsh)" ]; then
    extension=nlsh/nlsh0.so
    depends libsqlite3-mod-nlsh libc
fi
version=$(field libnlsh1 Version)
for name in libnlsh-learn1 libnlsh-dev nlsh; do
    field "$name" Depends | grep -qF "libnlsh1 (= $version)" || complain "$name takes any libnlsh1"
done

for deb in "$work"/packages/*.deb; do
    name=$(dpkg-deb -f "$deb" Package)
    dpkg-deb -x "$deb" "$root"
    doc=$root/usr/share/doc/$name
    grep -q '^License: Expat' "$doc/copyright" || complain "$name has no copyright"
    for changes in changelog changelog.Debian; do
        gzip -dc "$doc/$changes.gz" | grep -q . || complain "$name has no $changes.gz"
    done
done

lib=$root/usr/lib/$(gcc -print-multiarch)
for name in nlsh nlsh-learn; do
    test "$(readlink "$lib/lib$name.so")" = "lib$name.so.1" || complain "lib$name.so points elsewhere"
    readelf -d "$lib/lib$name.so.1" | grep -q "SONAME.*\[lib$name.so.1\]" || complain "lib$name.so.1 is no SONAME"
    dpkg-deb --ctrl-tarfile "$(package "lib${name}1")" | tar -xO ./shlibs |
        grep -qF "lib$name 1 lib${name}1 (>= $version)" || complain "lib${name}1 has no shlibs"
done
for program in "$root/usr/bin/nlsh" "$lib"/libnlsh*.so.1 ${extension:+"$lib/$extension"}; do
    readelf -d "$program" >"$work/dynamic"
    if grep -E 'RPATH|RUNPATH' "$work/dynamic"; then complain "$program has a search path"; fi
    grep -q BIND_NOW "$work/dynamic" || complain "$program binds late"
    if readelf -S "$program" | grep -q '\.debug_info'; then complain "$program is not stripped"; fi
done
gzip -dc "$root/usr/share/man/man1/nlsh.1.gz" | grep -q '^.TH' || complain "no manual page"
# shellcheck disable=SC2013
for link in $(sed -n 's/.*](\(docs\/[a-z/-]*\.[a-z]*\)).*/\1/p' "$root/usr/share/doc/nlsh/README.md"); do
    test -r "$root/usr/share/doc/nlsh/$link" || complain "README.md names $link, which is not there"
done

if command -v lintian >/dev/null; then
    lintian --fail-on error "$work"/packages/*.deb >"$work/lintian" 2>&1 || {
        grep '^E' "$work/lintian" || cat "$work/lintian"
        complain "lintian finds errors"
    }
else
    echo "lintian is not here: not asked"
fi

# Compiled and run, from where they were unpacked.
LD_LIBRARY_PATH=$lib PKG_CONFIG_PATH=$lib/pkgconfig
export LD_LIBRARY_PATH PKG_CONFIG_PATH
"$root/usr/bin/nlsh" --version
for pair in nlsh:consume_search nlsh-learn:consume_learn; do
    # shellcheck disable=SC2046
    cc -std=c11 -Wall -Wextra -Werror -o "$work/${pair#*:}" "$here/${pair#*:}.c" \
        $(pkg-config --cflags --libs "${pair%:*}") -lm
    "$work/${pair#*:}" "$work"
done
exit $wrong
