#!/usr/bin/env bash
# stop_anywhere.sh ROUNDS: a team that is stopped at any moment, in the middle of a block before the end of a stage too,
# goes on to the bits of an undisturbed run. One item and seven workers: all work is a team's.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

sets=(data.limit=1 "sampling.samples=${SAMPLES:-4000}")
RANDOM=1
bad=0
forget_result whole.h5
run_whole 1 whole.h5 "${sets[@]}" || fail "the undisturbed run ended with exit code $?"
for ((round = 1; round <= ${1:-6}; round++)); do
    out=stopped.h5
    forget_result "$out"
    start_run 8 "$out" "${sets[@]}"
    for ((i = 0; i < 500; i++)); do
        [[ -e $out ]] && break
        sleep 0.02
    done
    sleep "0.$((100 + RANDOM % 700))"
    kill -USR1 "$RUN_PID" 2>/dev/null
    finish_run 60
    ((RUN_CODE == 85 || RUN_CODE == 0)) || fail "exit code $RUN_CODE, neither 85 nor 0: $(tail -n 3 "$out.log")"
    stopped=$RUN_CODE
    run_whole 3 "$out" "${sets[@]}" || fail "the resumed run ended with exit code $?"
    verdict=$(expect_same whole.h5 "$out") || bad=$((bad + 1))
    echo "round $round, first exit code $stopped: $(tail -n 1 <<<"$verdict")"
done
((bad == 0)) || fail "$bad results differ"
