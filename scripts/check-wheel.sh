#!/bin/sh
# Builds the Python wheel that carries the command, installs it in a fresh virtual environment and runs the command from there.
# Usage: scripts/check-wheel.sh [FOLDER-FOR-THE-WHEEL]   (needs Python 3.8 with venv; fetches maturin from PyPI)
set -eu
cd "$(dirname "$0")/.."
venv=target/check-wheel-venv
wheels=${1:-target/wheels}
if [ ! -x "$venv/bin/maturin" ]; then
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'maturin>=1.9,<2'; } || {
        echo "skipped: maturin could not be installed from PyPI" >&2
        exit 3
    }
fi
rm -f "$wheels"/mistilt-*.whl
"$venv/bin/maturin" build --release --quiet --out "$wheels"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
python3 -m venv "$fresh"
"$fresh/bin/pip" install --quiet --no-index "$wheels"/mistilt-*.whl
said=$("$fresh/bin/mistilt" --version)
[ "$said" = "mistilt $(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)" ] || { echo "the wheel's command says $said" >&2; exit 1; }
echo "$(basename "$wheels"/mistilt-*.whl): $said"
