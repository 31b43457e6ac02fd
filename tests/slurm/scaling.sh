#!/usr/bin/env bash
# slurm/scaling.sbatch prints a row for each number of ranks, whose figures agree with each other; a job that
# fails ends it with the reason.
# shellcheck source=tests/slurm/common.sh
. "$(dirname "$0")/common.sh"

rm -rf scaling-*
submit_scaling() {
    ID=$(sbatch --parsable --nodes=2 --ntasks-per-node=2 --mem-per-cpu=100M --output="$1" \
        "$SOURCE/slurm/scaling.sbatch" "$JOB" --set data.limit=8 "${@:2}") || fail "sbatch refused the job"
    LOG=$1
}

submit_scaling table.log --set sampling.samples=400
expect COMPLETED 120
awk '$1 == "ranks" { next }
    { n++; if ($8 != "same" || $2 != $1 - 1 || $3 <= 0) bad = 1
      if (n == 1) { s = $3; g = $4 } else if ($5 / (s / $3) > 1.05 || $5 / (s / $3) < 0.95 || $4 / g / $5 > 1.05 || $4 / g / $5 < 0.95) bad = 1
      ranks = ranks " " $1 }
    END { if (ranks != " 2 3 4" || bad) exit 1 }' table.log || give_up "not the table that it should be"
cat table.log

submit_scaling broken.log --set sampling.samples=0
expect FAILED 60
logged "the run on 2 ranks failed" || give_up "no word about the run that failed"
logged "samples" || give_up "the reason is not shown"
