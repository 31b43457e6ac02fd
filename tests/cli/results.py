"""Results that the program makes of the quickstart's job, for tests of the commands that make other files of them.

SGDIST is the program, QUICKSTART the job that is run, WORK a scratch folder, FAULT and MEMORY the libraries of disk_fault.c
and memory_fault.c (none: what needs them is left out).
"""
import os
import re

import h5py

import bad_input

SGDIST = os.environ["SGDIST"]
QUICKSTART = os.environ["QUICKSTART"]
FAULT = os.environ.get("FAULT")
MEMORY = os.environ.get("MEMORY")
WORK = bad_input.WORK.resolve()


def run(*arguments, code=0, cwd=WORK, **settings):
    """The output of the program, which must end with this exit code."""
    done = bad_input.run([SGDIST, *map(str, arguments)], cwd, {k: str(v) for k, v in settings.items()})
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}, not {code}\n{done.stdout}"
    assert not any(re.search(pattern, done.stdout) for pattern in bad_input.NEVER), done.stdout
    return done.stdout


def job_of(output, which):
    """The arguments of a run with two targets an item, so that what is per target can be told apart; `which` items."""
    return [QUICKSTART, "--set", f"study.output={WORK / output}", "--set", which, "--set", "sampling.samples=16",
            "--set", "target={top: 2}", "--set", "run.events=false"]


def datasets(f):
    found = {}
    f.visititems(lambda name, d: found.update({name: d}) if isinstance(d, h5py.Dataset) else None)
    return found


def litter(folder=WORK):
    return [p.name for p in folder.rglob("*") if p.suffix in (".tmp", ".lock")]
