#!/bin/sh
# Checks the studies that ship against their schema with taplo, the engine of editors' TOML completion, in a virtual environment of its own.
set -eu
cd "$(dirname "$0")/.."
venv=target/check-studies-venv
if [ ! -x "$venv/bin/taplo" ]; then
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet taplo; } || {
        echo "skipped: taplo could not be installed from PyPI" >&2
        exit 3
    }
fi
"$venv/bin/taplo" lint studies/*.toml 2>/dev/null || { "$venv/bin/taplo" lint studies/*.toml 2>&1 | head -n 40; exit 1; }
# A checker that found no schema would accept all: a misspelt key must be refused.
wrong=$(mktemp studies/.misspelt-XXXXXX.toml)
trap 'rm -f "$wrong"' EXIT
sed 's/^voltage_kv/voltag_kv/' studies/tilt.toml > "$wrong"
if "$venv/bin/taplo" lint "$wrong" >/dev/null 2>&1; then
    echo "taplo accepts a misspelt key: it does not read studies/study.schema.json" >&2
    exit 1
fi
echo "$(ls studies/*.toml | wc -l) studies fit their schema"
