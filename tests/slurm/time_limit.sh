#!/usr/bin/env bash
# The time limit is near: Slurm signals the script, sgdist writes a checkpoint and ends with 85, the script
# puts its job back into the queue, and the next allocation goes on.
#
# Slurm's limits are whole minutes, and its signals come early or late by some seconds: 50 s before the end of
# the first minute is between 2 and 20 s after the start. One worker needs longer than that, so two ranks.
SAMPLES=60000
# shellcheck source=tests/slurm/common.sh
. "$(dirname "$0")/common.sh"

reference
forget_result limit.h5
submit limit.h5 --nodes=2 --time=1 --signal=B:USR1@50
wait_until 60 logged "signal USR1"
note "signal"
wait_until 20 logged "exit code 85"
wait_until 10 logged "back into the queue"
note "stopped"
wait_until 60 logged "start 2"
# Long enough this time, as a user's allocations would be too.
scontrol update "JobId=$ID" TimeLimit=10 || fail "the new time limit was refused"
expect COMPLETED 120
[[ $(job_field Restarts) -ge 1 ]] || give_up "the job was never restarted"
expect_reference limit.h5
