#!/usr/bin/env bash
# stop_one_rank.sh ROUNDS SEED: a signal that reaches one rank of a team alone, at any time, within a block or
# between two, stops the run with exit code 85; going on with another number of ranks ends with the bits of an
# undisturbed run. Every other round the rank is killed instead.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

rounds=${1:-6}
RANDOM=${2:-1}
sets=(data.limit=1 "sampling.samples=${SAMPLES:-8000}" run.checkpoint_seconds=0.2)

forget_result whole.h5
run_whole 5 whole.h5 "${sets[@]}" || fail "the undisturbed run ended with exit code $?"

stopped=0
out=stopped.h5
for ((round = 1; round <= rounds; round++)); do
    forget_result "$out"
    start_run 5 "$out" "${sets[@]}"
    for ((i = 0; i < 500; i++)); do
        [[ -e $out ]] && break
        sleep 0.02
    done
    rank=$((1 + RANDOM % 4)) # 1 is the team's leader
    signal=USR1
    if ((round % 2 == 0)); then
        signal=KILL
    fi
    sleep "0.$((100 + RANDOM % 800))"
    find_rank "$rank" && kill "-$signal" "$PID" 2>/dev/null
    finish_run 30
    wait_for_orphans 30
    if [[ $signal == USR1 ]]; then
        ((RUN_CODE == 85 || RUN_CODE == 0)) || fail "round $round: exit code $RUN_CODE: $(tail -n 3 "$out.log")"
    fi
    stopped=$((stopped + (RUN_CODE != 0)))
    echo "round $round: $signal to rank $rank, exit code $RUN_CODE"
    ranks=$((1 + RANDOM % 5))
    run_whole "$ranks" "$out" "${sets[@]}" || fail "round $round: going on with $ranks ranks: exit code $?"
    verdict=$(expect_same whole.h5 "$out") || fail "round $round, $signal to rank $rank, then $ranks ranks: $verdict"
done
((stopped > 0)) || fail "every run was over before it could be stopped: more samples are needed here"
