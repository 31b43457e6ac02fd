#!/usr/bin/env bash
# Sixteen ranks on four hosts, with a fast network and with a slow link, give the bits of one rank on one host.
# shellcheck source=tests/hosts/common.sh
. "$(dirname "$0")/common.sh"

sets=(data.limit=12 sampling.samples=96)
forget_result one.h5
run_whole 1 one.h5 "${sets[@]}" || fail "one rank: exit code $?"
for rate in off 100mbit; do
    network_rate 2 "$rate" || fail "the rate of host 2 cannot be set"
    out=hosts-$rate.h5
    forget_result "$out"
    start=$SECONDS
    run_hosts 16 "$out" "${sets[@]}" || fail "rate $rate: exit code $?"
    verdict=$(expect_same one.h5 "$out") || fail "rate $rate: the results differ:"$'\n'"$verdict"
    echo "rate $rate: $((SECONDS - start)) s, $verdict"
done
