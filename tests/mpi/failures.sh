#!/usr/bin/env bash
# failures.sh: a broken picture fails alone; once it is mended, --retry-failed ends with the bits of a study in
# which it was never broken, also where the retry is killed. run.max_failed ends a run, and holds for the next.
# shellcheck source=tests/mpi/common.sh
. "$(dirname "$0")/common.sh"

rm -rf pictures
mkdir pictures
"$PYTHON" - "$SOURCE/jobs/quickstart/images-idx3-ubyte.gz" <<'PY' || exit 77
import gzip, sys, struct, zlib
data = gzip.open(sys.argv[1]).read()[16:]
def part(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
for i in range(6):
    rows = b"".join(b"\0" + data[i * 784 + 28 * y:i * 784 + 28 * (y + 1)] for y in range(28))
    png = (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0))
           + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))
    open(f"pictures/{i}.png", "wb").write(png)
PY
cat >failures.yaml <<YAML
model: {file: $SOURCE/jobs/quickstart/fashion.onnx}
data: {folder: pictures, preprocess: {color: grey}}
sampling: {samples: 400}
methods: [smoothgrad, vargrad]
YAML
JOB=$PWD/failures.yaml

# run_coded CODE RANKS OUT SETS... [-- FLAGS...]: the run must end with this exit code.
run_coded() {
    local want=$1 code words=() flags=()
    shift
    while (($#)) && [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    flags=("${@:2}")
    run_command "${words[@]}"
    timeout -k 5 "$LIMIT_S" "${COMMAND[@]}" "${flags[@]}" </dev/null >run.log 2>&1
    code=$?
    if ((code != want)); then
        cat run.log
        fail "exit code $code, not $want: ${COMMAND[*]} ${flags[*]}"
    fi
}

says() {
    grep -q "$1" run.log || {
        cat run.log
        fail "the run did not say '$1'"
    }
}

forget_result good.h5
run_coded 0 3 good.h5
cp pictures/3.png mended.png
head -c 60 mended.png >pictures/3.png

forget_result broken.h5
run_coded 0 3 broken.h5
says "1 of 6 items failed"
run_coded 0 1 broken.h5
says "nothing to do"
cp mended.png pictures/3.png
run_coded 0 1 broken.h5
says "nothing to do" # it failed once, and is tried again only if asked for

# The retry is over at once, but the item is pending again: the next run goes on with it.
run_coded 85 1 broken.h5 run.max_hours=1e-9 -- --retry-failed
run_coded 0 2 broken.h5
expect_same good.h5 broken.h5 || fail "the mended study differs"

head -c 60 mended.png >pictures/3.png
forget_result limited.h5
run_coded 3 1 limited.h5 run.max_failed=0
says "run.max_failed"
run_coded 3 3 limited.h5 run.max_failed=0
says "retry-failed"
run_coded 0 3 limited.h5 run.max_failed=1
cp mended.png pictures/3.png
run_coded 0 3 limited.h5 run.max_failed=0 -- --retry-failed
expect_same good.h5 limited.h5 || fail "the study that was stopped for its failure differs"
echo "one broken picture: failed alone, tried again, same bits"
