#!/bin/sh
# Checks our image files against numpy, tifffile, h5py, HyperSpy and RosettaSciIO in a virtual environment of their own.
# Usage: scripts/check-files.sh [FOLDER-FOR-THE-ENVIRONMENT]   (about 1 GB and some minutes the first time)
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
venv=${1:-$here/target/check-files-venv}
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet numpy tifffile h5py hyperspy
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$here"
# This test writes one image in every format, and DM files of every number type, into the folder and leaves them.
MISTILT_KEEP_FILES=$folder cargo test --release --lib image::keep_files -- --exact image::keep_files::files_for_other_programs
"$venv/bin/python" scripts/check-files.py "$folder"
