#!/usr/bin/env bash
# A run that is asked to stop (SIGUSR1, SIGTERM, run.max_hours) leaves a checkpoint and exit code 85; the
# same command goes on and ends with the bits of an undisturbed run.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

sets=(data.limit=4 "sampling.samples=${SAMPLES:-6000}")
forget_result whole.h5
run_whole 3 whole.h5 "${sets[@]}" || fail "the undisturbed run ended with exit code $?"

# stop SIGNAL RANKS: ranks 0 waits until the file is there, so that there is something to stop.
stop_by_signal() {
    local signal=$1 ranks=$2 out=stopped-$1-$2.h5 i
    forget_result "$out"
    start_run "$ranks" "$out" "${sets[@]}"
    for ((i = 0; i < 500; i++)); do
        [[ -e $out ]] && break
        sleep 0.02
    done
    sleep 0.3
    kill "-$signal" "$RUN_PID" || fail "$signal, $ranks ranks: the run ended before it could be stopped"
    finish_run 30
    ((RUN_CODE == 85)) || fail "$signal, $ranks ranks: exit code $RUN_CODE, not 85"
    [[ ! -e $out.lock ]] || fail "$signal, $ranks ranks: the lock is still there"
    "$PYTHON" "$SAME_BITS" --opens "$out" || fail "$signal, $ranks ranks: the result does not open"
    run_whole $((6 - ranks)) "$out" "${sets[@]}" || fail "$signal: the resumed run ended with exit code $?"
    expect_same whole.h5 "$out" || fail "$signal, $ranks ranks: the resumed result differs"
}

stop_by_signal USR1 3
stop_by_signal USR1 1
stop_by_signal TERM 1 # mpirun would turn a TERM into a KILL within two seconds

# A little time at once, as often as it takes. Each run must get somewhere, or this never ends.
out=hours.h5
forget_result "$out"
stops=0
for ((i = 0; i < 100; i++)); do
    run_command $((1 + i % 3)) "$out" "${sets[@]}" run.max_hours=0.0002
    timeout -k 5 "$LIMIT_S" "${COMMAND[@]}" </dev/null >"$out.log" 2>&1
    code=$?
    ((code == 0)) && break
    ((code == 85)) || fail "run.max_hours: exit code $code, not 85: $(tail -n 3 "$out.log")"
    stops=$((stops + 1))
done
((code == 0)) || fail "run.max_hours: still not complete after $i runs"
((stops > 0)) || fail "run.max_hours never stopped the run"
expect_same whole.h5 "$out" || fail "run.max_hours: the result differs"
echo "run.max_hours stopped the run $stops times"
