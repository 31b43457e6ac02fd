#!/usr/bin/env bash
# uneven.sh: a team whose members differ in speed, one of which is stopped for a while again and again, gives the bits
# of one rank, with checkpoints on the way.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

sets=(data.limit=1 "sampling.samples=${SAMPLES:-6000}" run.checkpoint_seconds=0.3)
forget_result whole.h5
run_whole 1 whole.h5 "${sets[@]}" || fail "one rank: exit code $?"

paused=0
for rank in 1 3; do # the team's leader, and another member
    out=uneven-$rank.h5
    forget_result "$out"
    start_run 4 "$out" "${sets[@]}"
    for ((i = 0; i < 500; i++)); do
        [[ -e $out ]] && break
        sleep 0.02
    done
    while find_rank "$rank" && kill -STOP "$PID" 2>/dev/null; do
        sleep 0.15
        kill -CONT "$PID" 2>/dev/null && paused=$((paused + 1))
        sleep 0.05
    done
    finish_run 60
    ((RUN_CODE == 0)) || fail "rank $rank slowed down: exit code $RUN_CODE: $(tail -n 3 "$out.log")"
    verdict=$(expect_same whole.h5 "$out") || fail "rank $rank slowed down: $verdict"
    echo "rank $rank slowed down: $(tail -n 1 <<<"$verdict")"
done
((paused > 4)) || fail "the runs were over before a rank could be paused: more samples are needed here"
