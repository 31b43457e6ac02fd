#!/usr/bin/env bash
# Runs the program SHARED_MEMORY on 3 ranks.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
said=$(mpirun -n 3 "$SHARED_MEMORY" </dev/null)
[[ $said == ok ]] || { echo "it said: $said"; exit 1; }
