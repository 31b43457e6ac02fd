"""Weights once a machine: what another rank costs, and the same bits with shared weights and without.

    test_weights.py SGDIST [--slow]

The network is 46 MB of weights and small activations; with --slow also ResNet-50. /dev/shm without room is made by a
mount namespace, where this user may have one. Three ranks are two workers, who do the same work: what the third
rank adds to the sum of all proportional set sizes (PSS) is what any further one would.
"""
import array
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import tiny_onnx as onnx
from program import REPOSITORY, sgdist, write_job
from test_memory import ranks_of, window

EXTRA_KB = 40000  # what another rank may take beside its activations
QUICKSTART = os.path.join(REPOSITORY, "jobs", "quickstart")
WIDE = {"data": {"idx": os.path.join(QUICKSTART, "images-idx3-ubyte.gz"), "limit": 4},
        "methods": [["smoothgrad", "vargrad"]]}


def weights(name, rows, columns):
    """Small numbers that repeat late; packed quickly."""
    period = array.array("f", (((i * 7919) % 8191 - 4095) / 409500 for i in range(8191)))
    whole, rest = divmod(rows * columns, len(period))
    return (onnx.number(1, rows) + onnx.number(1, columns) + onnx.number(2, 1) + onnx.chunk(8, name)
            + onnx.chunk(9, (period * whole + period[:rest]).tobytes()))


def wide_model():
    """784 -> 4096 -> 2048 -> 10: 46 MB."""
    sizes = [784, 4096, 2048, 10]
    nodes, tensors, at = [onnx.node("Flatten", ["x"], ["v0"], axis=1)], [], "v0"
    for i, (k, m) in enumerate(zip(sizes, sizes[1:])):
        nodes.append(onnx.node("Gemm", [at, f"w{i}"], [f"g{i}"], transB=1))
        tensors.append(weights(f"w{i}", m, k))
        at = f"g{i}"
        if m != sizes[-1]:
            nodes.append(onnx.node("Relu", [at], [f"r{i}"]))
            at = f"r{i}"
    return onnx.model(nodes, tensors, [1, 28, 28], [10], y=at)


def wide_job(folder):
    model = os.path.join(folder, "wide.onnx")
    with open(model, "wb") as f:
        f.write(wide_model())
    return write_job(os.path.join(folder, "wide.yaml"), **WIDE, model={"file": model},
                     sampling={"samples": 320, "noise": {"level": 0.15}})


def resnet_job(folder):
    """ResNet-50 with random weights on two pictures, or None where there is no torch."""
    try:
        import numpy as np
        import torch
        import torchvision
        from PIL import Image
    except ImportError:
        return None
    model, photos = os.path.join(folder, "resnet50.onnx"), os.path.join(folder, "photos")
    os.mkdir(photos)
    random = np.random.default_rng(1)
    for i in range(3):
        Image.fromarray(random.integers(0, 256, (256, 256, 3), dtype=np.uint8)).save(os.path.join(photos, f"{i}.png"))
    torch.manual_seed(1)
    torch.onnx.export(torchvision.models.resnet50().eval(), torch.zeros(1, 3, 224, 224), model, opset_version=13)
    return write_job(os.path.join(folder, "resnet50.yaml"), model={"file": model},
                     data={"folder": photos, "preprocess": {"resize": 224, "crop": 224}},
                     sampling={"samples": 32, "noise": {"level": 0.15}}, methods=[["smoothgrad", "vargrad"]])


def run(program, job, ranks, output, *more, environment=None):
    command = ["mpirun", "-n", str(ranks), program, job, "--fresh", "--set", f"study.output={output}", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, **(environment or {})})


