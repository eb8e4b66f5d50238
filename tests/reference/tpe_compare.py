#!/usr/bin/env python3
"""tpe_compare.py OURS THEIRS: rows function,sampler,seed,best of two samplers; smaller is better.

Exit code 0 where ours is no worse, 1 where it is.

How far two medians may lie apart by chance follows from how far the seeds spread. The seeds of both
sides are drawn again, with replacement, many times over (Efron's bootstrap, 1979). Ours is worse
where its median is the larger one in all but 1 of 40 drawings.
"""

import random
import statistics
import sys

DRAWINGS = 4000


def bests(path):
    with open(path) as rows:
        values = [float(row.split(",")[3]) for row in rows]
    if len(values) < 8:
        sys.exit(f"{path}: {len(values)} seeds are too few")
    return values


def drawn_median(generator, values):
    return statistics.median(generator.choices(values, k=len(values)))


def main():
    ours, theirs = bests(sys.argv[1]), bests(sys.argv[2])
    generator = random.Random(1)
    no_worse = sum(
        drawn_median(generator, ours) <= drawn_median(generator, theirs) for _ in range(DRAWINGS)
    )
    share = no_worse / DRAWINGS
    name = open(sys.argv[1]).readline().split(",")[:2]
    print(
        f"{' '.join(name)}: median {statistics.median(ours):.4g}, Optuna's"
        f" {statistics.median(theirs):.4g}; no worse in {100 * share:.1f} % of the drawings"
    )
    sys.exit(0 if share >= 1 / 40 else 1)


main()
