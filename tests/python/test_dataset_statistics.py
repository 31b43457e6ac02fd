"""Statistics over the data set in a result, against NumPy in float64 on the same maps.

    test_dataset_statistics.py SGDIST
"""
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

ROUNDING = 2.0**-22  # the file holds float32


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "result.h5")
        job = os.path.join(os.environ["SOURCE"], "jobs", "quickstart.yaml")
        sets = [f"study.output={path}", "data.limit=24", "sampling.samples=16", "target={top: 2}"]
        command = [sys.argv[1], job, "--quiet"] + [word for s in sets for word in ("--set", s)]
        subprocess.run(command, check=True, timeout=120)
        with h5py.File(path, "r", locking=False) as result:
            assert result["provenance/complete"][()] == 1
            for label, group in result["maps"].items():
                maps = group["map"][:, 0].astype(np.float64)  # the first target
                expected = {"mean": maps.mean(0), "mean_abs": np.abs(maps).mean(0), "std": maps.std(0, ddof=1)}
                for name, values in expected.items():
                    found = result[f"dataset/{label}/{name}"][()]
                    assert found.shape == values.shape, (label, name, found.shape)
                    worst = np.abs(found - values).max() / np.abs(values).max()
                    assert worst < ROUNDING, (label, name, worst)
    print("statistics of", len(expected), "kinds agree")


if __name__ == "__main__":
    main()
