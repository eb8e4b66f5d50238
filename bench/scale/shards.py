#!/usr/bin/env python3
"""shards.py [FLAGS] NLSH INDEX QUERIES FOLDER [RANKS...] - what searches of shards cost by mpirun, beside bench_faiss_shards.

  bench/scale/shards.py build/release/nlsh-ranks sift.nlsh queries.u8bin out/shards 1 2 4

NLSH is a command with MPI (-DNLSH_MPI=ON, or the target nlsh-ranks). Cuts the index into as many shards as there are
ranks, in FOLDER, and asks for .90, .95 and .99. A line each: recall, vectors scanned, how much more the rank that scans
most scans than the mean, bytes sent a query, queries a second of the quickest pass. Then for .95 the processor time a
query of all ranks, which other work disturbs little: what sixty more settings take, over their queries; and the
memory of all ranks. FLAGS (--gt truth.ivecs, --memory codes) go to `nlsh search`: without --gt all vectors are compared to
find the true neighbours, and so are in memory.
"""

import argparse
import json
import os
import subprocess

MANY = 60


def search(nlsh, flags, ranks, shards, queries, recalls, folder):
    """Summaries of all settings, and processor seconds and resident MB of all ranks."""
    used, out = os.path.join(folder, "used"), os.path.join(folder, "out.json")
    if os.path.exists(used):
        os.unlink(used)
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    with open(out, "w") as f:
        subprocess.run(
            ["mpirun", "--oversubscribe", "-n", str(ranks), "/usr/bin/time", "-a", "-o", used, "-f", "%U %S %M"]
            + [nlsh, "search", "-i", shards, "-q", queries, "--recall", ",".join(recalls), "--json", "--quiet"]
            + flags,
            check=True, env=environment, stdout=f)
    times = [[float(x) for x in line.split()] for line in open(used)]
    text = open(out).read()
    summaries, at = [], text.find('"summary":')
    while at >= 0:
        summary, _ = json.JSONDecoder().raw_decode(text, text.index("{", at))
        summaries.append(summary)
        at = text.find('"summary":', at + 1)
    return summaries, sum(t[0] + t[1] for t in times), sum(t[2] for t in times) / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gt")
    parser.add_argument("--memory")
    parser.add_argument("files", nargs=4)
    parser.add_argument("ranks", type=int, nargs="*", default=[1, 2, 4])
    args = parser.parse_args()
    nlsh, index, queries, folder = args.files
    flags = [word for name in ("gt", "memory") if getattr(args, name) for word in ("--" + name, getattr(args, name))]
    os.makedirs(folder, exist_ok=True)
    for ranks in args.ranks:
        shards = os.path.join(folder, f"x{ranks}.shards")
        if not os.path.exists(shards):
            subprocess.run([nlsh, "shard", "-i", index, "-o", shards, "--shards", str(ranks)],
                           check=True, stdout=subprocess.DEVNULL)
        summaries, few_seconds, resident = search(nlsh, flags, ranks, shards, queries, [".90", ".95", ".99"], folder)
        for asked, s in zip((".90", ".95", ".99"), summaries):
            print(f"{ranks} ranks, {asked}: recall {s['recall']:.4f}, {s['candidates']:.0f} scanned, "
                  f"{s['shards']['imbalance']:.2f} of the mean, {s['shards']['bytes_a_query'] / 1000:.1f} kB sent, "
                  f"{s['qpsMax']:.0f} queries a second", flush=True)
        more, seconds, _ = search(nlsh, flags, ranks, shards, queries, [".90", ".95", ".99"] + [".95"] * MANY, folder)
        asked = sum(s["passes"] * s["queries"] for s in more) - sum(s["passes"] * s["queries"] for s in summaries)
        print(f"{ranks} ranks, .95: {1e6 * (seconds - few_seconds) / asked:.1f} us of processors a query, "
              f"{resident:.0f} MB resident", flush=True)


if __name__ == "__main__":
    main()
