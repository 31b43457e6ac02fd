#!/usr/bin/python3
"""Memory that is out at any moment: the n-th allocation of the program fails, for n = 1, 2, 3, ...

    memory_faults.py     SGDIST is the program, FAULT the library of memory_fault.c, WORK a scratch folder,
                         POINTS the number of allocations that are made to fail in each kind of run, 0: every one

Two kinds of run: one rank alone, and one worker of three ranks. Each time the program must end with exit code 6 and one
message, or do without what it wanted and end well; leave no lock and no temporary file; and the same command without the
fault must then end with the bits of an undisturbed run.
"""
import os
import re
import sys

import bad_input
import fault_runs

FAULT = os.environ["FAULT"]
WORK = fault_runs.WORK
RESULT = "out.h5"
POINTS = int(os.environ.get("POINTS", 24))
KINDS = {"alone": ["job.yaml"], "worker": ["job.yaml", "--set", "data.limit=2"]}


def run(folder, kind, **fault):
    settings = {"MEMORY_FAULT_" + key.upper(): str(value) for key, value in fault.items()}
    if settings:
        settings |= {"LD_PRELOAD": FAULT}
    command = [fault_runs.SGDIST, *KINDS[kind]]
    if kind == "worker":
        passed = [part for key, value in ({"MEMORY_FAULT_RANK": "1"} | settings).items() for part in ("-x", f"{key}={value}")]
        command = ["mpirun", "-n", "3", *passed, *command]
        settings = {}
    return bad_input.run(command, folder, settings)


def list_places(kind):
    """Of each allocation of an undisturbed run, from where it is asked for: the three innermost callers of the
    wrappers around malloc."""
    log = WORK / f"{kind}.log"
    log.unlink(missing_ok=True)
    folder = fault_runs.fresh(f"whole-{kind}")
    done = run(folder, kind, log=log)
    assert done.returncode == 0, done.stdout
    return [tuple(line.split()[1:5]) for line in log.read_text().splitlines()]


def choose(places):
    """The first allocation of every place, or some of them at equal distances."""
    if POINTS == 0:
        return range(1, len(places) + 1)
    first = {}
    for n, place in enumerate(places, 1):
        first.setdefault(place, n)
    chosen = sorted(first.values())
    return [chosen[i * len(chosen) // POINTS] for i in range(min(POINTS, len(chosen)))]


def complaints(done, folder):
    if done.returncode == 0 and "error:" not in done.stdout:
        return []
    stopped = [line for line in done.stdout.splitlines() if re.search(r"^(mpirun|prterun)", line)]
    own = "\n".join(line for line in done.stdout.splitlines() if line not in stopped)
    done.stdout = own
    return fault_runs.complaints(done, folder, 6, "error:", "no memory")


def judge(kind, n):
    folder = fault_runs.fresh(f"{kind}-{n}")
    return fault_runs.judge(f"allocation {n} of {kind}", folder, folder / RESULT, WORK / f"whole-{kind}" / RESULT,
                            lambda: run(folder, kind, at=n, log=folder / "places.log"),
                            lambda done: complaints(done, folder), lambda: run(folder, kind))


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    places = {kind: list_places(kind) for kind in KINDS}
    points = [(kind, n) for kind in KINDS for n in choose(places[kind])]
    counts = ", ".join(f"{len(of_kind)} {kind}" for kind, of_kind in places.items())
    return fault_runs.sweep(points, judge, f"failing allocations (of {counts})")


if __name__ == "__main__":
    sys.exit(main())
