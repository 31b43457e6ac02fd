#!/usr/bin/env bash
# A study of three noise levels by slurm/array.sbatch: each task has a result of its own, with the bits of the
# same job on one rank; a line that is not there is refused.
# shellcheck source=tests/slurm/common.sh
. "$(dirname "$0")/common.sh"

levels=(0.05 0.15 0.3)
for level in "${levels[@]}"; do
    forget_result "level-$level.h5"
    echo "$JOB --set data.limit=10 --set sampling.samples=64 --set sampling.noise.level=$level --set study.output=level-$level.h5"
done >study.txt
export RUN=$SOURCE/slurm/run.sbatch
array=$(sbatch --parsable --array=1-4%2 --nodes=2 --ntasks-per-node=1 --mem-per-cpu=100M --output=task-%a.log \
    "$SOURCE/slurm/array.sbatch" study.txt) || fail "sbatch refused the array"

LOG="task-4.log"
for task in 1 2 3; do
    ID=${array}_$task
    LOG=task-$task.log
    expect COMPLETED 90
    level=${levels[task - 1]}
    forget_result alone.h5
    run_whole 1 alone.h5 data.limit=10 sampling.samples=64 "sampling.noise.level=$level" || fail "one rank: exit code $?"
    expect_same alone.h5 "level-$level.h5" || fail "noise level $level: the results differ"
done
ID=${array}_4
LOG="task-4.log"
expect FAILED 30
logged "study.txt has no line 4" || give_up "no message about the missing line"
if expect_same level-0.05.h5 level-0.3.h5 >/dev/null; then
    fail "two noise levels gave the same result"
fi
