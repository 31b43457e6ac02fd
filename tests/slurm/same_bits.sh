#!/usr/bin/env bash
# same_bits.sh LAUNCH: eight ranks on four nodes, started by LAUNCH, give the bits of one rank.
# shellcheck source=tests/slurm/common.sh
. "$(dirname "$0")/common.sh"

SAMPLES=80 reference
export LAUNCH=$1
forget_result cluster.h5
TASKS=2 submit cluster.h5
expect COMPLETED 60
expect_reference cluster.h5
