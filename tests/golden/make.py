#!/usr/bin/env python3
"""make.py NLSH FOLDER: golden index files, made by the command of the day.

FOLDER gets, for each kind, KIND.nlsh, KIND.queries.fbin (or .u8bin, .i8bin) and KIND.expected.csv: what
that command answered. A later nlsh must open the files and answer the same (test_golden.c). Run once
for each version of the format, with the code that shipped it; what is there already stays.
"""
import os
import struct
import subprocess
import sys
import tempfile

ROWS, DIM, QUERIES, BUCKETS = 640, 12, 24, 8


def numbers(seed):
    """The same on every machine: Lehmer's generator (Park and Miller, CACM 1988)."""
    state = seed
    while True:
        state = state * 48271 % 2147483647
        yield state / 2147483647


def vectors(seed, n):
    """Rows around 16 centres, 0 to 1."""
    centre, own = numbers(20260101), numbers(seed)
    centres = [[next(centre) for _ in range(DIM)] for _ in range(16)]
    rows = []
    for _ in range(n):
        c = centres[int(next(own) * 16)]
        rows.append([min(max(x + 0.3 * (next(own) + next(own) - 1), 0), 1) for x in c])
    return rows


def write(path, rows, kind):
    pack = {"f": lambda x: struct.pack("<f", x - 0.25),
            "u": lambda x: struct.pack("<B", int(x * 255)),
            "i": lambda x: struct.pack("<b", int(x * 255) - 128)}[kind]
    with open(path, "wb") as out:
        out.write(struct.pack("<II", len(rows), DIM))
        for row in rows:
            out.write(b"".join(pack(x) for x in row))


# name: kind of values, flags of nlsh build
KINDS = {
    "bytes": ("u", []),
    "signed": ("i", []),
    "floats": ("f", []),
    "ip": ("f", ["--metric", "ip"]),
    "cosine": ("f", ["--metric", "cosine"]),
    "bytes-leaves": ("u", ["--leaves", "1"]),
    "floats-leaves": ("f", ["--leaves", "1"]),
    "ip-leaves": ("f", ["--metric", "ip", "--leaves", "1"]),
    "cosine-groups-leaves": ("f", ["--metric", "cosine", "--leaves", "1", "--groups", "3"]),
    "bytes-groups": ("u", ["--groups", "3"]),
    "floats-bare": ("f", ["--code_bytes", "0"]),
}
ENDING = {"f": "fbin", "u": "u8bin", "i": "i8bin"}
SEARCHES = [("recall .95", ["--recall", "0.95"]), ("T 2", ["-T", "2"]), ("T 8", ["-T", "8"])]


def main():
    nlsh, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    for name, (kind, flags) in KINDS.items():
        index = os.path.join(folder, name + ".nlsh")
        if os.path.exists(index):
            continue
        queries = os.path.join(folder, f"{name}.queries.{ENDING[kind]}")
        with tempfile.TemporaryDirectory() as scratch:
            base = os.path.join(scratch, "base." + ENDING[kind])
            write(base, vectors(1, ROWS), kind)
            write(queries, vectors(2, QUERIES), kind)
            subprocess.run([nlsh, "build", "-d", base, "-i", index, "-m", str(BUCKETS), "--quiet",
                            "--no-cache", "--components", "8", "--nodes", "16", "--epochs", "10", *flags],
                           check=True)
        with open(os.path.join(folder, name + ".expected.csv"), "w") as out:
            for title, how in SEARCHES:
                answer = subprocess.run([nlsh, "search", "-i", index, "-q", queries, "-N", "7",
                                         "--format", "csv", "--quiet", "--no-cache", *how],
                                        check=True, capture_output=True, text=True).stdout
                out.write(f"# {title}\n")
                for line in answer.splitlines()[1:]:
                    query, _, rank, row, distance, *_ = line.split(",")
                    out.write(f"{query},{rank},{row},{distance}\n")


if __name__ == "__main__":
    main()
