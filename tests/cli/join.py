#!/usr/bin/python3
"""`sgdist join`: results of some items each, read as one, against the result of all items.

    join.py     its environment is that of results.py

The judges are h5py and NumPy, and the bits of the run that did everything.
"""
import os
import re
import shutil
import sys

try:
    import h5py
    import numpy as np
except ImportError:
    sys.exit(77)

import bad_input
from results import FAULT, MEMORY, SGDIST, WORK, datasets, job_of, run

# Names that HDF5 could take for patterns, in several folders, with ids of several lengths.
PARTS = {"parts/a.h5": "[0:9]", "parts/%b b%d.h5": "[9:30]", "c.h5": "[95:105]"}
ALL = "[0:30, 95:105]"


def study(output, indices, *more):
    run(*job_of(output, f"data.indices={indices}"), "--quiet", "--fresh", *more)


def as_one():
    """Every number of an item has the bits of the run that did all; numbers over all items are theirs up to rounding."""
    said = run("join", "-o", "all.h5", *PARTS)
    assert "40 items of 3 results" in said, said
    with h5py.File(WORK / "whole.h5") as a, h5py.File(WORK / "all.h5") as b:
        assert set(datasets(b)) - set(datasets(a)) == {"provenance/parts"} and set(datasets(a)) <= set(datasets(b))
        n_virtual = 0
        for name, d in datasets(a).items():
            e = b[name]
            assert [axis.keys() for axis in d.dims] == [axis.keys() for axis in e.dims], name
            assert d.attrs.get("axes") == e.attrs.get("axes") and d.attrs["long_name"] == e.attrs["long_name"], name
            per_item = name.startswith(("items/", "maps/", "convergence/", "cost/"))
            assert e.is_virtual == per_item, name
            n_virtual += per_item
            if name.startswith("dataset/"):
                x, y = d[()].astype("f8"), e[()].astype("f8")
                assert np.abs(x - y).max() <= 3e-7 * np.abs(a[name.rsplit("/", 1)[0] + "/mean_abs"][()]).max() + 1e-12, name
            elif "seconds" not in name and not name.startswith(("provenance/", "performance/")):
                assert d.shape == e.shape and d[()].tobytes() == e[()].tobytes(), name
        assert n_virtual > 40
        assert (b["provenance/runs/start"][()] > 0).sum() == len(PARTS)
        assert b["provenance/runs/items_done"][:3].tolist() == [9, 21, 10]
        assert (np.diff(b["provenance/runs/start"][:3]) > 0).all()
        assert b["performance/gradients"][:4].sum() == a["performance/gradients"][0]
        lines = b["provenance/parts"][()].decode().splitlines()
        assert [line.rsplit(" ", 1)[0] for line in lines] == [f"{p} {n}" for p, n in zip(PARTS, (9, 21, 10))], lines
        assert b["provenance/complete"][()] == 1
        std = b["maps/smoothgrad/map"][:, 0].astype("f8").std(0, ddof=1)  # of the maps themselves
        assert np.abs(b["dataset/smoothgrad/std"][()] - std).max() < 1e-6 * std.max()
    text = run("diff", "whole.h5", "all.h5", code=1)
    assert set(re.findall(r"^(\w+)/", text, re.M)) == {"dataset"}, text
    assert "joined    3 results" in run("status", "all.h5") and "40 done" in run("status", "all.h5")
    assert run("describe", "whole.h5") == run("describe", "all.h5")
    run("pack", "all.h5")
    for name in ("all.h5", "all.packed.h5"):  # pictures go by their names
        assert "left out" not in run("show", name, "--items", "0,9,30,39")
    assert "no difference" in run("diff", "all.h5", "all.packed.h5")
    with h5py.File(WORK / "all.packed.h5") as f:
        assert not f["maps/smoothgrad/map"].is_virtual and "parts" not in f["provenance"]
    run("pack", "all.h5", "-o", "half.h5", "--float16")
    assert os.path.getsize(WORK / "all.h5") < 0.5 * os.path.getsize(WORK / "whole.h5")
    os.remove(WORK / "all.packed.h5")
    os.remove(WORK / "half.h5")


