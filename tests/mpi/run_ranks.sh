#!/usr/bin/env bash
# run_ranks.sh RANKS...: the same job on each number of ranks gives the same bits as on the first one.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

sets=("data.limit=${LIMIT:-20}" "sampling.samples=${SAMPLES:-80}")
first=$1
for ranks in "$@"; do
    out=ranks-$ranks.h5
    forget_result "$out"
    start=$SECONDS
    run_whole "$ranks" "$out" "${sets[@]}" || fail "$ranks ranks: exit code $?"
    if [[ $ranks == "$first" ]]; then
        echo "$ranks ranks: $((SECONDS - start)) s"
        continue
    fi
    verdict=$(expect_same "ranks-$first.h5" "$out") || fail "$first and $ranks ranks differ:"$'\n'"$verdict"
    echo "$ranks ranks: $((SECONDS - start)) s, $verdict"
done

# The judges can tell: another seed is another result, for both of them.
forget_result other-seed.h5
run_whole 2 other-seed.h5 "${sets[@]}" study.seed=2018 || fail "other seed: exit code $?"
if "$SGDIST" diff "ranks-$first.h5" other-seed.h5 >diff.log 2>&1; then
    fail "sgdist diff finds another seed's result equal"
fi
if "$PYTHON" "$SAME_BITS" "ranks-$first.h5" other-seed.h5 >/dev/null; then
    fail "same_bits.py finds another seed's result equal"
fi
