#!/usr/bin/env python3
"""Seconds an epoch of the same training takes in PyTorch (Debian's python3-torch).

    /usr/bin/python3 bench/epoch_torch.py ROWS INPUTS LAYERS NODES BUCKETS THREADS

The other side is bench/epoch.c. Random inputs and labels, batches of 512, AdamW; the labels' dense
matrix is made beforehand. One epoch to warm up, two measured. Install libopenblas0-pthread beside
python3-torch: with the plain BLAS that comes along otherwise, an epoch takes five times as long.
"""
import sys
import time

import torch

BATCH, MEASURED, LABEL_KNN = 512, 2, 20


def main():
    n, dim, layers, nodes, m, threads = (int(a) for a in sys.argv[1:7])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    inputs = 3.4 * torch.rand(n, dim) - 1.7
    wanted = torch.zeros(n, m)
    buckets = torch.randint(m, (n, LABEL_KNN))
    wanted.scatter_add_(1, buckets, torch.full((n, LABEL_KNN), 1 / LABEL_KNN))
    sizes = [dim] + [nodes] * layers + [m]
    parts = []
    for i in range(layers + 1):
        parts += [torch.nn.Linear(sizes[i], sizes[i + 1]), torch.nn.ReLU()]
    model = torch.nn.Sequential(*parts[:-1])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    entropy = torch.nn.CrossEntropyLoss()
    start = 0.0
    for epoch in range(1 + MEASURED):
        if epoch == 1:
            start = time.perf_counter()
        order = torch.randperm(n)
        for first in range(0, n, BATCH):
            rows = order[first : first + BATCH]
            optimiser.zero_grad(set_to_none=True)
            loss = entropy(model(inputs[rows]), wanted[rows])
            loss.backward()
            optimiser.step()
    seconds = (time.perf_counter() - start) / MEASURED
    print(
        f"PyTorch  {n} x {dim} through {layers} layers of {nodes} to {m}, "
        f"{threads} threads: {seconds:.3f} s an epoch"
    )


if __name__ == "__main__":
    main()
