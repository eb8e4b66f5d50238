#!/usr/bin/env python3
"""confusion.py [FOLDER [ROWS]]: which labels do neighbours share? Fashion-MNIST, or MNIST's files in FOLDER.

Builds an index of the training images, finds the ten nearest of each test image, and draws how often an image of
one label has neighbours of another: confusion.svg.
"""
import gzip
import os
import sys
import time

import numpy as np

import nlsh

folder = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist"
rows = int(sys.argv[2]) if len(sys.argv) > 2 else None


def labels(name):
    with gzip.open(os.path.join(folder, name)) as file:
        return np.frombuffer(file.read(), "u1", offset=8)[:rows]


# Vectors: one image a row, 784 bytes. The index is made in a minute or two, with a bar where tqdm is installed.
X = nlsh.read(os.path.join(folder, "train-images-idx3-ubyte.gz"))[:rows]
Q = nlsh.read(os.path.join(folder, "t10k-images-idx3-ubyte.gz"))[:rows]
index = nlsh.build(X)
print(index)

# Ten neighbours of every test image, at a recall of .95; the exact ones of the first hundred, to see.
begun = time.perf_counter()
ids, distances = index.search(Q, k=10, recall=0.95)
seconds = time.perf_counter() - begun
truth, _ = nlsh.ground_truth(X, Q[:100], k=10)
print(f"{len(Q) / seconds:,.0f} queries a second, recall {nlsh.recall(ids[:100], truth):.3f}")

# How often label i has neighbours of label j.
found = ids != nlsh.NO_KEY
mine, theirs = labels("t10k-labels-idx1-ubyte.gz"), labels("train-labels-idx1-ubyte.gz")
counts = np.zeros((10, 10))
np.add.at(counts, (np.repeat(mine, found.sum(1)), theirs[ids[found]]), 1)
shares = counts / counts.sum(1, keepdims=True).clip(1)
print(f"{np.trace(counts) / counts.sum():.1%} of neighbours have the image's own label")

# A picture: darker is more often.
cells = "".join(f'<rect x="{30 * j + 30}" y="{30 * i + 30}" width="29" height="29" fill="#036" '
                f'opacity="{share ** .5:.3f}"><title>{i} has {share:.1%} of {j}</title></rect>'
                for (i, j), share in np.ndenumerate(shares))
names = "".join(f'<text x="{30 * i + 40}" y="20">{i}</text><text x="10" y="{30 * i + 50}">{i}</text>'
                for i in range(10))
with open("confusion.svg", "w") as file:
    file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 340 340" font-family="sans-serif">'
               f"{names}{cells}</svg>\n")
