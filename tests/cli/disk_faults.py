#!/usr/bin/python3
"""A full or broken disk at any moment: the n-th call that changes the disk fails, for n = 1, 2, 3, ...

    disk_faults.py     SGDIST is the program, FAULT the library of disk_fault.c, WORK a scratch folder,
                       POINTS the number of calls of a study without checkpoints that are made to fail

Each time the program must end with exit code 4 and one message (a warning and 0 where only the events are lost), leave no lock and no temporary file, and
the same command without the fault must then end with the bits of an undisturbed run.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import sys

import bad_input

SGDIST = bad_input.SGDIST
FAULT = os.environ["FAULT"]
WORK = bad_input.WORK.resolve()
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
    return bad_input.run([SGDIST, "job.yaml", "--set", "study.output=results/out.h5", "--set", "data.limit=2",
                          "--set", f"sampling.samples={SAMPLES[kind]}", "--set", "run.checkpoint_seconds=0"],
                         folder, settings)


def fresh(name):
    folder = WORK / name
    if folder.exists():
        shutil.rmtree(folder)
    bad_input.good_folder(folder)
    return folder


def list_calls():
    """Every call of an undisturbed run, as (name, file)."""
    folder = fresh("calls")
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


def complaints(done, folder, is_lost):
    """is_lost: only the events are, which costs a warning and no more."""
    bad, out = [], done.stdout
    errors = [line for line in out.splitlines() if ("warning:" if is_lost else "error:") in line]
    if done.returncode != (0 if is_lost else 4):
        bad.append(f"exit code {done.returncode}, expected {0 if is_lost else 4}")
    if len(errors) != 1:
        bad.append(f"{len(errors)} lines of {'warnings' if is_lost else 'errors'}, expected one")
    if not all(re.search(r"No space left on device|Input/output error", line) for line in errors):
        bad.append("the message does not give the system's reason")
    bad += [f"the output has /{pattern}/" for pattern in bad_input.NEVER if re.search(pattern, out)]
    left = [str(path.relative_to(folder)) for path in folder.rglob("*")
            if path.suffix in (".lock", ".tmp")]
    if left:
        bad.append(f"left behind: {', '.join(left)}")
    return bad


def judge(kind, n, path):
    folder = fresh(f"{kind}-{n}")
    error = ("ENOSPC", "EIO")[n % 2]
    fault = {"at": n, "error": error} | ({"stays": 1} if n % 3 == 0 and error == "ENOSPC" else {})
    try:
        done = run(folder, kind, log=folder / "calls.log", **fault)
        bad = complaints(done, folder, path.endswith(".events.jsonl") and "stays" not in fault)
        output = done.stdout
        again = run(folder, kind)
        if again.returncode != 0:
            bad.append(f"the same command again: exit code {again.returncode}")
            output += again.stdout
        else:
            same = bad_input.run([SGDIST, "diff", str(WORK / f"whole-{kind}/results/out.h5"), "results/out.h5"], folder)
            if same.returncode != 0:
                bad.append("the same command again: other bits")
                output += same.stdout
    except bad_input.subprocess.TimeoutExpired:
        bad, output = [f"no end in {bad_input.TIMEOUT_S} s"], ""
    if not bad:
        shutil.rmtree(folder)
        return ""
    what = f"{error}{' from here on' if 'stays' in fault else ''}"
    return "\n".join([f"FAILED: call {n} of {kind}: {what}   (see calls.log in {folder})"]
                     + [f"  - {text}" for text in bad] + [f"  | {line}" for line in output.splitlines()[:12]])


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "calls.log").unlink(missing_ok=True)
    calls = list_calls()
    for kind in SAMPLES:
        whole = run(fresh(f"whole-{kind}"), kind)
        assert whole.returncode == 0, whole.stdout
    points = [("result", n, calls[n - 1][1]) for n in choose(calls)]
    points += [("checkpoints", n, "") for n in range(1, CHECKPOINT_CALLS + 1)]
    with concurrent.futures.ThreadPoolExecutor(bad_input.PARALLEL) as pool:
        answers = pool.map(lambda point: judge(*point), points)
        failures = [text for text in answers if text]
    print("\n".join(failures + [f"{len(points) - len(failures)} of {len(points)} failing calls "
                                f"(of {len(calls)} in the shorter study) ended well"]))
    return 1 if failures or not points else 0


if __name__ == "__main__":
    sys.exit(main())
