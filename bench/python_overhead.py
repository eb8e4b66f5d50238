#!/usr/bin/env python3
"""What a search from Python costs beside the same one from C.

    ninja -C build/release bench_python_overhead
    python bench/python_overhead.py build/release/bench_python_overhead INDEX QUERIES [K [RECALL [PASSES]]]

Both are measured alternately, pass by pass, on one processor and in its time: one query a call, and all in one
call on one thread. The figures are the quickest passes', which other programs on the machine disturb least. Run it with the python that nlsh is installed for.
"""

import os
import subprocess
import sys
import time

import nlsh


class FromC:
    """The program of C, which answers a word with nanoseconds a query."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class FromPython:
    def __init__(self, path, queries, k, recall):
        self.index, self.queries, self.k, self.recall = nlsh.open(path), queries, k, recall
        self.rows = list(queries)

    def __call__(self, word):
        search, k, recall = self.index.search, self.k, self.recall
        begun = time.process_time_ns()
        if word == "single":
            for row in self.rows:
                search(row, k, recall)
        else:
            search(self.queries, k, recall, threads=1)
        return (time.process_time_ns() - begun) / len(self.rows)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    program, path, queries_path = sys.argv[1:4]
    given = sys.argv[4:] + ["10", "0.95", "21"][len(sys.argv) - 4:]
    k, recall, n_passes = int(given[0]), float(given[1]), int(given[2])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from_c = FromC(program, path, queries_path, str(k), str(recall))
    from_python = FromPython(path, nlsh.read(queries_path), k, recall)
    for word in ("single", "batch"):
        pairs = [(from_c(word), from_python(word)) for _ in range(n_passes + 1)][1:]
        c, python = (min(side) for side in zip(*pairs))
        print(f"{word:6}  C {c / 1000:8.3f} us  Python {python / 1000:8.3f} us a query; "
              f"{(python - c) / 1000:+.3f} us, {100 * (python / c - 1):+.1f} %")


if __name__ == "__main__":
    main()
