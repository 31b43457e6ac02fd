#!/usr/bin/env bash
# methods.sh: all methods in one job. Every one is in it; 1, 2, 3 and 5 ranks give the same bits, as does a run
# that is killed and resumed; the network is run as often as the plan says, and less often than by jobs of one
# method each; methods with lists of options have a label for each combination.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

JOB="$SOURCE/jobs/methods.yaml"
SETS=(data.limit=3 sampling.samples=32)

"$SGDIST" list methods | grep -v '^ ' | while read -r method _; do
    sed -n '/^methods:/,$p' "$JOB" | grep -qw "$method" || echo "$method"
done >missing.txt
[[ -s missing.txt ]] && fail "$JOB lacks $(tr '\n' ' ' <missing.txt)"

forget_result whole.h5
run_whole 1 whole.h5 "${SETS[@]}" || fail "one rank: exit code $?"
for ranks in 2 3 5; do
    forget_result "ranks-$ranks.h5"
    run_whole "$ranks" "ranks-$ranks.h5" "${SETS[@]}" || fail "$ranks ranks: exit code $?"
    expect_same whole.h5 "ranks-$ranks.h5" || fail "$ranks ranks: other bits"
done

# Killed at growing times until it has ended, each time by all its ranks; resumed on other numbers of them.
forget_result killed.h5
kills=0
for ((round = 1; ; round++)); do
    start_run $((1 + round % 3)) killed.h5 "${SETS[@]}" run.checkpoint_seconds=0
    sleep "$(printf '%d.%d' $((round / 2)) $((5 * (round % 2))))"
    if ! kill -0 "$RUN_PID" 2>/dev/null || [[ $(ps -o stat= -p "$RUN_PID") == Z* ]]; then
        finish_run 1
        ((RUN_CODE == 0)) || fail "the resumed run: exit code $RUN_CODE"
        break
    fi
    pkill -KILL -s "$RUN_PID"
    wait_for_orphans 10
    kills=$((kills + 1))
done
expect_same whole.h5 killed.h5 || fail "killed $kills times: other bits"
((kills > 1)) || fail "it was killed only $kills times"
echo "killed $kills times and resumed: the same bits"

"$PYTHON" "$SOURCE/tests/python/method_costs.py" "$SGDIST" "$JOB" whole.h5 "${SETS[@]}" || fail "the costs"
