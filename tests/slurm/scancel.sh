#!/usr/bin/env bash
# A job is cancelled in the middle, then the same is submitted again, on other nodes and with other ranks.
# shellcheck source=tests/slurm/common.sh
. "$(dirname "$0")/common.sh"

reference
forget_result cancelled.h5
submit cancelled.h5
wait_until 30 is_under_way cancelled.h5
scancel "$ID" || fail "scancel"
expect CANCELLED 30
sleep 12 # longer than a requeued job waits: it must not come back
has_state CANCELLED || give_up "the cancelled job came back"
"$PYTHON" "$SAME_BITS" --opens cancelled.h5 || fail "the result does not open"
TASKS=2 submit cancelled.h5 --nodes=2
expect COMPLETED 90
expect_reference cancelled.h5