def moved():
    """The files may be moved together, and read from anywhere; parts elsewhere keep their place."""
    away = WORK / "away"
    (away / "deep").mkdir(parents=True)
    for name in (*PARTS, "all.h5"):
        (away / name).parent.mkdir(exist_ok=True)
        shutil.copy(WORK / name, away / name)
    run("join", "-o", "away/deep/far.h5", *PARTS)  # from above its own folder
    (WORK / "link.h5").symlink_to(WORK / "away" / "all.h5")
    for part in PARTS:
        os.rename(WORK / part, WORK / (part + ".hidden"))
    for name in (away / "all.h5", WORK / "link.h5"):
        assert "40 done" in run("status", name, cwd="/")
    with h5py.File(away / "all.h5") as f:
        assert (f["items/status"][:] == 1).all() and np.isfinite(f["maps/gradient/map"][:]).all()

    # Without a part: our commands say which, other readers see pending items and NaN.
    for name in ("all.h5", "away/deep/far.h5"):
        for verb in (["status", name], ["diff", name, "whole.h5"], ["pack", name], ["describe", name]):
            assert "parts/a.h5 cannot be read" in run(*verb, code=4)
        with h5py.File(WORK / name) as f:
            assert (f["items/status"][:] == 0).all() and np.isnan(f["maps/gradient/map"][:]).all()
    for part in PARTS:
        os.rename(WORK / (part + ".hidden"), WORK / part)
    assert "40 done" in run("status", "away/deep/far.h5")
    for hard, code in ((False, 0), (True, 4)):  # fewer open files than HDF5 would hold
        done = bad_input.run(["sh", "-c", f'ulimit -{"" if hard else "S"}n 40; exec {SGDIST} status all.h5'], WORK, {})
        assert done.returncode == code and ("raise it (ulimit -n)" if hard else "40 done") in done.stdout, done.stdout
    run("pack", "away/deep/far.h5", "--in-place")  # a file of its own from now on
    os.remove(WORK / "c.h5")
    assert "40 done" in run("status", "away/deep/far.h5")
    shutil.copy(away / "c.h5", WORK / "c.h5")


def replaced():
    """A part that is not what was joined is told of, whatever it is now."""
    study("other.h5", "[100:121]", "--set", "sampling.noise.level=0.9")
    study("fewer.h5", "[9:28]")
    part = WORK / "parts/%b b%d.h5"
    whole = part.read_bytes()

    def unfinished():
        with h5py.File(part, "r+") as f:
            f["provenance/complete"][()] = 0

    for change in (lambda: part.write_bytes(whole[:60000]), lambda: part.write_text("text"), lambda: (part.unlink(), part.mkdir()),
                   lambda: shutil.copy(WORK / "other.h5", part), lambda: shutil.copy(WORK / "fewer.h5", part), unfinished,
                   lambda: run("pack", part, "--in-place", "--float16")):
        change()
        for verb in (["status", "all.h5"], ["pack", "all.h5", "-o", "never.h5"]):
            said = run(*verb, code=4)
            assert said.count("error:") == 1 and "parts/%b b%d.h5 cannot be read (" in said, said
        assert not (WORK / "never.h5").exists()
        shutil.rmtree(part) if part.is_dir() else part.unlink()
        part.write_bytes(whole)
    run("pack", part, "--in-place")
    assert "40 done" in run("status", "all.h5")
    run("join", "-o", "packed.h5", part, "c.h5")
    assert "packed " not in run("status", "packed.h5")
    part.write_bytes(whole)
    run("pack", "packed.h5", "-o", "one.h5")
    run("join", "-o", "twice.h5", "one.h5", "parts/a.h5")
    with h5py.File(WORK / "twice.h5") as f:
        assert f["provenance/identity"][()].decode().count("data: of several") == 1 and len(f["item"]) == 40
    assert "40 done" in run("status", "all.h5", HDF5_VDS_PREFIX="/nowhere")


def targets():
    """Classes of another result are given to each part for its own items."""
    more = ["--set", f"target={{from: {WORK / 'all.h5'}}}", "--set", "methods=[gradient]"]
    for name, indices in (("t.h5", "[0:6]"), ("t1.h5", "[0:2]"), ("t2.h5", "[2:6]")):
        study(name, indices, *more)
    run("join", "-o", "t12.h5", "t1.h5", "t2.h5")
    text = run("diff", "t.h5", "t12.h5", code=1)
    assert set(re.findall(r"^(\w+)/", text, re.M)) == {"dataset"}, text


