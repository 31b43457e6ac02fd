#!/usr/bin/env bash
# signal.sh LAUNCH OPTION...: scancel OPTION... --signal=USR1 makes a checkpoint, and the job comes back
# by itself and completes.
# shellcheck source=tests/slurm/common.sh
. "$(dirname "$0")/common.sh"

export LAUNCH=$1
shift
reference
forget_result signal.h5
submit signal.h5
wait_until 30 is_under_way signal.h5
scancel "$@" --signal=USR1 "$ID" || fail "scancel"
note "signal"
wait_until 20 logged "exit code 85"
note "stopped"
wait_until 60 logged "start 2"
expect COMPLETED 60
expect_reference signal.h5