def total(process, ranks):
    """The sum of all ranks' PSS while they work, and in it the PSS of what they share, in kB: the median over the
    second half of the run, since there is more to hold while the model is read."""
    seen = []
    while process.poll() is None:
        try:
            pids = ranks_of(process.pid)
            sums = [0, 0]
            for pid in pids:
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    sums[0] += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
                sums[1] += window(pid)[1]
            if len(pids) == ranks:
                seen.append(tuple(sums))
        except (OSError, StopIteration):
            pass  # one has just ended
        time.sleep(0.02)
    said = process.stdout.read()
    assert process.returncode == 0, said
    assert len(seen) > 4, said
    return sorted(seen[len(seen) // 2:-1])[len(seen) // 4]


def predicted(program, job, ranks):
    """kB: (a rank, its activations, once a machine)."""
    text = sgdist(program, "check", job, launcher=["mpirun", "-n", str(ranks)])

    def size(pattern):
        number, unit = re.search(pattern + r" ([0-9.]+) (\w+)", text).groups()
        return float(number) * {"bytes": 1e-3, "kB": 1, "MB": 1e3, "GB": 1e6}[unit] * 1000 / 1024

    return size("memory a rank +"), size(r"\+ network") + size("sums and blocks"), size("memory a machine")


def check_extra(program, name, job, folder):
    rank, activations, machine = predicted(program, job, 4)
    sums = [total(run(program, job, ranks, os.path.join(folder, "extra.h5")), ranks) for ranks in (3, 4)]
    extra = sums[1][0] - sums[0][0]
    good = extra - activations < EXTRA_KB and abs(sums[1][1] - machine) < 0.05 * machine + 1000
    print(f"{'ok' if good else 'FAILED'}: {name}: the fourth rank adds {extra / 1024:.1f} MiB, of them activations "
          f"{activations / 1024:.1f}; shared {sums[1][1] / 1024:.1f} (predicted {machine / 1024:.1f}), "
          f"predicted a rank {rank / 1024:.1f}", flush=True)
    return good


def without_room(program, job, folder):
    """Three ranks where /dev/shm is full; None where no such place can be made."""
    inside = (f"mount -t tmpfs -o size=20m tmpfs /dev/shm && "
              f"exec mpirun -n 3 {program} {job} --fresh --set study.output={folder}/full.h5")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        return None
    # The messages of MPI itself shall have room.
    done = subprocess.run(["unshare", "-m", "sh", "-c", inside], capture_output=True, text=True,
                          env={**os.environ, "OMPI_MCA_btl_vader_backing_directory": "/tmp"})
    assert done.returncode == 0, done.stderr
    return done.stderr


def blocks():
    return {name for name in os.listdir("/dev/shm") if re.match(r"sgdist-\d", name)}


def check_bits(program, job, folder):
    """One rank, three that share, three that are told not to, three that cannot."""
    job = write_job(os.path.join(folder, "few.yaml"), **WIDE, model={"file": os.path.join(folder, "wide.onnx")},
                    sampling={"samples": 40, "noise": {"level": 0.15}})
    sgdist(program, job, "--fresh", "--set", f"study.output={folder}/one.h5")
    good, before = True, blocks()
    for name, more in (("shared", []), ("own", ["--set", "run.share_weights=false"])):
        process = run(program, job, 3, f"{folder}/{name}.h5", *more)
        said = process.communicate()[0]
        good = good and process.returncode == 0 and "own copy" not in said
        sgdist(program, "diff", f"{folder}/one.h5", f"{folder}/{name}.h5")
    said = without_room(program, job, folder)
    if said is not None:
        good = good and re.search(r"own copy of the (model|weights): /dev/shm has .* left", said) is not None
        sgdist(program, "diff", f"{folder}/one.h5", f"{folder}/full.h5")
    print(f"{'ok' if good else 'FAILED'}: the same bits on 1 rank, on 3 that share the weights, on 3 that do not"
          + (", on 3 without room in /dev/shm" if said is not None else ""), flush=True)
    left = blocks() - before
    if left:  # other runs on this machine have theirs for a moment
        time.sleep(3)
        left &= blocks()
    assert not left, f"left in /dev/shm: {left}"
    return good


def main():
    program, slow = sys.argv[1], "--slow" in sys.argv
    if not os.path.exists("/proc/self/smaps_rollup") or not shutil.which("mpirun"):
        print("skipped: no mpirun, or this system has no /proc/<pid>/smaps_rollup")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        job = resnet_job(folder) if slow else wide_job(folder)
        if job is None:
            print("skipped: ResNet-50 is made by torchvision")
            sys.exit(77)
        good = [check_extra(program, "ResNet-50" if slow else "wide network", job, folder)]
        if not slow:
            good.append(check_bits(program, job, folder))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