def refused():
    for name, indices in (("drawn.h5", "[0:4]"), ("drawn2.h5", "[4:8]")):
        study(name, indices, "--set", "methods=[expected_gradients]")
    shutil.copy(WORK / "c.h5", WORK / "note.h5")
    with h5py.File(WORK / "note.h5", "r+") as f:
        f["performance/note"] = 3.0
    shutil.copy(WORK / "c.h5", WORK / "two\nlines.h5")
    shutil.copy(WORK / "c.h5", WORK / "never.h5.tmp")
    assert "is made under this name" in run("join", "-o", "never.h5", "parts/a.h5", "never.h5.tmp", code=2)
    (WORK / "never.h5.tmp").unlink()
    run("join", "-o", "new/never.h5", "c.h5", "samples.h5", code=4)
    assert not (WORK / "new").exists()
    study("samples.h5", "[200:204]", "--set", "sampling.noise.level=0.2")
    study("seed.h5", "[200:204]", "--set", "study.seed=5")
    study("fewer.h5", "[200:204]", "--set", "methods=[smoothgrad]")
    study("range.h5", "[0:9]", "--set", "methods=[smoothgrad]", "--set", "sampling.noise.range=dataset")
    study("range2.h5", "[300:309]", "--set", "methods=[smoothgrad]", "--set", "sampling.noise.range=dataset")
    with h5py.File(WORK / "range2.h5", "r+") as f:  # all pictures have the same one
        f["provenance/dataset_range"][...] *= 0.9
    shutil.copy(WORK / "c.h5", WORK / "open.h5")
    with h5py.File(WORK / "open.h5", "r+") as f:
        f["provenance/complete"][()] = 0
    shutil.copy(WORK / "c.h5", WORK / "kernel.h5")
    with h5py.File(WORK / "kernel.h5", "r+") as f:
        f["provenance/kernel"][()] = f["provenance/kernel"][()][:-1] + b"x"
    run("pack", "c.h5", "-o", "half.h5", "--float16")
    (WORK / "text.h5").write_text("no HDF5")
    for parts, code, says in (
            (["parts/a.h5", "samples.h5"], 2, "noise.level: 0.15' in the one, "),
            (["parts/a.h5", "seed.h5"], 2, "'study.seed: 2017' in the one, 'study.seed: 5' in the other"),
            (["parts/a.h5", "fewer.h5"], 2, "are not of one study: 'methods: "),
            (["range.h5", "range2.h5"], 2, "noise relative to the range of the data set"),
            (["parts/a.h5", "kernel.h5"], 2, "different kernels"),
            (["parts/a.h5", "open.h5"], 2, "open.h5: is not complete"),
            (["parts/a.h5", "half.h5"], 2, "half.h5: is packed as float16"),
            (["drawn.h5", "drawn2.h5"], 2, "'baselines.items: "),
            (["parts/a.h5", "note.h5"], 2, "/performance/note was added by another program"),
            (["parts/a.h5", "two\nlines.h5"], 2, "more than one line"),
            (["all.h5", "parts/a.h5"], 2, "all.h5: is joined itself"),
            (["parts/a.h5", "c.h5", "whole.h5"], 2, "and in whole.h5: parts have no item in common"),
            (["parts/a.h5", "missing.h5"], 4, "missing.h5: No such file"),
            (["parts/a.h5", "text.h5"], 4, "text.h5")):
        said = run("join", "-o", "never.h5", *parts, code=code)
        assert says in said and said.count("error:") == 1, said
        assert not (WORK / "never.h5").exists() and not list(WORK.rglob("*.tmp"))
    assert "all.h5 exists" in run("join", "-o", "all.h5", *PARTS, code=2)
    assert "-o F.h5 is missing" in run("join", *PARTS, code=2)
    assert "is joined from other results" in run(*job_of("all.h5", "data.limit=3"), code=2)
    assert "40 done" in run("status", "all.h5")


def disk():
    """Every call that changes the disk fails in turn: exit code 4, one message, nothing left."""
    settings = {"LD_PRELOAD": FAULT, "DISK_FAULT_BELOW": WORK}
    run("join", "-o", "full.h5", *PARTS, **settings, DISK_FAULT_LOG=WORK / "calls.log")
    n_calls = len((WORK / "calls.log").read_text().splitlines())
    whole = (WORK / "full.h5").read_bytes()
    for n in range(1, n_calls + 1):
        (WORK / "full.h5").unlink(missing_ok=True)
        said = run("join", "-o", "full.h5", *PARTS, code=4, **settings, DISK_FAULT_AT=n, DISK_FAULT_ERROR=("ENOSPC", "EIO")[n % 2])
        assert said.count("error:") == 1 and re.search("No space left|Input/output error", said), (n, said)
        assert not list(WORK.rglob("*.tmp")) and (not (WORK / "full.h5").exists() or n == n_calls), n
    (WORK / "full.h5").unlink(missing_ok=True)
    run("join", "-o", "full.h5", *PARTS)
    assert (WORK / "full.h5").read_bytes() == whole
    print(f"{n_calls} calls that change the disk")


def memory():
    """Every allocation fails in turn: a documented exit code and one message, or the whole file."""
    (WORK / "full.h5").unlink(missing_ok=True)
    log = WORK / "allocations.log"
    run("join", "-o", "full.h5", *PARTS, LD_PRELOAD=MEMORY, MEMORY_FAULT_LOG=log)
    n_all = len(log.read_text().splitlines())
    whole = (WORK / "full.h5").read_bytes()
    for n in range(1, n_all + 1, max(1, n_all // 60)):
        (WORK / "full.h5").unlink(missing_ok=True)
        said = run("join", "-o", "full.h5", *PARTS, code=6, LD_PRELOAD=MEMORY, MEMORY_FAULT_AT=n)
        assert said.count("error:") == 1 and "memory" in said, (n, said)
        assert not (WORK / "full.h5").exists() and not list(WORK.rglob("*.tmp")), n
    (WORK / "full.h5").unlink(missing_ok=True)
    run("join", "-o", "full.h5", *PARTS)
    assert (WORK / "full.h5").read_bytes() == whole
    print(f"{n_all} allocations")


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "parts").mkdir(parents=True)
    study("whole.h5", ALL)
    for name, indices in PARTS.items():
        study(name, indices)
    for test in (as_one, moved, replaced, targets, refused) + ((disk,) if FAULT else ()) + ((memory,) if MEMORY else ()):
        test()
    print("all right")


main()
