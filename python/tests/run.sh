#!/bin/sh
# run.sh ROOT: makes the sdist of the tree ROOT, installs what it holds into a fresh environment, as a person would, and
# tests it there; then again as a package that searches only. Nothing is fetched: PIP_NO_INDEX stands for a machine
# without a network. Exit code 77: skipped, with the reason.
set -eu
root=$1
skip() { echo "skipped: $1"; exit 77; }

# The first Python that has what is needed; a version manager's often has no numpy.
python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import ensurepip, numpy, os, sys, sysconfig, venv
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then skip "no python3 with venv, numpy and Python.h (python3-venv python3-numpy python3-dev)"; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/nlsh python.XXXXXX") # a space on purpose
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH PYTHONHOME NLSH_CPU || true
export PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 NLSH_CACHE="$work/cache"
# -O1 takes half the time to compile, and how quick it is is not asked.
export NLSH_CMAKE_ARGS="${NLSH_CMAKE_ARGS:-} -DCMAKE_BUILD_TYPE=Quick -DCMAKE_C_FLAGS_QUICK=-O1"

# quietly LOG COMMAND...: the log is shown where the command fails.
quietly() {
    log=$work/$1
    shift
    "$@" >"$log" 2>&1 || { tail -n 60 "$log"; exit 1; }
}

echo "sdist:"
quietly sdist.log "$python" -c 'import sys
sys.path.insert(0, sys.argv[1])
import nlsh_backend
nlsh_backend.build_sdist(sys.argv[2])' "$root/python/backend" "$work"
tar -xf "$work"/nlsh-*.tar.gz -C "$work"
tree=$(echo "$work"/nlsh-*.tar.gz)
tree=${tree%.tar.gz} # all of it lies in this folder

echo "install:"
"$python" -m venv --system-site-packages "$work/venv"
quietly install.log "$work/venv/bin/pip" install "$tree"
"$work/venv/bin/python" -c 'import nlsh
print(" ", nlsh.__version__, nlsh.__file__)
assert nlsh.can_learn(), "the package searches only: is a folder that cmake reads missing in the sdist?"'
cd "$root/python/tests" # not the root, whose python/ is no package
"$work/venv/bin/python" -m unittest -v
"$work/venv/bin/python" -c 'import support, sys; support.index().save(sys.argv[1])' "$work/a.nlsh"

echo "search only:"
"$python" -m venv --system-site-packages "$work/venv2"
quietly install2.log "$work/venv2/bin/pip" install --config-settings learn=off "$tree" # what is compiled serves again
"$work/venv2/bin/python" - "$work/a.nlsh" <<'END'
import sys
import numpy as np
import nlsh
from support import queries
assert not nlsh.can_learn()
ids, _ = nlsh.open(sys.argv[1]).search(queries(), 3, probes=8)
assert ids.shape == (25, 3)
nlsh.create(sys.argv[1] + "2", 16)
with nlsh.open_writer(sys.argv[1] + "2") as writer:
    writer.add(queries())
    assert writer.snapshot().search(queries(), 1)[0][:, 0].tolist() == list(range(25))
for call in (lambda: nlsh.build(queries()), lambda: nlsh.read("a.npy"), lambda: nlsh.recall([1], [1]),
             lambda: nlsh.compact(sys.argv[1])):
    try:
        call()
    except nlsh.UnsupportedError as error:
        assert "searches only" in error.message and "libdnnl-dev" in error.hint
    else:
        raise AssertionError("no error")
print("  searches and writes, and says that it does not build")
END
echo "all of it works"
