# shellcheck shell=bash
# Shared by the tests of whole runs; sourced. ctest sets SGDIST (the program), SOURCE and WORK (folders).
# Exit codes: 0 passed, 1 failed, 77 skipped.
set -uo pipefail

: "${SGDIST:?path of the program}" "${SOURCE:?folder of the sources}" "${WORK:?scratch folder}"
PYTHON=/usr/bin/python3
SAME_BITS="$SOURCE/tests/python/same_bits.py"
JOB="$SOURCE/jobs/quickstart.yaml"

if ! "$PYTHON" -c 'import h5py, numpy' 2>/dev/null; then
    echo "skipped: python3-h5py is missing"
    exit 77
fi

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OPENBLAS_NUM_THREADS=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_mpi_yield_when_idle=1

# What killed ranks leave behind lies in folders of this test alone and goes with it.
SHM=$(mktemp -d /dev/shm/sgdist-test.XXXXXX)
TMPDIR=$(mktemp -d /tmp/sgdist-test.XXXXXX)
export TMPDIR OMPI_MCA_btl_vader_backing_directory=$SHM
RUN_PID=
clean_up() {
    if [[ -n $RUN_PID ]]; then
        pkill -KILL -s "$RUN_PID" 2>/dev/null
    fi
    rm -rf "$SHM" "$TMPDIR"
}
trap clean_up EXIT

mkdir -p "$WORK"
cd "$WORK" || exit 1

fail() {
    echo "FAILED: $*"
    exit 1
}

# The command line of a run on $1 ranks into $2, with more --set arguments. One rank needs no mpirun.
run_command() {
    local ranks=$1 out=$2 set
    shift 2
    COMMAND=("$SGDIST" "$JOB" --set "study.output=$out")
    for set in "$@"; do
        COMMAND+=(--set "$set")
    done
    if ((ranks > 1)); then
        COMMAND=(mpirun -n "$ranks" "${COMMAND[@]}")
    fi
}

# Runs to the end, at most LIMIT_S seconds; the output goes to $2.log.
LIMIT_S=${LIMIT_S:-120}
run_whole() {
    local code
    run_command "$@"
    timeout -k 5 "$LIMIT_S" "${COMMAND[@]}" </dev/null >"$2.log" 2>&1
    code=$?
    if ((code != 0)); then
        tail -n 20 "$2.log"
    fi
    return "$code"
}

# Starts a run in a session of its own, so that all its processes can be found; its leader is RUN_PID.
start_run() {
    run_command "$@"
    setsid "${COMMAND[@]}" </dev/null >"$2.log" 2>&1 &
    RUN_PID=$!
}

# mpirun of Open MPI 4.1 with PMIx 4 may wait for a lock of its own for ever when a rank is killed while MPI comes up
# (mostly with PMIX ERROR: UNREACHABLE in its log, or after its notice of the killed rank): all ranks have ended then, and
# nothing of ours can wake it.
mpirun_is_alone() {
    [[ ${COMMAND[0]} == mpirun && $(pgrep -s "$RUN_PID" -r R,S,D,T -c) == 1 ]] \
        && grep -q -e 'PMIX ERROR: UNREACHABLE' -e 'mpirun noticed that process rank' "$1"
}

# Who is still there of a run that should have ended, and, where there is a gdb, what it waits for.
tell_who_is_left() {
    local pid
    for pid in $(pgrep -s "$RUN_PID"); do
        ps -o pid,stat,wchan:24,etime,args -p "$pid" | tail -n 1 | cut -c 1-120
        ! command -v gdb >/dev/null || timeout 20 gdb -p "$pid" -batch -ex 'thread apply all bt 12' 2>/dev/null | grep '^[#T]'
    done
}

# Waits for the leader, sets RUN_CODE. A leader that is still there after $1 seconds is a hang; with $2, the log of the
# run, an mpirun that hangs alone is killed, and counted in N_MPIRUN_HUNG.
N_MPIRUN_HUNG=0
finish_run() {
    local deadline=$((SECONDS + $1)) alone_since=
    while [[ $(ps -o stat= -p "$RUN_PID" 2>/dev/null) == [^Z]* ]]; do
        if [[ -n ${2-} ]] && mpirun_is_alone "$2"; then
            : "${alone_since:=$SECONDS}"
            if ((SECONDS > alone_since + 5)); then
                N_MPIRUN_HUNG=$((N_MPIRUN_HUNG + 1))
                kill -KILL "$RUN_PID"
            fi
        elif ((SECONDS > deadline)); then
            tell_who_is_left
            pkill -KILL -s "$RUN_PID"
            fail "the run hung for $1 s: ${COMMAND[*]}"
        fi
        sleep 0.02
    done
    wait "$RUN_PID" 2>/dev/null
    # shellcheck disable=SC2034 # for the caller
    RUN_CODE=$?
}

# The process of rank $1 of the run, in PID.
find_rank() {
    local pid
    PID=
    for pid in $(pgrep -x sgdist); do # MPICH's launcher gives ranks sessions of their own
        [[ /proc/$pid/cwd -ef . ]] || continue
        if tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qxE "(OMPI_COMM_WORLD_RANK|PMI_RANK)=$1"; then
            PID=$pid
        fi
    done
    [[ -n $PID ]]
}

# Ranks whose mpirun is gone must notice and end within $1 seconds.
wait_for_orphans() {
    local deadline=$((SECONDS + $1))
    while pgrep -s "$RUN_PID" >/dev/null; do
        if ((SECONDS > deadline)); then
            tell_who_is_left
            pkill -KILL -s "$RUN_PID"
            fail "processes of a killed run were still there after $1 s"
        fi
        sleep 0.05
    done
}

forget_result() {
    rm -rf "$1" "$1".*
}

# Both judges must agree that two results are equal.
expect_same() {
    "$SGDIST" diff "$1" "$2" >diff.log 2>&1 || {
        head -n 20 diff.log
        return 1
    }
    "$PYTHON" "$SAME_BITS" "$1" "$2"
}
