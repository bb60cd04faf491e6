#!/usr/bin/env bash
# A study on a real Slurm: the array completes; a node dies in the middle and its element is requeued; another is told that its time is up; the
# merged table is that of one machine, byte for byte; so is the table of networks that two nodes trained.
# Usage: scripts/slurm-test.sh [PROGRAM=target/release/mistilt]. About three minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${1:-$here/target/release/mistilt}")

skip() { echo "skipped: $*"; exit 0; }
installed() { [ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/slurmd ] && [ -x /usr/sbin/munged ] && command -v sbatch >/dev/null; }

[ "$(id -u)" = 0 ] || skip 'a throw-away Slurm cluster needs root'
if ! installed; then
    command -v apt-get >/dev/null || skip 'Slurm is not installed, and there is no apt-get to install slurm-wlm and munge with'
    echo 'installing slurm-wlm and munge'
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge; } >/dev/null 2>&1 || skip 'slurm-wlm and munge could not be installed'
    installed || skip 'Slurm is not complete after its installation'
fi

root=$(mktemp -d /tmp/mistilt-slurm-XXXXXX)
chmod 0711 "$root"
cluster=$root/cluster
finish() {
    code=$?
    if [ "$code" -ne 0 ]; then
        echo "failed; the last lines of the logs:"
        tail -n 15 "$root"/work/results/*.logs/*.log "$cluster"/log/slurmctld.log 2>/dev/null || true
    fi
    "$here/scripts/slurm-cluster.sh" stop "$cluster" || true
    rm -rf "$root" || true
    exit "$code"
}
trap finish EXIT
"$here/scripts/slurm-cluster.sh" start "$cluster" 2 1 || skip "the cluster did not start: $(tail -n 3 "$cluster"/log/slurmctld.log 2>/dev/null)"
export SLURM_CONF=$cluster/slurm.conf

mkdir -p "$root/work"
cd "$root/work"
cat > brief.toml <<'TOML'
name = "brief"
[crystal]
structure = "bifeo3-r3c"
[microscope]
convergence_mrad = 22
[[microscope.detectors]]
name = "adf"
inner_mrad = 50
outer_mrad = 80
[simulation]
k_points = [4, 4]
[report]
figures = false
[sweep.axes]
"microscope.voltage_kv" = [200, 250, 300]
"crystal.specimen_tilt_x_mrad" = [0, 5]
"crystal.thickness_nm" = [20, 40]
TOML

started=$(date +%s)
"$program" study submit brief.toml --slurm --elements 4 --dry-run > scripts.txt 2> /dev/null
grep -q -- '--array=1-4' scripts.txt
"$program" study submit brief.toml --slurm --elements 4 --threads 1 --json > submitted.json
array=$(python3 -c 'import json; print(json.load(open("submitted.json"))["array"])')
merge=$(python3 -c 'import json; print(json.load(open("submitted.json"))["merge"])')
echo "array $array, merge $merge"

# The pids of what runs on a node: jobs carry its name in their environment.
on_node() {
    for process in /proc/[0-9]*; do
        if grep -qzx "SLURMD_NODENAME=$1" "$process/environ" 2>/dev/null && grep -qzx "SLURM_CONF=$SLURM_CONF" "$process/environ" 2>/dev/null; then
            echo "${process#/proc/}"
        fi
    done
}
wait_for() { # seconds, what, command...
    local left=$1 what=$2
    shift 2
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { echo "waited in vain for $what"; squeue; return 1; }
        sleep 1
    done
}
computes() { [ "$(ls results/store/locks 2>/dev/null | grep -c '^block-')" -ge 5 ]; }
wait_for 180 'two elements that compute' computes
"$program" study status brief.toml > status.txt 2> /dev/null || [ $? -eq 3 ]
grep -q '^at work: process' status.txt
grep -Eq "^job ${array}_[0-9]+: running" status.txt
cat status.txt

told=$(squeue -h -t running -w n2 -o %i | head -n 1)
victim=$(squeue -h -t running -w n1 -o %i | head -n 1)
[ -n "$told" ] && [ -n "$victim" ] || { echo 'no element runs on one of the nodes'; squeue; exit 1; }
echo "node n1 dies with $victim"
stepds=$(for pid in $(on_node n1); do ps -o ppid= -p "$pid"; done | sort -u)
# All at once, as a machine dies: a step's daemon that outlives its job would report it as killed, and a killed job is not requeued. Nothing but the
# daemons of the step and the job stands above or below; nothing else of this machine is touched.
daemons=$(for pid in $stepds; do if grep -q slurmstepd "/proc/$pid/comm" 2>/dev/null; then echo "$pid"; fi; done)
# shellcheck disable=SC2046,SC2086
kill -9 "$(cat "$cluster/run/slurmd-n1.pid")" $daemons $(on_node n1) 2>/dev/null || true
# What the node started in that moment.
# shellcheck disable=SC2046
kill -9 $(on_node n1) 2>/dev/null || true

echo "$told is told that its time is up"
# scancel asks again and again while the element requeues itself; that the signal came is in the log, and checked below.
timeout 3 scancel --signal=USR1 --batch "$told" 2>/dev/null || true

requeued() { scontrol -o show job "$victim" 2>/dev/null | grep -Eq 'Restarts=[1-9]'; }
wait_for 90 "the requeue of $victim" requeued
echo "$victim was requeued $(($(date +%s) - started)) s after the submission"
"$here/scripts/slurm-cluster.sh" node "$cluster" n1

over() { [ -z "$(squeue -h -j "$array" -o %i 2>/dev/null)" ] && [ -z "$(squeue -h -j "$merge" -o %i 2>/dev/null)" ]; }
wait_for 420 'the array and its merge' over
echo "done $(($(date +%s) - started)) s after the submission"
grep -q 'stopped; what was finished is kept' "results/brief.logs/$told.log"
echo "$told stopped when it was told, requeued itself and went on"

# Alone, in a place of its own.
"$program" study run brief.toml -o alone/brief --quiet > /dev/null
cmp results/brief/records.csv alone/brief/records.csv
cmp results/brief/records.npz alone/brief/records.npz
"$program" study status brief.toml > /dev/null 2>&1
"$program" study diff results/brief alone/brief
echo "the table of the cluster is that of one machine, byte for byte: $(wc -l < results/brief/records.csv) lines"

# Networks of a learning study, shared out over the nodes.
cat > networks.toml <<'TOML'
name = "networks"
[crystal]
structure = "bifeo3-r3c"
thickness_nm = 2
[microscope]
voltage_kv = 300
convergence_mrad = 22
source_fwhm_angstrom = 0.8
[[microscope.detectors]]
name = "haadf"
inner_mrad = 60
outer_mrad = 95
[simulation]
pixel_angstrom = 0.066
k_points = [1, 1]
phonons = false
[scene]
size_cells = [14, 14]
pattern = "random"
correlation_nm = 2
[camera]
pixel_pm = 33
[training]
epochs = 2
[learning]
across = "camera.dose_e_per_angstrom2"
mix_over = ["camera.dose_e_per_angstrom2"]
repeats = 2
maps = false
[sweep.axes]
"camera.dose_e_per_angstrom2" = [4000, 64000]
TOML
started=$(date +%s)
"$program" study submit networks.toml --slurm --elements 2 --threads 1 --json > submitted.json
array=$(python3 -c 'import json; print(json.load(open("submitted.json"))["array"])')
merge=$(python3 -c 'import json; print(json.load(open("submitted.json"))["merge"])')
wait_for 300 'the networks and their merge' over
"$program" study run networks.toml -o alone/networks --quiet > /dev/null
cmp results/networks/records.csv alone/networks/records.csv
"$program" study status networks.toml > /dev/null 2>&1
echo "networks trained on two nodes in $(($(date +%s) - started)) s give the table of one machine, byte for byte: $(wc -l < results/networks/records.csv) lines"
