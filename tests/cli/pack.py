#!/usr/bin/python3
"""`sgdist pack`: the packed result against the original, and against what NumPy makes of it.

    pack.py     its environment is that of results.py

The judges are h5py, which reads both files, and NumPy's own float16. Whatever happens to a packing, the original is as it
was, and what it left behind confuses nobody.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

try:
    import h5py
    import numpy as np
except ImportError:
    sys.exit(77)

from results import FAULT, SGDIST, WORK, datasets, job_of, litter, run

ITEMS = 24


def make_result():
    run(*job_of("a.h5", f"data.limit={ITEMS}"), "--quiet")
    return WORK / "a.h5"


def same_bytes(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def axes_of(d):
    return [axis.keys() for axis in d.dims]


def compare_structure(a, b, extra):
    """Every dataset of `a` is in `b` with its attributes and axes; b has those of `extra` beside."""
    assert set(datasets(b)) - set(datasets(a)) == extra, set(datasets(b)) ^ set(datasets(a))
    assert set(datasets(a)) <= set(datasets(b))
    for name, d in datasets(a).items():
        e = b[name]
        assert axes_of(d) == axes_of(e) and d.attrs.get("axes") == e.attrs.get("axes"), name
        assert set(d.attrs) == set(e.attrs) and e.attrs["long_name"].startswith(d.attrs["long_name"]), name
    for name in b:  # every back reference is true
        if "REFERENCE_LIST" in b[name].attrs:
            for use in b[name].attrs["REFERENCE_LIST"]:
                assert name in b[use[0]].dims[use[1]].keys(), name


def lossless(original):
    run("pack", original, "-o", "packed.h5")
    with h5py.File(original) as a, h5py.File(WORK / "packed.h5") as b:
        compare_structure(a, b, {"provenance/packed"})
        for name, d in datasets(a).items():
            assert same_bytes(d[()], b[name][()]), name
        d = b["maps/smoothgrad/map"]
        assert d.compression == "gzip" and d.compression_opts == 1 and d.shuffle and d.chunks[0] > 1
        assert a["provenance/complete"][()] == b["provenance/complete"][()] == 1
    assert os.path.getsize(WORK / "packed.h5") < 0.9 * os.path.getsize(original)
    assert "no difference" in run("diff", original, "packed.h5")
    assert "packed    sgdist" in run("status", "packed.h5")
    assert run("describe", original) == run("describe", "packed.h5")
    os.makedirs(WORK / "b", exist_ok=True)
    shutil.copy(WORK / "packed.h5", WORK / "b" / original.name)
    for name in (original, WORK / "b" / original.name):
        run("show", name, "-o", name.with_suffix(".png"))
    assert original.with_suffix(".png").read_bytes() == (WORK / "b" / original.with_suffix(".png").name).read_bytes()
    with h5py.File(WORK / "packed.h5") as b:
        piece = b["maps/smoothgrad/map"].id.get_chunk_info(0)
    spoiled = bytearray((WORK / "packed.h5").read_bytes())
    spoiled[piece.byte_offset + piece.size // 2] ^= 1
    (WORK / "spoiled.h5").write_bytes(spoiled)
    assert "reading maps/smoothgrad/map failed, it may be damaged" in run("diff", original, "spoiled.h5", code=4)
    # Packed again it is the same file but for what was asked for otherwise; twice the same, byte for byte.
    run("pack", "packed.h5", "-o", "again.h5")
    assert (WORK / "again.h5").read_bytes() == (WORK / "packed.h5").read_bytes()
    run("pack", "packed.h5", "-o", "nine.h5", "--level=9")
    assert os.path.getsize(WORK / "nine.h5") <= os.path.getsize(WORK / "packed.h5")
    assert "no difference" in run("diff", original, "nine.h5")


def spoil(path):
    """Maps with all that float16 can stumble over: its numbers, the middles between them (ties) and their neighbours in
    float32, what is too large and too small, NaN, infinity, both zeros; items of very different sizes, one all zero."""
    bits = np.unique(np.r_[0:0x7800:6, 0:64, 0x3e0:0x420, 0x77f0:0x77ff]).astype(np.uint16)
    halves, above = (b.view(np.float16).astype(np.float32) for b in (bits, bits + np.uint16(1)))
    middles = (halves + above) / 2
    around = np.concatenate([halves, middles, np.nextafter(middles, np.float32(0)), np.nextafter(middles, np.float32(9e9))])
    rng = np.random.default_rng(1)
    with h5py.File(path, "r+") as f:
        d, se = f["maps/smoothgrad/map"], f["maps/smoothgrad/se"]
        n = int(np.prod(d.shape[2:]))
        values = np.zeros((ITEMS, 2, n), np.float32)
        for i, part in enumerate(np.array_split(around, 2 * (ITEMS - 8))):  # 2^14 keeps the scale at 1
            assert len(part) <= n - 10
            values[i // 2, i % 2, :4] = [2 ** 14 * (-1) ** i, np.nan, np.inf, -np.inf]
            values[i // 2, i % 2, 10:10 + len(part)] = part
        for i in range(ITEMS - 8, ITEMS - 3):
            values[i] = rng.standard_normal((2, n)) * 10.0 ** rng.integers(-42, 37, (2, 1))
        values[ITEMS - 3, 0, :3] = [np.float32(3.4e38), 1, -1e-45]
        values[ITEMS - 3, 1, :3] = [1e-45, -1.4e-45, 0]
        values[ITEMS - 2] = np.nan
        values[:, :, 7] *= -1
        d[...] = values.reshape(d.shape)
        errors = np.abs(values) + rng.random(values.shape).astype(np.float32)
        errors[~np.isfinite(errors)] = 1
        errors[:, :, 9] = 0
        se[...] = errors.reshape(se.shape)
    return values, errors


def scale_of(values):
    """The power of two that brings the largest finite value to 2^14 and above; normal."""
    finite = np.abs(values[np.isfinite(values)])
    if finite.size == 0 or finite.max() == 0:
        return np.float32(1)
    return np.float32(2.0) ** max(int(np.frexp(finite.max())[1]) - 15, -126)


def close(a, b):
    return np.allclose(a, b, rtol=1e-5, atol=1e-37, equal_nan=True)  # below that float32 has no digits


def float16(original):
    values, errors = spoil(original)
    run("pack", original, "-o", "half.h5", "--float16")
    with h5py.File(original) as a, h5py.File(WORK / "half.h5") as b:
        sampled = [k for k in a["maps"] if "se" in a["maps"][k]]
        extra = {"provenance/packed"} | {f"maps/{k}/map_scale" for k in a["maps"]} | {f"rounding/{k}/map" for k in a["maps"]}
        extra |= {f"rounding/{k}/{n}" for k in a["maps"] for n in ("map_by_se", "map_most")}
        extra |= {f"{where}/{k}/{n}" for k in sampled for where, n in (("maps", "se_scale"), ("rounding", "se"))}
        compare_structure(a, b, extra)
        assert sorted(f"maps/{k}" for k in a["maps"]) == sorted(f"maps/{k}" for k in b["maps"])
        for name, d in datasets(a).items():
            if not re.fullmatch("maps/.*/(map|se)", name):
                assert same_bytes(d[()], b[name][()]), name
                continue
            assert b[name].dtype == np.float16 and b[name + "_scale"].dtype == np.float32
            for item in range(ITEMS):
                for t in range(2):
                    exact, scale = d[item, t], b[name + "_scale"][item, t]
                    assert scale == scale_of(exact), (name, item, t, scale)
                    with np.errstate(over="ignore"):
                        wanted = (exact.astype(np.float64) / scale).astype(np.float32).astype(np.float16)
                    got = b[name][item, t]
                    assert np.array_equal(np.isnan(wanted), np.isnan(got)), (name, item, t)
                    ok = ~np.isnan(wanted)
                    assert np.array_equal(wanted.view(np.uint16)[ok], got.view(np.uint16)[ok]), (name, item, t)
                    assert np.isfinite(got[np.isfinite(exact)]).all()
        for item in range(ITEMS):  # what was lost
            for t in range(2):
                v, s = values[item, t].astype(np.float64), errors[item, t].astype(np.float64)
                back = (b["maps/smoothgrad/map"][item, t].astype(np.float64) * b["maps/smoothgrad/map_scale"][item, t]).ravel()
                ok = np.isfinite(v)
                by, v, s = np.abs(back[ok] - v[ok]), v[ok], s[ok]
                norm = np.sqrt((v ** 2).sum())
                r = b["rounding/smoothgrad"]
                assert close(r["map"][item, t], np.sqrt((by ** 2).sum()) / norm if norm > 0 else 0), (item, t)
                some = ok.any() and s.any()
                assert close(r["map_by_se"][item, t], np.sqrt((by ** 2).sum() / (s ** 2).sum()) if some else np.nan)
                assert close(r["map_most"][item, t], (by[s > 0] / s[s > 0]).max() if some else np.nan)
                assert r["map"][item, t] < 2 ** -11
        assert np.isnan(b["rounding/gradient/map_by_se"][:]).all()
        # The program reads what h5py and NumPy read: a result whose maps are these numbers is equal bit for bit.
        shutil.copy(original, WORK / "read.h5")
        with h5py.File(WORK / "read.h5", "r+") as c:
            for name, d in datasets(b).items():
                if name + "_scale" in b:
                    scale = b[name + "_scale"][()]
                    c[name][...] = d[()].astype(np.float32) * scale.reshape(scale.shape + (1,) * (d.ndim - 2))
    assert "no difference" in run("diff", "read.h5", "half.h5")
    assert "they differ" in run("diff", original, "half.h5", code=1)
    assert "float16" in run("status", "half.h5") and "stored as float16" in run("describe", "half.h5")
    run("show", "half.h5")
    assert "already" in run("pack", "half.h5", "-o", "other.h5", code=2)
    # A map that is known better than float16 can tell is refused.
    with h5py.File(original, "r+") as f:
        f["maps/smoothgrad/map"][18], f["maps/smoothgrad/se"][18] = 0.123, 1e-4
    assert re.search(r"maps/smoothgrad/map of item 18 by 0\.\d+ of its standard error", run("pack", original, "--float16", code=2))
    assert not (WORK / "a.packed.h5").exists() and not litter()


def in_place(original):
    target = WORK / "mine.h5"
    shutil.copy(original, target)
    target.chmod(0o640)
    (WORK / "link.h5").symlink_to("mine.h5")
    (WORK / "mine.h5.tmp").write_bytes(b"of one that was killed")
    run("pack", "link.h5", "--in-place")
    assert (WORK / "link.h5").is_symlink() and target.stat().st_mode & 0o777 == 0o640
    assert "no difference" in run("diff", original, target) and not litter()
    again = job_of(target, f"data.limit={ITEMS}")
    before = target.read_bytes()
    assert "complete and packed: nothing to do" in run(*again)
    assert "is packed" in run(*again, "--retry-failed", code=4)
    assert target.read_bytes() == before and not litter()


def refused(original):
    def spoiled(name, change):
        shutil.copy(original, WORK / name)
        with h5py.File(WORK / name, "r+") as f:
            change(f)
        return name

    def status(f):
        f["provenance/complete"][()] = 0
        f["items/status"][3] = 0

    for name, change, says in (
            ("open.h5", status, f"1 of its {ITEMS} items are pending"),
            ("own.h5", lambda f: f.create_dataset("mine", data=[1.0]), "/mine was added by another program"),
            ("group.h5", lambda f: f.create_dataset("notes/deep", data="x"), "/notes/deep was added"),
            ("note.h5", lambda f: f["maps/smoothgrad/map"].attrs.update(note="x"), "'note' of /maps/smoothgrad/map was added")):
        output = run("pack", spoiled(name, change), "-o", "never.h5", code=2)
        assert says in output, output
    (WORK / "locked.h5").write_bytes(original.read_bytes())
    (WORK / "locked.h5.lock").write_text("host elsewhere\npid 1\nstarted 1\nsince 1\njob -\n")
    for how in ((), ("--in-place",)):
        assert "elsewhere" in run("pack", "locked.h5", *how, code=4)
    (WORK / "locked.h5.lock").unlink()
    assert not (WORK / "never.h5").exists() and not litter()


def killed(original):
    """At any moment, in its own place: the file is the original or the packed one, whole."""
    whole = original.read_bytes()
    target = WORK / "killed.h5"
    ends = set()
    target.write_bytes(whole)
    begin = time.monotonic()
    run("pack", target, "--in-place", "--level=9")
    took = time.monotonic() - begin
    for k in range(6):
        target.write_bytes(whole)
        child = subprocess.Popen([SGDIST, "pack", target, "--in-place", "--level=9"], stderr=subprocess.DEVNULL, cwd=WORK)
        time.sleep(took * (k + 1) / 6)
        child.send_signal(signal.SIGTERM if k % 3 == 2 else signal.SIGKILL)
        code = child.wait()
        ends.add(code)
        assert "no difference" in run("diff", original, target)
        assert code == 0 or target.read_bytes() == whole or code == -signal.SIGKILL
        if code >= 0:
            assert not litter(), litter()
        run("pack", target, "--in-place")
        assert not litter(), litter()
    assert -signal.SIGKILL in ends and 85 in ends, ends


def disk(original):
    """The n-th call that changes the disk fails, once or from then on: exit code 4, one message, nothing left."""
    whole = original.read_bytes()
    target = WORK / "faults" / "full.h5"
    target.parent.mkdir()
    settings = {"LD_PRELOAD": FAULT, "DISK_FAULT_BELOW": target.parent}
    target.write_bytes(whole)
    run("pack", target, "--in-place", "--float16", **settings, DISK_FAULT_LOG=WORK / "calls.log")
    calls = [line.split()[1] for line in (WORK / "calls.log").read_text().splitlines()]
    kinds = {calls.index(kind) + 1 for kind in set(calls)} | {len(calls) - calls[::-1].index(kind) for kind in set(calls)}
    last = calls.index("rename") + 1  # behind it the packed file has its name
    for n in sorted(kinds | set(range(3, len(calls), max(1, len(calls) // 12)))):
        error = ("ENOSPC", "EIO")[n % 2]
        target.write_bytes(whole)
        output = run("pack", target, "--in-place", "--float16", code=4, **settings, DISK_FAULT_AT=n, DISK_FAULT_ERROR=error,
                     **({"DISK_FAULT_STAYS": 1} if n % 3 == 0 else {}))
        assert output.count("error:") == 1 and re.search("No space left on device|Input/output error", output), (n, output)
        assert n > last or target.read_bytes() == whole, n
        assert not litter(), (n, litter())
    target.write_bytes(whole)
    run("pack", target, "--in-place", "--float16")
    print(f"{len(calls)} calls that change the disk")


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    original = make_result()
    copy = WORK / "copy.h5"
    for test in (lossless, in_place, refused, killed) + ((disk,) if FAULT else ()):
        shutil.copy(original, copy)
        test(copy)
        assert copy.read_bytes() == original.read_bytes(), test.__name__
    float16(copy)
    print("all right")


main()
