#!/usr/bin/python3
"""kinds.py NLSH [FOLDER] - what a log and a compaction do with vectors of twelve kinds.

An index of 12,000 vectors of dimension 32 in 300 clusters takes 5,750 of each kind (59,750 of the last). 500 queries, of both in
proportion, ask for recall .95. For each kind: the largest bucket over the mean, and the recall of 1 and of 10 that comes back, with
the log and once compacted. The figures of docs/live.md. Needs numpy; NLSH is the command, FOLDER a place for files.
"""
import csv
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

DIM, BASE, ADDED, HELD, ASKED = 32, 12000, 6000, 250, 500


def clusters(n, seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(300, DIM)) * 3
    return (centres[rng.integers(0, 300, n)] + rng.normal(size=(n, DIM))).astype(np.float32)


def kinds(base, more):
    rng = np.random.default_rng(3)
    about = lambda i, n, noise: base[i] + rng.normal(size=(n, DIM)) * noise
    return {
        "of the same kind": more,
        "about one vector, .01": about(7, ADDED, 0.01),
        "equal to one": np.repeat(base[9:10], ADDED, 0),
        "equal to others": base[:ADDED],
        "zeros": np.zeros((ADDED, DIM)),
        "all 1e6": np.full((ADDED, DIM), 1e6),
        "a thousand times as long": more * 1000,
        "a far cluster": more * 0.2 + 40,
        "uniform noise": rng.uniform(-10, 10, (ADDED, DIM)),
        "1e-20 times as long": more * 1e-20,
        "points of a line": np.linspace(-50, 50, ADDED)[:, None] * np.ones((1, DIM)),
        "60,000 about one vector, .5": about(3, 10 * ADDED, 0.5),
    }


class Index:
    def __init__(self, nlsh, path):
        self.nlsh, self.path = nlsh, path

    def run(self, verb, *more):
        done = subprocess.run([self.nlsh, verb, *more], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"error: nlsh {verb}: {done.stderr.strip()}")
        return done.stdout

    def fullest(self):
        number = lambda text: float(text.replace(",", ""))
        sizes = re.search(r"buckets\s+[\d,]+: min [\d,]+, mean ([\d.,]+), max ([\d,]+)", self.run("info", self.path))
        return number(sizes[2]) / number(sizes[1])

    def recall(self, rows, queries, queries_path, k):
        out = self.run("search", "-i", self.path, "-q", queries_path, "-N", str(k), "--recall", ".95", "--format", "csv", "-o", "-")
        found = np.zeros((len(queries), k), dtype=int)
        for line in csv.reader(out.splitlines()[1:]):
            if line[1] == "nearest":
                found[int(line[0]), int(line[2]) - 1] = int(line[3])
        n_found = 0
        for query, ids in zip(queries.astype(np.float64), found):
            distances = ((rows - query) ** 2).sum(1)
            limit = np.partition(distances, k - 1)[k - 1]
            n_found += (distances[ids] <= limit * (1 + 1e-5) + 1e-12).sum()  # as far as f32 tells
        return n_found / len(queries) / k


def main(nlsh, folder):
    path = lambda name: os.path.join(folder, name)
    every = clusters(BASE + ADDED + ASKED, 5)
    base, more, others = every[:BASE], every[BASE : BASE + ADDED], every[BASE + ADDED :]
    np.save(path("base.npy"), base)
    Index(nlsh, "").run("build", "-d", path("base.npy"), "-i", path("base.nlsh"), "--force", "--progress", "never", "--no-cache")
    print(f"{'':28} {'fullest':>8} {'of 1':>6} {'of 10':>6} {'compacted':>10} {'of 1':>6} {'of 10':>6}")
    for name, added in kinds(base, more).items():
        added = np.random.default_rng(1).permutation(added).astype(np.float32)
        held, added = added[:HELD], added[HELD:]
        n = int(ASKED * len(added) / (BASE + len(added)))
        queries = np.concatenate([others[: ASKED - n], held[:n]])
        rows = np.concatenate([base, added]).astype(np.float64)
        np.save(path("added.npy"), added)
        np.save(path("queries.npy"), queries)
        for old in ("kind.nlsh", "kind.nlsh-log"):
            if os.path.exists(path(old)):
                os.unlink(path(old))
        subprocess.run(["cp", path("base.nlsh"), path("kind.nlsh")], check=True)
        index = Index(nlsh, path("kind.nlsh"))
        index.run("add", "-i", index.path, "-d", path("added.npy"), "--sync", "end")
        line = f"{name:28}"
        for width in (8, 10):
            recalls = [index.recall(rows, queries, path("queries.npy"), k) for k in (1, 10)]
            line += f" {index.fullest():{width}.2f} {recalls[0]:6.3f} {recalls[1]:6.3f}"
            if width == 8:
                index.run("compact", "-i", index.path)
        index.run("verify", index.path)
        print(line, flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as own:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else own)
