#!/usr/bin/env bash
# teams.sh: few items of many samples, on which teams work together, give the bits of one rank: several
# targets, jackknifed errors, noise with another scale for each pixel, noise relative to the data set.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

# compare NAME SETS...: one rank against five, whose four workers are one team, and against three.
compare() {
    local name=$1 ranks verdict
    shift
    forget_result "$name-1.h5"
    run_whole 1 "$name-1.h5" "$@" || fail "$name, 1 rank: exit code $?"
    for ranks in 5 3; do
        forget_result "$name-$ranks.h5"
        run_whole "$ranks" "$name-$ranks.h5" "$@" || fail "$name, $ranks ranks: exit code $?"
        verdict=$(expect_same "$name-1.h5" "$name-$ranks.h5") \
            || fail "$name: 1 and $ranks ranks differ:"$'\n'"$verdict"
        echo "$name, $ranks ranks: $verdict"
    done
}

compare targets data.limit=2 sampling.samples=600 'target={top: 3}' maps.channels=l2
compare dataset data.limit=4 sampling.samples=400 sampling.noise.range=dataset
compare one_block data.limit=3 sampling.samples=16
