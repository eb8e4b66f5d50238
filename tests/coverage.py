#!/usr/bin/env python3
"""coverage.py BUILD - how much of src/ the tests ran, the worst files first.

BUILD is of the preset "coverage", its tests have run. What gcov knows of the libraries' objects is added up by line.
Left out are kernels/x86 and kernels/arm, since no machine runs all of them, and what works in bf16 where this
processor has no such products. Threads may lose counts (-fprofile-update=single: atomic ones take several times as
long), but what ran does not read as 0. Returns 1 where less than LINES of the lines, or less than BRANCHES of the branches, ran.
"""

import json
import os
import subprocess
import sys

LINES, BRANCHES = 0.95, 0.88
LEFT_OUT = ("src/kernels/x86/", "src/kernels/arm/")
OF_BF16 = ("src/router/train/bf16.c", "src/partition/near.c")
WITH_BF16 = ("avx512bf16", "amx")  # of kernels/tables.h's sets

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def data_files(build):
    for library in ("nlsh_core", "nlsh_learn"):
        for where, _, names in os.walk(os.path.join(build, "CMakeFiles", library + ".dir")):
            for name in names:
                if name.endswith(".gcda"):
                    yield os.path.join(where, name)


def gcov(path):
    done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", path],
                          capture_output=True, check=True)
    return json.loads(done.stdout)["files"]


def add(lines, line):
    """A header's line stands in several objects."""
    count, branches = lines.get(line["line_number"], (0, []))
    more = [b["count"] for b in line["branches"]]
    if len(branches) == len(more):
        more = [a + b for a, b in zip(branches, more)]
    lines[line["line_number"]] = (count + line["count"], more if len(more) >= len(branches) else branches)


def left_out(build):
    done = subprocess.run([os.path.join(build, "nlsh"), "version", "--json"], capture_output=True, check=True)
    return LEFT_OUT if json.loads(done.stdout)["cpu"] in WITH_BF16 else LEFT_OUT + OF_BF16


def collect(build):
    files, none_of = {}, left_out(build)
    for path in data_files(build):
        for f in gcov(path):
            name = os.path.relpath(os.path.join(build, f["file"]), ROOT)
            if name.startswith("src/") and not name.startswith(none_of):
                for line in f["lines"]:
                    add(files.setdefault(name, {}), line)
    return files


def counts(lines):
    """Lines, lines that ran, branches, branches that ran."""
    branches = [b for _, bs in lines.values() for b in bs]
    return (len(lines), sum(c > 0 for c, _ in lines.values()), len(branches), sum(b > 0 for b in branches))


def ranges(numbers):
    """1, 2, 3, 7 as "1-3 7"."""
    found = []
    for n in sorted(numbers):
        if found and n == found[-1][1] + 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return " ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in found)


def share(part, whole):
    return part / whole if whole > 0 else 1


def main():
    files = collect(os.path.abspath(sys.argv[1]))
    if not files:
        sys.exit("error: no test has run in " + sys.argv[1])
    rows = [(name, lines, counts(lines)) for name, lines in files.items()]
    rows.sort(key=lambda r: (share(r[2][3], r[2][2]) + share(r[2][1], r[2][0]), r[0]))
    print("lines  branches  file: lines that did not run")
    for name, lines, (n, ran, n_branches, taken) in rows:
        missed = ranges(number for number, (count, _) in lines.items() if count == 0)
        print(f"{100 * share(ran, n):5.1f}  {100 * share(taken, n_branches):8.1f}  {name}: {missed}")
    n, ran, n_branches, taken = (sum(r[2][i] for r in rows) for i in range(4))
    print(f"{ran} of {n} lines: {100 * share(ran, n):.1f} % (wanted: {100 * LINES:.0f} %), "
          f"{taken} of {n_branches} branches: {100 * share(taken, n_branches):.1f} % "
          f"(wanted: {100 * BRANCHES:.0f} %)")
    sys.exit(0 if share(ran, n) >= LINES and share(taken, n_branches) >= BRANCHES else 1)


if __name__ == "__main__":
    main()
