#!/usr/bin/python3
"""kinds.py NLSH [FOLDER] [--further] [--metric M] [--queries N] [--only WORD] - what a log and a compaction do with vectors of
many kinds.

An index of 12,000 vectors of dimension 32 in 300 clusters takes 5,750 of each of twelve kinds (59,750 of the last), or with
--further of ten others. Queries, 500 or N, of both in proportion, ask for recall .95 of 1, 10 and 100 neighbours. For each kind:
the largest bucket over the mean, the recall that comes back and the mean of vectors scanned for 10, with the log and once compacted.
The figures of docs/live.md. Needs numpy; NLSH is the command, M is l2, ip or cosine, and FOLDER a place for files, where an index
that an earlier run with this metric left (base.nlsh) is taken.
"""
import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

DIM, BASE, ADDED, HELD, ASKED = 32, 12000, 6000, 250, 500
KS = (1, 10, 100)


def clusters(n, seed):
    centres = np.random.default_rng(5).normal(size=(300, DIM)) * 3
    rng = np.random.default_rng(seed)
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


def further_kinds(base, more):
    rng = np.random.default_rng(4)
    half = ADDED // 2
    sparse = rng.normal(size=(ADDED, DIM)) * 8 * (rng.random((ADDED, DIM)) < 0.1)
    one_hot = np.eye(DIM)[rng.integers(0, DIM, ADDED)] * rng.integers(1, 40, ADDED)[:, None]
    pairs = base[rng.integers(0, BASE, ADDED)], base[rng.integers(0, BASE, ADDED)]
    angle = np.linspace(0, 60, ADDED)[:, None] * np.arange(1, DIM + 1) / DIM
    return {
        "sparse, a tenth not zero": sparse,
        "one value not zero": one_hot,
        "zeros and ones": rng.integers(0, 2, (ADDED, DIM)),
        "whole numbers, -3 to 3": rng.integers(-3, 4, (ADDED, DIM)),
        "heavy tails (Cauchy)": rng.standard_cauchy((ADDED, DIM)),
        "half as ever, half a tenth as long": np.concatenate([more[:half], more[half:] * 0.1]),
        "moved by 2": more + 2,
        "dimensions in another order": more[:, rng.permutation(DIM)],
        "halfway between two vectors": (pairs[0] + pairs[1]) / 2,
        "a spiral": np.cos(angle) * np.linspace(1, 20, ADDED)[:, None],
        "1 in 10 noise, the rest as ever": np.where(
            rng.random((ADDED, 1)) < 0.1, rng.uniform(-10, 10, (ADDED, DIM)), more
        ),
    }


class Index:
    def __init__(self, nlsh, path):
        self.nlsh, self.path = nlsh, path

    def run(self, verb, *more):
        done = subprocess.run([self.nlsh, verb, *more], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"error: nlsh {verb}: {done.stderr.strip()}")
        return done.stdout + done.stderr

    def fullest(self):
        number = lambda text: float(text.replace(",", ""))
        sizes = re.search(r"buckets\s+[\d,]+: min [\d,]+, mean ([\d.,]+), max ([\d,]+)", self.run("info", self.path))
        return number(sizes[2]) / number(sizes[1])

    def found(self, n_queries, queries_path, k, out_path):
        """The rows that come back, and the mean of vectors that were scanned."""
        said = self.run(
            "search", "-i", self.path, "-q", queries_path, "-N", str(k), "--recall", ".95", "--format", "csv", "-o", out_path
        )
        found = np.full((n_queries, k), -1)
        with open(out_path, encoding="utf-8") as f:
            for line in csv.reader(f):
                if line[1] == "nearest":
                    found[int(line[0]), int(line[2]) - 1] = int(line[3] or -1)
        return found, float(re.search(r"([\d,]+) candidates", said)[1].replace(",", ""))


def distances_of(metric, rows, query):
    if metric == "l2":
        return ((rows - query) ** 2).sum(1)
    products = rows @ query
    return -products if metric == "ip" else 1 - products / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)


def limits_of(metric, rows, queries):
    """The distances of each query's k-th neighbour, as far as f32 tells."""
    limits = np.empty((len(queries), len(KS)))
    for i, query in enumerate(queries):
        near = np.partition(distances_of(metric, rows, query), [k - 1 for k in KS])[[k - 1 for k in KS]]
        limits[i] = near + np.abs(near) * 1e-5 + (1e-12 if metric == "l2" else 1e-6)
    return limits


def recall(metric, rows, queries, found, limits):
    n = 0
    for query, ids, limit in zip(queries, found, limits):
        n += (distances_of(metric, rows[ids[ids >= 0]], query) <= limit).sum()
    return n / found.size


def try_kind(name, args, folder, base, others, added):
    path = lambda name: os.path.join(folder, name)
    added = np.random.default_rng(1).permutation(added).astype(np.float32)
    if args.metric == "cosine":
        added = added[(added != 0).any(1)]
        if len(added) == 0:
            return
    held, added = added[: len(added) // 24], added[len(added) // 24 :]
    held, added = (held, added) if len(held) <= HELD else (held[:HELD], np.concatenate([added, held[HELD:]]))
    n = int(args.queries * len(added) / (BASE + len(added)))
    queries = np.concatenate([others[: args.queries - n], np.resize(held, (n, DIM))])
    np.save(path("added.npy"), added)
    np.save(path("queries.npy"), queries)
    for old in ("kind.nlsh", "kind.nlsh-log"):
        if os.path.exists(path(old)):
            os.unlink(path(old))
    subprocess.run(["cp", path("base.nlsh"), path("kind.nlsh")], check=True)
    index = Index(args.nlsh, path("kind.nlsh"))
    index.run("add", "-i", index.path, "-d", path("added.npy"), "--sync", "end")
    rows, queries = np.concatenate([base, added]).astype(np.float64), queries.astype(np.float64)
    limits = limits_of(args.metric, rows, queries)
    print(f"{name:35}", end="", flush=True)
    for width in (8, 10):
        line = f" {index.fullest():{width}.1f}"
        for i, k in enumerate(KS):
            found, candidates = index.found(len(queries), path("queries.npy"), k, path("found.csv"))
            line += f" {recall(args.metric, rows, queries, found, limits[:, i]):6.3f}"
            scanned = candidates if k == 10 else scanned if k > 10 else 0
        print(f"{line} {scanned:8,.0f}", end="", flush=True)
        if width == 8:
            index.run("compact", "-i", index.path)
    index.run("verify", index.path)
    print(flush=True)


def main(args, folder):
    path = lambda name: os.path.join(folder, name)
    base, more, others = clusters(BASE, 6), clusters(ADDED, 7), clusters(args.queries, 8)
    np.save(path("base.npy"), base)
    if not os.path.exists(path("base.nlsh")):
        build = ["-d", path("base.npy"), "-i", path("base.nlsh"), "--metric", args.metric]
        Index(args.nlsh, "").run("build", *build, "--progress", "never", "--no-cache")
    side = f"{'of 1':>6} {'of 10':>6} {'of 100':>6} {'scanned':>8}"
    print(f"{'':35} {'fullest':>8} {side} {'compacted':>10} {side}")
    for name, added in (further_kinds if args.further else kinds)(base, more).items():
        if args.only in name:
            try_kind(name, args, folder, base, others, added)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nlsh")
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--further", action="store_true")
    parser.add_argument("--metric", default="l2", choices=["l2", "ip", "cosine"])
    parser.add_argument("--queries", type=int, default=ASKED)
    parser.add_argument("--only", default="")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        main(parsed, parsed.folder or own)
