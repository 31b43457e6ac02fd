# shellcheck shell=bash
# Shared by the Slurm scenarios; sourced. Each starts a cluster of its own, four nodes of four CPUs, and
# runs slurm/run.sbatch as a user would. ctest sets SGDIST, SOURCE and WORK.
# Exit codes: 0 passed, 1 failed, 77 skipped.
# shellcheck source=tests/mpi/common.sh
. "$SOURCE/tests/mpi/common.sh"
# shellcheck source=tests/slurm/cluster.sh
. "$SOURCE/tests/slurm/cluster.sh"

reason=$(cluster_reason)
if [[ -n $reason ]]; then
    echo "skipped: $reason"
    exit 77
fi

# Each node has a /dev/shm of its own, and the folder of the other tests is not in it.
unset OMPI_MCA_btl_vader_backing_directory OMPI_MCA_rmaps_base_oversubscribe
trap 'cluster_down; clean_up' EXIT
cluster_up 4 4 || fail "the cluster did not come up"
rm -f ./*.log

STARTED=$SECONDS
note() {
    printf '%4d s  %s\n' $((SECONDS - STARTED)) "$*"
}

# The result of one rank without Slurm, which the others must equal, and SETS, what makes its job. It is made
# once for all scenarios, and again when the program is newer. On one worker it takes half a minute.
reference() {
    SETS=(data.limit=4 "sampling.samples=${SAMPLES:-20000}" run.checkpoint_seconds=1)
    REFERENCE=$WORK/../reference-${SAMPLES:-20000}.h5
    if [[ ! $REFERENCE -nt $SGDIST ]]; then
        forget_result reference.h5
        run_whole 1 reference.h5 "${SETS[@]}" || fail "the undisturbed run ended with exit code $?"
        mv reference.h5 "$REFERENCE"
    fi
    note "undisturbed result"
}

# submit OUT SBATCH-OPTION...: puts a job into the queue that writes OUT with SETS; its number is ID.
submit() {
    local out=$1 arguments=() set
    shift
    for set in "study.output=$out" "${SETS[@]}"; do
        arguments+=(--set "$set")
    done
    ID=$(sbatch --parsable --nodes=4 --ntasks-per-node="${TASKS:-1}" --mem-per-cpu=100M --output="$out.log" \
        "$@" "$SOURCE/slurm/run.sbatch" "$JOB" "${arguments[@]}") || fail "sbatch refused the job"
    LOG=$out.log
}

# Value of a field of `scontrol show job`: JobState, Restarts, ExitCode.
job_field() {
    timeout 20 scontrol show job -o "$ID" | sed -n "s/.* $1=\([^ ]*\).*/\1/p"
}

give_up() {
    tail -n 30 "$LOG"
    timeout 5 squeue
    fail "$*"
}

# Waits until the condition, a command, holds; fails after $1 seconds.
wait_until() {
    local limit=$1 deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS <= deadline)) || give_up "job $ID, state $(job_field JobState): not after $limit s: $*"
        sleep 0.2
    done
}

is_over() {
    [[ $(job_field JobState) =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|PREEMPTED|DEADLINE)$ ]]
}

has_state() {
    [[ $(job_field JobState) == "$1" ]]
}

logged() {
    grep -q -- "$1" "$LOG" 2>/dev/null
}

# There is something to lose: the result is laid out, and the first checkpoint or item is on disk.
is_under_way() {
    [[ -e $1 ]] && { compgen -G "$1.partial/*" >/dev/null || [[ $("$SGDIST" status "$1" 2>/dev/null) == *"1 done"* ]]; }
}

# expect STATE SECONDS: the job ends within that time, and so.
expect() {
    wait_until "$2" is_over
    has_state "$1" || give_up "job $ID ended as $(job_field JobState), not $1"
    note "job $ID: $1, exit code $(job_field ExitCode), restarts $(job_field Restarts)"
}

expect_reference() {
    local verdict
    verdict=$(expect_same "$REFERENCE" "$1") || fail "$1 differs from the undisturbed run:"$'\n'"$verdict"
    note "$1: $verdict"
}
