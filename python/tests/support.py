"""What the tests share: a small set of vectors, and an index of it."""

import functools
import os
import tempfile

import numpy as np

import nlsh

SEED = 20261128


@functools.lru_cache(None)
def base(dim=16, n=1000):
    """Vectors around 20 centres, always the same."""
    rng = np.random.default_rng(SEED)
    centres = rng.normal(size=(20, 1, dim)) * 4
    rows = (centres + rng.normal(size=(20, n // 20, dim))).reshape(-1, dim)
    return np.ascontiguousarray(rows, "f4")


@functools.lru_cache(None)
def queries(dim=16):
    rng = np.random.default_rng(SEED + 1)
    return np.ascontiguousarray(base(dim)[::37] + rng.normal(size=(28, dim)) / 4, "f4")[:25]


# What makes a build a matter of a fifth of a second.
QUICK = dict(buckets=8, epochs=3, nodes=16, partitioner="kmeans", progress=False)


@functools.lru_cache(None)
def index():
    return nlsh.build(base(), **QUICK)


def nearest(X, Q, k):
    """The exact k nearest in double precision: (row numbers, distances)."""
    d = np.sqrt(((np.float64(Q)[:, None] - np.float64(X)[None]) ** 2).sum(2))
    ids = np.argsort(d, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(d, ids, 1)


class Folder(tempfile.TemporaryDirectory):
    """with Folder() as path_of: path_of("x.nlsh")"""

    def __enter__(self):
        return functools.partial(os.path.join, super().__enter__())
