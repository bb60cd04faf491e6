#!/usr/bin/env python3
"""Simulates training images with known polarization: perovskite cells whose Fe and O are displaced at random, thin and thick, in and out of focus.

    python3 scripts/simulate-training-images.py results/simulated-training [--count 24] [--program target/release/mistilt]

Each image is one crystal (BiFeO3's pseudocubic cell; Fe displaced by up to 45 pm in the image plane, O 1.6 times as far, as along its
ferroelectric mode) by multislice, with its truth beside it. `training/simulated.toml` learns from them.
"""

import argparse
import math
import pathlib
import random
import subprocess

A = 3.96  # side of the pseudocubic cell, Å
STUDY = """name = "training-image"
seed = {seed}
[crystal]
file = "crystal-{index:02}.xyz"
axes = "lattice"
thickness_nm = {thickness:.1f}
[microscope]
voltage_kv = 200
convergence_mrad = 25
defocus_nm = {defocus:.1f}
source_fwhm_angstrom = {source:.2f}
[[microscope.detectors]]
name = "haadf"
inner_mrad = 60
outer_mrad = 160
[simulation]
pixel_angstrom = 0.05
k_points = [4, 4]
phonon_pairs = 1
"""


def crystal(index, dx, dy):
    """Fe and O displaced along the mode; the component along the beam is that of BiFeO3, 0.24 Å."""
    fe = (dx, dy, 0.24)
    rows = [("Bi", (0, 0, 0), 0), ("Fe", (0.5, 0.5, 0.5), 1), ("O", (0.5, 0.5, 0), 1.6), ("O", (0.5, 0, 0.5), 1.6), ("O", (0, 0.5, 0.5), 1.6)]
    atoms = [f"{name} " + " ".join(f"{A * p + scale * d:.6f}" for p, d in zip(place, fe)) for name, place, scale in rows]
    lattice = f"{A} 0 0 0 {A} 0 0 0 {A}"
    return "\n".join([str(len(atoms)), f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T" name="cell {index}"', *atoms]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--program", default="target/release/mistilt")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    for index in range(arguments.count):
        radius, angle = 0.45 * math.sqrt(draw.random()), 2 * math.pi * draw.random()
        settings = dict(thickness=draw.uniform(8, 25), defocus=draw.uniform(-4, 4), source=draw.uniform(0.7, 1.4))
        image = arguments.folder / f"image-{index:02}.npy"
        (arguments.folder / f"crystal-{index:02}.xyz").write_text(crystal(index, radius * math.cos(angle), radius * math.sin(angle)))
        study = arguments.folder / f"study-{index:02}.toml"
        study.write_text(STUDY.format(index=index, seed=index + 1, **settings))
        if not image.exists():
            command = [arguments.program, "simulate", str(study), "-o", str(image), "--field-angstrom", "48", "--pixel-pm", "15.1", "--quiet"]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
