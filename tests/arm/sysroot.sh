#!/bin/sh
# sysroot.sh FOLDER PACKAGE...: Debian's arm64 packages, with all that they depend on, unpacked in FOLDER: to link with, and
# to run under qemu-aarch64 -L FOLDER. apt works in a state of its own there, so that this machine gets no second
# architecture, and no root is needed. Nothing is done where FOLDER was made of the same packages before.
set -eu

sysroot=$1
shift
wanted="$*"
if [ "$(cat "$sysroot/packages" 2>/dev/null || true)" = "$wanted" ]; then exit 0; fi

rm -rf "$sysroot"
apt=$sysroot/apt
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
: >"$apt/status"
apt_get() {
    apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt/state" \
        -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Debug::NoLocking=1 \
        -o Acquire::Languages=none "$@"
}
apt_get update || true # another archive than Debian may have nothing for ARM
apt_get install -y --no-install-recommends --download-only "$@"
for f in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$f" "$sysroot"; done

# What update-alternatives would have linked.
libraries=usr/lib/aarch64-linux-gnu
for name in blas lapack; do
    if [ ! -d "$sysroot/$libraries/$name" ]; then continue; fi
    for f in "$sysroot/$libraries/$name/lib$name".so*; do ln -sf "$name/$(basename "$f")" "$sysroot/$libraries/"; done
    ln -sf "$name-netlib.pc" "$sysroot/$libraries/pkgconfig/$name.pc"
done
# A link from the root on would lead out of the folder.
find "$sysroot" -path "$apt" -prune -o -type l -lname '/*' -print | while read -r link; do
    ln -sfn "$sysroot$(readlink "$link")" "$link"
done
rm -rf "$apt"
printf '%s\n' "$wanted" >"$sysroot/packages"
