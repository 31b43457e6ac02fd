#!/usr/bin/python3
"""What a job on ResNet-50 takes: memory of a rank, shares of the work around the network, two workers against one.

    bench/job.py SGDIST [--only memory shares workers] [--samples 64] [--rounds 3] [--work FOLDER]

The network has random weights (torchvision), the pictures are JPEG files of 500 x 375; the job is SmoothGrad, as jobs/imagenet.yaml prepares pictures. The
memory is the proportional set size of a rank that works alone, weights included, at its peak; of many samples the first minute is watched:
everything is taken before the first block. Numbers of workers are compared by turns, on a machine that has nothing else to do; what two programs that know nothing of
each other do at the same time is what the machine allows (its cores share memory, cache, power and, where it is a virtual one, neighbours).
"""
import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
AROUND = ("input", "noise", "sums", "reduce", "finish", "output")
JOB = """\
study: {name: bench, output: bench.h5, seed: 1}
model: {file: resnet50.onnx}
data:
  folder: pictures
  domain: {space: pixel, bounds: [0, 1]}
  preprocess: {resize: 256, crop: 224, color: rgb, scale: 1, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
target: predicted
sampling: {samples: 64, noise: {level: 0.15, range: item}}
methods: [smoothgrad]
"""


def prepare(folder):
    """The job's path."""
    if not (folder / "resnet50.onnx").exists():
        subprocess.run([sys.executable, HERE / "pytorch.py", "--export", "resnet50", folder / "resnet50.onnx"], check=True)
    (folder / "pictures").mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for i in range(4):
        coarse = Image.fromarray(rng.integers(0, 256, (15, 20, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.BICUBIC).save(folder / f"pictures/{i}.jpg", quality=90)
    (folder / "job.yaml").write_text(JOB)
    return folder / "job.yaml"


def start(options, folder, ranks, *sets):
    launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    return subprocess.Popen([*launcher, options.program, folder / "job.yaml", "--fresh", *(w for s in sets for w in ("--set", s))],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)


def end(process, folder):
    """Waits for the end; the result, open."""
    assert process.wait() == 0, process.returncode
    return h5py.File(folder / "bench.h5")


def peak(command, seconds, folder):
    """The largest PSS of a process in MB; it is stopped after so many seconds."""
    process, begun, most = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder), time.monotonic(), 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/smaps_rollup") as f:
                most = max(most, next(int(line.split()[1]) for line in f if line.startswith("Pss:")))
        except (OSError, StopIteration):
            pass  # it has just ended
        if time.monotonic() - begun > seconds:
            process.send_signal(signal.SIGTERM)
            process.wait()
        time.sleep(0.02)
    assert process.returncode in (0, 85), process.returncode
    return most * 1024 / 1e6


def memory(options, job):
    for samples in (50, 2000):
        most = peak([options.program, job, "--fresh", "--set", f"sampling.samples={samples}", "--set", "data.limit=1"], 60, job.parent)
        print(f"memory: {samples} samples: {most:.0f} MB", flush=True)


def shares(options, job):
    with end(start(options, job.parent, 1, f"sampling.samples={options.samples}", "data.limit=2"), job.parent) as result:
        names = [name.decode() for name in result["phase"]]
        seconds = dict(zip(names, result["performance/seconds"][0, :, 1]))
    total = sum(v for k, v in seconds.items() if k != "wait")
    for name in names:
        print(f"share: {name:9} {seconds[name]:8.3f} s {100 * seconds[name] / total:6.2f} %")
    print(f"share: {', '.join(AROUND)}: {100 * sum(seconds[k] for k in AROUND) / total:.2f} % of all but wait", flush=True)


def rate(options, folders, ranks):
    """Gradients a second of programs that run at the same time, one in each folder, each from its first rank's start to its end."""
    running = [start(options, folder, ranks, f"sampling.samples={options.samples}", "data.limit=4") for folder in folders]
    total = 0
    for process, folder in zip(running, folders):
        with end(process, folder) as result:
            runs = result["provenance/runs"]
            total += result["performance/gradients"][0] / (runs["end"][0] - runs["start"][0])
    return total


def workers(options, job):
    apart = [job.parent / "apart0", job.parent / "apart1"]
    for folder in apart:
        folder.mkdir(exist_ok=True)
        for name in (job.name, "resnet50.onnx", "pictures"):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(job.parent / name)
    found, allowed = [], []
    for _ in range(options.rounds):
        one, two, programs = rate(options, [job.parent], 2), rate(options, [job.parent], 3), rate(options, apart, 1)
        found.append(two / one)
        allowed.append(programs / one)
        print(f"workers: one {one:.2f}, two {two:.2f}, two programs {programs:.2f} gradients/s", flush=True)
    for name, ratios in (("two", found), ("two programs", allowed), ("two, of two programs", [f / a for f, a in zip(found, allowed)])):
        low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        print(f"workers: {name} against {'them' if 'of' in name else 'one'} {median:.3f} (half of {len(ratios)} rounds in {low:.3f} to {high:.3f})")


def main():
    parts = {"memory": memory, "shares": shares, "workers": workers}
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--only", nargs="*", choices=parts, default=list(parts))
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", help="keeps the network and the pictures")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_hwloc_base_binding_policy="none",
                      OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1") # root: in a container, say
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(options.work or scratch).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        job = prepare(folder)
        for part in options.only:
            parts[part](options, job)


if __name__ == "__main__":
    main()
