#!/bin/sh
# keep.sh: keeps a copy of the public headers under their version's number. Run it as a version is
# released, and commit the copy: from then on the test of growth compiles programs of that version too.
set -eu
cd "$(dirname -- "$0")"
headers=../../include/nlsh
version=$(sed -n 's/^#define NLSH_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\)$/\2/p' $headers/nlsh.h |
    tr '\n' '.' | sed 's/\.$//')
mkdir -p "$version/nlsh"
cp $headers/nlsh.h $headers/learn.h "$version/nlsh/"
echo "kept: tests/growth/$version"
