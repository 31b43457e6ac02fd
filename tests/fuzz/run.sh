#!/usr/bin/env bash
# Fuzzes one target for some seconds of processor time with clang's libFuzzer and both sanitizers.
#
#   tests/fuzz/run.sh TARGET SECONDS      TARGET: onnx png jpeg idx npy npz tar job
#
# Needs clang. Builds build/fuzz; starts from tests/fuzz/corpus/TARGET and what earlier calls found
# (build/fuzz/corpus/TARGET); for onnx also from the cases of libonnx-testdata where they are installed.
# A finding ends it with exit code 1 and lies in build/fuzz/findings; the last line has the number of executions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly BUILD=build/fuzz
target=${1:?the target: onnx, png, jpeg, idx, npy, npz, tar or job}
seconds=${2:?how many seconds}

if [[ ! -e $BUILD/CMakeCache.txt ]]; then
    cmake --preset fuzz >/dev/null
fi
cmake --build --preset fuzz >"$BUILD/build.log" || { tail -n 30 "$BUILD/build.log" >&2; exit 1; }

found=$BUILD/corpus/$target
seeds=("tests/fuzz/corpus/$target")
options=(-max_len=4096 -timeout=100 -rss_limit_mb=3000)
mkdir -p "$found" "$BUILD/findings"
if [[ $target == onnx ]]; then
    published=/usr/share/libonnx-testdata/data/node
    if [[ -d $published && ! -d $BUILD/published ]]; then
        mkdir "$BUILD/published"
        for file in "$published"/*/model.onnx; do
            cp "$file" "$BUILD/published/$(basename "$(dirname "$file")")"
        done
    fi
    if [[ -d $BUILD/published ]]; then
        seeds+=("$BUILD/published")
    fi
    /usr/bin/python3 tests/fuzz/make_corpus.py "$BUILD/made" --words "$BUILD/onnx.dict"
    options+=("-dict=$BUILD/onnx.dict")
fi

# Memory that a file asks for and no machine has is refused by the allocator, as it would be in life.
export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=512:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1
# The fuzzer counts seconds on the clock: on a busy machine it goes on until it had its share.
used=0
TIMEFORMAT='%0U %0S'
while ((used < seconds)); do
    { time "$BUILD/tests/fuzz/fuzz_$target" "${options[@]}" -max_total_time=$((seconds - used)) -print_final_stats=1 \
        -artifact_prefix="$BUILD/findings/$target-" "$found" "${seeds[@]}" 2>&1; } 2>"$BUILD/$target.time"
    read -r user system <"$BUILD/$target.time"
    used=$((used + user + system))
    echo "$target: $used of $seconds seconds of processor time without a finding"
done
