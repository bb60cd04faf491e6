#!/bin/sh
# Opens a study's report in headless Chromium: nothing is loaded from outside, tables sort and filter, the slider moves, it prints.
# Usage: scripts/check-report.sh [REPORT.html] [FOLDER-FOR-SCREENSHOTS]   (without a report it runs a quick form of studies/tilt.toml)
# Needs Chromium (Debian: apt install chromium), Node 18 and npm, which fetches playwright-core once.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
for program in node npm; do
    command -v "$program" >/dev/null || { echo "check-report.sh needs $program" >&2; exit 3; }
done
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "check-report.sh needs Chromium: apt install chromium" >&2
    exit 3
}
modules=$here/target/check-report
if [ ! -d "$modules/node_modules/playwright-core" ]; then
    mkdir -p "$modules"
    npm install --silent --no-fund --no-audit --prefix "$modules" playwright-core@1 >/dev/null
fi
screenshots=${2:-$here/target/check-report/screenshots}
mkdir -p "$screenshots"
report=${1:-}
if [ -z "$report" ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cargo run --release --quiet -- study run studies/tilt.toml -o "$folder/tilt" --quiet \
        --set 'simulation.k_points=[2, 2]' --set 'crystal.thickness_nm=[2, 4]' >/dev/null
    report=$folder/tilt/report.html
fi
NODE_PATH=$modules/node_modules CHROMIUM=$chromium node scripts/check-report.cjs "$report" "$screenshots"
