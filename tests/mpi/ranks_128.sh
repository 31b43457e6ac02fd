#!/usr/bin/env bash
# 128 ranks on whatever cores there are give the bits of one rank.
LIMIT=40 SAMPLES=64 LIMIT_S=400 exec "$(dirname "$0")/run_ranks.sh" 1 128
