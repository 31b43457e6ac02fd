#!/usr/bin/python3
"""SmoothDiff against SmoothGrad on a trained network: the core-seconds of both at the same cosine to a SmoothGrad map of
very many samples, and the cost of one item's map for every class.

    bench/smoothdiff.py SGDIST JOB.yaml [--reference 20000] [--ranks 3] [--work FOLDER]

The job names model, data, target and noise; its methods and samples are replaced. Each time is the processor time of a run
on one core, less that of a run with the gradient alone; the reference has another seed, so that no map shares its noise.
The reference is kept in the work folder.
"""
import argparse
import os
import resource
import subprocess
import sys
import tempfile

import h5py
import numpy as np


def run(options, name, methods, samples, *sets, ranks=1, keep=False):
    """Maps of each label [items, elements], processor seconds of the run, forward and backward passes."""
    path = os.path.join(options.work, f"{name}.h5")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not (keep and os.path.exists(path)):
        command = [options.program, options.job, "--fresh", "--set", f"study.output={path}", "--set", f"methods={methods}",
                   "--set", f"sampling.samples={samples}"]
        for s in sets:
            command += ["--set", s]
        launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
        subprocess.run(launcher + command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with h5py.File(path, "r") as f:
        assert (f["items/status"][:] == 1).all(), f["items/message"][:]
        maps = {label: f[f"maps/{label}/map"][:, 0].astype("f8") for label in f["maps"]}
        return ({k: v.reshape(len(v), -1) for k, v in maps.items()}, seconds, f["items/forwards"][:].sum(),
                f["items/backwards"][:].sum())


def cosine(a, b):
    """The mean over items."""
    return ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean()


def crossing(rows, wanted):
    """Samples and seconds at which a list of (samples, cosine, seconds) reaches a cosine, between rows by the logarithm of samples."""
    for (n0, c0, s0), (n1, c1, s1) in zip(rows, rows[1:]):
        if c0 <= wanted <= c1:
            at = (wanted - c0) / (c1 - c0)
            return n0 * (n1 / n0) ** at, s0 + (s1 - s0) * (2**at - 1)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("job")
    parser.add_argument("--reference", type=int, default=20000)
    parser.add_argument("--most", type=int, default=1024, help="samples of SmoothGrad")
    parser.add_argument("--ranks", type=int, default=3, help="of the reference")
    parser.add_argument("--classes", type=int, default=0, help="explain so many classes of an item at the end")
    parser.add_argument("--work", default=None)
    options = parser.parse_args()
    options.program, options.job = os.path.abspath(options.program), os.path.abspath(options.job)
    os.environ.update(OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_hwloc_base_binding_policy="none",
                      OMPI_MCA_mpi_yield_when_idle="1")
    with tempfile.TemporaryDirectory() as scratch:
        options.work = options.work or scratch
        os.makedirs(options.work, exist_ok=True)
        compare(options)
        if options.classes:
            all_classes(options)


def compare(options):
    quick = "maps.standard_error=false"
    reference = run(options, "reference", "[smoothgrad]", options.reference, quick, "study.seed=99991", ranks=options.ranks,
                    keep=True)[0]["smoothgrad"]
    start = min(run(options, "start", "[gradient]", 1, quick)[1] for _ in range(3))
    found = {}
    for method in ("smoothdiff", "smoothgrad"):
        print(f"{method:12} {'samples':>8} {'cosine':>8} {'length':>8} {'core-seconds':>13} {'forward':>9} {'backward':>9}")
        rows = found[method] = []
        n = 1
        while n <= (options.most if method == "smoothgrad" else min(256, options.most)):
            maps, seconds, forwards, backwards = run(options, f"{method}-{n}", f"[{method}]", n, quick,
                                                       f"sampling.block={min(n, 16)}")
            seconds = max(seconds - start, 0)
            rows.append((n, cosine(maps[method], reference), seconds))
            length = (np.linalg.norm(maps[method], axis=1) / np.linalg.norm(reference, axis=1)).mean()
            print(f"{'':12} {n:8} {rows[-1][1]:8.4f} {length:8.3f} {seconds:13.2f} {forwards:9} {backwards:9}", flush=True)
            n *= 2
    print(f"\n{'cosine':>8} {'SmoothDiff':>24} {'SmoothGrad':>24} {'ratio of core-seconds':>22}")
    for n, c, seconds in found["smoothdiff"]:
        other = crossing(found["smoothgrad"], c)
        if other is not None:
            print(f"{c:8.4f} {f'n = {n}, {seconds:.2f} s':>24} {f'n = {other[0]:.0f}, {other[1]:.2f} s':>24} {other[1] / max(seconds, 1e-9):22.1f}")
        else:
            print(f"{c:8.4f} {f'n = {n}, {seconds:.2f} s':>24} {'not reached':>24}")


def all_classes(options):
    _, seconds, forwards, backwards = run(options, "classes", "[smoothdiff]", 50, "maps.standard_error=false", "maps.channels=l2",
                                          "data.limit=1", f"target={{top: {options.classes}}}")
    print(f"\n{options.classes} classes of an item, 50 samples: {forwards} forward and {backwards} backward passes of a sample, "
          f"{seconds:.1f} core-seconds")


if __name__ == "__main__":
    sys.exit(main())
