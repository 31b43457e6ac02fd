#!/usr/bin/env bash
# death.sh LAUNCH rank|daemon|nodeI: a rank, the step's daemon on a node, or the whole node I is gone at once. The job ends,
# or comes back by itself; in the end the result is complete.
# shellcheck source=tests/slurm/common.sh
. "$(dirname "$0")/common.sh"

export LAUNCH=$1
what=$2
reference
forget_result dead.h5
submit dead.h5
wait_until 30 is_under_way dead.h5

# The processes of node n$1 whose command line has $2.
on_node() {
    pgrep -f "$2" --ns "$(pgrep -P "${NODE_PID[$1]}")" --nslist pid
}

killed=$SECONDS
case $what in
rank) kill -KILL "$(on_node 3 "^$SGDIST" | head -n 1)" || fail "no rank on n3" ;;
daemon) kill -KILL "$(on_node 3 '^slurmstepd' | head -n 1)" || fail "no step daemon on n3" ;;
node*) node_kill "${what#node}" ;;
esac
note "killed: $what"
is_over_or_back() {
    is_over || has_state PENDING || logged "start 2"
}
wait_until 90 is_over_or_back
note "noticed after $((SECONDS - killed)) s: $(job_field JobState), exit code $(job_field ExitCode)"
if [[ $what == node* ]]; then
    node_start "${what#node}"
fi
if is_over; then
    submit dead.h5
fi
expect COMPLETED 90
expect_reference dead.h5
