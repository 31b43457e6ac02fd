"""Memory of a rank while it works: flat whatever the number of samples, and what `sgdist check` said.

    test_memory.py SGDIST [--slow]

Read from /proc/<pid> as fast as it goes; a rank's figure is its peak. The proportional set size (PSS) counts the
pages of program and libraries by how many processes on the machine use them at the time, which no test controls: the
same run has 11 or 26 MB. So these pages are divided here by the number of ranks, which is the PSS where
nothing else runs; the kernel's own figure is printed beside it. The prediction is what a worker takes at
most, the copy of its sums for a checkpoint included, so all runs here are told to take checkpoints early.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import tiny_onnx
from program import QUICKSTART, REPOSITORY, SHARED, sgdist, write_job

FLAT_KB, RELATIVE, ABSOLUTE_KB = 1000, 0.10, 10000


def ranks_of(pid):
    """The topmost processes of the name sgdist: MPI starts a helper from a rank, which bears its name at first."""
    with open(f"/proc/{pid}/comm") as f:
        if f.read().strip() == "sgdist":
            return [pid]
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as f:
            for child in f.read().split():
                found += ranks_of(int(child))
    return found


def window(pid):
    """(resident, proportional) kB of a process in what ranks share: blocks of ours in /dev/shm."""
    resident, proportional, inside = 0, 0, False
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            field, _, rest = line.partition(":")
            if "-" in field and " " in field:
                inside = "/dev/shm/sgdist-" in line
            elif inside and field == "Rss":
                resident += int(rest.split()[0])
            elif inside and field == "Pss":
                proportional += int(rest.split()[0])
    return resident, proportional


def memory(pid, ranks):
    """(as on a quiet machine and without what ranks share, the kernel's PSS) in kB of a process."""
    shared = window(pid)[0] if ranks > 1 else 0
    with open(f"/proc/{pid}/smaps_rollup") as f:
        pss = next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    with open(f"/proc/{pid}/status") as f:
        rows = {line.split()[0]: int(line.split()[1]) for line in f if line.startswith("Rss")}
    shared = max(shared, window(pid)[0]) if ranks > 1 else 0  # it may come or go just now
    return rows["RssAnon:"] + max(0, rows["RssShmem:"] - shared) + rows["RssFile:"] // ranks, pss


def peaks(command, ranks):
    """Runs it; the peak (quiet, pss) of every rank, the largest first."""
    found = {}
    with tempfile.TemporaryFile() as said:
        run = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while run.poll() is None:
            try:
                for pid in ranks_of(run.pid):
                    found[pid] = tuple(map(max, memory(pid, ranks), found.get(pid, (0, 0))))
            except (OSError, KeyError, StopIteration):
                pass  # one has just ended
            time.sleep(0.0005)
        said.seek(0)
        assert run.returncode == 0, said.read().decode()
    assert len(found) == ranks, f"{len(found)} ranks were seen, not {ranks}"
    return sorted(found.values(), reverse=True)


def launcher(ranks):
    return ["mpirun", "-n", str(ranks)] if ranks > 1 else []


def kibibytes(text, name):
    number, unit = re.search(name + r" +([0-9.]+) (\w+)", text).groups()
    return float(number) * {"kB": 1, "MB": 1e3, "GB": 1e6}[unit] * 1000 / 1024


def predicted(program, job, ranks):
    return kibibytes(sgdist(program, "check", job, launcher=launcher(ranks)), "memory a rank")


def check(program, name, job, ranks, few, many, folder):
    """The same study with few and with many samples."""
    said = predicted(program, job, ranks)
    figures = []
    for samples, seconds in ((few, 0), (many, 2)):
        output = os.path.join(folder, "memory.h5")
        command = [*launcher(ranks), program, job, "--fresh", "--set", f"study.output={output}",
                   "--set", f"sampling.samples={samples}", "--set", f"run.checkpoint_seconds={seconds}",
                   "--set", "data.limit=1"]
        found = peaks(command, ranks)
        figures.append([quiet for quiet, _ in found])
        print(f"{name}, {ranks} rank{'s' * (ranks > 1)}, {samples} samples: "
              + ", ".join(f"{quiet / 1024:.1f} MiB (PSS {pss / 1024:.1f})" for quiet, pss in found), flush=True)
    grown = max(abs(b - a) for a, b in zip(*figures))
    largest = figures[1][0]
    off = abs(largest - said)
    good = grown <= FLAT_KB and off <= max(RELATIVE * said, ABSOLUTE_KB)
    print(f"{'ok' if good else 'FAILED'}: {name}, {ranks} rank(s): changed by {grown} kiB from {few} to {many} samples; "
          f"predicted {said / 1024:.1f} MiB, took {largest / 1024:.1f} MiB", flush=True)
    return good


def squeezenet_job(folder):
    """SqueezeNet on a photo, or None where neither the file nor torch is there."""
    model = os.path.join(SHARED, "models", "SqueezeNet_fp16.onnx")
    photos = os.path.join(folder, "photos")
    os.mkdir(photos)
    try:
        import numpy as np
        from PIL import Image
    except ImportError:
        return None
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(noise).save(os.path.join(photos, "noise.png"))
    if not os.path.exists(model):
        try:
            import torch
            import torchvision
        except ImportError:
            return None
        model = os.path.join(folder, "squeezenet.onnx")
        torch.manual_seed(1)
        torch.onnx.export(torchvision.models.squeezenet1_1().eval(), torch.zeros(1, 3, 224, 224), model,
                          opset_version=13)
    return write_job(os.path.join(folder, "squeezenet.yaml"), model={"file": model},
                     data={"folder": photos, "preprocess": {"resize": 224, "crop": 224, "color": "bgr", "scale": 255}},
                     methods=["gradient", ["smoothgrad", "smoothgrad_squared", "vargrad"]])


def draws_job(folder):
    """30 draws of a network whose weights, 3.2 MB, are most of what it takes."""
    rows, inputs = 1000, 28 * 28
    weights = [tiny_onnx.tensor("w1", (rows, inputs), [0.001 * (i % 7 - 3) for i in range(rows * inputs)]),
               tiny_onnx.tensor("w2", (10, rows), [0.01 * (i % 5 - 2) for i in range(10 * rows)])]
    nodes = [tiny_onnx.node("Flatten", ["x"], ["f"], axis=1), tiny_onnx.node("Gemm", ["f", "w1"], ["h"], transB=1),
             tiny_onnx.node("Relu", ["h"], ["r"]), tiny_onnx.node("Gemm", ["r", "w2"], ["y"], transB=1)]
    with open(os.path.join(folder, "draws.onnx"), "wb") as f:
        f.write(tiny_onnx.model(nodes, weights, (1, 28, 28), [10]))
    images = os.path.join(REPOSITORY, "jobs", "quickstart", "images-idx3-ubyte.gz")
    return write_job(os.path.join(folder, "draws.yaml"), study={"output": os.path.join(folder, "draws.h5")},
                     model={"file": "draws.onnx"}, data={"idx": images, "limit": 4}, run={"checkpoint_seconds": 0},
                     methods=[{"method": "noisegrad", "weights": {"draws": 30}},
                              {"method": "fusiongrad", "samples": 40, "weights": {"draws": 30}}])


def check_draws(program, job, ranks, share):
    """Draws of the weights: of a rank's own, or in what ranks share, which is stated apart."""
    sets = ["--set", f"run.share_weights={share}"]
    text = sgdist(program, "check", job, *sets, launcher=launcher(ranks))
    said = kibibytes(text, "memory a rank")
    found = peaks([*launcher(ranks), program, job, "--fresh", *sets], ranks)
    largest = found[0][0]
    good = abs(largest - said) <= max(RELATIVE * said, ABSOLUTE_KB)
    shared = kibibytes(text, "memory a machine") if ranks > 1 and share == "true" else 0
    good = good and (shared == 0 or 31 * 3100 < shared < 31 * 3400)
    print(f"{'ok' if good else 'FAILED'}: 30 draws, {ranks} rank(s), share_weights: {share}: predicted {said / 1024:.1f} "
          f"MiB, took {largest / 1024:.1f} MiB; shared {shared / 1024:.1f} MiB", flush=True)
    return good


def main():
    program, slow = sys.argv[1], "--slow" in sys.argv
    if not os.path.exists("/proc/self/smaps_rollup"):
        print("skipped: this system has no /proc/<pid>/smaps_rollup")
        sys.exit(77)
    every_rank = (1, 3) if shutil.which("mpirun") else (1,)
    with tempfile.TemporaryDirectory() as folder:
        good = [check(program, "quickstart", QUICKSTART, ranks, 100, 100000 if slow else 4000, folder)
                for ranks in every_rank]
        good += [check_draws(program, draws_job(folder), ranks, share) for ranks in every_rank
                 for share in (("true", "false") if ranks > 1 else ("true",))]
        job = squeezenet_job(folder) if slow else None
        if job is not None:
            good += [check(program, "SqueezeNet", job, ranks, 100, 1000, folder) for ranks in every_rank]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
