#!/usr/bin/env bash
# preemption.sh LAUNCH: a job of a higher partition takes the nodes. Ours has its grace time for a checkpoint,
# goes back into the queue, and completes when the nodes are free again.
# shellcheck source=tests/slurm/common.sh
. "$(dirname "$0")/common.sh"

export LAUNCH=$1
reference
forget_result preempted.h5
submit preempted.h5
wait_until 30 is_under_way preempted.h5
sbatch --parsable --partition=urgent --nodes=4 --ntasks-per-node=4 --output=urgent.log \
    --wrap='echo urgent; sleep 2' || fail "sbatch refused the urgent job"
note "urgent job submitted"
wait_until 60 logged "exit code"
note "stopped: $(grep 'exit code' "$LOG" | tail -n 1)"
wait_until 60 test -s urgent.log
note "urgent job runs"
wait_until 60 logged "start 2"
expect COMPLETED 60
expect_reference preempted.h5
