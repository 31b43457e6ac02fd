#!/usr/bin/env bash
# tail.sh ITEMS WORKERS: equal items that do not divide among the workers end within a tenth of the ideal time. SLOW is
# the library of slow_product.c: work is mostly sleep, so that the workers need no core each. The ideal is what an item
# takes one worker, by its number and that of the workers.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

# A product of so many weights is OpenBLAS's, whose functions SLOW replaces.
PYTHONPATH="$(dirname "$0")/../python" "$PYTHON" - <<'PYTHON' || fail "the model"
import tiny_onnx as onnx

weights = [onnx.tensor("v", (100, 784), [0.01 * (i % 7 - 3) for i in range(78400)]),
           onnx.tensor("w", (10, 100), [0.1 * (i % 5 - 2) for i in range(1000)])]
nodes = [onnx.node("Flatten", ["x"], ["f"], axis=1), onnx.node("Gemm", ["f", "v"], ["h"], transB=1),
         onnx.node("Relu", ["h"], ["r"]), onnx.node("Gemm", ["r", "w"], ["y"], transB=1)]
with open("tail.onnx", "wb") as f:
    f.write(onnx.model(nodes, weights, (1, 28, 28), [10]))
PYTHON

n_items=$1
n_workers=$2
export SLOW_PRODUCT_MS=30 OMPI_MCA_mpi_yield_when_idle=1

# Seconds of a run of $2 items on $1 ranks.
seconds_of() {
    local out=tail-$1.h5
    forget_result "$out"
    LD_PRELOAD=$SLOW run_whole "$1" "$out" "data.limit=$2" sampling.samples=800 'methods=[smoothgrad]' "model.file=$PWD/tail.onnx" >&2 || return 1
    "$PYTHON" -c 'import json, sys
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["event"] == "run_ended":
        print(event["seconds"])' "$out.events.jsonl"
}

one=$(seconds_of 1 1) || fail "one item on one rank"
all=$(seconds_of $((n_workers + 1)) "$n_items") || fail "$n_items items on $n_workers workers"
"$PYTHON" - "$one" "$all" "$n_items" "$n_workers" <<'PYTHON' || fail "later than a tenth after the ideal"
import sys

one, took, n_items, n_workers = (float(word) for word in sys.argv[1:])
ideal = one * n_items / n_workers
print(f"{n_items:g} items of {one:.2f} s on {n_workers:g} workers took {took:.2f} s, ideal is {ideal:.2f} s: "
      f"{100 * (took / ideal - 1):.1f} % more; one by one {100 * (-(-n_items // n_workers) * n_workers / n_items - 1):.1f} %")
sys.exit(not took <= 1.1 * ideal)
PYTHON
