#!/usr/bin/env bash
# lost.sh cut|kill: a host is cut off, or all its processes are gone. The run ends within LOST_S seconds with an
# error, and the same command completes with the bits of an undisturbed run.
# shellcheck source=tests/hosts/common.sh
. "$(dirname "$0")/common.sh"

sets=(data.limit=4 "sampling.samples=${SAMPLES:-8000}" run.checkpoint_seconds=1)
forget_result whole.h5
run_whole 3 whole.h5 "${sets[@]}" || fail "the undisturbed run ended with exit code $?"
out=lost.h5
forget_result "$out"
start_hosts 8 "$out" "${sets[@]}"
for ((i = 0; i < 600; i++)); do
    compgen -G "$out.partial/*" >/dev/null && break
    sleep 0.05
done
start=$SECONDS
"network_$1" 3
finish_run "${LOST_S:-60}"
echo "$1: the run ended after $((SECONDS - start)) s with exit code $RUN_CODE: $(tail -n 3 "$out.log")"
((RUN_CODE != 0)) || fail "the run ended as if nothing had happened"
for ((i = 1; i <= 4; i++)); do
    network_kill "$i"
done
network_join 3
"$PYTHON" "$SAME_BITS" --opens "$out" || fail "the result does not open"
run_hosts 4 "$out" "${sets[@]}" || fail "the resumed run ended with exit code $?"
verdict=$(expect_same whole.h5 "$out") || fail "the resumed result differs:"$'\n'"$verdict"
echo "resumed: $verdict"
