#!/bin/sh
# run.sh PROGRAM: runs it in a folder of its own.
set -eu
work=$(mktemp -d "${TMPDIR:-/tmp}/nlsh-growth.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$1" "$work"
