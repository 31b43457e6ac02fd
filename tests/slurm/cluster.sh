# shellcheck shell=bash
# A real Slurm on one machine: munged, slurmctld and N slurmd on loopback. Sourced.
#
#     cluster_reason              why there can be no cluster here; nothing if there can be one
#     cluster_up NODES CPUS       starts it (a second) and sets the environment of its commands
#     cluster_down                cancels what runs, ends every process, removes all files
#     node_kill I                 the node is gone at once, with all its processes, as after a power cut
#     node_start I                and back
#
# No systemd, no cgroups, no accounting, nothing outside CLUSTER. Every node has its own host name,
# /dev/shm and process numbers: Open MPI names its files in /dev/shm after host and user, so that nodes
# which share them collide, and the end of a node's first process ends all the others.

cluster_reason() {
    local command
    if ((EUID != 0)); then
        echo "not root"
        return
    fi
    for command in munged slurmctld slurmd sbatch srun unshare; do
        if ! command -v "$command" >/dev/null; then
            echo "$command is missing (Debian: slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge)"
            return
        fi
    done
    if ! unshare --uts --mount --pid --fork --mount-proc hostname none 2>/dev/null; then
        echo "this system allows no namespaces (unshare --uts --mount --pid)"
    fi
}

# Ports below the range that the system hands out by itself; another test's cluster has others.
choose_port() {
    local try
    for ((try = 0; try < 50; try++)); do
        PORT=$((12000 + (RANDOM % 200) * 100))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then
            return
        fi
    done
}

# A credential lives for 8 s, because a requeued job waits for the end of its life (120 s by itself).
# TmpFS must differ between nodes: Slurm's PMIx makes a folder there, named after the job's step.
# config_overrides lets a node have more CPUs than the machine.
write_configuration() {
    local nodes=$1 cpus=$2 host i
    host=$(hostname -s)
    cat <<TEXT
ClusterName=sgdist
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$CLUSTER/munge/socket,cred_expire=8
CredType=cred/munge
StateSaveLocation=$CLUSTER/ctld
SlurmdSpoolDir=$CLUSTER/spool.%n
TmpFS=$CLUSTER/tmp.%n
SlurmctldPidFile=$CLUSTER/run/slurmctld.pid
SlurmdPidFile=$CLUSTER/run/slurmd.%n.pid
SlurmctldLogFile=$CLUSTER/log/slurmctld.log
SlurmdLogFile=$CLUSTER/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=pmix
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0,sched_min_interval=100000,requeue_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
MinJobAge=300
SlurmctldTimeout=30
SlurmdTimeout=15
MessageTimeout=10
ReturnToService=2
JobRequeue=1
MailProg=/bin/true
NodeName=DEFAULT CPUs=$cpus Boards=1 SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=4000
TEXT
    for ((i = 1; i <= nodes; i++)); do
        echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + i))"
    done
    cat <<TEXT
PartitionName=DEFAULT Nodes=ALL MaxTime=INFINITE DefaultTime=10:00 State=UP OverSubscribe=NO
PartitionName=batch Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=urgent PriorityTier=10 PreemptMode=OFF
TEXT
}

# The node's first process is a shell: it takes in processes whose parents are gone, as slurmd would not.
# --kill-child: when unshare is killed, so is the shell, and with it all that runs on the node.
# What an earlier life of the node left in its folders goes, as after a reboot.
node_start() {
    rm -rf "$CLUSTER/spool.n$1" "$CLUSTER/tmp.n$1"
    mkdir -p "$CLUSTER/spool.n$1" "$CLUSTER/tmp.n$1"
    # shellcheck disable=SC2016 # expanded by the node's shell
    setsid unshare --uts --mount --pid --fork --kill-child --mount-proc --propagation private \
        bash -c 'hostname "$1" && mount -t tmpfs -o size=1g tmpfs /dev/shm || exit 1
            slurmd -D -f "$2" -N "$1" & wait; while wait -n; do :; done' \
        node "n$1" "$SLURM_CONF" </dev/null >"$CLUSTER/log/node.$1" 2>&1 &
    NODE_PID[$1]=$!
    disown
}

node_kill() {
    kill -KILL "${NODE_PID[$1]}"
}

idle_nodes() {
    timeout 5 sinfo -h -N -p batch -t idle -o %N 2>/dev/null | sort -u | wc -l
}

cluster_up() {
    local nodes=$1 cpus=$2 i
    CLUSTER=$(mktemp -d /tmp/sgdist-slurm.XXXXXX)
    NODE_PID=()
    choose_port
    mkdir -p "$CLUSTER"/{log,run,ctld,munge}
    chmod 711 "$CLUSTER/munge"
    write_configuration "$nodes" "$cpus" >"$CLUSTER/slurm.conf"
    export SLURM_CONF=$CLUSTER/slurm.conf
    # Ranks of different nodes reach each other over loopback. Open MPI does not see that the CPUs are
    # pretended and would spin while it waits.
    export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_mpi_yield_when_idle=1
    export OMPI_MCA_hwloc_base_binding_policy=none OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

    (umask 077 && head -c 128 /dev/urandom >"$CLUSTER/munge/key")
    munged --force --socket="$CLUSTER/munge/socket" --key-file="$CLUSTER/munge/key" \
        --pid-file="$CLUSTER/run/munged.pid" --log-file="$CLUSTER/log/munged.log" \
        --seed-file="$CLUSTER/munge/seed" --num-threads=2 || return 1
    slurmctld -f "$SLURM_CONF" -c </dev/null || return 1
    for ((i = 1; i <= nodes; i++)); do
        node_start "$i"
    done
    for ((i = 0; i < 300; i++)); do
        if (($(idle_nodes) == nodes)); then
            return 0
        fi
        sleep 0.1
    done
    tail -n 5 "$CLUSTER"/log/* >&2
    return 1
}

# Ends the process whose number is in the file $1, gently for two seconds.
stop_daemon() {
    local pid i
    pid=$(cat "$1" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null
    for ((i = 0; i < 40; i++)); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null
}

cluster_down() {
    local pid
    [[ -n ${CLUSTER-} ]] || return 0
    for pid in "${NODE_PID[@]}"; do
        kill -KILL "$pid" 2>/dev/null
    done
    stop_daemon "$CLUSTER/run/slurmctld.pid"
    stop_daemon "$CLUSTER/run/munged.pid"
    rm -rf "$CLUSTER"
    CLUSTER=
}
