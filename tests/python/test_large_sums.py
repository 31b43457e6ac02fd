"""Sums of many elements over a team: equal bits, and no slower than memory lets them be.

    test_large_sums.py SGDIST

120,000 elements in 16 groups are 77 MB of sums, collected at each of 6 stages. Where every wait for MPI slept
between two looks at a message that took 10 s and more a stage; it takes less than 1 s on an idle machine.
"""
import os
import shutil
import sys
import tempfile
import time

try:
    import h5py
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import tiny_onnx
from program import sgdist, write_job

SIDE, SECONDS = 200, 25


def reduce_seconds(path):
    """The largest over ranks of the time in collectives, which waiting for a busy rank is part of."""
    with h5py.File(path, "r") as f:
        phases = [name.decode() for name in f["phase"][:]] if "phase" in f else []
        seconds = f["performance/seconds"][:]
        return float(seconds[0, phases.index("reduce")].max())


def main():
    if shutil.which("mpirun") is None:
        print("skipped: no mpirun")
        sys.exit(77)
    random = np.random.default_rng(9)
    with tempfile.TemporaryDirectory() as folder:
        shape = (3, SIDE, SIDE)
        rows = random.normal(size=(2, 3 * SIDE * SIDE)).astype("f4")
        with open(os.path.join(folder, "net.onnx"), "wb") as f:
            f.write(tiny_onnx.relu_net(shape, rows.tolist(), [0.0, 0.0], [[1.0, -1.0]]))
        os.mkdir(os.path.join(folder, "photos"))
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(
            os.path.join(folder, "photos", "noise.png"))
        job = write_job(os.path.join(folder, "job.yaml"), model={"file": "net.onnx"}, data={"folder": "photos"},
                        sampling={"samples": 128}, methods=[["smoothgrad", "vargrad"]])
        files = [os.path.join(folder, f"{ranks}.h5") for ranks in (1, 3)]
        sgdist(sys.argv[1], job, "--set", f"study.output={files[0]}")
        begun = time.monotonic()
        sgdist(sys.argv[1], job, "--set", f"study.output={files[1]}", launcher=["mpirun", "-n", "3"])
        seconds = time.monotonic() - begun
        sgdist(sys.argv[1], "diff", *files)
        print(f"equal bits on 1 and 3 ranks; 3 ranks took {seconds:.1f} s, {reduce_seconds(files[1]):.1f} s in collectives")
        sys.exit(0 if seconds < SECONDS else 1)


if __name__ == "__main__":
    main()
