#!/usr/bin/env bash
# What a CUDA card gives: tests on the card, time against two floors, and a study on card and processor, in one table.
#
#   scripts/gpu-check.sh                     on a machine with Rust: builds and runs; the table is results/gpu-check.md
#   scripts/gpu-check.sh --pack FILE.tar.gz  on any Linux machine: builds, and packs the programs for a machine without Rust or internet;
#                                            there: tar xzf FILE.tar.gz && mistilt-gpu-check/scripts/gpu-check.sh
#
# The card's machine needs the NVIDIA driver for CUDA 12 or later. With the NVRTC and cuFFT libraries of CUDA 12 or 13 on the loader's path
# (LD_LIBRARY_PATH=/usr/local/cuda/lib64) kernels are also compiled for the card, and cuFFT stands beside our own transforms.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -d programs ]; then
    mistilt=programs/mistilt test=programs/it bench=programs/cuda
else
    cargo build --release --quiet
    # The program of a name among those that cargo built.
    executable() { local name=$1; shift; cargo "$@" --message-format=json 2>/dev/null | sed -n "s/.*\"executable\":\"\([^\"]*\/$name-[^\"]*\)\".*/\1/p" | tail -1; }
    mistilt=target/release/mistilt
    test=$(executable it test --release --test it --no-run)
    bench=$(executable cuda bench --bench cuda --no-run)
    [ -n "$test" ] && [ -n "$bench" ] || { echo 'the tests or the bench do not build' >&2; exit 1; }
fi

if [ "${1:-}" = --pack ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    mkdir -p "$folder/mistilt-gpu-check/programs" "$folder/mistilt-gpu-check/scripts"
    cp "$mistilt" "$folder/mistilt-gpu-check/programs/mistilt"
    cp "$test" "$folder/mistilt-gpu-check/programs/it"
    cp "$bench" "$folder/mistilt-gpu-check/programs/cuda"
    cp scripts/gpu-check.sh "$folder/mistilt-gpu-check/scripts/"
    cp -r studies "$folder/mistilt-gpu-check/"
    strip "$folder"/mistilt-gpu-check/programs/* 2>/dev/null || true
    tar -C "$folder" -czf "$2" mistilt-gpu-check
    echo "$2"
    exit
fi

mkdir -p results
table=results/gpu-check.md
{
    echo '# mistilt on a CUDA card'
    echo
    date -u +'%Y-%m-%d %H:%M UTC'
    echo
    echo '```'
    "$mistilt" devices
    echo '```'
    echo
    echo '## Tests on the card'
    echo
    echo '```'
    "$test" cuda::card --nocapture --test-threads=1
    echo '```'
    echo
    "$bench"
    echo
    echo '## The reference study'
    echo
    for device in auto cpu; do
        scratch=$(mktemp -d)
        "$mistilt" --quiet study run studies/reference.toml -o "$scratch/reference" --device "$device" --json |
            sed -n "s/^ *\"seconds\": \([0-9.]*\),*/--device $device: \1 s/p"
        rm -rf "$scratch"
    done
} | tee "$table"
