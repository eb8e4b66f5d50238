#!/usr/bin/env python3
"""forecast.py NLSH [--quick] [--all] [--memory SIZE FILE...] - what `nlsh build --dry-run` foretells, and what the build takes.

The table of docs/algorithm.md. Some sizes of each data set that is here: Fashion-MNIST (Debian's, or
$NLSH_FASHION_MNIST) and the folder $NLSH_SIFT's SIFT, as bytes and as floats. Each is built on one thread, whose time
on its processor counts: other processes hardly change it.

  --quick  only what takes less than some ten seconds
  --all    on all processors as well, by the clock: the machine must then be quiet
  --memory SIZE FILE...   of these files in place of the sets, streamed in so much memory, with the index's size as well
"""

import array
import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

FASHION = os.environ.get("NLSH_FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
SIFT = os.environ.get("NLSH_SIFT", "")


def fashion(n):
    with gzip.open(os.path.join(FASHION, "train-images-idx3-ubyte.gz")) as f:
        return f.read(16 + 784 * n)[16:], 784


def sift(n):
    with open(os.path.join(SIFT, "sift_base.bvecs"), "rb") as f:
        rows = f.read(132 * n)
    return b"".join(rows[at + 4 : at + 132] for at in range(0, len(rows), 132)), 128


def write(path, values, dim, floats):
    with open(path, "wb") as f:
        f.write(struct.pack("<II", len(values) // dim, dim))
        # whole numbers would be stored as bytes
        f.write(array.array("f", (v + 0.5 for v in values)).tobytes() if floats else values)


def run(command, cache):
    """What it wrote to stdout, and the seconds that it took, of the clock and of processors."""
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "NLSH_CACHE": cache})
    out = child.stdout.read()
    _, how, used = os.wait4(child.pid, 0)
    if how != 0:
        sys.exit(f"error: {' '.join(command)} ended with {how}")
    return out, time.monotonic() - started, used.ru_utime + used.ru_stime


def measure(nlsh, path, threads, folder, flags=()):
    """What is foretold, seconds that it took, and bytes of the index."""
    index = os.path.join(folder, "x.nlsh")
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        command = [nlsh, "build", "-d", path, "-i", index, "--force", "--json", "--quiet", "--progress", "never",
                   "--threads", str(threads), *flags]
        out, _, _ = run(command + ["--dry-run"], cache)
        _, clock, processors = run(command, cache)
    return json.loads(out)["forecast"], processors if threads == 1 else clock, os.path.getsize(index)


def streamed(nlsh, size, paths):
    print("| file | memory | foretold s | took s | took / foretold | index foretold | index | disk foretold |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for path in paths:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            foretold, took, index = measure(nlsh, path, 1, folder, ["--memory", size])
        seconds = foretold["seconds"]
        print(f"| {os.path.basename(path)} | {size} | {seconds:.1f} | {took:.1f} | {took / seconds:.2f} "
              f"| {foretold['index_bytes'] / 1e6:.0f} MB | {index / 1e6:.0f} MB "
              f"| {foretold['disk_bytes'] / 1e6:.0f} MB |", flush=True)


def main():
    nlsh, flags = sys.argv[1], sys.argv[2:]
    if "--memory" in flags:
        size, *paths = flags[flags.index("--memory") + 1:]
        return streamed(nlsh, size, paths)
    counts = sorted({1, os.cpu_count()}) if "--all" in flags else [1]
    sets = [("fashion-mnist", fashion, n, floats) for floats in (False, True) for n in (2000, 10000, 60000)]
    if os.path.exists(os.path.join(SIFT, "sift_base.bvecs")):
        sets += [("sift", sift, n, floats) for floats in (False, True) for n in (10000, 50000, 200000)]
    print("| data | rows | values | threads | foretold s | took s | took / foretold |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, read, n, floats in sets:
            if "--quick" in flags and n > 10000:
                continue
            values, dim = read(n)
            path = os.path.join(folder, "base.fbin" if floats else "base.u8bin")
            write(path, values, dim, floats)
            for threads in counts:
                forecast, took, _ = measure(nlsh, path, threads, folder)
                foretold = forecast["seconds"]
                print(f"| {name} | {n} | {dim} {'f32' if floats else 'u8'} | {threads} "
                      f"| {foretold:.1f} | {took:.1f} | {took / foretold:.2f} |", flush=True)


if __name__ == "__main__":
    main()
