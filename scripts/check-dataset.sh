#!/bin/sh
# Makes a small dataset and opens it with h5py, as docs/datasets.md shows, in a virtual environment of its own.
# Usage: scripts/check-dataset.sh [FOLDER-FOR-THE-ENVIRONMENT] [--torch]   (about 60 MB the first time; with --torch 1 GB, and a DataLoader)
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
venv=${1:-$here/target/check-dataset-venv}
torch=${2:-}
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet numpy h5py
fi
if [ -n "$torch" ]; then
    "$venv/bin/pip" install --quiet torch
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$here"
cargo run --release --quiet -- dataset studies/training-set.toml -o "$folder/set" --quiet \
    --set dataset.samples=4 --set dataset.shard_samples=2 --set dataset.windows_per_sample=50
"$venv/bin/python" scripts/check-dataset.py "$folder/set" $torch
