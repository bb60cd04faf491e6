#!/usr/bin/env bash
# Compiles kernels/*.cu with NVRTC from its Python wheel; no GPU and no CUDA needed. See scripts/kernels.py for --check, --ptx and --write.
# Ends with 3 where the wheel cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."

# The oldest NVRTC of CUDA 12: the PTX it makes is understood by every driver since.
version=12.0.140
environment=target/nvrtc-$version
if ! [ -e "$environment/ready" ]; then
    rm -rf "$environment"
    python3 -m venv "$environment" >/dev/null 2>&1 &&
        "$environment/bin/pip" install --quiet --disable-pip-version-check "nvidia-cuda-nvrtc-cu12==$version" 2>/dev/null ||
        { echo "NVRTC $version cannot be installed here (Python 3 with venv and the PyPI registry are needed)"; exit 3; }
    touch "$environment/ready"
fi
if [ "${1:-}" = --assemble ]; then
    "$environment/bin/pip" install --quiet --disable-pip-version-check "nvidia-cuda-nvcc-cu12==12.9.86"
fi
PYTHONUTF8=1 exec "$environment/bin/python" scripts/kernels.py "${@:---check}"
