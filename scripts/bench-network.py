#!/usr/bin/env python3
"""Times mistilt's network and the same network in PyTorch by turns, in one run, and prints the ratios.

    pip install torch numpy
    python3 scripts/bench-network.py [--rounds 3] [--threads N]

Both train on 128 windows of 32 x 32 px a step (AdamW, Gaussian likelihood weighted as in mistilt, clipped gradient) and predict 2048 windows,
on all cores or N. mistilt's step contains the turning of every window and its label by a symmetry, PyTorch's does not. Of each the fastest round
counts: on a busy machine the least disturbed one.
"""

import argparse
import os
import re
import subprocess
import time

import torch
from torch import nn

BATCH, SIDE, MANY = 128, 32, 2048
# The architectures that ship: convolutions of each block, hidden widths, outputs, and whether the last image is averaged.
NETWORKS = {
    "small": ([[16], [32], [48], [64]], [32], 4, True),
    "atomai-regressor": ([[16], [32], [64, 64], [128, 128], [128, 128]], [], 2, True),
}
UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def network(name):
    blocks, hidden, outputs, averaged = NETWORKS[name]
    layers, inputs, side = [], 1, SIDE
    for index, block in enumerate(blocks):
        for channels in block:
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
            inputs = channels
        if index + 1 < len(blocks):
            layers.append(nn.MaxPool2d(2))
            side //= 2
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if averaged else [nn.Flatten()]
    features = inputs if averaged else inputs * side * side
    for width in hidden:
        layers += [nn.Linear(features, width), nn.LeakyReLU(0.1)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, outputs))


def loss(outputs, targets):
    errors = outputs[:, :2] - targets
    if outputs.shape[1] == 2:
        return 0.5 * (errors**2).sum(1).mean()
    log_variance = outputs[:, 2:].clamp(-12, 5)
    weight = torch.exp(0.5 * log_variance).detach()
    return (0.5 * weight * (errors**2 * torch.exp(-log_variance) + log_variance)).sum(1).mean()


def fastest(work, seconds=2.0):
    """Shortest time of one call, over so many seconds."""
    for _ in range(3):
        work()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def torch_times(name):
    torch.manual_seed(1)
    net = network(name)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.01)
    windows, targets = torch.randn(BATCH, 1, SIDE, SIDE), torch.randn(BATCH, 2)
    many = torch.randn(MANY, 1, SIDE, SIDE)

    def step():
        optimiser.zero_grad()
        loss(net(windows), targets).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()

    def infer():
        with torch.inference_mode():
            return [net(part) for part in many.split(BATCH)]

    return {f"training step, {name}": fastest(step), f"inference, {name}": fastest(infer)}


def mistilt_times(threads):
    command, environment = ["cargo", "bench", "--bench", "network"], {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    times = {}
    for name, low, unit in re.findall(r"network/(.+?)\s+time:\s+\[([\d.]+) (\S+) ", text):
        times[name.strip()] = float(low) * UNITS[unit]
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    rounds, threads = arguments.rounds, arguments.threads
    torch.set_num_threads(threads)
    best = {"mistilt": {}, "PyTorch": {}}
    for _ in range(rounds):
        theirs = {key: value for name in NETWORKS for key, value in torch_times(name).items()}
        for who, times in (("PyTorch", theirs), ("mistilt", mistilt_times(threads))):
            for key, value in times.items():
                best[who][key] = min(value, best[who].get(key, float("inf")))
    print(f"PyTorch {torch.__version__}, {threads} threads, fastest of {rounds} rounds")
    for key, ours in sorted(best["mistilt"].items()):
        theirs = best["PyTorch"][key]
        count = BATCH if key.startswith("training") else MANY
        print(
            f"{key}: mistilt {1e3 * ours:.2f} ms ({count / ours:,.0f} windows/s), PyTorch {1e3 * theirs:.2f} ms "
            f"({count / theirs:,.0f} windows/s), mistilt/PyTorch {ours / theirs:.2f}"
        )


if __name__ == "__main__":
    main()
