#!/usr/bin/env python3
"""The losses that PyTorch reaches where tests/unit/router/test_torch.c trains with nlsh.

    apt-get install --no-install-recommends python3-torch
    /usr/bin/python3 tests/reference/torch_losses.py

prints the table that stands in that test. Data, labels, initial weights and the order of batches
come from the same random numbers on both sides (xoshiro256** of src/base/rng.c, written again
here), so nothing is exchanged; forward pass, loss, gradient, optimiser and schedule are PyTorch's.
PyTorch is no dependency of nlsh: the test compares with the recorded table.
"""
import math

import torch

MASK = (1 << 64) - 1
N, N_TRAIN, DIM, NODES, M = 1200, 1000, 12, 32, 10
STRIDE, LABEL_KNN, BATCH, EPOCHS = 6, 5, 96, 8
LR, DECAY, SEED = 0.01, 0.1, 7


class Rng:
    """Blackman and Vigna's xoshiro256**, seeded by splitmix64: src/base/rng.c."""

    def __init__(self, seed, stream):
        self.x = seed
        self.x = self.splitmix() ^ (stream * 0xD1342543DE82EF95 & MASK)
        self.s = [self.splitmix() for _ in range(4)]

    def splitmix(self):
        self.x = (self.x + 0x9E3779B97F4A7C15) & MASK
        z = self.x
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        return z ^ (z >> 31)

    def u64(self):
        s = self.s
        x = s[1] * 5 & MASK
        result = ((x << 7 | x >> 57) & MASK) * 9 & MASK
        t = s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = (s[3] << 45 | s[3] >> 19) & MASK
        return result

    def below(self, bound):
        product = self.u64() * bound
        if product & MASK < bound:
            floor = (1 << 64) % bound
            while product & MASK < floor:
                product = self.u64() * bound
        return product >> 64

    def uniform(self):
        return (self.u64() >> 11) * 2.0**-53

    def normal(self):
        u, v = 1.0 - self.uniform(), self.uniform()
        return math.sqrt(-2.0 * math.log(u)) * math.cos(6.283185307179586 * v)

    def shuffle(self, values):
        for i in range(len(values), 1, -1):
            j = self.below(i)
            values[i - 1], values[j] = values[j], values[i - 1]


def data():
    """Ten clumps; a row's neighbours lie in its own clump four times of five. As in the test."""
    rng = Rng(2024, 1)
    centres = [[1.2 * rng.normal() for _ in range(DIM)] for _ in range(M)]
    inputs = [[centres[i % M][d] + rng.normal() for d in range(DIM)] for i in range(N)]
    neighbors = []
    for i in range(N):
        row = []
        for _ in range(STRIDE):
            j = rng.below(N)
            row.append(j // M * M + i % M if rng.uniform() < 0.8 else j)
        neighbors.append(row)
    return torch.tensor(inputs), neighbors


def targets(neighbors, soft):
    out = torch.zeros(N, M)
    for i in range(N):
        if not soft:
            out[i, i % M] = 1
        for j in neighbors[i][:LABEL_KNN] if soft else []:
            out[i, j % M] += 1 / LABEL_KNN
    return out


def network():
    sizes = [DIM, NODES, NODES, M]
    layers = []
    for k in range(3):
        rng = Rng(SEED, 0x6D6C7000 + k)
        deviation = (0.25, 1, 1)[k] * math.sqrt((2.0 if k < 2 else 1.0) / sizes[k])
        layer = torch.nn.Linear(sizes[k], sizes[k + 1])
        weights = [deviation * rng.normal() for _ in range(sizes[k] * sizes[k + 1])]
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(weights).reshape(sizes[k + 1], sizes[k]))
            layer.bias.zero_()
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def share(scheduler, step, n_steps):
    """nlsh's: warm-up over 5 %, then half a cosine to 0."""
    t, warm = (step + 0.5) / n_steps, 0.05
    if scheduler == "none":
        return 1.0
    return t / warm if t < warm else 0.5 * (1 + math.cos(math.pi * (t - warm) / (1 - warm)))


def update(model, moments, done, rate):
    """AdamW with Nesterov's momentum, which PyTorch 1.13 has not."""
    with torch.no_grad():
        for p, (m, v) in zip(model.parameters(), moments):
            m.mul_(0.9).add_(p.grad, alpha=0.1)
            v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
            ahead = (0.9 * m + 0.1 * p.grad) / (1 - 0.9 ** (done + 2))
            root = (v / (1 - 0.999 ** (done + 1))).sqrt()
            p.mul_(1 - rate * DECAY).sub_(rate * ahead / (root + 1e-8))


def train(inputs, wanted, scheduler, epochs):
    model = network()
    steps = -(-N_TRAIN // BATCH)
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in model.parameters()]
    done = 0
    entropy = torch.nn.CrossEntropyLoss()  # takes probabilities as targets
    for epoch in range(epochs):
        order, total = list(range(N_TRAIN)), 0.0
        Rng(SEED, 0x65706F00 + epoch).shuffle(order)
        for first in range(0, N_TRAIN, BATCH):
            rows = torch.tensor(order[first : first + BATCH])
            model.zero_grad()
            loss = entropy(model(inputs[rows]), wanted[rows])
            loss.backward()
            update(model, moments, done, LR * share(scheduler, done, steps * epochs))
            done += 1
            total += loss.item() * len(rows)
    with torch.no_grad():
        held = entropy(model(inputs[N_TRAIN:]), wanted[N_TRAIN:]).item()
    return total / N_TRAIN, held


def main():
    inputs, neighbors = data()
    print(f"/* PyTorch {torch.__version__} */")
    for soft in (1, 0):
        wanted = targets(neighbors, soft)
        for scheduler in ("none", "cosine"):
            pairs = [train(inputs, wanted, scheduler, e) for e in range(1, EPOCHS + 1)]
            rows = ", ".join(f"{{{loss:.5f}, {held:.5f}}}" for loss, held in pairs)
            print(f"{{{soft}, NLSH_SCHEDULER_{scheduler.upper()}, {{{rows}}}}},")


if __name__ == "__main__":
    main()
