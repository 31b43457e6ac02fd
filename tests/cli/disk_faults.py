#!/usr/bin/python3
"""A full or broken disk at any moment: the n-th call that changes the disk fails, for n = 1, 2, 3, ...

    disk_faults.py     SGDIST is the program, FAULT the library of disk_fault.c, WORK a scratch folder,
                       POINTS the number of calls of a study without checkpoints that are made to fail

Each time the program must end with exit code 4 and one message (a warning and 0 where only the events are lost), leave no lock and no temporary file, and
the same command without the fault must then end with the bits of an undisturbed run.
"""
import os
import sys

import bad_input
import fault_runs

FAULT = os.environ["FAULT"]
WORK = fault_runs.WORK
RESULT = "results/out.h5"
POINTS = int(os.environ.get("POINTS", 45))

# Two items, and a folder to be made. Checkpoints come by time, so a study that has some is long, and only
# the calls on their own folder are counted: seven for the first, then six for each.
SAMPLES = {"result": 64, "checkpoints": 60000}
BELOW = {"result": ".", "checkpoints": "results/out.h5.partial"}
CHECKPOINT_CALLS = 14


def run(folder, kind="result", **fault):
    settings = {"DISK_FAULT_" + key.upper(): str(value) for key, value in fault.items()}
    if settings:
        settings |= {"LD_PRELOAD": FAULT, "DISK_FAULT_BELOW": str((folder / BELOW[kind]).absolute())}
    return bad_input.run([fault_runs.SGDIST, "job.yaml", "--set", f"study.output={RESULT}", "--set", "data.limit=2",
                          "--set", f"sampling.samples={SAMPLES[kind]}", "--set", "run.checkpoint_seconds=0"],
                         folder, settings)


def list_calls():
    """Every call of an undisturbed run, as (name, file)."""
    folder = fault_runs.fresh("calls")
    done = run(folder, log=WORK / "calls.log")
    assert done.returncode == 0, done.stdout
    calls = [line.split()[1:3] for line in (WORK / "calls.log").read_text().splitlines()]
    return [(call, os.path.relpath(folder / path, folder)) for call, path in calls]


def choose(calls):
    """The first and the last call of every kind, and others at equal distances."""
    first, last = {}, {}
    for n, call in enumerate(calls, 1):
        first.setdefault(call, n)
        last[call] = n
    kinds = sorted(set(first.values()) | set(last.values()))
    others = [n for n in range(1, len(calls) + 1) if n not in kinds]
    room = max(0, POINTS - len(kinds))
    step = max(1.0, len(others) / room) if room else 0
    chosen = [others[int(i * step)] for i in range(min(room, len(others)))] if room else []
    return sorted(set(kinds) | set(chosen))


def judge(kind, n, path):
    folder = fault_runs.fresh(f"{kind}-{n}")
    error = ("ENOSPC", "EIO")[n % 2]
    fault = {"at": n, "error": error} | ({"stays": 1} if n % 3 == 0 and error == "ENOSPC" else {})
    code, word = 4, "error:"
    if path.endswith(".events.jsonl") and "stays" not in fault: # only the events are lost
        code, word = 0, "warning:"
    return fault_runs.judge(
        f"call {n} of {kind}: {error}{' from here on' if 'stays' in fault else ''}", folder, folder / RESULT,
        WORK / f"whole-{kind}" / RESULT, lambda: run(folder, kind, log=folder / "calls.log", **fault),
        lambda done: fault_runs.complaints(done, folder, code, word, "No space left on device|Input/output error"),
        lambda: run(folder, kind))


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "calls.log").unlink(missing_ok=True)
    calls = list_calls()
    for kind in SAMPLES:
        whole = run(fault_runs.fresh(f"whole-{kind}"), kind)
        assert whole.returncode == 0, whole.stdout
    points = [("result", n, calls[n - 1][1]) for n in choose(calls)]
    points += [("checkpoints", n, "") for n in range(1, CHECKPOINT_CALLS + 1)]
    return fault_runs.sweep(points, judge, f"failing calls (of {len(calls)} in the shorter study)")


if __name__ == "__main__":
    sys.exit(main())
