#!/usr/bin/env bash
# A throw-away Slurm cluster on this machine: one controller and N nodes on loopback, without systemd, cgroups or a database.
# Usage: scripts/slurm-cluster.sh start DIR [NODES=2] [CPUS=1], then `export SLURM_CONF=DIR/slurm.conf`;
#        scripts/slurm-cluster.sh node DIR NAME (starts a node again); scripts/slurm-cluster.sh stop DIR
# Needs root and Debian's slurm-wlm and munge. It has its own keys, ports and sockets and ends only what it started.
set -euo pipefail
verb=${1:?start, node or stop}
dir=$(realpath -m "${2:?a folder}")
conf=$dir/slurm.conf

start_node() { mkdir -p "$dir/spool/$1"; SLURM_CONF=$conf /usr/sbin/slurmd -f "$conf" -N "$1"; }

case $verb in
start)
    nodes=${3:-2} cpus=${4:-1}
    mkdir -p "$dir"/{state,spool,log,run,munge}
    chmod 0711 "$dir" "$dir/munge"
    dd if=/dev/urandom of="$dir/munge/key" bs=1024 count=1 status=none
    chmod 0400 "$dir/munge/key"
    /usr/sbin/munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/run/munged.pid" \
        --log-file="$dir/log/munged.log" --seed-file="$dir/munge/seed"
    host=$(hostname -s)
    cat > "$conf" <<CONF
ClusterName=throwaway
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CryptoType=crypto/munge
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_min_interval=100000
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
SlurmdParameters=config_overrides
SlurmdTimeout=5
SlurmctldTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=300
JobRequeue=1
ReturnToService=2
NodeName=n[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[27001-$((27000 + nodes))] CPUs=$cpus RealMemory=4096 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$conf
    /usr/sbin/slurmctld -f "$conf"
    for i in $(seq "$nodes"); do start_node "n$i"; done
    for _ in $(seq 150); do
        idle=$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)
        [ "$idle" -ge "$nodes" ] && break
        sleep 0.2
    done
    sinfo >&2
    [ "$idle" -ge "$nodes" ]
    ;;
node)
    start_node "${3:?a node}"
    ;;
stop)
    export SLURM_CONF=$conf
    # Jobs first, so that no job outlives its node; a controller that is gone cannot be asked.
    timeout 10 scancel --full --user root >/dev/null 2>&1 || true
    sleep 1
    for file in "$dir"/run/slurmd-*.pid "$dir"/run/slurmctld.pid "$dir"/run/munged.pid; do
        if [ -s "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
    done
    # A step whose controller is gone waits for it: end those of this cluster, known by its configuration in their environment.
    for process in /proc/[0-9]*; do
        if grep -qzx "SLURM_CONF=$conf" "$process/environ" 2>/dev/null && grep -q slurmstepd "$process/comm" 2>/dev/null; then
            kill -9 "${process#/proc/}" 2>/dev/null || true
        fi
    done
    ;;
*)
    echo "start, node or stop, not $verb" >&2
    exit 2
    ;;
esac
