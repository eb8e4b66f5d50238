#!/bin/sh
# page_peers.sh WORK - docs/peers.md on standard output, from what bench/run.sh left in WORK. bench/peers/notes.md is taken
# in as it is: what was built, what bounds a cell that is not reached.
set -eu
kept=$1 here=$(dirname "$0")
cat <<END
# Beside other libraries

Made by \`./dev bench --peers docs/peers.md\` (bench/run.sh, bench/page_peers.sh). Data: [README](../README.md#data)
(SIFT-1M is not TEXMEX's); glove100 and use512, 100,000 sentence embeddings, are compared by cosine. More data,
candidates, floors, an older machine: [results.md](results.md).
END
"$here/page_beside.sh" "$kept" "$here/peers/notes.md"
